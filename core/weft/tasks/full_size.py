"""Small enough for the model, and back: edits at a smaller size carried over to pictures as large as they came.

He & Sun 2015, "Fast Guided Filter": in every small window what an edit changes is a line of the source, c ≈ a s + b,
and a and b have no edges of their own, so they are enlarged and meet the large source's edges. What is no such line,
new texture, is enlarged and added: at the small size nothing is lost, and no change changes nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.io.images import from_bytes, to_bytes

__all__ = ["enlarged", "fitted", "working_size"]

_RADIUS = 2  # px of the small picture
_LEAST = 1e-4  # variance of the source below which its edges are noise


def working_size(height: int, width: int, side: int, unit: int) -> tuple[int, int]:
    """(height, width) with a longer side near `side` px, both multiples of `unit`: up to half a unit of stretching."""
    factor = side / max(height, width)
    return max(1, round(height * factor / unit)) * unit, max(1, round(width * factor / unit)) * unit


def fitted(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """f4 [N, height, width, 3] in [0, 1] of u1 or f4 [N, H, W, 3]."""
    out = np.empty((len(images), height, width, 3), np.float32)
    for small, large in zip(out, images, strict=True):
        small[:] = _image(_scaled(_plane(large), height, width))
    return out


def enlarged(source: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """u1 [H, W, 3]: what became of `source` u1 or f4 [H, W, 3] when its small picture `before` f4 [h, w, 3] became
    `after` f4 [h, w, 3]."""
    if source.shape == after.shape:
        return to_bytes(after)
    old, large = _plane(before), _plane(source)
    change = _plane(after) - old
    mean, middle = _blurred(change), _blurred(old)
    slope = (_blurred(old * change) - middle * mean) / ((_blurred(old * old) - middle * middle).clamp_min(0) + _LEAST)
    offset = _blurred(mean - slope * middle)
    slope = _blurred(slope)
    rest = change - slope * old - offset
    slope, offset, rest = (_scaled(each, large.shape[2], large.shape[3]) for each in (slope, offset, rest))
    return to_bytes(_image(large + slope * large + offset + rest))


def _plane(image: np.ndarray) -> Tensor:
    """[1, 3, H, W] in [0, 1]"""
    shown = from_bytes(image) if image.dtype == np.uint8 else np.ascontiguousarray(image, np.float32)
    return torch.from_numpy(shown).permute(2, 0, 1)[None]


def _image(plane: Tensor) -> np.ndarray:
    return plane[0].permute(1, 2, 0).clamp(0, 1).numpy()


def _scaled(plane: Tensor, height: int, width: int) -> Tensor:
    if plane.shape[2:] == (height, width):
        return plane
    return functional.interpolate(plane, (height, width), mode="bicubic", antialias=True, align_corners=False)


def _blurred(plane: Tensor) -> Tensor:
    """Means over windows, which repeat the border."""
    grown = functional.pad(plane, (_RADIUS,) * 4, mode="replicate")
    return functional.avg_pool2d(grown, 2 * _RADIUS + 1, stride=1)
