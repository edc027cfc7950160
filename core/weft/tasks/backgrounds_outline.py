"""An object's outline at the model's size, and back at the photograph's."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from weft.errors import InvalidInput

__all__ = ["joined", "mask_share"]

_FEATHER = 1.5  # px, at least


def mask_share(mask: np.ndarray, height: int, width: int) -> Tensor:
    """f4 [height, width]: how much of every cell `mask` bool [H, W] covers.

    Raises InvalidInput where no cell belongs more to the object than to what is around it, or every one does.
    """
    planes = torch.from_numpy(mask.astype(np.float32))[None, None]
    share = functional.interpolate(planes, size=(height, width), mode="area")[0, 0]
    if not (share >= 0.5).any():
        raise InvalidInput(f"the object is too small to be seen at {width}×{height}", "raise the size, or crop")
    if (share >= 0.5).all():
        raise InvalidInput(f"the object leaves nothing around it at {width}×{height}", "raise the size, or unmask more")
    return share


def joined(photograph: np.ndarray, painted: np.ndarray, mask: np.ndarray, coarseness: float = 1.0) -> np.ndarray:
    """f4 [H, W, 3]: the photograph's object, exactly, before what was `painted` f4 [H, W, 3]; softly over a few pixels
    inside of its outline, where both show the object. `coarseness`: px of the photograph for one of those painted."""
    inside = np.asarray(ndimage.distance_transform_edt(mask), np.float32)
    share = np.clip(inside / np.float32(max(_FEATHER, coarseness)), 0, 1)[..., None]
    return np.where(share < 1, painted + share * (photograph - painted), photograph)
