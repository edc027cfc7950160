"""How much of a picture's structure an edit has kept: features where they were, whatever became of their colours."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from weft.errors import InvalidInput

__all__ = ["detail_correlation"]

_SHARP, _COARSE = 1.5, 6.0  # px, standard deviations
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def detail_correlation(image: np.ndarray, source: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Correlation over `mask` bool [H, W] of the lightness of two sRGB images [H, W, 3], between 1.5 and 6 px.

    1 for images that differ by contrast and brightness alone. Raises InvalidInput where one of them shows nothing.
    """
    a, b = (_details(picture)[... if mask is None else mask].ravel() for picture in (image, source))
    if a.size == 0 or a.std() < 1e-6 or b.std() < 1e-6:
        raise InvalidInput("nothing is there to be compared", "compare images with some structure")
    return float(np.corrcoef(a, b)[0, 1])


def _details(picture: np.ndarray) -> np.ndarray:
    fine = gaussian_filter(picture @ _LUMINANCE, _SHARP, mode="nearest")
    return fine - gaussian_filter(fine, _COARSE, mode="nearest")
