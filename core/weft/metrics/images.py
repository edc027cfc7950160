"""One image, or two of the same thing: PSNR and sharpness.

Consistency alone rewards blur: whoever reports a PSNR reports the sharpness beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from weft.errors import InvalidInput

__all__ = ["eroded", "psnr", "relative_sharpness", "sharpness"]

_MARGIN = 3  # pixels next to the silhouette, whose differences are the outline's and not the texture's


def eroded(mask: np.ndarray, pixels: int) -> np.ndarray:
    """`mask` [H, W] without what lies within `pixels` (along rows and columns) of its outside or the frame."""
    return np.asarray(ndimage.binary_erosion(mask, iterations=pixels)) if pixels else mask


def psnr(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB (peak 1) of two [H, W, C] images over `mask` [H, W]; equal images give inf."""
    if a.shape != b.shape:
        raise InvalidInput(f"images of shapes {a.shape} and {b.shape}", "compare images of one size")
    square = (a.astype(np.float64) - b.astype(np.float64)) ** 2
    if mask is not None:
        square = square[mask]
    if square.size == 0:
        raise InvalidInput("the mask holds no pixel", "compare images that show some of the object")
    error = square.mean()
    return float(-10 * np.log10(error)) if error > 0 else float("inf")


def sharpness(image: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean of |∂x I| + |∂y I| (forward differences, mean over channels) of [H, W, C] inside `mask` eroded by 3 px.

    Without a mask: over all pixels that have a right and a lower neighbour.
    """
    x = np.abs(np.diff(image.astype(np.float64), axis=1))[:-1].mean(-1)
    y = np.abs(np.diff(image.astype(np.float64), axis=0))[:, :-1].mean(-1)
    if mask is None:
        return float((x + y).mean())
    inside = eroded(mask, _MARGIN)[:-1, :-1]
    if not inside.any():
        raise InvalidInput("the mask holds no pixel 3 px from its border", "render the object larger")
    return float((x + y)[inside].mean())


def relative_sharpness(renders: Sequence[np.ndarray], masks: Sequence[np.ndarray], exemplar: np.ndarray) -> float:
    """Mean sharpness of the renders (3× supersampled, object-filling) over that of the exemplar at its own size."""
    reference = sharpness(exemplar)
    if reference == 0:
        raise InvalidInput("the exemplar is one flat colour", "measure sharpness against an image with structure")
    return float(np.mean([sharpness(r, m) for r, m in zip(renders, masks, strict=True)])) / reference
