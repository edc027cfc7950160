"""Coupled diffusion sampling: trajectories of several models that pull each other gently.

*Coupled Diffusion Sampling for Training-Free Multi-View Image Editing*, CVPR 2026.

| paper | here |
|---|---|
| U(x, x') = -(λ/2)‖x - x'‖², the other's estimate held constant | `_pulled` |
| x̂_s, a DDPM step from (x_t, x0); DDIM and flow as well        | `stepper.ddim` with the trajectory's η |
| x_s = x̂_s - σ_s λ (x0 - x0')                                  | `strength` in units of "lambda" |
| more than two models                                          | each is pulled to the mean of the others' x0 |

The pull as a part of x0. A step is x̂_s = c_0 x0 + c_t x_t + noise, and c_0 grows from nearly 0 to 1 along the way, the
slower the more steps there are. λ means something else at every step count; κ = λ σ_s / c_0 does not:

    x_s = c_0 (x0 + κ (x0' - x0)) + c_t x_t + noise

takes the step from a mixture of both estimates. κ = 0 leaves the models alone, κ = ½ is score averaging within each
model's own noise, κ = 1 exchanges the estimates; it is clipped to [0, 1], and for `units` "kappa" it is what is given.

Models of different schedules meet at equal noise-to-signal ratios (`matched`), where x/√(α² + σ²) is the same picture
for both. Above the noisiest level of one the other goes alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import InvalidInput
from weft.schedule import NoiseLevel, Schedule
from weft.stepper import ddim, estimate_share

__all__ = ["UNITS", "CoupledStep", "Trajectory", "coupled", "kappa_of", "matched"]

UNITS = ("lambda", "kappa")


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One model on its way."""

    denoiser: Denoiser
    schedule: Schedule
    x: Tensor  # [N, C, H, W] at the schedule's first level
    eta: float = 1.0  # 1 is DDPM, as in the paper; 0 the ODE (flow models)
    noise: Callable[[], Tensor] | None = None  # [N, C, H, W] ~ N(0, I), for eta > 0


@dataclass(frozen=True, slots=True)
class CoupledStep:
    """What one step left behind. The last step's `x0` are the samples."""

    index: int  # from 0
    total: int
    level: NoiseLevel  # where the step began, of the noisiest trajectory
    coupled: bool  # whether all trajectories took part
    x0: tuple[Tensor, ...]  # each model's own estimate, the last one it made
    x: tuple[Tensor, ...]  # each one's noisy images at its next level


@torch.no_grad()
def coupled(
    trajectories: Sequence[Trajectory], strength: float, *, units: str = "kappa"
) -> Generator[CoupledStep, None, None]:
    """Denoise all trajectories together, one `CoupledStep` per level of the longest. All x have one shape.

    `strength` ≥ 0 in `units`: the paper's λ, or κ in [0, 1] (see the module). 0 is bit for bit what each model does
    alone. Schedules must agree in their noise-to-signal ratios from the first common one on: see `matched`.
    """
    _check(trajectories, strength, units)
    lengths = [len(each.schedule) for each in trajectories]
    total = max(lengths)
    state = [each.x for each in trajectories]
    found = [torch.zeros_like(each.x) for each in trajectories]
    for index in range(total):
        here = [index - (total - length) for length in lengths]  # below 0: not yet begun
        active = [i for i, step in enumerate(here) if step >= 0]
        levels = {i: _levels(trajectories[i].schedule, here[i]) for i in active}
        for i in active:
            found[i] = trajectories[i].denoiser(state[i], levels[i][0])
        together = len(active) == len(trajectories)
        for i in active:
            state[i] = _step(trajectories[i], state[i], found, i, levels[i], strength if together else 0.0, units)
        yield CoupledStep(index, total, levels[active[0]][0], together, tuple(found), tuple(state))


def kappa_of(strength: float, units: str, share: float, level: NoiseLevel) -> float:
    """κ in [0, 1] at the step that ends at `level` and in which x0 has the coefficient `share` = c_0."""
    if units == "kappa":
        return strength
    pull = strength * level.sigma / math.hypot(level.alpha, level.sigma)  # σ_s of the variance-preserving form
    return min(1.0, pull / share) if share > 0 else 0.0


def matched(schedule: Schedule, like: Schedule) -> Schedule:
    """`schedule`'s own levels above those of `like`, then the noise-to-signal ratios of `like` in the normalisation of
    `schedule` (variance preserving, flow, …): α and σ interpolated in the logarithm of the ratio.

    Ratios of `like` beyond the noisiest of `schedule` are left out: from there on `like` goes alone.
    """
    own = schedule.levels
    wanted = [level.s for level in like.levels if level.s <= own[0].s * (1 + 1e-9)]
    if len(wanted) < 2:
        raise InvalidInput(
            f"two schedules share no step: one begins at s = {own[0].s:g}, the other ends at {like.levels[-2].s:g}",
            "take more steps, or start both nearer to clean",
        )
    levels = [level for level in own if level.s > wanted[0] * (1 + 1e-6)]
    levels += [_normalised(s, schedule) for s in wanted]
    return Schedule(np.array([level.alpha for level in levels]), np.array([level.sigma for level in levels]))


def _normalised(s: float, like: Schedule) -> NoiseLevel:
    """The level of noise-to-signal ratio `s` whose length √(α² + σ²) lies on the curve of `like`."""
    if math.isinf(s):
        return NoiseLevel(0.0, float(np.hypot(like.alphas[0], like.sigmas[0])))
    angles = np.arctan2(like.sigmas, like.alphas)[::-1]  # rising
    lengths = np.hypot(like.alphas, like.sigmas)[::-1]
    # Lengths of α = 1 - σ follow 1/(cos + sin); interpolating α/length and σ/length keeps both families exact.
    flow = np.allclose(like.alphas + like.sigmas, 1.0, atol=1e-6)
    angle = math.atan(s)
    length = 1 / (math.cos(angle) + math.sin(angle)) if flow else float(np.interp(angle, angles, lengths))
    return NoiseLevel(length * math.cos(angle), length * math.sin(angle))


def _levels(schedule: Schedule, step: int) -> tuple[NoiseLevel, NoiseLevel]:
    levels = schedule.levels
    return levels[step], levels[step + 1]


def _step(
    own: Trajectory, x: Tensor, found: Sequence[Tensor], index: int, levels: tuple[NoiseLevel, NoiseLevel],
    strength: float, units: str,
) -> Tensor:  # fmt: skip
    """x at the next level: the model's own step, pulled towards what the others estimate."""
    level, next_level = levels
    noise = own.noise() if own.eta > 0 and own.noise is not None and next_level.sigma > 0 else None
    moved = ddim(x, found[index], level, next_level, eta=own.eta, noise=noise)
    if strength == 0 or next_level.sigma == 0:
        return moved
    share = estimate_share(level, next_level, eta=own.eta)
    kappa = kappa_of(strength, units, share, next_level)
    others = [found[i] for i in range(len(found)) if i != index]
    other = others[0] if len(others) == 1 else torch.stack(others).mean(0)
    return moved + share * kappa * (other - found[index])


def _check(trajectories: Sequence[Trajectory], strength: float, units: str) -> None:
    if len(trajectories) < 2:
        raise InvalidInput(f"{len(trajectories)} trajectory has nobody to be coupled with", "give two or more")
    if units not in UNITS:
        raise InvalidInput(f"no strength is measured in {units!r}", f"choose one of {', '.join(UNITS)}")
    if not 0 <= strength < math.inf or (units == "kappa" and strength > 1):
        valid = "0 to 1" if units == "kappa" else "0 and more"
        raise InvalidInput(f"a strength of {strength:g} in {units} is outside {valid}", "0 leaves the models alone")
    shapes = {tuple(each.x.shape) for each in trajectories}
    if len(shapes) > 1:
        raise InvalidInput(
            f"partners of shapes {' and '.join(map(str, sorted(map(list, shapes))))} cannot be coupled",
            "give models of one latent space views of one size",
        )
    for each in trajectories:
        if each.eta > 0 and each.noise is None:
            raise InvalidInput(f"eta = {each.eta:g} needs a source of noise", "pass noise, or eta = 0")
    _check_ratios(trajectories)


def _check_ratios(trajectories: Sequence[Trajectory]) -> None:
    shortest = min(len(each.schedule) for each in trajectories) + 1
    ratios = [[level.s for level in each.schedule.levels[-shortest:]] for each in trajectories]
    for other in ratios[1:]:
        if not all(math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-9) for a, b in zip(ratios[0], other, strict=True)):
            raise InvalidInput("the partners' schedules do not meet", "match one to the other: matched(schedule, like)")
