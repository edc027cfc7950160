"""A worker's module that can do nothing but tell of models."""

from __future__ import annotations

from typing import Any

from weft_server.able import models_now

RUNNERS: dict[str, Any] = {}


def capabilities() -> dict[str, Any]:
    return models_now(())


def warm_up() -> None:
    """Nothing to load."""
