"""The laws of coupled sampling: nothing at zero, symmetry, the closed form of two Gaussians, what κ keeps."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.methods.coupled_sampling import CoupledStep, Trajectory, coupled, kappa_of, matched
from weft.methods.synchronized import INDEPENDENT, synchronized
from weft.models.gaussian_mixture import GaussianMixture, diagonal
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel, Schedule, flow, from_noise_ratios, stable_diffusion
from weft.spaces.linear import identity
from weft.stepper import ddim, estimate_share

SHAPE = (2, 3, 4, 4)
VARIANCE = 0.3


def model(mean: float, variance: float = VARIANCE) -> GaussianMixture:
    return GaussianMixture([diagonal(torch.full(SHAPE[1:], mean).double(), variance)], (1.0,))


def two_modes(centre: float) -> GaussianMixture:
    """Nonlinear in x."""
    modes = [diagonal(torch.full(SHAPE[1:], centre + off).double(), 0.05) for off in (-0.3, 0.4)]
    return GaussianMixture(modes, (1.0, 2.0))


def source(seed: int) -> Callable[[], Tensor]:
    own = generator(seed, 7)
    return lambda: gaussian(SHAPE, own)


def pair(
    schedule: Schedule, *, eta: float = 1.0, seeds: tuple[int, int] = (1, 2), means=(-0.4, 0.5)
) -> list[Trajectory]:
    sigma = schedule.levels[0].sigma
    return [
        Trajectory(two_modes(mean), schedule, sigma * gaussian(SHAPE, generator(seed)), eta, source(seed))
        for mean, seed in zip(means, seeds, strict=True)
    ]


def last(trajectories: list[Trajectory], strength: float, **options) -> CoupledStep:
    *_, step = coupled(trajectories, strength, **options)
    return step


@pytest.mark.parametrize("units", ["kappa", "lambda"])
@pytest.mark.parametrize(
    ("schedule", "eta"), [(stable_diffusion(12), 1.0), (stable_diffusion(9), 0.0), (flow(10), 0.0)]
)
def test_without_strength_they_are_independent_samplers_to_the_bit(schedule: Schedule, eta: float, units: str):
    found = last(pair(schedule, eta=eta), 0.0, units=units)
    for own, x0 in zip(pair(schedule, eta=eta), found.x0, strict=True):
        *_, alone = synchronized(
            own.denoiser, identity((2, 4, 4)), schedule, own.x, case=INDEPENDENT, eta=eta, noise=own.noise
        )
        assert torch.equal(x0, alone.x0)


@pytest.mark.parametrize("strength", [0.2, 0.5, 1.0])
def test_the_same_model_with_the_same_noise_stays_the_same(strength: float):
    schedule = stable_diffusion(10)
    found = last(pair(schedule, seeds=(3, 3), means=(0.1, 0.1)), strength)
    assert torch.equal(found.x0[0], found.x0[1])
    alone = last(pair(schedule, seeds=(3, 3), means=(0.1, 0.1)), 0.0)
    torch.testing.assert_close(found.x0[0], alone.x0[0], atol=1e-6, rtol=0)


def test_it_does_not_matter_who_comes_first():
    trajectories = pair(stable_diffusion(10))
    there = last(trajectories, 0.4)
    back = last(pair(stable_diffusion(10))[::-1], 0.4)
    assert torch.equal(there.x0[0], back.x0[1])
    assert torch.equal(there.x0[1], back.x0[0])


def closed_form(s: float, start: float, apart: float, kappa: float) -> float:
    """How far apart the means of two coupled trajectories are at noise-to-signal ratio s, x/α, from 0 at `start`.

    Models N(±apart/2, v). With u = s² the mean difference D of DDPM obeys, in the limit of many steps, dD/du =
    (D - ρ δ)/u, ρ = 1 - 2κ, δ = (apart u + v D)/(v + u), so D = K u^(1-ρ) (v+u)^ρ - apart u/v.
    """
    u, begin, rho, v = s**2, start**2, 1 - 2 * kappa, VARIANCE
    constant = apart * begin**rho / (v * (v + begin) ** rho)
    return constant * u ** (1 - rho) * (v + u) ** rho - apart * u / v


@pytest.mark.parametrize("kappa", [0.0, 0.1, 0.25, 0.4, 0.5])
def test_two_gaussians_reach_the_closed_form(kappa: float):
    """Their noise is the same, so that their difference is that of their means."""
    apart, start, end = 1.2, 12.0, 0.3
    schedule = from_noise_ratios(np.append(np.geomspace(start, end, 200), 0.02))
    x = schedule.levels[0].sigma * gaussian(SHAPE, generator(0))
    trajectories = [Trajectory(model(mean), schedule, x, 1.0, source(5)) for mean in (apart / 2, -apart / 2)]
    for step in coupled(trajectories, kappa):
        if step.level.s < end * 1.02:
            break
    difference = (step.x[0] - step.x[1]) / schedule.levels[step.index + 1].alpha
    found = float(difference.mean())
    assert float(difference.std()) < 1e-5
    reached = schedule.levels[step.index + 1].s
    assert found == pytest.approx(closed_form(reached, start, apart, kappa), abs=0.005 * apart)


@pytest.mark.parametrize("steps", [15, 30, 100])
def test_kappa_means_the_same_at_any_number_of_steps(steps: int):
    """Half way between two Gaussians, as seen at s = 1, from 15 to 100 steps; λ is far from that."""

    def apart(strength: float, units: str, count: int) -> float:
        schedule = from_noise_ratios(np.append(np.geomspace(12.0, 1.0, count), 0.02))
        x = schedule.levels[0].sigma * gaussian(SHAPE, generator(0))
        trajectories = [Trajectory(model(mean), schedule, x, 1.0, source(5)) for mean in (0.6, -0.6)]
        for step in coupled(trajectories, strength, units=units):
            if step.index == count - 2:
                break
        return float((step.x[0] - step.x[1]).mean()) / schedule.levels[step.index + 1].alpha

    expected = closed_form(1.0, 12.0, 1.2, 0.2)
    assert apart(0.2, "kappa", steps) == pytest.approx(expected, rel=0.12)
    assert abs(apart(0.02, "lambda", 15) - apart(0.02, "lambda", 100)) > 0.12 * expected


def test_half_is_score_averaging_within_each_ones_noise():
    schedule = stable_diffusion(8)
    trajectories = pair(schedule)
    (level, next_level), state = next(iter(schedule)), [each.x for each in trajectories]
    first = next(coupled(pair(schedule), 0.5))
    x0 = [each.denoiser(x, level) for each, x in zip(trajectories, state, strict=True)]
    mean = (x0[0] + x0[1]) / 2
    for own, x, own_x0, moved in zip(trajectories, state, x0, first.x, strict=True):
        assert own.noise is not None
        plain = ddim(x, own_x0, level, next_level, eta=1.0, noise=own.noise())
        share = estimate_share(level, next_level, eta=1.0)
        torch.testing.assert_close(moved, plain + share * (mean - own_x0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("schedule", [stable_diffusion(9), flow(9)])
def test_the_share_of_the_estimate_is_what_a_change_of_it_changes(schedule: Schedule, eta: float):
    x, x0, change, noise = (gaussian(SHAPE, generator(seed)) for seed in range(4))
    for level, next_level in schedule:
        plain, changed = (ddim(x, each, level, next_level, eta=eta, noise=noise) for each in (x0, x0 + change))
        torch.testing.assert_close(
            changed - plain, estimate_share(level, next_level, eta=eta) * change, atol=1e-5, rtol=1e-4
        )


def test_the_papers_strength_is_a_push_by_sigma():
    schedule, strength = stable_diffusion(20), 0.01
    level, next_level = schedule.levels[12:14]
    share = estimate_share(level, next_level, eta=1.0)
    assert share * kappa_of(strength, "lambda", share, next_level) == pytest.approx(strength * next_level.sigma)
    assert kappa_of(1e3, "lambda", share, next_level) == 1.0


@pytest.mark.parametrize("kappa", [0.1, 0.3, 0.5])
def test_strength_brings_them_together(kappa: float):
    """More strength, less difference: of linear models, whose difference falls with κ."""
    schedule = stable_diffusion(20)
    x = schedule.levels[0].sigma * gaussian(SHAPE, generator(0))

    def difference(strength: float) -> float:
        step = last([Trajectory(model(mean), schedule, x, 1.0, source(5)) for mean in (0.5, -0.5)], strength)
        return float((step.x0[0] - step.x0[1]).abs().mean())

    assert difference(kappa) < difference(kappa - 0.1)


def test_three_are_pulled_to_the_mean_of_the_others():
    schedule = stable_diffusion(6)
    x = gaussian(SHAPE, generator(0))
    three = [Trajectory(model(mean), schedule, x, 1.0, source(1)) for mean in (-0.6, 0.0, 0.6)]
    step = last(three, 0.3)
    torch.testing.assert_close(step.x0[1], (step.x0[0] + step.x0[2]) / 2, atol=1e-5, rtol=0)


# Partners of different schedules


@pytest.mark.parametrize(
    ("own", "like"),
    [
        (stable_diffusion(20), flow(12)),
        (flow(12, 3.0), stable_diffusion(20)),
        (stable_diffusion(20), flow(8)),
    ],
)
def test_matched_schedules_meet_in_their_own_ways(own: Schedule, like: Schedule):
    found = matched(own, like)
    shared = [level.s for level in like.levels if level.s <= own.levels[0].s]
    np.testing.assert_allclose([level.s for level in found.levels[-len(shared) :]], shared, rtol=1e-6, atol=1e-12)
    curve = (
        found.alphas + found.sigmas if np.allclose(own.alphas + own.sigmas, 1) else found.alphas**2 + found.sigmas**2
    )
    np.testing.assert_allclose(curve, 1, atol=1e-9)
    above = [level for level in own.levels if level.s > shared[0] * (1 + 1e-6)]
    assert found.levels[: len(above)] == tuple(above)


def test_a_noisier_partner_goes_alone_first():
    diffusion = stable_diffusion(15)
    noisier = Schedule(
        np.append(from_noise_ratios([80.0, 40.0, 25.0]).alphas[:3], diffusion.alphas),
        np.append(from_noise_ratios([80.0, 40.0, 25.0]).sigmas[:3], diffusion.sigmas),
    )
    shapes = [gaussian(SHAPE, generator(seed)) for seed in (0, 1)]
    both = [
        Trajectory(two_modes(0.3), noisier, shapes[0], 0.0),
        Trajectory(two_modes(-0.3), diffusion, shapes[1], 0.0),
    ]
    steps = list(coupled(both, 0.3))
    assert [step.coupled for step in steps] == [False] * 3 + [True] * 15
    assert all(torch.equal(step.x[1], shapes[1]) for step in steps[:3])
    assert all(a.level.s > b.level.s for a, b in pairwise(steps))


def test_a_flow_and_a_diffusion_model_of_one_distribution_agree():
    """The same Gaussian behind both: coupled or not, with the same noise they are one sampler in two notations."""
    diffusion = from_noise_ratios(np.geomspace(20, 0.02, 40))
    straight = Schedule(
        1 / (1 + diffusion.sigmas / diffusion.alphas),
        (diffusion.sigmas / diffusion.alphas) / (1 + diffusion.sigmas / diffusion.alphas),
    )
    noise = gaussian(SHAPE, generator(0))
    levels = [schedule.levels[0] for schedule in (diffusion, straight)]
    both = [
        Trajectory(model(0.2), schedule, level.alpha * 0.2 + level.sigma * noise, 0.0)
        for schedule, level in zip((diffusion, straight), levels, strict=True)
    ]
    for strength in (0.0, 0.3):
        step = last(both, strength)
        torch.testing.assert_close(step.x0[0], step.x0[1], atol=1e-4, rtol=0)


# What is refused


def test_what_cannot_be_coupled_is_refused():
    schedule = stable_diffusion(6)
    good = pair(schedule)
    other = Trajectory(model(0.0), stable_diffusion(9), good[0].x, 0.0)
    larger = Trajectory(model(0.0), schedule, torch.zeros(2, 3, 8, 8), 0.0)
    silent = Trajectory(model(0.0), schedule, good[0].x)
    for trajectories, strength, units, says in (
        (good[:1], 0.1, "kappa", "nobody"),
        (good, -0.1, "lambda", "outside 0 and more"),
        (good, 1.5, "kappa", "outside 0 to 1"),
        (good, math.nan, "kappa", "outside"),
        (good, 0.1, "mu", "measured in 'mu'"),
        ([good[0], other], 0.1, "kappa", "do not meet"),
        ([good[0], larger], 0.1, "kappa", "cannot be coupled"),
        ([good[0], silent], 0.1, "kappa", "source of noise"),
    ):
        with pytest.raises(InvalidInput, match=says):
            next(coupled(trajectories, strength, units=units))
    with pytest.raises(InvalidInput, match="share no step"):
        matched(from_noise_ratios([0.5, 0.1]), Schedule(np.array([0.1, 0.5]), np.array([0.99, 0.8])))


def test_a_level_beyond_all_noise_is_found():
    assert matched(flow(6), flow(9)).levels[0] == NoiseLevel(0.0, 1.0)
