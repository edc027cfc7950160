"""How far contrastive noise optimisation should go: its rate and temperature, and what the noises are afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.benchmarks.noise import SWEPT, Way, each_material, gallery_noises, numbers_of
from weft.benchmarks.noise_sampler import Painter, Sampler
from weft.benchmarks.noise_statistics import Compared, compared
from weft.methods.noise_optimization import Contrast, contrasted

__all__ = ["CONTRASTS", "ContrastRow", "contrast_rows"]

CONTRASTS = (
    Contrast(),
    Contrast(rate=0.03),
    Contrast(rate=0.1),
    Contrast(steps=10, rate=0.03),
    Contrast(temperature=1.0),
    Contrast(rate=0.1, temperature=1.0),
)


@dataclass(frozen=True)
class ContrastRow:
    contrast: Contrast
    squared: Compared  # pairwise distance over that of the independent noises it started from, m = 4
    sharpness: Compared
    power: float  # of the moved noises in the cells that are compared; 1 of what is N(0, I)


def contrast_rows(
    sampler: Sampler, materials: Sequence[str], galleries: int, contrasts: Sequence[Contrast] = CONTRASTS,
    workers: int | None = None,
) -> Iterator[ContrastRow]:  # fmt: skip
    """A row for each, of `galleries` of every material."""
    measure = partial(_measure, sampler, contrasts, galleries)
    found = np.stack(list(each_material(measure, materials, workers)), 1)  # [1 + contrasts, M, G, 3]
    for contrast, own in zip(contrasts, found[1:], strict=True):
        squared, sharp = (compared(own[..., i], found[0, ..., i]) for i in (0, 1))
        yield ContrastRow(contrast, squared, sharp, float(own[..., 2].mean()))


def _measure(sampler: Sampler, contrasts: Sequence[Contrast], galleries: int, material: str) -> np.ndarray:
    """f8 [1 + contrasts, G, 3]: squared distance, sharpness and power, first of noises that were not moved."""
    torch.set_num_threads(1)
    painter = Painter(material, sampler)
    found = []
    for gallery in range(galleries):
        noises = gallery_noises(Way(SWEPT), painter, gallery)
        estimate = partial(painter.estimate, seed=gallery)
        moved = [list(contrasted(noises, estimate, contrast))[-1].noises for contrast in contrasts]
        found.append([_numbers(painter, each, gallery, contrasts[0].cells) for each in (noises, *moved)])
    return np.array(found).transpose(1, 0, 2)


def _numbers(painter: Painter, noises: Tensor, gallery: int, cells: int) -> tuple[float, float, float]:
    numbers = numbers_of(painter.pictures(noises, gallery), painter)
    side = noises.shape[-1] // min(cells, noises.shape[-1])
    power = float((functional.avg_pool2d(noises, side) ** 2).mean()) * side**2
    return numbers["squared"], numbers["sharpness"], power
