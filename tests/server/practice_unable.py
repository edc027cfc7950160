"""A worker's module that lacks something."""

from __future__ import annotations

from typing import Any

from weft.errors import MissingDependency

RUNNERS: dict[str, Any] = {}


def capabilities() -> dict[str, Any]:
    return {}


def warm_up() -> None:
    raise MissingDependency("practice needs nonsense", "pip install nonsense")
