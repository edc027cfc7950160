"""The picture that a job paints with when its prompt names a material: rendered once, then remembered."""

from __future__ import annotations

import functools

import numpy as np

from weft.models.materials import Choice, render

__all__ = ["material_tile"]

_SIDE = 512  # pixels
_KEPT = 8  # tiles of 3 MB; who tries steps, views and seeds stays with a material


def material_tile(choice: Choice) -> np.ndarray:
    """f4 [512, 512, 3], sRGB in [0, 1], the caller's own: the material as a seamless tile, in its tint."""
    return _rendered(choice.name, choice.tint).copy()


@functools.lru_cache(maxsize=_KEPT)
def _rendered(name: str, tint: str | None) -> np.ndarray:
    return render(name, _SIDE, tint=tint)
