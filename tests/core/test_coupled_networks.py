"""Networks coupled: two prompts of a flow model, a diffusion model with an editor of the same latents."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from weft.errors import InvalidInput

pytest.importorskip("diffusers")
from practice_components import components

from weft.denoiser import Denoiser
from weft.methods.coupled_sampling import Trajectory, coupled
from weft.models.networks.flow_model import FlowModel
from weft.models.networks.image_model import Conditioning
from weft.models.networks.unet_model import UNetModel
from weft.noise import gaussian, generator
from weft.schedule import Schedule
from weft.stepper import ddim

SIDE = 64  # px


def alone(denoiser: Denoiser, schedule: Schedule, x: Tensor) -> Tensor:
    for level, next_level in schedule:
        x0 = denoiser(x, level)
        x = ddim(x, x0, level, next_level)
    return x0


def test_two_prompts_of_a_flow_model_meet_as_far_as_is_asked(models_folder: Path):
    model = FlowModel(components(models_folder, "sd3.5-medium"))
    schedule = model.levels_at(SIDE, SIDE).schedule(6)
    side = SIDE // model.codec.factor
    x = gaussian((1, model.codec.channels, side, side), generator(0))
    denoisers = [model.bind(Conditioning((words,), guidance=3.0)) for words in ("a fox", "a stone wall")]

    def samples(kappa: float) -> tuple[Tensor, ...]:
        *_, step = coupled([Trajectory(each, schedule, x, 0.0) for each in denoisers], kappa)
        return step.x0

    free = samples(0.0)
    for sample, denoiser in zip(free, denoisers, strict=True):
        assert torch.equal(sample, alone(denoiser, schedule, x))
    apart = [float((a - b).abs().mean()) for a, b in (samples(kappa) for kappa in (0.0, 0.2, 0.4))]
    assert apart[0] > apart[1] > apart[2] > 0


def test_an_editor_is_coupled_with_a_painter_of_its_latents(models_folder: Path):
    painter, editor = (UNetModel(components(models_folder, name)) for name in ("sd15", "instruct-pix2pix"))
    schedule = painter.levels.schedule(4)
    x = gaussian((2, 4, 8, 8), generator(1))
    image = torch.rand(2, 3, SIDE, SIDE, generator=generator(2)) * 2 - 1
    denoisers = [
        painter.bind(Conditioning(("a fox", "a fox"))),
        editor.bind(Conditioning(("make it old", "make it old"), image=image)),
    ]
    free, tied = (
        list(coupled([Trajectory(each, schedule, x, 0.0) for each in denoisers], kappa))[-1].x0 for kappa in (0.0, 0.5)
    )
    assert (tied[0] - tied[1]).abs().mean() < (free[0] - free[1]).abs().mean()


def test_models_of_different_latents_are_refused(models_folder: Path):
    small, large = UNetModel(components(models_folder, "sd15")), FlowModel(components(models_folder, "sd3.5-medium"))
    trajectories = [
        Trajectory(model.bind(Conditioning(("a fox",))), model.levels.schedule(4), gaussian(shape, generator(0)), 0.0)
        for model, shape in ((small, (1, 4, 8, 8)), (large, (1, large.codec.channels, 8, 8)))
    ]
    with pytest.raises(InvalidInput, match="one latent space"):
        next(coupled(trajectories, 0.3))
