"""SyncTweedies: one diffusion process per view, tied together through a canonical space at every step.

Kim, Koo, Yeo, Sung. *SyncTweedies: A General Generative Framework Based on Synchronized Diffusions*. NeurIPS 2024.

| paper | here |
|---|---|
| φ(w, ε), Tweedie's formula                 | the denoiser, or `x0_from_eps` where ε was synchronised |
| ψ(w, x0), a DDIM step                      | `stepper.ddim` |
| f_i, A ∘ {g_i}; F_i = f_i ∘ A ∘ {g_j}      | `LinearSpace.project`, `.aggregate`, `.synchronize` |
| Case 2: w_i ← ψ(w_i, F_i(φ(w_i, ε(w_i))))  | `SYNCTWEEDIES` |
| all sixty cases                            | rows of `cases.CASES`; one loop each for views, z, and both together |

Deviations: noise of η > 0, which the paper does not use, comes from the caller. Where ε is left alone and the network
and φ see the same x_t, x0 is the denoiser's own, without the way through ε (which does not exist at α = 0). The paper's
last synchronisation, of the decoded views, is the caller's: `space.synchronize(last.x0)`. Pixels that see no cell keep
their own values; where z is denoised, each of them is a cell of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import InvalidInput
from weft.methods.cases import CASES, INDEPENDENT, SYNCTWEEDIES, Case, find_case
from weft.schedule import NoiseLevel, Schedule, eps_from_x0, x0_from_eps
from weft.spaces.completed import completed
from weft.spaces.linear import LinearSpace
from weft.stepper import ddim

__all__ = ["CASES", "INDEPENDENT", "SYNCTWEEDIES", "Case", "Step", "find_case", "synchronized"]


@dataclass(frozen=True, slots=True)
class Step:
    """What one denoising step left behind. The last step's `x0` are the samples."""

    index: int  # from 0
    total: int
    level: NoiseLevel  # where the step began
    x0: Tensor  # [N, C, H, W], the views' estimates, as synchronised
    z: Tensor  # [cells, C], the canonical variable of these estimates
    x: Tensor  # [N, C, H, W], the noisy views at the next level


@torch.no_grad()
def synchronized(
    denoiser: Denoiser,
    space: LinearSpace,
    schedule: Schedule,
    x: Tensor,  # [N, C, H, W], the noisy views at the schedule's first level
    *,
    z: Tensor | None = None,  # [cells, C], the noisy canonical variable there, for cases that denoise it
    case: Case = SYNCTWEEDIES,
    eta: float = 0.0,
    noise: Callable[[], Tensor] | None = None,
    sync_until: float = 1.0,
    space_at: Callable[[float], LinearSpace] | None = None,
) -> Generator[Step, None, None]:
    """Denoise all views together, one `Step` per step of the schedule.

    The first `sync_until` (fraction in [0, 1]) of the steps are synchronised, the rest run free. `space_at(progress)`,
    progress from 0 to 1, gives each step a space of its own (weights that sharpen); without it all use `space`.
    `eta` > 0 adds `noise()` [N, C, H, W] to each step; noise that all views look up in the canonical space keeps them
    together, and η = 1 forgets what they disagreed about (η = 0 carries it along in every view's own noise).
    Cases that denoise `z` begin from it (and from x where pixels see no cell), are deterministic (η = 0) and stay with
    `space`.
    """
    if not 0 <= sync_until <= 1:
        raise InvalidInput(f"sync_until = {sync_until:g} is outside 0 to 1", "it is a fraction of the steps")
    if eta > 0 and noise is None:
        raise InvalidInput(f"eta = {eta:g} needs a source of noise", "pass noise, or eta = 0")
    state = _begin(space, x, z, case, stochastic=eta > 0, moving=space_at is not None)
    total = len(schedule)
    for index, (level, next_level) in enumerate(schedule):
        here = space_at(index / max(total - 1, 1)) if space_at else space
        if index >= round(sync_until * total) and case != INDEPENDENT:
            state, case = _set_free(state, case), INDEPENDENT
        if case.variable == "views":
            own = None if eta == 0 or noise is None else noise()
            done = _views_step(denoiser, here, state, _Times(level, next_level, eta, own), case)
        else:
            family = _canonical_step if case.variable == "canonical" else _joint_step
            done = family(denoiser, state.space, state, _Times(level, next_level), case)
        state = replace(state, x=done.x, z=done.z)
        yield Step(index, total, level, done.x0, done.z0[: space.cells], done.x)


@dataclass(frozen=True)
class _State:
    space: LinearSpace  # in which z lives
    x: Tensor  # [N, C, H, W]
    z: Tensor  # [space.cells, C]; unused where only views are denoised


@dataclass(frozen=True)
class _Times:
    """Where a step begins and ends, and its noise."""

    level: NoiseLevel
    next_level: NoiseLevel
    eta: float = 0.0
    noise: Tensor | None = None

    def psi(self, x: Tensor, x0: Tensor) -> Tensor:
        return ddim(x, x0, self.level, self.next_level, eta=self.eta, noise=self.noise)

    def phi(self, x: Tensor, eps: Tensor) -> Tensor:
        return x0_from_eps(x, eps, self.level)

    def eps(self, x: Tensor, x0: Tensor) -> Tensor:
        return eps_from_x0(x, x0, self.level)


@dataclass(frozen=True)
class _Done:
    x0: Tensor
    z0: Tensor
    x: Tensor
    z: Tensor


def _begin(space: LinearSpace, x: Tensor, z: Tensor | None, case: Case, *, stochastic: bool, moving: bool) -> _State:
    """The state before the first step; raises what the case cannot do."""
    in_canonical = (case.variable, case.psi) != ("views", "views")
    if in_canonical and stochastic:
        raise InvalidInput("this case computes ψ in the canonical space, without noise", "pass eta = 0")
    if case.variable == "views":
        return _State(space, x, x.new_zeros(0))
    if moving:
        raise InvalidInput("this case denoises the canonical variable, whose space cannot change", "leave out space_at")
    if z is None or z.shape != (space.cells, x.shape[1]):
        found = "none" if z is None else str(list(z.shape))
        raise InvalidInput(
            f"this case denoises the canonical variable and was given {found}",
            f"pass z [{space.cells}, {x.shape[1]}], noise at the schedule's first level",
        )
    whole = completed(space)
    blind = torch.from_numpy(np.flatnonzero(~space.covered)).to(x.device)
    return _State(whole, x, torch.cat([z, space.rows_of(x)[blind]]))


def _set_free(state: _State, case: Case) -> _State:
    """From here on the views go their own ways."""
    views = state.x if case.output == "views" else state.space.views_of(state.space.project(state.z))
    return replace(state, x=views)


def _views_step(denoiser: Denoiser, space: LinearSpace, state: _State, times: _Times, case: Case) -> _Done:
    """Cases 0-3 and 7-48: the views are denoised; φ or ψ may be computed in the canonical space on the way."""
    x = state.x
    synced = space.synchronize(x)[0] if case.eps_in or case.phi_in or case.psi_in else x
    x_eps, x_phi = synced if case.eps_in else x, synced if case.phi_in else x
    x0 = denoiser(x_eps, times.level)
    if case.phi == "canonical":
        eps = times.eps(x_eps, x0)
        z0 = times.phi(space.aggregate(space.rows_of(x)), space.aggregate(space.rows_of(eps)))
        x0 = _seen(space, z0, times.phi(x, eps))
    else:
        if case.eps_out or case.eps_in != case.phi_in:
            eps = times.eps(x_eps, x0)
            x0 = times.phi(x_phi, space.synchronize(eps)[0] if case.eps_out else eps)
        z0 = space.aggregate(space.rows_of(x0))
        x0 = _seen(space, z0, x0) if case.x0 else x0
    x_next = times.psi(synced if case.psi_in else x, x0)
    if case.psi == "canonical":
        x_next = _seen(space, times.psi(space.aggregate(space.rows_of(x)), z0), x_next)
    return _Done(x0, z0, x_next, state.z)


def _seen(space: LinearSpace, z: Tensor, own: Tensor) -> Tensor:
    """What the views see of z; pixels that see no cell keep their `own` [N, C, H, W]."""
    return space.views_of(space.project(z, space.rows_of(own)))


@dataclass(frozen=True)
class _Partner:
    """The other variable's ε, x0 and ψ-output, aggregated: what a mean is taken with."""

    eps: Tensor
    x0: Tensor
    psi: Tensor


def _canonical_step(
    denoiser: Denoiser, space: LinearSpace, state: _State, times: _Times, case: Case, partner: _Partner | None = None
) -> _Done:
    """Cases 4-6 and 49-53: z is denoised, the views are what it looks like. The space covers every pixel."""
    z, x = state.z, space.views_of(space.project(state.z))
    x0 = denoiser(x, times.level)
    eps = times.eps(x, x0)
    if case.eps_out:
        eps = space.synchronize(eps)[0]
        x0 = times.phi(x, eps)
    if case.phi == "canonical":
        z0 = times.phi(z, _mixed("eps", space.aggregate(space.rows_of(eps)), case, partner))
        x0 = space.views_of(space.project(z0))
    else:
        z0 = _mixed("x0", space.aggregate(space.rows_of(x0)), case, partner)
        x0 = space.views_of(space.project(z0)) if case.x0 else x0
    if case.psi == "canonical":
        z = times.psi(z, z0)
    else:
        z = _mixed("psi", space.aggregate(space.rows_of(times.psi(x, x0))), case, partner)
    return _Done(space.views_of(space.project(z0)), z0, space.views_of(space.project(z)), z)


def _joint_step(denoiser: Denoiser, space: LinearSpace, state: _State, times: _Times, case: Case) -> _Done:
    """Cases 54-59: views and z are both denoised; a mean of both updates one of them, the other goes its own way."""
    x = state.x
    x0 = denoiser(x, times.level)
    eps = times.eps(x, x0)
    if case.updates == "canonical":
        x_next = times.psi(x, x0)
        views = _Partner(*(space.aggregate(space.rows_of(each)) for each in (eps, x0, x_next)))
        return replace(_canonical_step(denoiser, space, state, times, case, views), x=x_next)
    seen = space.views_of(space.project(state.z))
    eps_z = space.aggregate(space.rows_of(times.eps(seen, denoiser(seen, times.level))))
    z0 = times.phi(state.z, eps_z)
    z = times.psi(state.z, z0)
    partner = _Partner(eps_z, z0, z)
    if case.mean == "eps":
        x0 = times.phi(x, _mean_of("eps", space, eps, case, partner))
    if case.mean == "x0":
        x0 = _mean_of("x0", space, x0, case, partner)
    x_next = times.psi(x, x0)
    if case.mean == "psi":
        x_next = _mean_of("psi", space, x_next, case, partner)
    return _Done(x0, space.aggregate(space.rows_of(x0)), x_next, z)


def _mean_of(stage: str, space: LinearSpace, views: Tensor, case: Case, partner: _Partner) -> Tensor:
    """f(½ (A g views + the partner's)): [N, C, H, W]."""
    return space.views_of(space.project(_mixed(stage, space.aggregate(space.rows_of(views)), case, partner)))


def _mixed(stage: str, value: Tensor, case: Case, partner: _Partner | None) -> Tensor:
    """½ (value + the partner's) at the stage that the case names, otherwise `value`."""
    return (value + getattr(partner, stage)) / 2 if partner is not None and case.mean == stage else value
