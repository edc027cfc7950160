"""The outline of an object in a picture: whether it looks cut out."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from weft.errors import InvalidInput

__all__ = ["mask_seam"]

_BESIDE = 12  # px on each side of the outline that it is compared with


def mask_seam(image: np.ndarray, mask: np.ndarray) -> float:
    """Mean |difference| of neighbours of `image` [H, W, C] that the outline of `mask` bool [H, W] parts, over that of
    neighbours up to 12 px beside it. An object that stands out from what is behind it has more than 1 anyway: compare
    with the photograph's own. Raises InvalidInput for a mask without an outline."""
    inside, outside = (np.asarray(ndimage.distance_transform_edt(part)) for part in (mask, ~mask))
    near = inside + outside <= _BESIDE
    across, beside = [], []
    for axis in (0, 1):
        step = np.abs(np.diff(image.astype(np.float64), axis=axis)).mean(-1)
        first, second = np.delete(mask, -1, axis), np.delete(mask, 0, axis)
        close = np.delete(near, -1, axis) & np.delete(near, 0, axis)
        across.append(step[first != second])
        beside.append(step[close & (first == second)])
    parted, others = np.concatenate(across), np.concatenate(beside)
    if not len(parted):
        raise InvalidInput("the mask has no outline", "mark a part of the picture")
    expected = others.mean() if len(others) else 0.0
    return float(parted.mean() / expected) if expected > 0 else 1.0
