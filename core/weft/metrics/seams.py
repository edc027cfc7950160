"""Seams along straight lines: whether neighbours differ more across them than across the lines beside."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from weft.errors import InvalidInput

__all__ = ["line_seams", "wrap_seam"]

_BESIDE = 12  # lines on each side that a line is compared with


def line_seams(image: np.ndarray, period: int, axis: int) -> np.ndarray:
    """f8 [period]: mean |difference| of an image [H, W, C] across the lines that windows of `period` px would meet at,
    over that across the up to 24 lines beside them; 1 is ideal. Entry p: with windows that begin at p + 1, p + 1 ±
    period, …: columns for `axis` 1, rows for 0. Raises InvalidInput for windows as large as the image."""
    if not 0 < period < image.shape[axis]:
        size = f"{image.shape[1]}×{image.shape[0]} px"
        raise InvalidInput(f"windows of {period} px do not meet in an image of {size}", "use smaller windows")
    steps = np.abs(np.diff(image.astype(np.float64), axis=axis)).mean((1 - axis, 2))
    weights = np.ones(2 * _BESIDE + 1)
    weights[_BESIDE] = 0
    beside = ndimage.convolve1d(steps, weights, mode="constant")
    beside /= ndimage.convolve1d(np.ones_like(steps), weights, mode="constant")
    return np.array([_ratio(steps[first::period], beside[first::period]) for first in range(period)])


def wrap_seam(image: np.ndarray) -> float:
    """The same of the line where the left border [H, W, C] meets the right one."""
    middle = image.shape[1] // 2
    turned = np.roll(image, middle, 1)
    return float(line_seams(turned, image.shape[1] - 1, 1)[middle - 1])


def _ratio(across: np.ndarray, beside: np.ndarray) -> float:
    """Of sums; an image without any difference has no seam."""
    expected = beside.sum()
    return float(across.sum() / expected) if expected > 0 else 1.0
