"""Contrastive noise optimisation: initial noises moved a little, so that what they become is told apart.

Kim et al. 2025, "Diverse Text-to-Image Generation via Contrastive Noise Optimization" (CNO).

At the noisiest level the denoiser's estimates x̂0_i of m noises are pooled to cells. In every cell, with z the unit
vector of what a member shows there, z̄ what it showed before (held constant) and temperature τ,

    L = -mean_i log [ exp(z_i·z̄_i/τ) / (exp(z_i·z̄_i/τ) + Σ_{j≠i} exp(z_i·z_j/τ)) ]       (InfoNCE)

keeps each member what it was and drives it from the others. A few steps of Adam on the noises go down in L. N(0, I) in
many dimensions is a thin shell, and a denoiser has seen nothing else: every noise is brought back to its radius.

Without gradients through the denoiser, a change of the estimate is taken for one of the noise. For the best denoiser
that is a way down, too: ∂x̂0/∂x = α Cov[x0|x]/σ² is symmetric and not negative (the second order of Tweedie's formula),
so a small step against the gradient by x̂0 lowers the loss as well.

What it costs: noises that were moved are no longer N(0, I), though they are on the shell. What cells are compared by
gains power, the more the further they are moved, and what stays below that loses as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from weft.errors import InvalidInput

__all__ = ["Contrast", "ContrastStep", "contrasted", "contrastive_loss"]

Estimate = Callable[[Tensor], Tensor]  # noises [m, C, H, W] → x̂0 [m, C', H', W']


@dataclass(frozen=True)
class Contrast:
    """How far to go. Raises InvalidInput for what makes no sense."""

    steps: int = 3
    rate: float = 0.01  # of Adam
    cells: int = 16  # along each side that estimates are pooled to
    temperature: float = 0.1  # τ
    through: bool = False  # whether gradients pass the denoiser; else its estimate moves as its noise does
    renormalised: bool = True  # whether noises are brought back to the shell

    def __post_init__(self) -> None:
        if self.steps < 0 or self.cells < 1:
            raise InvalidInput(f"{self.steps} steps over {self.cells} cells", "3 steps over 16 cells are usual")
        if not (self.rate > 0 and self.temperature > 0):
            raise InvalidInput(f"rate {self.rate:g} and temperature {self.temperature:g} must be positive", "0.01, 0.1")


@dataclass(frozen=True, slots=True, eq=False)
class ContrastStep:
    """What a step did."""

    index: int  # from 0
    total: int
    loss: float  # before it
    noises: Tensor  # [m, C, H, W], after it


def contrasted(noises: Tensor, estimate: Estimate, settings: Contrast) -> Iterator[ContrastStep]:
    """Move `noises` [m, C, H, W] ~ N(0, I), m ≥ 2, which themselves stay as they are.

    `estimate`: x̂0 at the noisiest level. With `through` it must be differentiable; without, d x̂0 / d noise is taken
    for the identity (estimate and noise must then have one shape). Raises InvalidInput for less than two noises, and
    where the estimate is no number, has another shape, or no gradient.
    """
    if len(noises) < 2:
        raise InvalidInput(f"{len(noises)} noise has nothing to differ from", "give two or more")
    radius = noises.flatten(1).norm(dim=1)[:, None, None, None]
    moving = noises.clone().requires_grad_()
    optimizer = torch.optim.Adam([moving], lr=settings.rate)
    with torch.no_grad():
        before = estimate(noises).detach()
    _check(before, noises, settings)
    for index in range(settings.steps):
        with torch.enable_grad():
            loss = contrastive_loss(_shown(moving, estimate, settings), before, settings.cells, settings.temperature)
            if not loss.requires_grad:
                raise InvalidInput(
                    "the estimate has no gradient", "take one through a differentiable denoiser, or none"
                )
            (moving.grad,) = torch.autograd.grad(loss, moving)
        if not torch.isfinite(loss):
            raise InvalidInput(f"the estimate is no number after {index} steps", "take a lower rate")
        optimizer.step()
        if settings.renormalised:
            with torch.no_grad():
                moving *= radius / moving.flatten(1).norm(dim=1)[:, None, None, None]
        yield ContrastStep(index, settings.steps, loss.item(), moving.detach().clone())


def _check(estimated: Tensor, noises: Tensor, settings: Contrast) -> None:
    if not torch.isfinite(estimated).all():
        raise InvalidInput("the estimate of the noises is no number", "mend the denoiser")
    if len(estimated) != len(noises) or (estimated.shape != noises.shape and not settings.through):
        raise InvalidInput(
            f"noises of {list(noises.shape)} have estimates of {list(estimated.shape)}",
            "give one estimate for each, of the noises' shape where no gradient passes the denoiser",
        )


def _shown(moving: Tensor, estimate: Estimate, settings: Contrast) -> Tensor:
    if settings.through:
        return estimate(moving)
    with torch.no_grad():
        held = estimate(moving.detach()) - moving
    return moving + held


def contrastive_loss(shown: Tensor, before: Tensor, cells: int, temperature: float) -> Tensor:
    """L, a number, of estimates [m, C, H, W] and of what they were `before`."""
    z, kept = (_features(each, cells) for each in (shown, before))
    own = (z * kept).sum(1) / temperature  # [m, cells²]
    others = torch.einsum("icp,jcp->ijp", z, z) / temperature
    alone = torch.eye(len(z), dtype=torch.bool, device=z.device)[..., None]
    others = others.masked_fill(alone, -torch.inf)
    return (torch.logsumexp(torch.cat([own[:, None], others], 1), 1) - own).mean()


def _features(x: Tensor, cells: int) -> Tensor:
    """Unit vectors [m, C, cells²]; fewer cells where there are fewer pixels."""
    size = (min(cells, x.shape[2]), min(cells, x.shape[3]))
    return functional.normalize(functional.adaptive_avg_pool2d(x, size).flatten(2), dim=1, eps=1e-6)
