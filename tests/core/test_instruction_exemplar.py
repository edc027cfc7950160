"""The embedded instruction: what its three estimates know, windows, masks, sizes, and what jobs turn into."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from weft.errors import InvalidImage, InvalidInput
from weft.methods.score_distillation import RULES, Batch, Distillation, Place
from weft.models.aligned_source import AlignedSource
from weft.models.materials import render
from weft.noise import gaussian, generator
from weft.tasks.distilled_images import distilled_images
from weft.tasks.instruction_choice import choose_instruction
from weft.tasks.instruction_exemplar import ExemplarInstruction
from weft.tasks.style_guides import rank_guides


def clouds(seed: int, height: int, width: int, views: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).random((views, height, width, 3), np.float32)
    smooth = ndimage.gaussian_filter(noise, (0, 3, 3, 0))
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


STYLE = render("oil paint", 64)
OWN = ExemplarInstruction(STYLE)


def noised(images: np.ndarray, t: float, places: tuple[Place, ...] | None = None) -> tuple[torch.Tensor, Any, Batch]:
    x, level = OWN.encode(images), OWN.level_at(t)
    batch = Batch(x, places or tuple(Place(i) for i in range(len(x))), x)
    return level.alpha * x + level.sigma * gaussian(tuple(x.shape), generator(0)), level, batch


def test_the_aligned_source_is_the_posterior_over_shifts() -> None:
    """Against nine Gaussians, plainly: patches of coarse pixels, tempered."""
    source = torch.from_numpy(clouds(0, 16, 24)).permute(0, 3, 1, 2) * 2 - 1
    model, level = AlignedSource(), OWN.level_at(0.45)
    d = 2
    assert 1 < level.s <= 2
    x = level.alpha * source + level.sigma * gaussian(tuple(source.shape), generator(1))
    y, grown = (x / level.alpha)[0].numpy(), np.pad(source[0].numpy(), ((0, 0), (d, d), (d, d)), mode="reflect")
    shifts = [grown[:, i : i + 16, j : j + 24] for i, j in itertools.product((0, d, 2 * d), repeat=2)]

    def coarse(image: np.ndarray) -> np.ndarray:
        return image.reshape(3, 8, d, 12, d).mean((2, 4))

    costs = []
    for shifted in shifts:
        error = np.pad(((coarse(y) - coarse(shifted)) ** 2).sum(0), 2, mode="edge")
        costs.append(np.lib.stride_tricks.sliding_window_view(error, (5, 5)).sum((2, 3)))
    logits = np.stack(costs) / (-2 * 4.0 * (level.s / d) ** 2)
    weights = np.exp(logits - logits.max(0))
    weights = (weights / weights.sum(0)).repeat(d, 1).repeat(d, 2)
    expected = (weights[:, None] * np.stack(shifts)).sum(0)
    torch.testing.assert_close(model(x, level, source)[0], torch.from_numpy(expected), rtol=1e-4, atol=1e-4)


def test_the_source_branch_knows_the_source_and_not_too_well() -> None:
    source = torch.from_numpy(clouds(0, 32, 32)).permute(0, 3, 1, 2) * 2 - 1
    model = AlignedSource()
    errors = []
    for t in (0.02, 0.2, 0.5):
        level = OWN.level_at(t)
        x = level.alpha * source + level.sigma * gaussian(tuple(source.shape), generator(1))
        errors.append(float((model(x, level, source) - source).abs().mean()))
        assert errors[-1] < 0.3 * float((x / level.alpha - source).abs().mean())
    assert 0 < errors[0] < errors[1] < errors[2]  # an exact one would return the noise itself


def test_guidance_combines_the_three_estimates() -> None:
    """At ω = 1 the target is y alone; other ω extrapolate along the same s and y."""
    images = clouds(2, 32, 48)
    x, level, batch = noised(images, 0.4)

    def target(source_guidance: float, guidance: float) -> torch.Tensor:
        own = ExemplarInstruction(STYLE, source_guidance=source_guidance, guidance=guidance)
        return own.estimator(images, None, 0).target(x, level, batch)

    s, y = target(1, 0), target(1, 1)
    estimator = OWN.estimator(images, None, 0)
    torch.testing.assert_close(s, estimator.source(x, level, batch))
    torch.testing.assert_close(target(1, 1.5), s + 1.5 * (y - s))
    u = target(0, 0)
    assert min((u - s).abs().mean(), (u - y).abs().mean()) > 0.02


def test_sides_need_no_unit() -> None:
    """What is painted does not depend on how a picture is filled up."""
    images = clouds(3, 41, 50)
    x, level, batch = noised(images, 0.3)
    x0 = OWN.estimator(images, None, 0).target(x, level, batch)
    assert x0.shape == x.shape
    assert torch.isfinite(x0).all()
    assert OWN.estimator(images, None, 0).source(x, level, batch).shape == x.shape


def test_windows_are_guided_by_what_they_show() -> None:
    """A window of a source is estimated as an image of its own with that window's guide; ranks are of all sources."""
    large = clouds(4, 64, 96, views=2)
    places = (Place(1, 16, 40), Place(0, 3, 5))
    cut = np.stack([large[p.image, p.top : p.top + 32, p.left : p.left + 48] for p in places])
    x, level, batch = noised(cut, 0.25, places)
    found = OWN.estimator(large, None, 0)
    exact = found.source(x, level, batch)
    alone = OWN.estimator(cut, None, 0).source(x, level, Batch(x, (Place(0), Place(1)), batch.x))
    torch.testing.assert_close(exact, alone)
    painted = found.target(x, level, batch)
    tones = [np.corrcoef(p.mean(0).numpy().ravel(), c.mean(2).ravel())[0, 1] for p, c in zip(painted, cut, strict=True)]
    assert min(tones) > 0.7
    elsewhere = found.target(x, level, Batch(batch.x, (Place(0, 0, 0), Place(1, 30, 0)), batch.x))
    assert (elsewhere - painted).abs().mean() > 0.02


def test_ranks_are_of_all_pictures_that_may_change() -> None:
    images, style = clouds(5, 24, 32, views=2), clouds(6, 32, 32)[0]
    mask = np.ones(images.shape[:3], bool)
    views, own = rank_guides(images, mask, style)
    assert views.shape == (2, 24, 32, 1)
    assert own.shape == (32, 32, 1)
    for guide in (views, own):  # ranks are uniform, whatever the pictures
        assert np.quantile(guide, [0, 0.25, 0.5, 0.75, 1]) == pytest.approx([-1, -0.5, 0, 0.5, 1], abs=0.01)
    darker, _ = rank_guides(0.5 * images + 0.1, mask, style)
    np.testing.assert_allclose(darker, views, atol=0.01)
    mask[1] = False
    of_first, _ = rank_guides(images, mask, style)
    np.testing.assert_allclose(of_first[:1], rank_guides(images[:1], mask[:1], style)[0])


def test_what_may_not_change_stays_and_the_seed_decides() -> None:
    images = clouds(7, 40, 32, views=2)
    masks = np.zeros(images.shape[:3], bool)
    masks[:, :, 16:] = True
    settings = Distillation(steps=3)

    def run(seed: int) -> np.ndarray:
        *_, last = distilled_images(OWN, images, settings, batch=1, masks=masks, seed=seed)
        return last.images()

    edited = run(0)
    assert np.array_equal(edited[:, :, :16], images[:, :, :16])
    assert np.abs(edited - images)[:, :, 16:].mean() > 0.02
    assert np.array_equal(edited, run(0))
    assert not np.array_equal(edited, run(1))


def test_jobs_get_what_suits_the_model_or_their_own() -> None:
    asked: dict[str, Any] = {
        "prompt": "mossy stone", "exemplar": None, "fidelity": 0.3, "pattern_scale": 1.0, "rule": "csd_edit",
        "repulsion": True, "iterations": 0, "rate": 0.0, "noise_low": 0.0, "noise_high": 0.0,
    }  # fmt: skip
    own, settings, material = choose_instruction(**asked)
    assert isinstance(own, ExemplarInstruction)
    assert (own.fidelity, settings, material["name"]) == (0.3, own.defaults, "mossy stone")
    changed: dict[str, Any] = asked | {"exemplar": STYLE, "rule": "dds", "iterations": 9, "rate": 0.2}
    _, settings, material = choose_instruction(**changed)
    assert (settings.rule, settings.steps, settings.rate) == (RULES["dds"], 9, 0.2)
    assert settings.rate_end == pytest.approx(0.2 / 5)
    assert material["name"] == "reference image"


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InvalidInput, match="fidelity"):
        ExemplarInstruction(STYLE, fidelity=1.5)
    with pytest.raises(InvalidImage, match="24"):
        ExemplarInstruction(STYLE[:20])
    with pytest.raises(InvalidInput, match="nothing may change"):
        OWN.estimator(clouds(8, 32, 32), np.zeros((1, 32, 32), bool), 0)
