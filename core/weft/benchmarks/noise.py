"""Galleries of variants: how much more different coupled noises make them, and whether they stay as good.

*Couple to Control: Joint Initial Noise Design in Diffusion Models*, 2026, whose table of pairwise distances has its
like here; Kim et al. 2025 (CNO) beside it. Every built-in material has its galleries, of the same noises for every way
of coupling them: independent ξ_1 … ξ_5 of a gallery, of which m variants take the first m and couple them.

What theory promises is for a linear generator: mean squared distances grow by 1 - ρ. For any other, let the picture be
expanded in Hermite polynomials of the noise, and v_k be the share of its variance in those of degree k. Noises of
correlation ρ make those of degree k correlate by ρᵏ (Mehler 1866), so squared distances grow by

    r(ρ) = Σ_k v_k (1 - ρᵏ),    Σ_k v_k = 1,

which is 1 + v_1/(m-1) and terms of higher powers for repulsive noises: what coupling is worth is how much of the
picture follows the noise linearly. `noise_statistics.degrees` finds the v_k from galleries of many ρ.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from weft.benchmarks.noise_sampler import Painter, Sampler
from weft.errors import InvalidInput
from weft.methods.coupled_noise import equicorrelated, recombined, rho_range
from weft.methods.noise_optimization import Contrast, contrasted
from weft.metrics import patch_distance, sharpness
from weft.metrics.diversity import cosine_similarity, layout, look, mean_similarity, pair_distances, vendi
from weft.models.materials import MATERIALS
from weft.noise import Variant, gaussian, generator

__all__ = ["PAPER", "Measured", "Plan", "Way", "each_material", "gallery_noises", "measure_galleries", "numbers_of"]

PAPER = {2: 1.50, 3: 1.24, 4: 1.16, 5: 1.13}  # pairwise distance, repulsive over independent, by m
SWEPT = 4  # members of the galleries of many correlations
RHOS = (rho_range(SWEPT)[0], -0.15, 0.0, 0.3, 0.6, 0.9, 1.0)
SEED = 7
_T = TypeVar("_T")
_PATTERN_CELL, _PATTERN_SIDE = 2, 9  # px, cells: the patches that fine layout is matched by


@dataclass(frozen=True)
class Way:
    """How the noises of a gallery are made."""

    members: int  # m
    rho: float = 0.0  # of every two of them
    moved: bool = False  # then by contrastive noise optimisation
    one_draw: bool = False  # as jobs make them: not from m draws, from one (`weft.noise.Variant`)

    @property
    def label(self) -> str:
        if self.rho in (0.0, rho_range(self.members)[0]):
            coupled = self.rho != 0
            if self.moved:
                return "both" if coupled else "CNO"
            return "repulsive" if coupled else "independent"
        return f"ρ = {self.rho:.2f}"

    @staticmethod
    def repulsive(members: int, *, moved: bool = False, one_draw: bool = False) -> Way:
        return Way(members, rho_range(members)[0], moved, one_draw)


@dataclass(frozen=True)
class Plan:
    """What is measured of every material."""

    galleries: int = 8
    members: tuple[int, ...] = (2, 3, 4, 5)
    rhos: tuple[float, ...] = RHOS
    sampler: Sampler = field(default_factory=Sampler)
    contrast: Contrast = field(default_factory=Contrast)  # the paper's

    def __post_init__(self) -> None:
        if self.galleries < 2:
            raise InvalidInput(f"{self.galleries} gallery of a material tells no interval", "measure two or more")
        size = self.sampler.size
        if size % 16 or not 32 <= size <= 256:
            raise InvalidInput(f"pictures of {size} px", "choose a multiple of 16 between 32 and 256")

    @property
    def compared(self) -> list[Way]:
        """Independent, repulsive, CNO and both, for every m."""
        ways = [[Way(m), Way.repulsive(m), Way(m, moved=True), Way.repulsive(m, moved=True)] for m in self.members]
        return [way for own in ways for way in own]

    @property
    def swept(self) -> list[Way]:
        return [Way(SWEPT, rho) for rho in self.rhos]

    @property
    def one_draw(self) -> list[Way]:
        return [Way(SWEPT, one_draw=True), Way.repulsive(SWEPT, one_draw=True)]

    @property
    def ways(self) -> list[Way]:
        """Each once."""
        return list(dict.fromkeys([*self.compared, *self.swept, *self.one_draw]))


@dataclass(frozen=True, eq=False)
class Measured:
    """The galleries of one material.

    `numbers` f8 [G] of the G galleries, by way and name. squared, rms: pairwise distance, mean of squares and of roots,
    colours in [0, 1]. coarse: squared, of 8 x 8 averaged cells. mss, vendi: of `diversity.layout`. look: MSS of
    `diversity.look`. sharpness: mean of the pictures, over the exemplar's. `patches`: distance of the patches of all
    pictures of a way to the exemplar's.
    """

    material: str
    patterns: float
    numbers: dict[Way, dict[str, np.ndarray]]
    patches: dict[Way, float]


def each_material(measure: Callable[[str], _T], materials: Sequence[str], workers: int | None = None) -> Iterator[_T]:
    """`measure(material)`, which has to be picklable, of each in order, in as many processes as there are cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(workers or cores, len(materials))
    if workers == 1:
        yield from map(measure, materials)
        return
    # Not forked: threads of PyTorch and of compiled kernels do not survive that.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(measure, materials)


def measure_galleries(plan: Plan, materials: Sequence[str], workers: int | None = None) -> Iterator[Measured]:
    yield from each_material(partial(_measure, plan), materials, workers)


def _measure(plan: Plan, material: str) -> Measured:
    torch.set_num_threads(1)
    painter = Painter(material, plan.sampler)
    numbers: dict[Way, dict[str, list[float]]] = {way: {} for way in plan.ways}
    pictures: dict[Way, list[np.ndarray]] = {way: [] for way in plan.compared}
    for gallery in range(plan.galleries):
        for way, images in _gallery(plan, painter, gallery):
            for name, value in numbers_of(images, painter).items():
                numbers[way].setdefault(name, []).append(value)
            if way in pictures:
                pictures[way].extend(images)
    return Measured(
        material,
        patterns(painter.picture),
        {way: {name: np.array(values) for name, values in own.items()} for way, own in numbers.items()},
        {way: patch_distance(images, [painter.picture]) for way, images in pictures.items()},
    )


def _gallery(plan: Plan, painter: Painter, gallery: int) -> Iterator[tuple[Way, np.ndarray]]:
    """Pictures f4 [m, S, S, 3] of every way."""
    most = max(way.members for way in plan.ways)
    alone = painter.pictures(gallery_noises(Way(most), painter, gallery), gallery)
    for way in plan.ways:
        if way == Way(way.members):
            yield way, alone[: way.members]
            continue
        noises = gallery_noises(way, painter, gallery)
        if way.moved:
            *_, last = contrasted(noises, partial(painter.estimate, seed=gallery), plan.contrast)
            noises = last.noises
        yield way, painter.pictures(noises, gallery)


def gallery_noises(way: Way, painter: Painter, gallery: int) -> Tensor:
    """[m, 3, S, S], before any optimisation. The ξ of a gallery do not depend on its m, nor on the other materials."""
    stream = (list(MATERIALS).index(painter.material), gallery)
    coupling = equicorrelated(way.members, way.rho)
    if way.one_draw:
        variants = [Variant(SEED, row) for row in coupling.triangular.matrix]
        return torch.stack([gaussian(painter.shape, generator(variant, *stream, 0)) for variant in variants])
    drawn = [gaussian(painter.shape, generator(SEED, *stream, number)) for number in range(way.members)]
    return recombined(coupling, torch.stack(drawn))


def numbers_of(images: np.ndarray, painter: Painter) -> dict[str, float]:
    """Those of `Measured`, of one gallery f4 [m, S, S, 3]."""
    distances = pair_distances(images)
    placed = layout(images, painter.colour)
    similarity = cosine_similarity(placed)
    return {
        "squared": float(np.mean(distances**2)),
        "rms": float(distances.mean()),
        "coarse": float(np.mean(pair_distances(_cells(images)) ** 2)),
        "mss": mean_similarity(similarity),
        "vendi": vendi(similarity),
        "look": mean_similarity(cosine_similarity(look(images))),
        "sharpness": float(np.mean([sharpness(image) for image in images])) / sharpness(painter.picture),
    }


def _cells(images: np.ndarray, across: int = 8) -> np.ndarray:
    """Means [m, 8, 8, 3] over cells."""
    count, size = images.shape[:2]
    side = size // across
    return images.reshape(count, across, side, across, side, 3).mean((2, 4))


def patterns(picture: np.ndarray) -> float:
    """How many independent patterns the patches of a material are made of: (Σλ)²/Σλ² of the eigenvalues λ of the
    covariance of its patches of 9 x 9 cells of 2 x 2 px."""
    side = len(picture) // _PATTERN_CELL
    cells = picture[: side * _PATTERN_CELL, : side * _PATTERN_CELL]
    cells = cells.reshape(side, _PATTERN_CELL, side, _PATTERN_CELL, 3).mean((1, 3))
    patch = min(_PATTERN_SIDE, side)
    windows = np.lib.stride_tricks.sliding_window_view(cells, (patch, patch, 3)).reshape(-1, patch * patch * 3)
    values = np.linalg.eigvalsh(np.cov(windows.T)).clip(0)
    return float(values.sum() ** 2 / (values**2).sum())
