"""Networks as instructions: what each branch is told, against a plain combination of single evaluations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from weft.errors import InvalidInput
from weft.methods.score_distillation import RULES, Batch, Place
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel

pytest.importorskip("diffusers")
from practice_components import components

from weft.models.cards import CARDS
from weft.models.networks.image_model import Conditioning, as_planes
from weft.models.networks.open_model import open_model
from weft.tasks.distilled_images import distilled_images
from weft.tasks.instruction_choice import choose_instruction
from weft.tasks.instruction_network import NetworkInstruction
from weft.tasks.network import Network

SIDE = 64
WORDS, NEGATIVE = "make it autumn", "blurry"


@pytest.fixture(scope="module")
def models(models_folder: Path) -> dict[str, Any]:
    names = ("sd15", "instruct-pix2pix", "sd15-inpainting", "flux2-klein-edit")
    return {name: open_model(components(models_folder, name)) for name in names}


def pictures(seed: int, views: int = 2, side: int = SIDE) -> np.ndarray:
    tiles = np.random.default_rng(seed).random((views, side // 8, side // 8, 3), np.float32)
    return np.kron(tiles, np.ones((1, 8, 8, 1), np.float32))


def instruction(models: dict[str, Any], name: str, words: Any = WORDS, **settings: Any) -> NetworkInstruction:
    return NetworkInstruction(Network(CARDS[name], lambda: models[name], **settings), words)


def noised(own: NetworkInstruction, sources: np.ndarray, t: float = 0.4) -> tuple[torch.Tensor, NoiseLevel, Batch]:
    x, level = own.encode(sources), own.level_at(t)
    batch = Batch(x, tuple(Place(i) for i in range(len(x))), x)
    return level.alpha * x + level.sigma * gaussian(tuple(x.shape), generator(0)), level, batch


def single(model: Any, x: torch.Tensor, level: NoiseLevel, image: np.ndarray | None, **guidance: Any) -> torch.Tensor:
    """One evaluation of the network: guidance of 0 and 1 leaves one row of its table."""
    shown = None if image is None else as_planes(image)
    return model.bind(Conditioning((WORDS,) * len(x), NEGATIVE, image=shown, **guidance))(x, level)


def test_instruct_pix2pix_is_guided_by_its_three_estimates(models: dict[str, Any]) -> None:
    sources, model = pictures(1), models["instruct-pix2pix"]
    own = instruction(models, "instruct-pix2pix", guidance=6.0, image_guidance=1.4, negative=NEGATIVE)
    estimator = own.estimator(sources, None, 0)
    x, level, batch = noised(own, sources)
    u = single(model, x, level, sources, guidance=0.0, image_guidance=0.0)
    s = single(model, x, level, sources, guidance=0.0, image_guidance=1.0)
    y = single(model, x, level, sources, guidance=1.0, image_guidance=1.0)
    assert min((u - s).abs().max(), (s - y).abs().max()) > 1e-4
    close: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(estimator.target(x, level, batch), u + 1.4 * (s - u) + 6.0 * (y - s), **close)
    torch.testing.assert_close(estimator.source(x, level, batch), u + 1.4 * (s - u), **close)


def test_models_of_words_alone_edit_by_delta_scores(models: dict[str, Any]) -> None:
    sources, model = pictures(2), models["sd15"]
    own = instruction(models, "sd15", guidance=6.0, negative=NEGATIVE)
    estimator = own.estimator(sources, None, 0)
    x, level, batch = noised(own, sources)
    u, y = (single(model, x, level, None, guidance=g) for g in (0.0, 1.0))
    torch.testing.assert_close(estimator.target(x, level, batch), u + 6.0 * (y - u), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(estimator.source(x, level, batch), u, rtol=1e-4, atol=1e-4)


def test_distilled_models_are_told_the_words_or_none(models: dict[str, Any]) -> None:
    sources, model = pictures(3), models["flux2-klein-edit"]
    own = instruction(models, "flux2-klein-edit")
    estimator = own.estimator(sources, None, 0)
    x, level, batch = noised(own, sources)
    for words, found in ((WORDS, estimator.target(x, level, batch)), ("", estimator.source(x, level, batch))):
        expected = model.bind(Conditioning((words,) * 2, guidance=1.0, image=as_planes(sources)))(x, level)
        torch.testing.assert_close(found, expected)


def test_windows_are_told_what_they_show(models: dict[str, Any]) -> None:
    """And images with words of their own these."""
    words = ["a rose", "a stone"]
    large = pictures(4, side=128)
    own = instruction(models, "instruct-pix2pix", words)
    x, level, _ = noised(own, large[:, :SIDE, :SIDE])
    places = (Place(1, 4, 8), Place(0, 0, 2))
    batch = Batch(x, places, x)
    cut = np.stack([large[p.image, p.top * 8 : p.top * 8 + SIDE, p.left * 8 : p.left * 8 + SIDE] for p in places])
    alone = instruction(models, "instruct-pix2pix", words[::-1]).estimator(cut, None, 0)
    here = Batch(x, (Place(0), Place(1)), x)
    found = own.estimator(large, None, 0)
    torch.testing.assert_close(found.target(x, level, batch), alone.target(x, level, here))
    torch.testing.assert_close(found.source(x, level, batch), alone.source(x, level, here))
    moved = Batch(x, (Place(1, 0, 0), Place(0, 0, 2)), x)
    assert (found.target(x, level, moved) - alone.target(x, level, here)).abs().max() > 1e-4


def test_times_are_those_of_the_training(models: dict[str, Any]) -> None:
    own = instruction(models, "sd15")
    levels = models["sd15"].levels
    for t in (0.001, 0.2, 0.5, 0.98):
        assert abs(levels.timestep(own.level_at(t)) - 1000 * t) <= 1
    flow = instruction(models, "flux2-klein-edit")
    assert abs(flow.level_at(0.5).sigma - 0.5) < 0.01
    assert own.level_at(1.0).sigma > own.level_at(0.98).sigma


def test_what_may_not_change_stays(models: dict[str, Any]) -> None:
    sources = pictures(5)
    masks = np.zeros((2, SIDE, SIDE), bool)
    masks[:, :, 32:] = True
    own = instruction(models, "instruct-pix2pix")
    settings = replace(own.defaults, steps=2, rule=RULES["csd_edit"])
    *_, last = distilled_images(own, sources, settings, masks=masks)
    images = last.images()
    assert np.array_equal(images[:, :, :32], sources[:, :, :32])
    assert np.abs(images[:, :, 32:] - own.decode(own.encode(sources))[:, :, 32:]).max() > 1e-3
    assert torch.equal(last.variable.x[..., :4], own.encode(sources)[..., :4])


def test_jobs_get_the_papers_settings_or_their_own(models: dict[str, Any]) -> None:
    asked: dict[str, Any] = {
        "prompt": WORDS, "exemplar": None, "fidelity": 0.6, "pattern_scale": 1.0, "rule": "csd_edit", "repulsion": True,
        "iterations": 0, "rate": 0.0, "noise_low": 0.0, "noise_high": 0.0,
    }  # fmt: skip
    network = Network(CARDS["instruct-pix2pix"], lambda: models["instruct-pix2pix"])
    own, settings, material = choose_instruction(network=network, **asked)
    assert isinstance(own, NetworkInstruction)
    assert settings == own.defaults
    assert (settings.steps, settings.times, settings.weight) == (200, (0.2, 0.5), "paper")
    assert settings.rate_at(20 / 200) == pytest.approx(2.0 * 0.9)
    assert material["name"] == "instruct-pix2pix"
    assert (own.scale, own.unit, own.window) == (8, network.model.unit, network.view_size(0))
    changed: dict[str, Any] = asked | {
        "iterations": 7,
        "rate": 0.5,
        "noise_high": 0.8,
        "rule": "csd",
        "repulsion": False,
    }
    _, settings, _ = choose_instruction(network=network, **changed)
    assert (settings.steps, settings.rate, settings.times) == (7, 0.5, (0.2, 0.8))
    assert settings.rate_end == pytest.approx(0.5 * 0.9**10)
    assert (settings.rule.kernel, settings.rule.source, settings.rule.repulsion) == (True, False, False)
    changed = asked | {"noise_high": 0.1}
    _, settings, _ = choose_instruction(network=network, **changed)
    assert settings.times == (0.1, 0.1)
    changed |= {"rule": "magic"}
    with pytest.raises(InvalidInput, match="no rule"):
        choose_instruction(network=network, **changed)
    with pytest.raises(InvalidInput, match="needs mask"):
        instruction(models, "sd15-inpainting")
