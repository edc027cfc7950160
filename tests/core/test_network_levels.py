"""Noise levels of networks: the walk, the steps and the estimates are those of diffusers' own schedulers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler

from weft.errors import BadCheckpoint, InvalidInput
from weft.models.networks.noise_levels import DiffusionLevels, FlowLevels, last_part, variance_preserving
from weft.noise import gaussian, generator
from weft.schedule import CLEAN, NoiseLevel, flow, from_noise_ratios
from weft.stepper import ddim, flow_euler

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
WALKS = {  # where DDIM's own step ends at the timestep that it visits next
    "sd15": (10, {**SD, "steps_offset": 1, "set_alpha_to_one": False, "skip_prk_steps": True}),
    "clean end": (30, {**SD, "steps_offset": 1}),
    "linear": (25, {"steps_offset": 1, "set_alpha_to_one": False}),
    "squared cosine": (10, {"beta_schedule": "squaredcos_cap_v2", "steps_offset": 1}),
    "trailing": (20, {**SD, "timestep_spacing": "trailing", "set_alpha_to_one": False}),
    "zero SNR": (10, {**SD, "timestep_spacing": "trailing", "rescale_betas_zero_snr": True}),
    "linspace": (1000, {**SD, "timestep_spacing": "linspace"}),
}
PAIRS = [
    (walk, prediction)
    for walk in WALKS
    for prediction in ("epsilon", "v_prediction", "sample")
    if (walk, prediction) != ("zero SNR", "epsilon")  # where the noise does not tell x0
]


def walked(config: dict, steps: int) -> tuple[DiffusionLevels, Any]:
    known = {name: value for name, value in config.items() if name != "skip_prk_steps"}
    scheduler: Any = DDIMScheduler(**{**known, "clip_sample": False})
    scheduler.set_timesteps(steps)
    # In double precision: its own rounding of 1 - ᾱ_t/ᾱ_s, near 1, is what would be compared otherwise.
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.final_alpha_cumprod = scheduler.final_alpha_cumprod.double()
    return DiffusionLevels(config), scheduler


def images(seed: int) -> torch.Tensor:
    return gaussian((2, 4, 8, 8), generator(seed)).double()


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize(("walk", "prediction"), PAIRS)
def test_steps_are_those_of_diffusers(walk, prediction, eta):
    steps, config = WALKS[walk]
    levels, scheduler = walked({**config, "prediction_type": prediction}, steps)
    schedule = levels.schedule(steps)
    assert len(schedule) == steps
    chosen = {0, steps // 3, steps - 2, steps - 1}
    for index, (level, next_level) in enumerate(schedule):
        t = scheduler.timesteps[index]
        assert levels.timestep(level) == int(t)
        if index in chosen:
            x, predicted, noise = images(1), images(2), images(3)
            # DDIM at α = 0 divides by zero to find the variance of its noise.
            own = 0.0 if level.alpha == 0 else eta
            theirs = scheduler.step(predicted, int(t), x, eta=own, variance_noise=noise if own else None)
            x0 = levels.x0(x, predicted, level)
            assert torch.allclose(x0, theirs.pred_original_sample, rtol=1e-9, atol=1e-9)
            x_next = ddim(x, x0, level, next_level, eta=own, noise=noise)
            assert torch.allclose(x_next, theirs.prev_sample, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("steps", [7, 30])
def test_all_spacings_ask_at_the_timesteps_of_diffusers(spacing, steps):
    levels, scheduler = walked({**SD, "timestep_spacing": spacing}, steps)
    schedule = levels.schedule(steps)
    assert [levels.timestep(level) for level in schedule.levels[:-1]] == scheduler.timesteps.tolist()
    bars = scheduler.alphas_cumprod[scheduler.timesteps].double().numpy()
    np.testing.assert_allclose(schedule.alphas[:-1] ** 2, bars, rtol=1e-12)
    assert schedule.levels[-1] == CLEAN


def test_the_walk_of_stable_diffusion_ends_before_the_clean_level():
    levels, scheduler = walked({**SD, "steps_offset": 1, "set_alpha_to_one": False}, 30)
    assert levels.schedule(30).alphas[-1] ** 2 == pytest.approx(float(scheduler.alphas_cumprod[0]), rel=1e-12)


def test_a_last_step_that_would_not_move_ends_clean():
    levels, _ = walked({**SD, "timestep_spacing": "linspace", "set_alpha_to_one": False}, 10)
    assert levels.schedule(10).levels[-1] == CLEAN


def test_every_trained_level_has_its_timestep_and_others_lie_between():
    levels, scheduler = walked(SD, 30)
    bars = scheduler.alphas_cumprod.double().numpy()
    found = [levels.timestep(NoiseLevel(float(np.sqrt(bar)), float(np.sqrt(1 - bar)))) for bar in bars]
    assert found == list(range(1000))
    ratios = [level.s for level in from_noise_ratios(np.sqrt((1 - bars) / bars)[::-1]).levels[:-1]]
    middle = [float(np.sqrt(a * b)) for a, b in pairwise(ratios)]
    between = [levels.timestep(level) for level in from_noise_ratios(middle).levels[:-1]]
    np.testing.assert_allclose(between, np.arange(999)[::-1] + 0.5, atol=1e-6)


def test_levels_beyond_the_trained_ones_are_the_outermost():
    levels, _ = walked(SD, 30)
    assert levels.timestep(CLEAN) == levels.timestep(NoiseLevel(1.0, 1e-6)) == 0
    assert levels.timestep(NoiseLevel(0.0, 1.0)) == levels.timestep(NoiseLevel(0.001, 1.0)) == 999


def test_other_levels_of_the_same_snr_are_the_same_to_a_diffusion_network():
    levels, _ = walked(SD, 30)
    x0, eps = images(1), images(2)
    for level in flow(5).levels[1:-1]:
        x, inside = variance_preserving(level.alpha * x0 + level.sigma * eps, level)
        assert inside.alpha**2 + inside.sigma**2 == pytest.approx(1)
        assert levels.timestep(inside) == pytest.approx(levels.timestep(level))
        assert torch.allclose(levels.x0(x, eps, inside), x0, atol=1e-4)


@pytest.mark.parametrize(("config", "mu"), [({"shift": 3.0}, None), ({"use_dynamic_shifting": True}, 1.1)])
def test_flow_steps_are_those_of_diffusers(config, mu):
    steps = 6
    scheduler: Any = FlowMatchEulerDiscreteScheduler(**config)
    if mu is None:
        scheduler.set_timesteps(steps)
    else:
        scheduler.set_timesteps(sigmas=[1 - k / steps for k in range(steps)], mu=mu)
    levels = FlowLevels(config, None if mu is None else lambda steps: mu)
    schedule = levels.schedule(steps)
    assert schedule.levels[-1] == CLEAN
    x = images(1)
    for t, (level, next_level) in zip(scheduler.timesteps, schedule, strict=True):
        velocity = images(2)
        x_next = flow_euler(x, levels.x0(x, velocity, level), level, next_level)
        theirs = scheduler.step(velocity, t, x, return_dict=False)[0].double()
        assert levels.timestep(level) == pytest.approx(float(t), abs=1e-3)
        assert torch.allclose(x_next, theirs, atol=1e-5)
        x = theirs


@pytest.mark.parametrize(("strength", "kept"), [(1.0, 10), (0.8, 8), (0.55, 5), (0.05, 1)])
def test_strength_is_the_last_part_of_the_way(strength, kept):
    levels, _ = walked(SD, 10)
    whole = levels.schedule(10)
    part = levels.from_strength(whole, strength)
    assert part.levels == whole.levels[-kept - 1 :]


def test_wrong_values_are_refused():
    levels, _ = walked({**SD, "steps_offset": 1}, 10)
    for strength in (0.0, 1.1):
        with pytest.raises(InvalidInput, match="strength"):
            last_part(levels.schedule(5), strength)
    for steps in (0, 1001):
        with pytest.raises(InvalidInput, match="outside 1 to 1000"):
            levels.schedule(steps)
    with pytest.raises(InvalidInput, match="begin beyond"):
        levels.schedule(1000)
    with pytest.raises(InvalidInput, match="less than one"):
        FlowLevels({}).schedule(0)
    for config in ({"beta_schedule": "odd"}, {"prediction_type": "odd"}, {"rescale_betas_zero_snr": True}):
        with pytest.raises(BadCheckpoint):
            DiffusionLevels(config)
