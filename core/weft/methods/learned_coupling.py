"""Couplings learned for what a gallery should be: B of ε = B ξ climbs a reward of all its members together.

*Couple to Control: Joint Initial Noise Design in Diffusion Models*, 2026.

The derivative of a sampler's result by its noise is dear. The skip-gradient estimator takes it for the identity:
∂R/∂B_ik ≈ ⟨∂R/∂x_i, ξ_k⟩ / n for x_i = G(ε_i) of n numbers. Rows are brought back to length 1 after every step, so that
each noise stays N(0, I).

The less results follow their noises, the more chance there is in a step. What is learned is therefore the mean of B Bᵀ
over the later half of the steps (`settled`): a mean of correlations is one, whereas B itself may turn, which changes
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.methods.coupled_noise import Coupling, recombined, row_normalised
from weft.noise import gaussian

__all__ = ["LearningStep", "brightness_clusters", "compared", "diversity", "learned", "nearest", "settled"]

Generate = Callable[[Tensor], Tensor]  # noises [m, ...] → samples of the same shape
Reward = Callable[[Tensor], Tensor]  # samples [m, ...] → a number, differentiable


@dataclass(frozen=True, slots=True, eq=False)
class LearningStep:
    """What a step did."""

    index: int  # from 0
    total: int
    reward: float  # before it
    coupling: Coupling  # after it


def learned(
    start: Coupling,
    shape: tuple[int, ...],
    generate: Generate,
    reward: Reward,
    generator: torch.Generator,
    *,
    steps: int = 200,
    rate: float = 0.05,
) -> Iterator[LearningStep]:
    """Climb `reward` from `start`, with new noises of `shape` in every step and Adam at `rate`, which falls to 0.

    Raises InvalidInput when the reward or its gradient is no number, or cannot be had.
    """
    if steps < 1 or not rate > 0:
        raise InvalidInput(f"{steps} steps at rate {rate:g} learn nothing", "200 steps at 0.05 are usual")
    matrix = torch.from_numpy(start.matrix.copy()).requires_grad_()
    optimizer = torch.optim.Adam([matrix], lr=rate, eps=1e-30)  # whatever the reward's unit is
    coupling = start
    for index in range(steps):
        independent = gaussian((matrix.shape[1], *shape), generator)
        with torch.no_grad():
            samples = generate(recombined(coupling, independent))
        with torch.enable_grad():
            samples = samples.detach().requires_grad_()
            value = reward(samples)
            _check(value, samples, independent)
            (slope,) = torch.autograd.grad(value, samples)
        if not (torch.isfinite(value) and torch.isfinite(slope).all()):
            raise InvalidInput(
                f"the reward is {value.item():g}, or its gradient no number, in step {index + 1}", "mend the reward"
            )
        skipped = slope.flatten(1).double() @ independent.flatten(1).double().T / math.prod(shape)
        along = (skipped * matrix.detach()).sum(1, keepdim=True)  # which a row's length of 1 takes back
        matrix.grad = along * matrix.detach() - skipped
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - index / steps)
        optimizer.step()
        coupling = row_normalised(matrix.detach().numpy())
        with torch.no_grad():
            matrix.copy_(torch.from_numpy(coupling.matrix))
        yield LearningStep(index, steps, value.item(), coupling)


def _check(value: Tensor, samples: Tensor, independent: Tensor) -> None:
    if samples.shape[1:] != independent.shape[1:]:
        raise InvalidInput(
            f"noises of shape {list(independent.shape[1:])} became samples of {list(samples.shape[1:])}",
            "the estimator needs one shape: resize the samples",
        )
    if value.ndim or not value.requires_grad:
        raise InvalidInput("the reward is not one differentiable number", "return a tensor that follows the samples")


def settled(steps: Sequence[LearningStep]) -> Coupling:
    """What was learned: B = Bᵀ of the mean of B Bᵀ over the later half of the `steps`."""
    later = steps[len(steps) // 2 :]
    values, vectors = np.linalg.eigh(np.mean([step.coupling.correlation for step in later], 0))
    return row_normalised(vectors * np.sqrt(values.clip(0)) @ vectors.T)


@torch.no_grad()
def compared(
    couplings: Mapping[str, Coupling],
    shape: tuple[int, ...],
    generate: Generate,
    reward: Reward,
    generator: torch.Generator,
    galleries: int,
) -> dict[str, np.ndarray]:
    """The rewards f8 [galleries] of every coupling, all of them from the same independent noises: to be paired."""
    widest = max(coupling.matrix.shape[1] for coupling in couplings.values())
    rewards: dict[str, list[float]] = {name: [] for name in couplings}
    for _ in range(galleries):
        independent = gaussian((widest, *shape), generator)
        for name, coupling in couplings.items():
            samples = generate(recombined(coupling, independent[: coupling.matrix.shape[1]]))
            rewards[name].append(reward(samples).item())
    return {name: np.array(values) for name, values in rewards.items()}


def diversity(samples: Tensor) -> Tensor:
    """Mean over pairs of ‖x_i - x_j‖, of [m, ...]. It is greatest where all noises repel each other alike; the mean of
    squares would be as great for any noises that sum to 0, opposite pairs of equals among them. Where samples follow
    their noises little, it nearly is one: a coupling that sums to 0 is found, and hardly which."""
    return torch.pdist(samples.flatten(1)).mean()


def nearest(samples: Tensor) -> Tensor:
    """‖x_i - x_j‖ of the two that are most alike, of [m, ...]: what repulsive noises are minimax optimal for."""
    return torch.pdist(samples.flatten(1)).min()


def brightness_clusters(groups: np.ndarray) -> Reward:
    """A reward for members of one group to be equally bright, and groups to differ: of the mean brightness b_i, the
    squares of differences across groups less those within. `groups`: int [m]."""
    same = torch.from_numpy(np.equal.outer(groups, groups))
    sign = torch.where(same, -1.0, 1.0)

    def reward(samples: Tensor) -> Tensor:
        level = samples.flatten(1).mean(1)
        return (sign.to(level) * (level[:, None] - level) ** 2).sum()

    return reward
