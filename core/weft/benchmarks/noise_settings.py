"""What else decides how much repulsive noises are worth: how the sampler goes, and how large patterns are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from weft.benchmarks.noise import SEED, each_material, numbers_of
from weft.benchmarks.noise_sampler import Painter, Sampler
from weft.benchmarks.noise_statistics import Compared, compared
from weft.models.exemplar import ExemplarSettings
from weft.models.materials import MATERIALS
from weft.noise import gaussian, generator

__all__ = ["SettingRow", "sampler_variants", "setting_rows"]


@dataclass(frozen=True)
class SettingRow:
    setting: str
    squared: Compared  # pairwise distance, opposite noises (m = 2) over independent ones
    coarse: Compared  # the same of 8 x 8 averaged cells
    sharpness: float  # over the exemplar's


def sampler_variants(base: Sampler) -> dict[str, Sampler]:
    """`base`, and everything about it changed once."""
    return {
        "as above": base,
        "material twice as large": replace(base, exemplar=2 * base.exemplar),
        "material as large as the picture": replace(base, exemplar=1.0),
        "pictures of twice the size": replace(base, size=2 * base.size),
        "30 steps": replace(base, steps=30),
        "6 steps": replace(base, steps=6),
        "from σ/α = 3 on": replace(base, start=3.0),
        "η = 1": replace(base, eta=1.0),
        "patches of 5 cells": replace(base, settings=ExemplarSettings(patch=5, fine_patch=5)),
        "no Sinkhorn potentials": replace(base, settings=ExemplarSettings(sinkhorn_iterations=0)),
    }


def setting_rows(
    samplers: dict[str, Sampler], materials: Sequence[str], galleries: int, workers: int | None = None
) -> Iterator[SettingRow]:
    """A row for each; of every material, `galleries` of two independent noises and their opposites."""
    measure = partial(_measure, tuple(samplers.values()), galleries)
    found = np.stack(list(each_material(measure, materials, workers)), 1)
    for name, own in zip(samplers, found, strict=True):
        opposite, independent, sharp = own[..., :2], own[..., 2:4], own[..., 4]
        squared, coarse = (compared(opposite[..., i], independent[..., i]) for i in (0, 1))
        yield SettingRow(name, squared, coarse, float(sharp.mean()))


def _measure(samplers: Sequence[Sampler], galleries: int, material: str) -> np.ndarray:
    """f8 [samplers, G, 5]: squared and coarse distance of opposite noises, the same of independent ones, sharpness."""
    torch.set_num_threads(1)
    painters = [Painter(material, sampler) for sampler in samplers]
    return np.array([[_gallery(painter, number) for number in range(galleries)] for painter in painters])


def _gallery(painter: Painter, number: int) -> list[float]:
    own = generator(SEED, list(MATERIALS).index(painter.material), number)
    noises = gaussian((2, *painter.shape), own)
    later = gaussian((painter.sampler.steps, 2, *painter.shape), own) if painter.sampler.eta else None
    first, second, third, fourth = painter.pictures(
        torch.cat([noises, -noises]), number, None if later is None else torch.cat([later, -later], 1)
    )
    opposite = [numbers_of(np.stack(pair), painter) for pair in ((first, third), (second, fourth))]
    independent = [numbers_of(np.stack(pair), painter) for pair in ((first, second), (third, fourth))]
    return [
        float(np.mean([numbers[name] for numbers in pairs]))
        for pairs, name in (
            (opposite, "squared"), (opposite, "coarse"), (independent, "squared"), (independent, "coarse"),
            (independent, "sharpness"),
        )
    ]  # fmt: skip
