"""Licences of published weights by their names, and what is remarkable about them."""

from __future__ import annotations

__all__ = ["ADOBE", "APACHE", "MIT", "OPENRAIL", "OPENRAIL_PLUS", "SEVA", "STABILITY", "remark"]

ADOBE = "Adobe Research License"
APACHE = "Apache-2.0"
MIT = "MIT"
OPENRAIL = "CreativeML OpenRAIL-M"
OPENRAIL_PLUS = "CreativeML OpenRAIL++-M"
STABILITY = "Stability AI Community License"
SEVA = "Stability AI Non-Commercial License"

# What a licence that allows commercial use asks of those who want it.
CONDITIONS = {STABILITY: "commercial use below 1 M US$ of revenue a year only"}


def remark(licence: str, commercial: bool) -> str:
    """What must be said wherever the licence is named; "" where every use is allowed."""
    return CONDITIONS.get(licence, "") if commercial else "not for commercial use"
