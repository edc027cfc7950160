"""Noise levels and the grids that samplers walk, and what networks predict against E[x0|x_t].

Everything is `x_t = α x0 + σ ε` with ε ~ N(0, I): variance preserving (α² + σ² = 1) for diffusion models, α = 1 - σ
for flow matching. The clean level is α = 1, σ = 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from weft.errors import InvalidInput

__all__ = [
    "CLEAN",
    "NoiseLevel",
    "Schedule",
    "cosine",
    "eps_from_x0",
    "flow",
    "flow_from_x0",
    "from_noise_ratios",
    "stable_diffusion",
    "v_from_x0",
    "x0_from_eps",
    "x0_from_flow",
    "x0_from_v",
]

TRAIN_STEPS = 1000


@dataclass(frozen=True, slots=True)
class NoiseLevel:
    """One point of a schedule: x_t = alpha · x0 + sigma · ε."""

    alpha: float
    sigma: float

    @property
    def s(self) -> float:
        """Noise-to-signal ratio σ/α: the σ of the variance-exploding form x_t/α = x0 + s ε. Infinite for α = 0."""
        return self.sigma / self.alpha if self.alpha > 0 else math.inf


CLEAN = NoiseLevel(1.0, 0.0)


@dataclass(frozen=True, eq=False)
class Schedule:
    """Levels from noisy to clean; a sampler takes one step between each two neighbours.

    The constructors of this module end at the clean level; `until` cuts that end off, `starting_at` the beginning.
    """

    alphas: NDArray[np.float64]  # [steps + 1], in [0, 1], never falling
    sigmas: NDArray[np.float64]  # [steps + 1], ≥ 0

    def __post_init__(self) -> None:
        if self.alphas.shape != self.sigmas.shape or self.alphas.ndim != 1 or len(self.alphas) < 2:
            raise InvalidInput(
                f"a schedule of {self.alphas.shape} alphas and {self.sigmas.shape} sigmas has no step",
                "give two one-dimensional arrays of the same length, at least 2",
            )
        ratios = [level.s for level in self.levels]
        if not all(a > b for a, b in pairwise(ratios)) or min(ratios) < 0:
            raise InvalidInput(
                f"noise-to-signal ratios {np.round(ratios, 4).tolist()} do not fall",
                "order the levels from noisy to clean, each once",
            )

    def __len__(self) -> int:
        """Number of steps."""
        return len(self.alphas) - 1

    @property
    def levels(self) -> tuple[NoiseLevel, ...]:
        """All steps + 1 levels, noisy first."""
        return tuple(NoiseLevel(float(a), float(s)) for a, s in zip(self.alphas, self.sigmas, strict=True))

    def __iter__(self) -> Iterator[tuple[NoiseLevel, NoiseLevel]]:
        """(level, next level) of every step."""
        return pairwise(self.levels)

    def starting_at(self, s: float) -> Schedule:
        """The tail whose levels have a noise-to-signal ratio of at most `s` (SDEdit starts there)."""
        return self._where([level.s <= s for level in self.levels], f"at most s = {s:g}")

    def until(self, s: float) -> Schedule:
        """The head whose levels have a noise-to-signal ratio of at least `s`; it does not end clean unless s = 0."""
        return self._where([level.s >= s for level in self.levels], f"at least s = {s:g}")

    def _where(self, keep: list[bool], what: str) -> Schedule:
        if sum(keep) < 2:
            raise InvalidInput(
                f"fewer than two of the {len(keep)} levels have {what}",
                f"choose s between {self.levels[-1].s:g} and {self.levels[0].s:g}, or take more steps",
            )
        return Schedule(self.alphas[keep], self.sigmas[keep])


def stable_diffusion(steps: int) -> Schedule:
    """Scaled-linear β from 0.00085 to 0.012 over 1000 training steps (Rombach et al. 2022), walked from 999 to 0."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, TRAIN_STEPS) ** 2
    return _walk(betas, steps)


def cosine(steps: int) -> Schedule:
    """ᾱ(t) ∝ cos²((t + 0.008)/1.008 · π/2), β ≤ 0.999 (Nichol & Dhariwal 2021, Eq. 17), walked from 999 to 0."""
    f = np.cos((np.linspace(0, 1, TRAIN_STEPS + 1) + 0.008) / 1.008 * np.pi / 2) ** 2
    return _walk(np.minimum(1 - f[1:] / f[:-1], 0.999), steps)


def flow(steps: int, shift: float = 1.0) -> Schedule:
    """α = 1 - σ, σ from 1 to 0, shifted towards noise by `shift` ≥ 1 (Esser et al. 2024, Eq. 23)."""
    _check_steps(steps)
    if not shift > 0:
        raise InvalidInput(f"shift = {shift:g} is not positive", "1 leaves the grid even, 3 is usual at 1024 px")
    t = np.linspace(1, 0, steps + 1)
    sigmas = shift * t / (1 + (shift - 1) * t)
    return Schedule(1 - sigmas, sigmas)


def from_noise_ratios(s: Sequence[float] | NDArray[np.float64]) -> Schedule:
    """Variance-preserving levels of given σ/α, ᾱ = 1/(1 + s²), then the clean level (unless the last s is 0)."""
    ratios = np.asarray(s, np.float64)
    if ratios.ndim != 1 or not len(ratios) or not np.isfinite(ratios).all():
        raise InvalidInput(f"noise-to-signal ratios {s!r} are not a list of finite numbers", "give one s per step")
    return _finish(1 / (1 + ratios**2))


def _walk(betas: NDArray[np.float64], steps: int) -> Schedule:
    _check_steps(steps)
    times = np.linspace(TRAIN_STEPS - 1, 0, steps).round().astype(int)
    return _finish(np.cumprod(1 - betas)[times])


def _finish(alpha_bars: ArrayLike) -> Schedule:
    bars = np.asarray(alpha_bars, np.float64)
    if bars[-1] < 1:
        bars = np.append(bars, 1.0)
    return Schedule(np.sqrt(bars), np.sqrt(1 - bars))


def _check_steps(steps: int) -> None:
    if not 1 <= steps <= TRAIN_STEPS:
        raise InvalidInput(f"steps = {steps} is outside 1 to {TRAIN_STEPS}", "30 steps are usual")


# What networks predict. v is that of Salimans & Ho 2022 (α ε - σ x0, variance preserving only), `flow` the velocity
# ε - x0 of α = 1 - σ.


def x0_from_eps(x: Tensor, eps: Tensor, level: NoiseLevel) -> Tensor:
    """Tweedie's formula, φ. Undefined at α = 0, where x holds no trace of x0."""
    if level.alpha == 0:
        raise InvalidInput("x0 does not follow from the noise at alpha = 0", "predict x0 or the velocity there")
    return (x - level.sigma * eps) / level.alpha


def eps_from_x0(x: Tensor, x0: Tensor, level: NoiseLevel) -> Tensor:
    """The noise that makes `x` out of `x0`. Undefined at the clean level."""
    if level.sigma == 0:
        raise InvalidInput("the clean level holds no noise", "ask for the noise at sigma > 0")
    return (x - level.alpha * x0) / level.sigma


def x0_from_v(x: Tensor, v: Tensor, level: NoiseLevel) -> Tensor:
    """x0 = α x - σ v, for variance-preserving levels."""
    return level.alpha * x - level.sigma * v


def v_from_x0(x: Tensor, x0: Tensor, level: NoiseLevel) -> Tensor:
    """v = α ε - σ x0 = (α x - x0)/σ, for variance-preserving levels. Undefined at the clean level."""
    if level.sigma == 0:
        raise InvalidInput("v does not follow from x0 at the clean level", "ask for v at sigma > 0")
    return (level.alpha * x - x0) / level.sigma


def x0_from_flow(x: Tensor, velocity: Tensor, level: NoiseLevel) -> Tensor:
    """x0 = x - σ (ε - x0), for flow levels."""
    return x - level.sigma * velocity


def flow_from_x0(x: Tensor, x0: Tensor, level: NoiseLevel) -> Tensor:
    """ε - x0 = (x - x0)/σ, for flow levels. Undefined at the clean level."""
    if level.sigma == 0:
        raise InvalidInput("the velocity does not follow from x0 at the clean level", "ask for it at sigma > 0")
    return (x - x0) / level.sigma
