"""Numbers of bytes as people read them."""

from __future__ import annotations

__all__ = ["size_of"]


def size_of(count: int) -> str:
    """Bytes, in the units that publishers use."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}" if count < 100 * size else f"{count / size:.0f} {unit}"
    return f"{count} B"
