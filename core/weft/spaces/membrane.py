"""Smooth fills of what is unknown in images, from what is known around it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.kernels import kernel

__all__ = ["membrane"]

_MARGIN = 8  # pixels around what is filled that are looked at, at least
_SWEEPS, _OVER = 40, np.float32(1.7)


def membrane(images: np.ndarray, known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """`images` f4 [N, H, W, C] with the `wanted` pixels bool [N, H, W] interpolated between the `known` ones; one
    colour on all sides is continued. Where an image has none known, the mean of all images' known ones.

    Pulled and pushed through a pyramid (Gortler et al. 1996, "The Lumigraph"), then relaxed towards the harmonic fill.
    """
    filled = images.copy()
    wanted = wanted & ~known
    if not (known.any() and wanted.any()):
        return filled
    everywhere = images[known].mean(0, dtype=np.float64)
    for image, sure, open_ in zip(filled, known, wanted, strict=True):
        if not open_.any():
            continue
        if not sure.any():
            image[open_] = everywhere
            continue
        around = _around(open_, sure)
        image[around][open_[around]] = _interpolated(image[around], sure[around])[open_[around]]
    return filled


def _around(open_: np.ndarray, sure: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of the open pixels with a margin; all of them, where that holds nothing known."""
    slices = []
    for axis in (1, 0):
        at = np.flatnonzero(open_.any(axis))
        margin = _MARGIN + (at[-1] - at[0]) // 2
        slices.append(slice(max(0, at[0] - margin), at[-1] + margin + 1))
    rows, columns = slices
    return (rows, columns) if sure[rows, columns].any() else (slice(None), slice(None))


def _interpolated(image: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """f4 [H, W, C], known where `sure` bool [H, W]."""
    weight = torch.from_numpy(sure.astype(np.float32))[None, None]
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    smooth = np.ascontiguousarray(_pushed(planes, weight)[0].permute(1, 2, 0).numpy())
    _relax(smooth, ~sure, _SWEEPS, _OVER)
    return smooth


def _pushed(planes: Tensor, weight: Tensor) -> Tensor:
    """planes [1, C, H, W] where weight [1, 1, H, W] is 1, elsewhere those of the next coarser level."""
    if weight.min() > 0:
        return planes
    height, width = planes.shape[2:]
    odd = (0, width % 2, 0, height % 2)
    share = functional.avg_pool2d(functional.pad(weight, odd), 2)
    mean = functional.avg_pool2d(functional.pad(planes * weight, odd), 2) / share.clamp_min(1e-9)
    coarse = _pushed(mean, (share > 0).float())
    finer = functional.interpolate(coarse, scale_factor=2, mode="bilinear")[..., :height, :width]
    return torch.where(weight > 0, planes, finer)


@kernel
def _relax(image, open_, sweeps, over):
    """Successive over-relaxation of the Laplace equation: f4 [H, W, C], bool [H, W]; nothing flows over the border."""
    height, width, channels = image.shape
    for sweep in range(sweeps):
        for i in range(height):
            row = i if sweep % 2 == 0 else height - 1 - i
            for column in range(width):
                if not open_[row, column]:
                    continue
                up, down = max(row - 1, 0), min(row + 1, height - 1)
                left, right = max(column - 1, 0), min(column + 1, width - 1)
                for c in range(channels):
                    mean = image[up, column, c] + image[down, column, c] + image[row, left, c] + image[row, right, c]
                    image[row, column, c] += over * (mean * np.float32(0.25) - image[row, column, c])
