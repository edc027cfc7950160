"""Regions of one image, each edited in its own way (Kim et al. 2023, "Compositional editing").

The paper weights each prompt's estimate by the share of a window that the prompt's region fills. Then a window over a
border mixes two looks everywhere in it. Here the weights belong to pixels, soft near borders: what is wanted of a pixel
is what its own region wants. Weights of a pixel sum to 1, or to 0 where nothing was asked for and all stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weft.methods.score_distillation import Batch, Estimator
from weft.schedule import NoiseLevel
from weft.tasks.panorama_scene import blurred

__all__ = ["Compositional", "Part", "Region", "region_shares"]

_NEGLIGIBLE = 0.02  # share of the largest below which a region is not asked


@dataclass(frozen=True, eq=False)
class Region:
    """A part of an image with a look of its own: a picture, or words, which the job has beside it."""

    mask: np.ndarray  # bool [H, W]
    exemplar: np.ndarray | None = None  # f4 [h, w, 3] sRGB in [0, 1]


def region_shares(masks: Sequence[np.ndarray], softness: float, *, wrap: bool) -> np.ndarray:
    """f4 [R, H, W] of bool masks [H, W]: how much each counts where. They sum to 1 on all masks together, to 0 off
    them. Gaussian transitions of a deviation of `softness` px; regions that overlap share alike. `wrap`: left meets
    right."""
    regions = np.stack(masks)
    shares = np.stack([blurred(mask.astype(np.float32), softness, wrap) for mask in regions])
    shares = np.where(shares > _NEGLIGIBLE * shares.max(0), shares, 0) * regions.any(0)
    return shares / np.maximum(shares.sum(0), np.float32(1e-9))  # on its own pixels a region always counts


@dataclass(frozen=True, eq=False)
class Part:
    """One look, and how much it counts."""

    estimator: Estimator
    share: Tensor  # [N, 1, h, w] of the pictures that samples are cut out of, in units of x


@dataclass(frozen=True, eq=False)
class Compositional:
    """An `Estimator`: each sample's parts, weighted. A part is asked only about samples in which it counts."""

    parts: Sequence[Part]

    def target(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        return self._mixed(batch.x, batch, lambda of, some, them: of.target(x[some], level, them))

    def source(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        assert batch.source is not None
        return self._mixed(batch.source, batch, lambda of, some, them: of.source(x[some], level, them))

    def _mixed(self, clean: Tensor, batch: Batch, ask: Callable[[Estimator, Tensor, Batch], Tensor]) -> Tensor:
        mixed, left = torch.zeros_like(clean), torch.ones_like(clean[:, :1])
        height, width = clean.shape[2:]
        for part in self.parts:
            share = torch.stack(
                [part.share[p.image, :, p.top : p.top + height, p.left : p.left + width] for p in batch.places]
            )
            some = torch.nonzero(share.flatten(1).amax(1) > 0)[:, 0]
            if len(some):
                mixed[some] += share[some] * ask(part.estimator, some, _some(batch, some))
                left -= share
        return mixed + left * clean


def _some(batch: Batch, chosen: Tensor) -> Batch:
    """The `chosen` [n] samples of a batch."""
    places = tuple(batch.places[i] for i in chosen.tolist())
    source, noise = (None if of is None else of[chosen] for of in (batch.source, batch.noise))
    return Batch(batch.x[chosen], places, source, noise)
