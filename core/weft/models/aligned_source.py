"""E[x0 | x_t] of a model that knows one picture, and not quite where it is: the source branch of embedded edits.

The posterior over the nine shifts by (0 or ±d) pixels of the picture, told apart by patches of coarse pixels:

    x0 = Σ_k w_k S_k,  w_k ∝ exp(-‖q - S_k‖²_patch / 2 T (s/d)²),  with y = x_t / α and s = σ / α

It must be lossy. A model that knew the picture exactly would return ε itself, and what is subtracted in CSD-Edit would
be the noise again: SDS. A source that is estimated as blurred as the target lets the blur of both cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from weft.schedule import NoiseLevel

__all__ = ["AlignedSource"]


@dataclass(frozen=True)
class AlignedSource:
    """`x0 = model(x, level, source)`, all [N, C, H, W]; sides are multiples of `coarsest`."""

    noise_per_level: float = 1.0  # the noise at which the next coarser level takes over
    coarsest: int = 4  # largest d
    patch: int = 5  # coarse pixels
    temperature: float = 4.0  # T: above 1 shifts are told apart less well
    noise_floor: float = 0.02  # smallest noise assumed of a coarse pixel

    def __call__(self, x: Tensor, level: NoiseLevel, source: Tensor) -> Tensor:
        d = self._pick_level(level.s)
        noise = max(level.s / d, self.noise_floor)
        shifts = [(i, j) for i in (0, d, 2 * d) for j in (0, d, 2 * d)]
        grown = functional.pad(source, (d, d, d, d), mode="reflect")
        height, width = x.shape[2:]
        shifted = torch.stack([grown[..., i : i + height, j : j + width] for i, j in shifts], 1)  # [N, 9, C, H, W]
        coarse = functional.avg_pool2d(x / level.alpha, d)[:, None]
        error = (coarse - functional.avg_pool2d(shifted.flatten(0, 1), d).unflatten(0, shifted.shape[:2])).square()
        reach = self.patch // 2
        summed = functional.pad(error.sum(2), (reach,) * 4, mode="replicate")
        cost = functional.avg_pool2d(summed, self.patch, stride=1) * self.patch**2
        weights = torch.softmax(-cost / (2 * self.temperature * noise**2), 1)
        weights = functional.interpolate(weights, scale_factor=d, mode="nearest")
        return torch.einsum("nkhw,nkchw->nchw", weights, shifted)

    def _pick_level(self, s: float) -> int:
        return min(2 ** max(0, math.ceil(math.log2(max(s, 1e-4) / self.noise_per_level))), self.coarsest)
