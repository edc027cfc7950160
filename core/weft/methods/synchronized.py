"""SyncTweedies: one diffusion process per view, tied together through a canonical space at every step.

Kim, Koo, Yeo, Sung. *SyncTweedies: A General Generative Framework Based on Synchronized Diffusions*. NeurIPS 2024.

| paper | here |
|---|---|
| φ(w, ε), Tweedie's formula                 | the denoiser, or `x0_from_eps` where ε was synchronised |
| ψ(w, x0), a DDIM step                      | `stepper.ddim` |
| f_i, g_i, A; F_i = f_i ∘ A ∘ {g_j}         | `LinearSpace.project`, `.aggregate`, `.synchronize` |
| Case 2: w_i ← ψ(w_i, F_i(φ(w_i, ε(w_i))))  | `SYNCTWEEDIES` |
| instance-variable cases 1-3, 7-34          | `CASES`, five flags each |
The canonical-variable and combined cases (4-6, 35-59) are not among these.

Deviations: noise of η > 0, which the paper does not use, comes from the caller. Where ε is left alone and the network
and φ see the same x_t, x0 is the denoiser's own, without the way through ε (which does not exist at α = 0). The paper's
last synchronisation, of the decoded views, is the caller's: `space.synchronize(last.x0)`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import InvalidInput, UnknownName
from weft.schedule import NoiseLevel, Schedule, eps_from_x0, x0_from_eps
from weft.spaces.linear import LinearSpace
from weft.stepper import ddim

__all__ = ["CASES", "INDEPENDENT", "SYNCTWEEDIES", "Case", "Step", "find_case", "synchronized"]


@dataclass(frozen=True, slots=True)
class Case:
    """Which quantities of a step pass through F."""

    eps_in: bool = False  # x_t as the network sees it
    eps_out: bool = False  # the network's noise
    phi_in: bool = False  # x_t inside φ
    x0: bool = False  # φ's output
    psi_in: bool = False  # x_t inside ψ


def _cases() -> dict[int, Case]:
    """The paper's numbers: three cases by name, the other 28 in ascending order of their flags read as binary."""
    named = {0b00010: 1, 0b01000: 2, 0b10101: 3}
    others = [code for code in range(1, 32) if code not in named]
    numbers = named | {code: number for number, code in enumerate(others, start=7)}
    return {number: Case(*(bool(code >> bit & 1) for bit in range(5))) for code, number in sorted(numbers.items())}


CASES = _cases()
INDEPENDENT = Case()
SYNCTWEEDIES = CASES[2]

_ALIASES = {"synctweedies": SYNCTWEEDIES, "independent": INDEPENDENT}


def find_case(name: str | int) -> Case:
    """A case by its number in the paper or by name."""
    found = _ALIASES.get(str(name)) or CASES.get(int(name) if str(name).isdecimal() else -1)
    if found is None:
        raise UnknownName(f"no synchronisation case {name!r}", f"choose 1-3, 7-34, {', '.join(_ALIASES)}")
    return found


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
    """
    if not 0 <= sync_until <= 1:
        raise InvalidInput(f"sync_until = {sync_until:g} is outside 0 to 1", "it is a fraction of the steps")
    if eta > 0 and noise is None:
        raise InvalidInput(f"eta = {eta:g} needs a source of noise", "pass noise, or eta = 0")
    total = len(schedule)
    for index, (level, next_level) in enumerate(schedule):
        here = space_at(index / max(total - 1, 1)) if space_at else space
        flags = case if index < round(sync_until * total) else INDEPENDENT
        x0, z, x_psi = _estimate(denoiser, here, x, level, flags)
        fresh = noise() if eta > 0 and noise else None
        x = ddim(x_psi, x0, level, next_level, eta=eta, noise=fresh)
        yield Step(index, total, level, x0, z, x)


def _estimate(
    denoiser: Denoiser, space: LinearSpace, x: Tensor, level: NoiseLevel, case: Case
) -> tuple[Tensor, Tensor, Tensor]:
    """(x0, its z, the x_t that ψ starts from)."""
    synced = space.synchronize(x)[0] if case.eps_in or case.phi_in or case.psi_in else x
    x_eps = synced if case.eps_in else x
    x0 = denoiser(x_eps, level)
    if case.eps_out or case.eps_in != case.phi_in:
        eps = eps_from_x0(x_eps, x0, level)
        eps = space.synchronize(eps)[0] if case.eps_out else eps
        x0 = x0_from_eps(synced if case.phi_in else x, eps, level)
    if case.x0:
        x0, z = space.synchronize(x0)
    else:
        z = space.aggregate(space.rows_of(x0))
    return x0, z, synced if case.psi_in else x
