"""The add-on's own errors: what is wrong in the scene, in one line, and what to do about it."""

from __future__ import annotations

from weft_wire.errors import WireError

__all__ = ["SceneError", "describe"]


class SceneError(WireError):
    """Refused before anything is sent: the same code, message and hint as an error of the wire."""


def describe(error: BaseException) -> tuple[str, str]:
    """`(message, hint)` of any error: typed ones bring their own remedy, others their class and first line."""
    if isinstance(error, WireError):
        return error.message, error.hint
    return f"{type(error).__name__}: {error}".splitlines()[0], "this is a defect of the add-on: please report it"
