"""Joint laws of initial noises: each one N(0, I) as ever, and together as alike or as different as is wanted.

*Couple to Control: Joint Initial Noise Design in Diffusion Models*, 2026.

| coupling of m noises | correlation of two | here |
|---|---|---|
| identical                                | 1          | `equicorrelated(m, 1)` |
| independent                              | 0          | `equicorrelated(m, 0)` |
| repulsive, ε_i = √(m/(m-1)) (ξ_i - ξ̄)    | -1/(m-1)   | `repulsive(m)`; antithetic for m = 2; Σ ε_i = 0 |
| equicorrelated, ρ in [-1/(m-1), 1]       | ρ          | `equicorrelated(m, rho)` |
| groups, alike inside and not across      | as given   | `grouped(sizes, within, across)` |
| ε = B ξ, rows of B of length 1           | B Bᵀ       | `Coupling(B)`, `row_normalised(B)` |

No negative correlation below -1/(m-1) is possible for all pairs: the variance of Σ ε_i would be negative. With a linear
generator the mean squared distance of two samples grows by 1 - ρ over independent noise: by 1 + 1/(m-1) at best.

A coupling may hold in one subspace and another in its orthogonal complement, ε = P ε^S + (I - P) ε^⊥: in a region, in
some channels, in a band of frequencies. P is an orthogonal projection, so every marginal stays N(0, I).

In a gallery the m noises are those of m variants of one thing. What variants share is the noise of the canonical field;
the views of one variant are never coupled with each other by anything but that field.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.noise import gaussian

__all__ = [
    "Band",
    "Coupling",
    "Part",
    "Subspace",
    "coupled",
    "equicorrelated",
    "grouped",
    "recombined",
    "repulsive",
    "rho_range",
    "row_normalised",
]

_UNIT = 1e-6  # by which the length of a row may differ from 1
_NOTHING = 1e-9  # up to which what stands in a column is rounding


@dataclass(frozen=True, eq=False)
class Coupling:
    """ε = B ξ with ξ_j ~ N(0, I) independent. Raises InvalidInput unless every row of B has length 1."""

    matrix: np.ndarray  # f8 [m, k]

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, np.float64)
        object.__setattr__(self, "matrix", matrix)
        if matrix.ndim != 2 or matrix.shape[0] < 1 or matrix.shape[1] < 1:
            raise InvalidInput(
                f"a coupling of shape {list(matrix.shape)}, expected [m, k]", "give a row for each noise"
            )
        if not np.isfinite(matrix).all():
            raise InvalidInput("the coupling holds NaN or infinity", "give finite numbers")
        lengths = np.linalg.norm(matrix, axis=1)
        if np.abs(lengths - 1).max() > _UNIT:
            worst = int(np.abs(lengths - 1).argmax())
            raise InvalidInput(
                f"row {worst + 1} of the coupling has length {lengths[worst]:.4g}, expected 1",
                "normalise the rows: each noise must stay N(0, I)",
            )

    @property
    def count(self) -> int:
        """m, how many noises there are."""
        return len(self.matrix)

    @property
    def correlation(self) -> np.ndarray:
        """B Bᵀ, f8 [m, m]: what every element of one noise has to do with the same element of another."""
        return self.matrix @ self.matrix.T

    @property
    def triangular(self) -> Coupling:
        """The same law, with B lower triangular and no column of zeros: the first noise is ξ_1, as if it were alone."""
        lower = np.linalg.qr(self.matrix.T)[1].T
        lower = lower * np.where(np.diag(lower) < 0, -1, 1) + 0.0  # no -0, which people would read
        return row_normalised(lower[:, np.abs(lower).max(0) > _NOTHING])


def row_normalised(matrix: np.ndarray) -> Coupling:
    """`matrix` [m, k] with rows of length 1; InvalidInput for one that has none."""
    matrix = np.asarray(matrix, np.float64)
    if matrix.ndim != 2:
        raise InvalidInput(f"a coupling of shape {list(matrix.shape)}, expected [m, k]", "give a row for each noise")
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise InvalidInput(f"row {int(lengths.argmin()) + 1} of the coupling is zero", "give it any direction")
    return Coupling(matrix / lengths)


def rho_range(count: int) -> tuple[float, float]:
    """The correlations that `count` noises can all have with each other."""
    _check_count(count)
    return -1 / (count - 1), 1.0


def equicorrelated(count: int, rho: float) -> Coupling:
    """Every two of `count` noises with correlation `rho`: the symmetric square root of (1 - ρ) I + ρ 11ᵀ."""
    low, high = rho_range(count)
    if not low - 1e-12 <= rho <= high:
        raise InvalidInput(
            f"{count} noises cannot all be correlated by {rho:g}", f"choose rho between {low:.4g} and {high:g}"
        )
    apart = math.sqrt(1 - rho)
    together = math.sqrt(max(1 + (count - 1) * rho, 0.0))
    return row_normalised(apart * np.eye(count) + (together - apart) / count)


def repulsive(count: int) -> Coupling:
    """As different as can be: ρ = -1/(m-1), and their sum is 0."""
    return equicorrelated(count, rho_range(count)[0])


def grouped(sizes: Sequence[int], within: float, across: float = 0.0) -> Coupling:
    """Groups of `sizes`: correlation `within` a group and `across` groups."""
    count = sum(sizes)
    _check_count(count)
    group = np.repeat(np.arange(len(sizes)), sizes)
    wanted = np.where(group[:, None] == group, within, across) + (1 - within) * np.eye(count)
    values, vectors = np.linalg.eigh(wanted)
    if values.min() < -1e-9:
        raise InvalidInput(
            f"groups of {', '.join(map(str, sizes))} cannot have {within:g} within and {across:g} across",
            "raise the lower of the two",
        )
    return row_normalised(vectors * np.sqrt(values.clip(0)) @ vectors.T)


class Subspace(Protocol):
    """An orthogonal projection P = Pᵀ = P² of noises [..., C, H, W] or of whatever shape it is made for; of any
    floating type and on any device, and so is what comes out."""

    def __call__(self, noise: Tensor, /) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Part:
    """Where `mask` (bool, broadcast against the noise) is: a region, or some channels."""

    mask: Tensor

    def __call__(self, noise: Tensor, /) -> Tensor:
        try:
            fits = torch.broadcast_shapes(self.mask.shape, noise.shape) == noise.shape
        except RuntimeError:
            fits = False
        if self.mask.dtype != torch.bool or not fits:
            raise InvalidInput(
                f"a mask of {self.mask.dtype} {list(self.mask.shape)} for noise {list(noise.shape)}",
                "give true or false for its pixels, or for its channels",
            )
        return noise.where(self.mask.to(noise.device), 0)


@dataclass(frozen=True)
class Band:
    """Frequencies of the last two dimensions with `low` ≤ |f| < `high`, cycles a pixel (none is beyond √½). Bands that
    meet share nothing: each frequency is in one of them."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high:
            raise InvalidInput(
                f"there are no frequencies from {self.low:g} to {self.high:g}", "give 0 ≤ low < high, cycles a pixel"
            )

    def __call__(self, noise: Tensor, /) -> Tensor:
        rows = torch.fft.fftfreq(noise.shape[-2], dtype=torch.float64, device=noise.device)[:, None]
        columns = torch.fft.rfftfreq(noise.shape[-1], dtype=torch.float64, device=noise.device)
        radius = torch.hypot(rows, columns)
        passed = (radius >= self.low) & (radius < self.high)
        return torch.fft.irfft2(torch.fft.rfft2(noise) * passed, s=noise.shape[-2:])


def coupled(
    coupling: Coupling,
    shape: tuple[int, ...],
    generator: torch.Generator,
    *,
    subspace: Subspace | None = None,
    beside: Coupling | None = None,
) -> Tensor:
    """m noises [m, *shape], f4, each N(0, I). With a `subspace`, `coupling` holds in it and `beside` in its complement
    (independent of it); projected in f8, so that what cancels in it still does so to float precision."""
    inside = recombined(coupling, gaussian((coupling.matrix.shape[1], *shape), generator))
    if subspace is None:
        return inside
    if beside is None or beside.count != coupling.count:
        count = "none" if beside is None else str(beside.count)
        raise InvalidInput(f"{coupling.count} noises in the subspace and {count} beside it", "couple as many in both")
    outside = recombined(beside, gaussian((beside.matrix.shape[1], *shape), generator))
    inside, outside = inside.double(), outside.double()
    return (subspace(inside) + outside - subspace(outside)).float()


def recombined(coupling: Coupling, independent: Tensor) -> Tensor:
    """B ξ [m, ...], f4, of ξ = `independent` [k, ...], summed in f8: what cancels does so to float precision."""
    matrix = torch.from_numpy(coupling.matrix).to(independent.device)
    if len(independent) != matrix.shape[1]:
        raise InvalidInput(f"{len(independent)} noises for a coupling of {matrix.shape[1]}", "draw one for each column")
    return torch.einsum("mk,k...->m...", matrix, independent.double()).float()


def _check_count(count: int) -> None:
    if count < 2:
        raise InvalidInput(f"{count} noise is coupled with nothing", "ask for two or more")
