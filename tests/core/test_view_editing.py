"""The table of ways to edit views: what each row comes down to where the models are known exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import InvalidInput, UnknownName
from weft.methods.coupled_sampling import Trajectory, coupled
from weft.methods.synchronized import synchronized
from weft.methods.view_editing import WAYS, Models, edited_views, find_way
from weft.models.gaussian_mixture import GaussianMixture, diagonal
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel, Schedule, stable_diffusion
from weft.spaces.linear import lookup

SHAPE = (2, 3, 4, 4)
STEPS = 10
EDITOR, PRIOR = -0.4, 0.5
SPACE = lookup(torch.arange(16).repeat(2).int().numpy(), 16, (2, 4, 4))  # both views show the same sixteen cells


def model(mean: float, variance: float = 0.2) -> GaussianMixture:
    return GaussianMixture([diagonal(torch.full(SHAPE[1:], mean).double(), variance)], (1.0,))


def agreed(x0: Tensor, level: NoiseLevel) -> Tensor:
    return SPACE.synchronize(x0)[0]


def source(seed: int = 3) -> Callable[[], Tensor]:
    own = generator(seed, 7)
    return lambda: gaussian(SHAPE, own)


def first(schedule: Schedule, seed: int = 0) -> Tensor:
    return schedule.levels[0].sigma * gaussian(SHAPE, generator(seed))


def result(way: str, models: Models, schedule: Schedule | None = None, strength: float = 0.4, **changes: Any) -> Tensor:
    schedule = schedule or stable_diffusion(STEPS)
    options: dict[str, Any] = {"noise": source()} | changes
    *_, step = edited_views(find_way(way), models, schedule, first(schedule), strength=strength, **options)
    assert step.index == step.total - 1
    return step.x0


def alone(denoiser: Denoiser, schedule: Schedule, eta: float = 1.0) -> Tensor:
    space = lookup(torch.arange(32).int().numpy(), 32, (2, 4, 4))
    *_, step = synchronized(denoiser, space, schedule, first(schedule), eta=eta, noise=source())
    return step.x0


@pytest.mark.parametrize(("way", "mean"), [("per_view", EDITOR), ("single_edit", PRIOR)])
def test_one_model_goes_as_it_would_alone(way: str, mean: float) -> None:
    models = Models(model(EDITOR), model(PRIOR), agreed)
    torch.testing.assert_close(result(way, models), alone(model(mean), stable_diffusion(STEPS)), rtol=0, atol=1e-6)


def test_coupling_is_that_of_coupled_sampling_and_its_result_the_priors() -> None:
    schedule, noise = stable_diffusion(STEPS), source()
    parts = [Trajectory(model(mean), schedule, first(schedule), 1.0, noise) for mean in (EDITOR, PRIOR)]
    *_, step = coupled(parts, 0.4)
    models = Models(model(EDITOR), model(PRIOR), agreed)
    assert torch.equal(result("coupled", models), step.x0[1])


def test_the_same_model_twice_is_that_model_averaged() -> None:
    models = Models(model(EDITOR), model(EDITOR), agreed)
    assert torch.equal(result("averaging", models), result("per_view", models))


def test_the_average_of_two_gaussians_lies_between_them() -> None:
    """(A + B)/2 of two Gaussians of one variance is the denoiser of the Gaussian between them, exactly."""
    middle = Models(model((EDITOR + PRIOR) / 2))
    models = Models(model(EDITOR), model(PRIOR), agreed)
    torch.testing.assert_close(result("averaging", models), result("per_view", middle), rtol=0, atol=1e-5)


def test_langevin_keeps_the_moments_of_a_gaussian() -> None:
    """Unadjusted, so within a few parts of the step size; the wrong score would move mean or variance at once."""
    shape = (2000, 3, 4, 4)
    own = generator(5)
    schedule = stable_diffusion(40)
    mixture = model(EDITOR, 0.25)
    models = Models(mixture, mixture)
    x = schedule.levels[0].sigma * gaussian(shape, own)
    ends = {}
    for way in ("averaging", "averaging_mcmc"):
        steps = edited_views(find_way(way), models, schedule, x, strength=0.0, noise=lambda: gaussian(shape, own))
        *_, step = steps
        ends[way] = step.x0
    assert ends["averaging_mcmc"].mean().item() == pytest.approx(EDITOR, abs=0.02)
    assert ends["averaging_mcmc"].var().item() == pytest.approx(ends["averaging"].var().item(), rel=0.08)


def test_tied_views_agree_and_are_synctweedies() -> None:
    schedule = stable_diffusion(STEPS)
    models = Models(model(EDITOR), None, agreed)
    tied = result("synchronized", models)
    assert torch.equal(tied[0], tied[1])
    *_, step = synchronized(model(EDITOR), SPACE, schedule, first(schedule), eta=1.0, noise=source())
    torch.testing.assert_close(tied, step.x0, rtol=0, atol=1e-6)


def test_agreeing_once_is_f_of_the_independent_result() -> None:
    models = Models(model(EDITOR), None, agreed)
    assert torch.equal(result("synchronized_once", models), agreed(result("per_view", models), NoiseLevel(1.0, 0.0)))


def test_sdedit_from_the_whole_way_forgets_the_edit_and_from_its_end_keeps_it() -> None:
    sharp = model(PRIOR, 1e-4)  # what it is shown is drawn to its mean
    models = Models(model(EDITOR, 0.2), sharp, agreed)
    forgotten = result("sdedit", models, start_at=1.0)
    assert forgotten.mean().item() == pytest.approx(PRIOR, abs=0.02)
    broad = Models(model(EDITOR, 0.2), model(PRIOR, 50.0), agreed)  # nearly flat: leaves what it is shown
    assert (result("sdedit", broad, start_at=0.1) - result("per_view", broad)).abs().mean() < 0.1


@pytest.mark.parametrize("name", WAYS)
def test_every_way_repeats_to_the_bit(name: str) -> None:
    models = Models(model(EDITOR), model(PRIOR), agreed)
    assert torch.equal(result(name, models), result(name, models))


def test_what_a_way_lacks_is_named() -> None:
    with pytest.raises(UnknownName, match="no way"):
        find_way("osmosis")
    with pytest.raises(InvalidInput, match="prior"):
        result("coupled", Models(model(EDITOR)))
    with pytest.raises(InvalidInput, match="share"):
        result("synchronized", Models(model(EDITOR)))
    with pytest.raises(InvalidInput, match="noise"):
        result("sdedit", Models(model(EDITOR), model(PRIOR)), eta=0.0, noise=None)
    with pytest.raises(InvalidInput, match="start_at"):
        result("sdedit", Models(model(EDITOR), model(PRIOR)), start_at=0.0)
