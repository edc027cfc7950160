"""Score distillation: images, or whatever renders them, moved along the scores of a diffusion model.

SDS   Poole et al. 2023, "DreamFusion", Eq. 3
DDS   Hertz et al. 2023, "Delta Denoising Score", Eq. 3
CSD   Kim et al. 2023, "Collaborative Score Distillation for Consistent Visual Editing", Eqs. 7 to 9, after
      Liu & Wang 2016, "Stein Variational Gradient Descent"

N samples x_i of one thing (views, frames, windows) move together. With one noise ε_j for a sample and its source,
x_t = α x + σ ε, and one level for all of them:

    Δ_j = ε̂(x_t^j) - ε_j                       against the noise: SDS, CSD
    Δ_j = ε̂(x_t^j; x̃, y) - ε̂(x̃_t^j; x̃)         against the source x̃: DDS, CSD-Edit
    g_i = w(t)/N Σ_j [ k(x_t^j, x_t^i) Δ_j + σ ∇_{x_t^i} k(x_t^j, x_t^i) ],  x_i ← x_i - rate g_i

Denoisers return x0, and α x0 + σ ε̂ = x_t: Δ_j = (α/σ) [(x_j - x̂0_j) - (x̃_j - x̃̂0_j)].

Where this departs from the print: Eq. 9 writes Δ_i, and its derivation Δ_j. Under descent the printed +∇_{x_j} k pulls
samples together; Stein's repulsion is +∇_{x_i} k = -∇_{x_j} k, and because the score is -ε̂/σ it keeps the factor σ. The
bandwidth's median leaves the zeros of the diagonal out, so that one sample is exactly SDS or DDS. Off the diagonal k is
about 1/N: a sample's step would shrink as 2/N. `rate` is therefore stated per sample: g_i is divided by the mean of
Σ_j k_ij / N. That also leaves the step alone when the kernel is switched off, and an ablation compares one thing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.noise import gaussian
from weft.schedule import NoiseLevel

__all__ = [
    "RULES",
    "WEIGHTS",
    "Batch",
    "Distillation",
    "DistillationStep",
    "Estimator",
    "Place",
    "Rule",
    "Variable",
    "direction",
    "distill",
    "euclidean",
    "stein_kernel",
]

Distance = Callable[[Tensor], Tensor]  # [B, C, H, W] → [B, B], zero on the diagonal, symmetric


@dataclass(frozen=True, slots=True)
class Rule:
    """What a step is made of."""

    kernel: bool  # whether samples take part in each other's steps
    source: bool  # whether the source's own estimate is subtracted, and not the noise
    repulsion: bool = True  # the kernel's gradient; without kernel there is none


RULES = {
    "sds": Rule(kernel=False, source=False),
    "dds": Rule(kernel=False, source=True),
    "csd": Rule(kernel=True, source=False),
    "csd_edit": Rule(kernel=True, source=True),
}

# w(t), by names. "paper": 1 - ᾱ_t. "x0": σ/α, with which a step of rate 1 lands on the estimate itself.
WEIGHTS: dict[str, Callable[[NoiseLevel], float]] = {
    "paper": lambda level: level.sigma**2 / (level.alpha**2 + level.sigma**2),
    "x0": lambda level: level.s,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sample was cut out: image number, and the first row and column, in units of x."""

    image: int
    top: int = 0
    left: int = 0


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples of one step."""

    x: Tensor  # [B, C, H, W], clean
    places: tuple[Place, ...]  # of each
    source: Tensor | None = None  # [B, C, H, W], what each was before
    noise: Tensor | None = None  # [B, C, H, W] ~ N(0, I), if samples that overlap share it; drawn for each otherwise


class Variable(Protocol):
    """What is optimised: images, windows of a wide one, renders of a scene."""

    def draw(self, generator: torch.Generator) -> Batch:
        """The samples of the next step."""
        ...

    def descend(self, batch: Batch, gradient: Tensor, rate: float) -> None:
        """Move what `batch` was drawn from by -rate · gradient [B, C, H, W], or as an optimiser would."""
        ...


class Estimator(Protocol):
    """E[x0 | x_t] with the guidance already in it. x: [B, C, H, W] = α x0 + σ ε."""

    def target(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        """What the edit, or the prompt, wants."""
        ...

    def source(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        """What the model makes of the noised source; asked only by rules that subtract it."""
        ...


@dataclass(frozen=True)
class Distillation:
    """How to go: everything but what is moved and who estimates. Raises InvalidInput for what makes no sense."""

    rule: Rule = RULES["csd_edit"]
    steps: int = 40
    rate: float = 0.5  # per sample, of the first step
    rate_end: float = 0.1  # of the last; in between they fall geometrically
    times: tuple[float, float] = (0.2, 0.5)  # part of the training time that t is drawn from, at the beginning
    times_end: tuple[float, float] | None = None  # and at the end, in between linearly; None: the same
    weight: str = "x0"
    distance: Distance | None = None  # for the kernel; None: Euclidean

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InvalidInput(f"{self.steps} steps move nothing", "40 are usual, 200 for latents")
        if not (0 < self.rate < math.inf and 0 < self.rate_end < math.inf):
            raise InvalidInput(f"rates {self.rate:g} to {self.rate_end:g} are not positive", "try 0.5 to 0.1")
        if self.weight not in WEIGHTS:
            raise InvalidInput(f"no weight is called {self.weight!r}", f"choose one of {', '.join(WEIGHTS)}")
        for low, high in (self.times, self.times_end or self.times):
            if not 0 < low <= high <= 1:
                raise InvalidInput(f"times {low:g} to {high:g} do not lie in (0, 1]", "0.2 to 0.5 are usual for edits")

    def rate_at(self, share: float) -> float:
        """The rate after this `share` of the steps, 0 to 1."""
        return self.rate * (self.rate_end / self.rate) ** share

    def times_at(self, share: float) -> tuple[float, float]:
        low, high = self.times
        last_low, last_high = self.times_end or self.times
        return low + share * (last_low - low), high + share * (last_high - high)


@dataclass(frozen=True, slots=True, eq=False)
class DistillationStep:
    """What a step did."""

    index: int  # from 0
    total: int
    level: NoiseLevel
    batch: Batch
    x0: Tensor  # [B, C, H, W], what the estimator wanted
    gradient: Tensor  # [B, C, H, W], g
    kernel: Tensor  # [B, B]


@torch.no_grad()
def distill(
    variable: Variable,
    estimator: Estimator,
    level_at: Callable[[float], NoiseLevel],
    settings: Distillation,
    generator: torch.Generator,
) -> Iterator[DistillationStep]:
    """Move `variable`, one step at a time; its caller looks at it in between. `level_at(t)`: the level of time t in
    (0, 1]. Everything random comes from `generator` (on the CPU)."""
    for index in range(settings.steps):
        share = index / max(settings.steps - 1, 1)
        low, high = settings.times_at(share)
        level = level_at(low + (high - low) * float(torch.rand((), generator=generator)))
        batch = variable.draw(generator)
        noise = gaussian(tuple(batch.x.shape), generator).to(batch.x) if batch.noise is None else batch.noise
        noised = level.alpha * batch.x + level.sigma * noise
        x0 = estimator.target(noised, level, batch)
        residual = batch.x - x0
        if settings.rule.source:
            if batch.source is None:
                raise InvalidInput("there is no source to subtract", "choose the rule sds or csd")
            old = level.alpha * batch.source + level.sigma * noise
            residual = residual - (batch.source - estimator.source(old, level, batch))
        gradient, kernel = direction(noised, residual / level.s, level, settings)
        variable.descend(batch, gradient, settings.rate_at(share))
        yield DistillationStep(index, settings.steps, level, batch, x0, gradient, kernel)


def direction(noised: Tensor, delta: Tensor, level: NoiseLevel, settings: Distillation) -> tuple[Tensor, Tensor]:
    """g [B, C, H, W], per sample, and the kernel [B, B], of x_t = `noised` [B, C, H, W] and Δ = `delta`."""
    weight = WEIGHTS[settings.weight](level)
    if not settings.rule.kernel or len(noised) == 1:
        return weight * delta, torch.eye(len(noised), dtype=noised.dtype, device=noised.device)
    length = math.hypot(level.alpha, level.sigma)  # 1 for variance-preserving schedules
    kernel, repulsion = stein_kernel(noised / length, settings.distance)
    moved = torch.einsum("ij,jchw->ichw", kernel, delta)
    if settings.rule.repulsion:
        moved = moved + level.sigma / length * repulsion
    return weight * moved / kernel.sum(1).mean(), kernel


def stein_kernel(x: Tensor, distance: Distance | None = None) -> tuple[Tensor, Tensor]:
    """k = exp(-d²/h) [B, B] of x [B, C, H, W], and Σ_j ∇_{x_i} k(x_i, x_j) [B, C, H, W]: under descent it drives
    samples apart.

    h = med²/log B, med the median of d off the diagonal (Liu & Wang 2016, section 5), held constant in the gradient.
    """
    if distance is None:
        kernel, bandwidth = _gaussian(euclidean(x))
        flat = x.flatten(1)
        apart = kernel.sum(1, keepdim=True) * flat - kernel @ flat
        return kernel, (-2 / bandwidth * apart).reshape(x.shape)
    with torch.enable_grad():
        moving = x.detach().requires_grad_()
        kernel, _ = _gaussian(distance(moving))
        (gradient,) = torch.autograd.grad(kernel.sum() / 2, moving)  # k is symmetric: each pair stands there twice
    return kernel.detach(), gradient


def euclidean(x: Tensor) -> Tensor:
    """‖x_i - x_j‖ [B, B] of x [B, C, H, W], by differences: near samples keep their digits."""
    flat = x.flatten(1)
    return torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")


def _gaussian(d: Tensor) -> tuple[Tensor, float]:
    """exp(-d²/h) and h; samples that are all one get k = 1."""
    count = len(d)
    if count == 1:
        return torch.ones_like(d), 1.0
    off = d.detach()[~torch.eye(count, dtype=torch.bool, device=d.device)]
    median = float(off.median())
    bandwidth = median**2 / math.log(count) if median > 0 else 1.0
    return torch.exp(-(d**2) / bandwidth), bandwidth
