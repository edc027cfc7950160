"""Structural similarity of two images (Wang et al. 2004, "Image quality assessment: from error visibility to structural
similarity"): local means, variances and covariance under a Gaussian window of 11 × 11 px, σ = 1.5."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from weft.errors import InvalidInput

__all__ = ["ssim"]

_SIGMA, _REACH = 1.5, 5  # pixels
_C1, _C2 = 0.01**2, 0.03**2  # K1 and K2 of the paper, for a range of 1


def ssim(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean similarity in [-1, 1] of [H, W, C] images in [0, 1] over `mask` [H, W] and the channels; 1 for equal ones.

    Windows count where their centre is on the mask. Outside it both images are compared as they are: fill it alike.
    """
    if a.shape != b.shape or a.ndim != 3:
        raise InvalidInput(f"images of shapes {a.shape} and {b.shape}", "compare [height, width, channels] of one size")
    if min(a.shape[:2]) <= 2 * _REACH:
        raise InvalidInput(f"images of {a.shape[1]}×{a.shape[0]} px", f"expected more than {2 * _REACH} a side")
    if mask is not None and not mask.any():
        raise InvalidInput("the mask holds no pixel", "compare images that show some of the object")
    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = _blurred(x), _blurred(y)
    variances = _blurred(x * x) - mean_x**2 + _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    similar = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    similar /= (mean_x**2 + mean_y**2 + _C1) * (variances + _C2)
    if mask is None:
        return float(similar[_REACH:-_REACH, _REACH:-_REACH].mean())
    return float(similar[mask].mean())


def _blurred(image: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.gaussian_filter(image, (_SIGMA, _SIGMA, 0), radius=(_REACH, _REACH, 0)))
