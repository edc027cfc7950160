"""Fixed-object backgrounds: noises that agree on the object, repel each other around it, and are made to keep it.

*Couple to Control: Joint Initial Noise Design in Diffusion Models*, 2026.

| paper | here |
|---|---|
| ε_i = P_fg ε^inv + P_bg ε_i^rep                       | `fixed_object` |
| min_ε ‖M ⊙ (G(ε) - y)‖², foreground noise alone        | `kept`, with Adam |
| background noise reset after every step               | the same |

With the object's noise inverted from the photograph and another background around it, a sampler makes another object:
what a denoiser paints somewhere depends on what it sees all around. A few steps on the object's noise bring it back.

The derivative of a sampler is dear, and the embedded denoiser has none. The skip-gradient estimator takes ∂G/∂ε for the
identity, as `learned_coupling` does: a deterministic sampler keeps what noise is there until the level at which it
decides, so that samples move where their noise goes. `through` differentiates where G can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.methods.coupled_noise import Coupling, coupled

__all__ = ["Generate", "Keeping", "KeepingStep", "fixed_object", "kept"]

Generate = Callable[[Tensor], Tensor]  # noises [m, C, H, W] → samples of the same shape


@dataclass(frozen=True)
class Keeping:
    """How far to go. Raises InvalidInput for what makes no sense."""

    steps: int = 50  # the paper: 10 to 100
    rate: float = 0.05  # of Adam: what the first step changes of a noise, about; it is halved after …
    half: int = 25  # … so many steps, and falls as 1/n
    through: bool = False  # whether gradients pass G; else a sample is taken to move as its noise does

    def __post_init__(self) -> None:
        if self.steps < 0 or not self.rate > 0 or self.half < 1:
            raise InvalidInput(f"{self.steps} steps at rate {self.rate:g}", "50 steps at 0.05 are usual")


@dataclass(frozen=True, slots=True, eq=False)
class KeepingStep:
    """Where `index` steps led."""

    index: int  # 0: nothing was moved yet
    total: int
    noises: Tensor  # [m, C, H, W]
    samples: Tensor  # [m, C, H, W], G(noises)
    losses: Tensor  # f4 [m], mean of M ⊙ (G(ε) - y)² over the object


def fixed_object(inverted: Tensor, mask: Tensor, coupling: Coupling, generator: torch.Generator) -> Tensor:
    """Noises [m, C, H, W]: `inverted` [C, H, W] where `mask` bool [H, W] is, and around it noises of that `coupling`,
    each N(0, I)."""
    around = coupled(coupling, tuple(inverted.shape), generator)
    return torch.where(mask, inverted.to(around), around)


def kept(noises: Tensor, mask: Tensor, target: Tensor, generate: Generate, settings: Keeping) -> Iterator[KeepingStep]:
    """Move `noises` [m, C, H, W], which themselves stay as they are, where `mask` bool [H, W] is, until samples show
    `target` [C, H, W] there. settings.steps + 1 results, the first of what was given: a sampling each.

    Each noise goes its own way. Whatever is not in the mask keeps its bits.
    """
    if not mask.any():
        raise InvalidInput("the mask of the object is empty", "mark what is to be kept")
    moving = noises.clone().requires_grad_()
    optimizer = torch.optim.Adam([moving], lr=settings.rate)
    values = int(mask.sum()) * noises.shape[1]
    for index in range(settings.steps + 1):
        with torch.set_grad_enabled(settings.through):
            samples = generate(moving)
            missing = torch.where(mask, samples - target, 0.0)
            losses = missing.square().flatten(1).sum(1)
        yield KeepingStep(index, settings.steps, moving.detach().clone(), samples.detach(), losses.detach() / values)
        if index == settings.steps:
            return
        slope = torch.autograd.grad(losses.sum(), moving)[0] if settings.through else 2 * missing
        moving.grad = torch.where(mask, slope, 0.0)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate / (1 + index / settings.half)
        optimizer.step()
        with torch.no_grad():  # Adam moves what has no slope, too, once it has a momentum
            moving.copy_(torch.where(mask, moving, noises))
