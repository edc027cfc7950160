"""DDIM inversion: there and back again, on models whose posterior means are known."""

from __future__ import annotations

import pytest
import torch

from weft.errors import InvalidInput
from weft.methods.inversion import inverted, sampled
from weft.models.gaussian_mixture import GaussianMixture, diagonal
from weft.noise import gaussian, generator
from weft.schedule import Schedule, flow, stable_diffusion

SHAPE = (2, 1, 8, 8)


def smooth() -> GaussianMixture:
    """One Gaussian, surer of some pixels than of others."""
    return GaussianMixture([diagonal(torch.full(SHAPE[1:], 0.1), torch.linspace(0.05, 0.3, 8))])


def images(seed: int = 0) -> torch.Tensor:
    return 0.1 + 0.3 * gaussian(SHAPE, generator(seed)).double()


def missed(model: GaussianMixture, schedule: Schedule, refinements: int, start: torch.Tensor | None = None) -> float:
    """RMS of what sampling from the inverted noise misses of the images."""
    wanted = images()
    *_, last = inverted(wanted, model, schedule, refinements=refinements, noise=start)
    return float((sampled(last.noise, model, schedule) - wanted).square().mean().sqrt())


@pytest.mark.parametrize("schedule", [stable_diffusion(8), flow(8)], ids=["diffusion", "flow"])
def test_what_is_refined_comes_back_to_float_precision(schedule: Schedule) -> None:
    assert missed(smooth(), schedule, 0) > 1e-2
    assert missed(smooth(), schedule, 80) < 1e-6


def test_a_refinement_leaves_less_of_what_is_missing() -> None:
    errors = [missed(smooth(), stable_diffusion(12), count) for count in (0, 2, 8, 32)]
    assert errors == sorted(errors, reverse=True)


def test_more_steps_leave_a_smaller_error() -> None:
    """Of first order: four times as many steps, about a quarter of the error."""
    errors = [missed(smooth(), stable_diffusion(steps), 0) for steps in (8, 32, 128)]
    assert errors[1] < errors[0] / 2
    assert errors[2] < errors[1] / 2


def test_a_gaussian_is_inverted_to_its_closed_form() -> None:
    """x_t = x_0 √(α²c² + σ²) / c, the solution of the ODE for N(0, c²)."""
    c, schedule = 0.4, stable_diffusion(250)
    model = GaussianMixture([diagonal(torch.zeros(SHAPE[1:]), c**2)])
    *_, last = inverted(images(), model, schedule, refinements=2)
    level = schedule.levels[0]
    expected = images() * ((level.alpha * c) ** 2 + level.sigma**2) ** 0.5 / c
    assert torch.allclose(last.noise * level.sigma, expected, rtol=0.02)


def test_an_image_that_is_known_exactly_keeps_the_noise_that_it_began_with() -> None:
    """The model knows one image: every noise becomes it, and from the image itself alone comes no noise."""
    known = images()[0]
    model = GaussianMixture([diagonal(known, 0.0)])
    start = gaussian(SHAPE, generator(3)).double()
    schedule = stable_diffusion(12)
    *_, weak = inverted(known.expand(SHAPE), model, schedule)
    *_, last = inverted(known.expand(SHAPE), model, schedule, noise=start)
    alpha, sigma = schedule.levels[0].alpha, schedule.levels[0].sigma
    assert torch.allclose(weak.noise * sigma, alpha * known.expand(SHAPE))
    assert torch.allclose(last.noise * sigma, alpha * known + sigma * start)


def test_each_step_says_where_it_is() -> None:
    schedule = stable_diffusion(5)
    steps = list(inverted(images(), smooth(), schedule))
    assert [(step.index, step.total) for step in steps] == [(i, 5) for i in range(5)]
    assert [step.level for step in steps] == list(schedule.levels[-2::-1])


def test_a_schedule_must_make_images() -> None:
    with pytest.raises(InvalidInput, match="makes no images"):
        next(inverted(images(), smooth(), stable_diffusion(12).until(0.5)))
