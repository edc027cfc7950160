"""Schedules fall from noise to the clean level; conversions between what networks predict are inverses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weft import schedule as sch
from weft.denoiser import guided, in_batches
from weft.errors import InvalidInput
from weft.models.gaussian_mixture import GaussianMixture, diagonal
from weft.schedule import NoiseLevel, Schedule

SCHEDULES = {
    "stable_diffusion": sch.stable_diffusion(30),
    "one step": sch.stable_diffusion(1),
    "all steps": sch.cosine(1000),
    "cosine": sch.cosine(30),
    "flow": sch.flow(30),
    "shifted flow": sch.flow(30, 3.0),
    "ratios": sch.from_noise_ratios([9.0, 3.0, 0.9, 0.1]),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_fall_to_the_clean_level(name):
    schedule = SCHEDULES[name]
    ratios = [level.s for level in schedule.levels]
    assert ratios == sorted(ratios, reverse=True)
    assert schedule.levels[-1] == sch.CLEAN
    assert len(list(schedule)) == len(schedule) == len(ratios) - 1
    assert all(before[1] == after[0] for before, after in zip(list(schedule), list(schedule)[1:], strict=False))
    if "flow" in name:
        assert np.allclose(schedule.alphas + schedule.sigmas, 1)
    else:
        assert np.allclose(schedule.alphas**2 + schedule.sigmas**2, 1)


def test_stable_diffusion_has_the_published_ends():
    levels = sch.stable_diffusion(50).levels
    assert levels[0].alpha ** 2 == pytest.approx(0.0047, abs=5e-5)  # ᾱ_999 of Stable Diffusion 1 and 2
    assert levels[-2].alpha ** 2 == pytest.approx(1 - 0.00085, abs=1e-12)


def test_shift_moves_levels_towards_noise():
    assert (sch.flow(20, 3.0).sigmas[1:-1] > sch.flow(20).sigmas[1:-1]).all()
    assert sch.flow(4, 3.0).sigmas[2] == pytest.approx(3 * 0.5 / (1 + 2 * 0.5))


def test_ratios_are_kept():
    s = [9.0, 3.0, 0.9, 0.1]
    assert np.allclose([level.s for level in sch.from_noise_ratios(s).levels], [*s, 0.0])
    assert len(sch.from_noise_ratios([1.0, 0.0])) == 1
    assert sch.flow(4).levels[0].s == math.inf


def test_slices_meet():
    schedule = sch.stable_diffusion(30)
    head, tail = schedule.until(0.9), schedule.starting_at(0.9)
    assert head.levels + tail.levels == schedule.levels
    assert head.levels[-1].s >= 0.9 > tail.levels[0].s
    assert schedule.until(0.0).levels == schedule.levels


@pytest.mark.parametrize(
    "make",
    [
        lambda: sch.stable_diffusion(0),
        lambda: sch.cosine(1001),
        lambda: sch.flow(0),
        lambda: sch.flow(4, 0.0),
        lambda: sch.from_noise_ratios([]),
        lambda: sch.from_noise_ratios([1.0, math.nan]),
        lambda: sch.from_noise_ratios([1.0, 2.0]),
        lambda: sch.from_noise_ratios([1.0, 1.0]),
        lambda: Schedule(np.ones(1), np.zeros(1)),
        lambda: Schedule(np.ones(3), np.zeros(2)),
        lambda: sch.stable_diffusion(30).starting_at(0.0),
        lambda: sch.stable_diffusion(30).until(1e6),
        lambda: sch.x0_from_eps(torch.ones(1), torch.ones(1), NoiseLevel(0.0, 1.0)),
        lambda: sch.eps_from_x0(torch.ones(1), torch.ones(1), sch.CLEAN),
        lambda: sch.v_from_x0(torch.ones(1), torch.ones(1), sch.CLEAN),
        lambda: sch.flow_from_x0(torch.ones(1), torch.ones(1), sch.CLEAN),
        lambda: in_batches(GaussianMixture([diagonal(torch.zeros(1, 1, 1), 1.0)]), 0),
    ],
)
def test_impossible_requests_are_refused_with_a_remedy(make):
    with pytest.raises(InvalidInput) as caught:
        make()
    assert caught.value.message
    assert caught.value.hint


@settings(max_examples=50, deadline=None)
@given(angle=st.floats(0.01, math.pi / 2 - 0.01), seed=st.integers(0, 99))
def test_predictions_round_trip(angle, seed):
    source = torch.Generator().manual_seed(seed)
    x0, eps = torch.randn(2, 2, 3, 4, 4, generator=source, dtype=torch.float64)
    level = NoiseLevel(math.cos(angle), math.sin(angle))
    x = level.alpha * x0 + level.sigma * eps
    assert torch.allclose(sch.x0_from_eps(x, eps, level), x0)
    assert torch.allclose(sch.eps_from_x0(x, x0, level), eps)
    v = level.alpha * eps - level.sigma * x0
    assert torch.allclose(sch.x0_from_v(x, v, level), x0)
    assert torch.allclose(sch.v_from_x0(x, x0, level), v)
    level = NoiseLevel(1 - level.sigma, level.sigma)
    x = level.alpha * x0 + level.sigma * eps
    assert torch.allclose(sch.x0_from_flow(x, eps - x0, level), x0)
    assert torch.allclose(sch.flow_from_x0(x, x0, level), eps - x0)


def test_guidance_extrapolates_and_scale_one_costs_nothing():
    level = NoiseLevel(0.6, 0.8)
    wanted = GaussianMixture([diagonal(torch.full((1, 2, 2), 0.5), 0.1)])
    anything = GaussianMixture([diagonal(torch.zeros(1, 2, 2), 1.0)])
    x = torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    assert guided(wanted, anything, 1.0) is wanted
    c, u = wanted(x, level), anything(x, level)
    assert torch.allclose(guided(wanted, anything, 0.0)(x, level), u)
    assert torch.allclose(guided(wanted, anything, 7.5)(x, level), u + 7.5 * (c - u))
    in_eps = sch.eps_from_x0(x, u, level) + 7.5 * (sch.eps_from_x0(x, c, level) - sch.eps_from_x0(x, u, level))
    assert torch.allclose(guided(wanted, anything, 7.5)(x, level), sch.x0_from_eps(x, in_eps, level), atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_micro_batches_change_nothing(size):
    denoiser = GaussianMixture([diagonal(torch.zeros(1, 2, 2), 1.0)])
    x, level = torch.randn(5, 1, 2, 2, generator=torch.Generator().manual_seed(0)), NoiseLevel(0.6, 0.8)
    assert torch.equal(in_batches(denoiser, size)(x, level), denoiser(x, level))
