"""One layout for several prompts, or several materials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import InvalidInput
from weft.models.materials.catalogue import render
from weft.noise import gaussian, generator
from weft.schedule import Schedule
from weft.stepper import ddim

pytest.importorskip("diffusers")
from practice_components import components

from weft.models.networks.image_model import Conditioning
from weft.models.networks.open_model import open_model
from weft.tasks.shared_layout import (
    materials_of_one_layout,
    pictures_of_one_layout,
    samples_of_one_layout,
)

SIDE, STEPS = 64, 4
PROMPTS = ("a fox", "a stone wall")


def alone(denoiser: Denoiser, schedule: Schedule, x: Tensor) -> Tensor:
    x0 = x
    for level, next_level in schedule:
        x0 = denoiser(x, level)
        x = ddim(x, x0, level, next_level)
    return x0


@pytest.mark.parametrize("name", ["sd3.5-medium", "flux2-klein"])
def test_two_prompts_of_a_flow_model(models_folder: Path, name: str) -> None:
    model = open_model(components(models_folder, name))
    schedule = model.levels_at(SIDE, SIDE).schedule(STEPS)
    side = SIDE // model.codec.factor
    shape = (1, model.codec.channels, side, side)
    denoisers = [model.bind(Conditioning((words,), guidance=model.card.guidance)) for words in PROMPTS]

    free = samples_of_one_layout(denoisers, schedule, shape, strength=0.0, seed=3)
    x = gaussian(shape, generator(3, 0)) * schedule.levels[0].sigma
    for sample, denoiser in zip(free, denoisers, strict=True):
        assert torch.equal(sample, alone(denoiser, schedule, x))
    same = samples_of_one_layout([denoisers[0]] * 2, schedule, shape, strength=0.6, seed=3)
    assert torch.equal(*same)
    torch.testing.assert_close(same[0], free[0], rtol=0, atol=1e-5)
    tied = samples_of_one_layout(denoisers, schedule, shape, strength=0.5, seed=3)
    assert (tied[0] - tied[1]).abs().mean() < 0.95 * (free[0] - free[1]).abs().mean()


def test_pictures_of_prompts(models_folder: Path) -> None:
    model = open_model(components(models_folder, "flux2-klein"))
    pictures = pictures_of_one_layout(model, PROMPTS, (SIDE, 2 * SIDE), steps=2)
    assert pictures.shape == (2, 3, SIDE, 2 * SIDE)
    assert pictures.abs().max() <= 1
    assert not torch.equal(pictures[0], pictures[1])
    with pytest.raises(InvalidInput, match="not multiples"):
        pictures_of_one_layout(model, PROMPTS, (SIDE, SIDE + 8), steps=2)


def test_two_materials_take_one_layout_and_keep_their_colours() -> None:
    exemplars = [render(name, 96) for name in ("zebra", "brain coral")]

    def likeness(strength: float) -> float:
        pictures = materials_of_one_layout(exemplars, (96, 96), steps=10, strength=strength, seed=1)
        for picture, exemplar in zip(pictures, exemplars, strict=True):
            assert np.abs(picture.mean((0, 1)) - exemplar.mean((0, 1))).max() < 0.12
        return float(np.corrcoef(*(picture.mean(-1).ravel() for picture in pictures))[0, 1])

    assert likeness(0.0) < 0.4
    assert likeness(0.5) > 0.7
