"""One sampling step each: from x at `level` and the estimate x0 = E[x0|x] to x at `next_level`.

The noise that the estimate implies is always recomputed from `x0` and `x`, so a caller may replace `x0` (synchronise
it, say) before stepping: this is ψ(x_t, x0) of Kim et al. 2024. A step to the clean level returns `x0` itself.
"""

from __future__ import annotations

import math

from torch import Tensor

from weft.errors import InvalidInput
from weft.schedule import NoiseLevel, eps_from_x0

__all__ = ["ddim", "ddpm", "estimate_share", "flow_euler"]


def ddim(
    x: Tensor, x0: Tensor, level: NoiseLevel, next_level: NoiseLevel, *, eta: float = 0.0, noise: Tensor | None = None
) -> Tensor:
    """Song et al. 2021 (DDIM), Eq. 12, with the variance of Eq. 16 scaled by η²; η = 1 is DDPM, η = 0 the ODE.

    `eta` is in [0, 1]; `noise` ~ N(0, I), shaped as `x`, is needed for η > 0. The variance is written for any α and σ:
    v² = σ_s²/σ_t² (σ_t² - (α_t/α_s)² σ_s²), which is Eq. 16 where α² + σ² = 1.
    """
    if not 0 <= eta <= 1:
        raise InvalidInput(f"eta = {eta:g} is outside 0 to 1", "0 is deterministic, 1 is ancestral sampling")
    if next_level.sigma == 0:
        return x0
    eps = eps_from_x0(x, x0, level)
    if eta == 0:
        return next_level.alpha * x0 + next_level.sigma * eps
    deviation = eta * math.sqrt(_posterior_variance(level, next_level))
    direction = math.sqrt(max(next_level.sigma**2 - deviation**2, 0.0))
    return next_level.alpha * x0 + direction * eps + deviation * _required(noise)


def estimate_share(level: NoiseLevel, next_level: NoiseLevel, *, eta: float) -> float:
    """The coefficient of x0 in a step of `ddim`: what a change of the estimate changes in the result."""
    if next_level.sigma == 0:
        return 1.0
    variance = eta**2 * _posterior_variance(level, next_level)
    return next_level.alpha - math.sqrt(max(next_level.sigma**2 - variance, 0.0)) * level.alpha / level.sigma


def ddpm(x: Tensor, x0: Tensor, level: NoiseLevel, next_level: NoiseLevel, *, noise: Tensor | None = None) -> Tensor:
    """Ho et al. 2020 (DDPM), Eq. 6-7: a sample of q(x_s | x_t, x0) = N(c_0 x0 + c_t x_t, v²)."""
    if next_level.sigma == 0:
        return x0
    ratio = level.alpha / next_level.alpha
    c_t = ratio * next_level.sigma**2 / level.sigma**2
    c_0 = next_level.alpha - c_t * level.alpha
    return c_0 * x0 + c_t * x + math.sqrt(_posterior_variance(level, next_level)) * _required(noise)


def flow_euler(x: Tensor, x0: Tensor, level: NoiseLevel, next_level: NoiseLevel) -> Tensor:
    """Euler step of dx/dσ = (x - x0)/σ on flow levels, α = 1 - σ (Lipman et al. 2023)."""
    if next_level.sigma == 0:
        return x0
    return x + (next_level.sigma - level.sigma) / level.sigma * (x - x0)


def _posterior_variance(level: NoiseLevel, next_level: NoiseLevel) -> float:
    """Variance of q(x_s | x_t, x0)."""
    ratio = level.alpha / next_level.alpha
    added = max(level.sigma**2 - (ratio * next_level.sigma) ** 2, 0.0)
    return next_level.sigma**2 / level.sigma**2 * added


def _required(noise: Tensor | None) -> Tensor:
    if noise is None:
        raise InvalidInput("a stochastic step was given no noise", "pass noise ~ N(0, I) of the shape of x, or eta = 0")
    return noise
