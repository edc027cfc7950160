"""Couplings that are learned: what is known to be best is found, and a reward that is none is refused."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from weft.errors import InvalidInput, OutOfMemory
from weft.methods.coupled_noise import Coupling, equicorrelated, repulsive
from weft.methods.learned_coupling import (
    LearningStep,
    brightness_clusters,
    compared,
    diversity,
    learned,
    nearest,
    settled,
)
from weft.models.materials import choose_material
from weft.noise import gaussian, generator
from weft.tasks.coupled_pictures import Generate, check_gallery, cloudy, painted
from weft.tasks.material_tile import material_tile

SIDE = 32  # px
SHAPE = (3, SIDE, SIDE)
HALVES = np.array([0, 0, 1, 1])


@cache
def bricks() -> Generate:
    return painted(material_tile(choose_material("bricks")), SIDE)


def off_diagonal(coupling: Coupling) -> np.ndarray:
    return coupling.correlation[np.triu_indices(coupling.count, 1)]


@pytest.mark.parametrize(
    ("reward", "generate"),
    [(diversity, cloudy(SIDE)), (nearest, cloudy(SIDE)), (diversity, lambda x: torch.tanh(2 * x))],
    ids=["linear", "linear-nearest", "tanh"],
)
def test_the_most_diverse_gallery_is_made_of_repulsive_noises(reward: object, generate: Generate) -> None:
    """Off the diagonal within 0.05, from independent noises."""
    start = equicorrelated(4, 0.0)
    steps = list(learned(start, SHAPE, generate, reward, generator(1), steps=120))  # type: ignore[arg-type]
    assert np.abs(off_diagonal(settled(steps)) + 1 / 3).max() < 0.05
    assert np.mean([step.reward for step in steps[-20:]]) > np.mean([step.reward for step in steps[:5]])


@pytest.mark.parametrize("generate", [cloudy(SIDE), lambda x: x + 0.1 * x**3], ids=["linear", "cubic"])
def test_clusters_of_brightness_learn_two_blocks(generate: Generate) -> None:
    reward = brightness_clusters(HALVES)
    found = settled(list(learned(equicorrelated(4, 0.0), SHAPE, generate, reward, generator(2), steps=80)))
    correlation = found.correlation
    assert min(correlation[0, 1], correlation[2, 3]) > 0.9
    assert correlation[:2, 2:].max() < -0.5


def test_pictures_of_the_embedded_denoiser_repel_when_they_are_to_differ() -> None:
    """Of two, the only best coupling is antithetic."""
    steps = list(learned(equicorrelated(2, 0.0), SHAPE, bricks(), diversity, generator(3), steps=40))
    assert off_diagonal(settled(steps))[0] < -0.95


def test_pictures_of_the_embedded_denoiser_know_nothing_of_each_other() -> None:
    noises = gaussian((3, *SHAPE), generator(4))
    together = bricks()(noises)
    assert torch.equal(together[[2, 0]], bricks()(noises[[2, 0]]))
    assert together.shape == noises.shape
    assert together.abs().max() <= 1.5
    assert not torch.equal(together[0], together[1])


def test_clouds_follow_their_noise_linearly_and_have_unit_variance() -> None:
    x, y = gaussian((2, 64, *SHAPE), generator(5))
    clouds = cloudy(SIDE)
    assert torch.allclose(clouds(2 * x - y), 2 * clouds(x) - clouds(y), atol=1e-4)
    assert clouds(x).var().item() == pytest.approx(1, rel=0.2)


def test_over_independent_noise_distances_of_clouds_grow_as_the_theory_says() -> None:
    """Squared by 1 + 1/(m-1) = 4/3, on the same noises."""
    couplings = {"repulsive": repulsive(4), "independent": equicorrelated(4, 0.0)}
    rewards = compared(couplings, SHAPE, cloudy(SIDE), diversity, generator(6), 40)
    ratio = rewards["repulsive"].mean() / rewards["independent"].mean()
    assert ratio == pytest.approx(math.sqrt(4 / 3), rel=0.02)
    assert (rewards["repulsive"] > rewards["independent"]).all()


def test_what_settled_is_a_mean_of_correlations_whatever_turns() -> None:
    rng = np.random.default_rng(0)
    turned = [np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(6)]
    steps = [LearningStep(i, 6, 0.0, Coupling(repulsive(4).matrix @ turn)) for i, turn in enumerate(turned)]
    assert np.allclose(settled(steps).correlation, repulsive(4).correlation, atol=1e-9)
    halves = [LearningStep(i, 4, 0.0, equicorrelated(3, rho)) for i, rho in enumerate((1.0, 1.0, 0.2, 0.4))]
    assert np.allclose(off_diagonal(settled(halves)), 0.3)


def test_the_unit_of_a_reward_changes_nothing() -> None:
    def end(unit: float) -> np.ndarray:
        def reward(samples: Tensor) -> Tensor:
            return unit * diversity(samples)

        *_, last = learned(equicorrelated(3, 0.0), (64,), lambda x: x, reward, generator(7), steps=20)
        return last.coupling.matrix

    assert np.allclose(end(1.0), end(2.0**-30), atol=1e-6)


def test_the_same_seed_learns_the_same() -> None:
    first, again = (
        settled(list(learned(equicorrelated(3, 0.0), (64,), lambda x: x, nearest, generator(8), steps=9)))
        for _ in range(2)
    )
    assert first.matrix.tobytes() == again.matrix.tobytes()


def no_number(samples: Tensor) -> Tensor:
    return (samples * torch.nan).sum()


def steep(samples: Tensor) -> Tensor:
    """Finite, and of infinite slope."""
    return (samples * 0).sqrt().sum()


@pytest.mark.parametrize(
    ("reward", "says"),
    [
        (no_number, "the reward is nan"),
        (steep, "or its gradient no number, in step 1"),
        (lambda x: x.mean(1), "not one differentiable number"),
        (lambda x: x.detach().sum(), "not one differentiable number"),
    ],
)
def test_a_reward_that_is_none_is_refused_in_one_line(reward: object, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        list(learned(repulsive(2), (3,), lambda x: x, reward, generator(0)))  # type: ignore[arg-type]
    assert caught.value.hint


def test_steps_and_samples_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidInput, match="learn nothing"):
        list(learned(repulsive(2), (3,), lambda x: x, diversity, generator(0), steps=0))
    with pytest.raises(InvalidInput, match=r"shape \[4\] became samples of \[2\]"):
        list(learned(repulsive(2), (4,), lambda x: x[:, :2], diversity, generator(0)))


def test_more_variants_than_memory_allows_are_refused_saying_how_many_fit() -> None:
    one = 64 * 3 * 64**2
    check_gallery(5, 64, 5 * one)
    with pytest.raises(OutOfMemory, match="6 variants of 64 px do not fit into memory, which has room for 5"):
        check_gallery(6, 64, 5 * one)
    for size in (0, 16, 40, 2048):
        with pytest.raises(InvalidInput, match=f"pictures of {size} px"):
            check_gallery(2, size)
