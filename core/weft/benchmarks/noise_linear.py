"""A linear generator, of which theory is exact: squared distances grow by 1 - ρ, so by 1 + 1/(m-1) at best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from weft.benchmarks.noise_statistics import Compared, compared
from weft.methods.coupled_noise import Coupling, coupled, equicorrelated, repulsive
from weft.metrics.diversity import pair_distances
from weft.noise import gaussian, generator

__all__ = ["LinearRow", "expected_distance", "linear_rows", "random_generator"]

_INPUTS, _OUTPUTS = 256, 192


@dataclass(frozen=True)
class LinearRow:
    members: int
    exact: float  # ratio of the expected mean squared distances, from B and A
    paired_error: float  # the largest difference of a gallery's own ratio, of the same draws coupled or not, to theory
    sampled: Compared  # of other draws

    @property
    def theory(self) -> float:
        return 1 + 1 / (self.members - 1)


def random_generator(seed: int = 0) -> np.ndarray:
    """A of x = A ε, f8 [192, 256]."""
    return gaussian((_OUTPUTS, _INPUTS), generator(seed)).double().numpy()


def expected_distance(matrix: np.ndarray, coupling: Coupling) -> float:
    """E of the mean over pairs of ‖A (ε_i - ε_j)‖²/n = ‖b_i - b_j‖² tr(A Aᵀ)/n."""
    rows = coupling.matrix
    apart = ((rows[:, None] - rows[None]) ** 2).sum(-1)[np.triu_indices(len(rows), 1)]
    return float(apart.mean() * (matrix**2).sum() / len(matrix))


def linear_rows(members: Sequence[int], galleries: int, seed: int = 0) -> list[LinearRow]:
    matrix = random_generator(seed)
    found = []
    for m in members:
        alone, apart = equicorrelated(m, 0.0), repulsive(m)
        exact = expected_distance(matrix, apart) / expected_distance(matrix, alone)
        coupled_values, same, other = (
            np.array([_distance(matrix, coupling, (m, number, draw)) for number in range(galleries)])
            for coupling, draw in ((apart, 0), (alone, 0), (alone, 1))
        )
        error = float(np.abs(coupled_values / same - (1 + 1 / (m - 1))).max())
        found.append(LinearRow(m, exact, error, compared(coupled_values[None], other[None])))
    return found


def _distance(matrix: np.ndarray, coupling: Coupling, stream: tuple[int, ...]) -> float:
    noises = coupled(coupling, (_INPUTS,), generator(1, *stream)).double()
    return float(np.mean(pair_distances(list((noises @ torch.from_numpy(matrix).T).numpy())) ** 2))
