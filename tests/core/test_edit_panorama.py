"""The task that edits panoramas, small: its events, its promises, what regions do to it, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from practice_instructions import Painted

from weft.errors import InvalidImage, InvalidInput, WeftError
from weft.methods.score_distillation import RULES, Distillation
from weft.tasks import edit_panorama as task
from weft.tasks.compositional import Region
from weft.tasks.edit_panorama import edit_panorama
from weft.tasks.events import Event, Preview, Progress, Result

SMALL: dict[str, Any] = {
    "prompt": "", "prompt_1": "", "prompt_2": "", "prompt_3": "", "prompt_4": "", "shape": "automatic", "window": 0,
    "batch": 0, "fidelity": 0.6, "pattern_scale": 1.0, "rule": "csd_edit", "repulsion": True, "iterations": 0,
    "rate": 0.0, "noise_low": 0.0, "noise_high": 0.0, "seed": 0, "report": False,
}  # fmt: skip
COLOURS = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0)}


def picture(height: int = 64, width: int = 100, seed: int = 0) -> np.ndarray:
    """f4 [H, W, 3] in [0, 1]: dark and light squares of 4 px."""
    shape = (-(-height // 4), -(-width // 4))
    grey = np.random.default_rng(seed).random(shape, np.float32).repeat(4, 0).repeat(4, 1)[:height, :width]
    return np.repeat(0.2 + 0.6 * grey[..., None], 3, 2)


def patches() -> np.ndarray:
    """An exemplar f4 [64, 64, 3] of red and yellow squares."""
    choice = np.random.default_rng(0).integers(0, 2, (16, 16)).repeat(4, 0).repeat(4, 1)
    return np.array([(0.8, 0.1, 0.1), (0.9, 0.8, 0.1)], np.float32)[choice]


def half(image: np.ndarray, *, left: bool = True) -> np.ndarray:
    mask = np.zeros(image.shape[:2], bool)
    mask[:, : image.shape[1] // 2] = True
    return mask if left else ~mask


def run(image: np.ndarray | None = None, **changes: Any) -> list[Event]:
    return list(edit_panorama(picture() if image is None else image, **{**SMALL, **changes}))


def result_of(image: np.ndarray | None = None, **changes: Any) -> Result:
    last = run(image, **changes)[-1]
    assert isinstance(last, Result)
    return last


@pytest.fixture
def plain(monkeypatch):
    """Words are colours, and the model paints in them."""

    def choose(*, prompt: str, rule: str, **_: Any) -> tuple[Painted, Distillation, dict[str, Any]]:
        return Painted(COLOURS[prompt]), Distillation(RULES[rule], steps=12, rate=0.9, rate_end=0.9), {"name": prompt}

    monkeypatch.setattr(task, "choose_instruction", choose)


# What comes


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return run(exemplar=patches(), iterations=3, report=True, shape="wide")


def test_progress_and_previews_lead_to_one_result(events):
    assert sum(isinstance(event, Result) for event in events) == 1
    phases = [event.phase for event in events if isinstance(event, Progress)]
    assert phases == ["prepare", "edit", "edit", "edit", "finish"]
    previews = [event for event in events if isinstance(event, Preview)]
    assert [event.step for event in previews] == [1, 2, 3]
    assert np.array_equal(previews[-1].image, events[-1].arrays["panorama"])


def test_the_result_is_as_large_as_the_image_and_moved_to_the_exemplar(events):
    image = events[-1].arrays["panorama"]
    assert image.shape == (64, 100, 3)
    assert image.dtype == np.float32
    assert 0 <= image.min() <= image.max() <= 1
    before = picture()
    assert image[..., 0].mean() - image[..., 2].mean() > 0.2  # the source is grey, the exemplar red and yellow
    info = events[-1].info
    assert info["patch_distance"]["everything"] < 0.8 * info["patch_distance_before"]["everything"]
    assert np.corrcoef(image[..., 1].ravel(), before[..., 1].ravel())[0, 1] > 0.3  # light stays light
    assert events[-1].arrays["contact_sheet"].shape[1] == 1280


def test_the_same_seed_gives_the_same_bytes_and_another_others():
    image = picture(64, 80)
    some = {"exemplar": patches(), "iterations": 1, "shape": "wide", "window": 48}
    one, two, other = (result_of(image, **some, seed=seed).arrays["panorama"] for seed in (3, 3, 4))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(("size", "shape"), [((64, 128), "sphere"), ((64, 100), "wide")])
def test_twice_as_wide_as_high_is_a_sphere(plain, size, shape):
    result = result_of(picture(*size), prompt="red", window=32)
    assert result.info["shape"] == shape
    np.testing.assert_allclose(result.arrays["panorama"], np.broadcast_to(COLOURS["red"], (*size, 3)), atol=0.1)


def test_wide_images_whose_borders_meet_are_edited_as_rings(plain):
    ring = np.roll(picture(64, 96), 2, 1)  # the border is in the middle of squares
    assert result_of(ring, prompt="red", window=32).info["wraps"]
    torn = ring * np.linspace(0.5, 1, 96, dtype=np.float32)[:, None]
    assert not result_of(torn, prompt="red", window=32).info["wraps"]


# Regions


@pytest.mark.parametrize("size", [(64, 128), (64, 100)])
def test_regions_get_their_own_looks_and_the_rest_stays(plain, size):
    image = picture(*size)
    masks = np.zeros((2, *size), bool)
    masks[0, :, 8:40] = True
    masks[1, 20:50, 60:90] = True
    edited = result_of(
        image, regions=[Region(masks[0]), None, Region(masks[1])], prompt_1="red", prompt_3="green", window=32
    ).arrays["panorama"]
    assert np.array_equal(edited[~masks.any(0)], image[~masks.any(0)])
    for inner, colour in ((edited[16:48, 9:39], "red"), (edited[21:49, 61:89], "green")):
        np.testing.assert_allclose(inner, np.broadcast_to(COLOURS[colour], inner.shape), atol=0.15)


def test_what_is_in_no_region_follows_the_prompt_for_all(plain):
    image = picture()
    mask = half(image)
    edited = result_of(image, regions=[Region(mask)], prompt_1="red", prompt="blue", window=32).arrays["panorama"]
    np.testing.assert_allclose(edited[:, :40], np.broadcast_to(COLOURS["red"], (64, 40, 3)), atol=0.03)
    np.testing.assert_allclose(edited[:, 60:], np.broadcast_to(COLOURS["blue"], (64, 40, 3)), atol=0.03)
    border = edited[:, 47:53]
    assert (np.abs(np.diff(border[..., 0], axis=1)) < 0.9).all()  # soft, not cut


def test_what_the_mask_leaves_out_keeps_its_bytes(plain):
    image = picture()
    edited = result_of(image, mask=half(image), prompt="red", window=32).arrays["panorama"]
    assert np.array_equal(edited[:, 50:], image[:, 50:])
    np.testing.assert_allclose(edited[:, :50], np.broadcast_to(COLOURS["red"], (64, 50, 3)), atol=0.03)


@pytest.mark.parametrize("size", [(64, 128), (70, 100)])
def test_models_in_latents_edit_a_few_windows_at_a_time_and_regions_too(monkeypatch, size):
    def choose(*, prompt: str, **_: Any) -> tuple[Painted, Distillation, dict[str, Any]]:
        model = Painted(COLOURS[prompt], scale=4, unit=16)
        return model, Distillation(RULES["dds"], steps=40, rate=0.9, rate_end=0.9), {"name": prompt}

    monkeypatch.setattr(task, "choose_instruction", choose)
    image = picture(*size)
    mask = half(image)
    events = run(image, regions=[Region(mask)], prompt_1="red", window=30)
    last = events[-1]
    assert isinstance(last, Result)
    assert last.info["windows"] == 4
    assert sum(isinstance(event, Preview) for event in events) == 21  # decoding takes its time
    edited = last.arrays["panorama"]
    assert np.array_equal(edited[~mask], image[~mask])
    inner = edited[16:48, 10 : size[1] // 2 - 10]
    assert np.abs(inner - COLOURS["red"]).mean() < 0.05


# What is refused, before any work


def everywhere(image: np.ndarray) -> Region:
    return Region(np.ones(image.shape[:2], bool))


IMAGE = picture()
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no look": ({}, "neither a prompt nor a reference image"),
    "a region without a look": ({"regions": [everywhere(IMAGE)]}, "region 1 has neither a prompt nor a reference"),
    "a look without a region": ({"prompt_2": "lava", "prompt": "ice"}, "region 2 has no mask"),
    "a mask of another size": ({"prompt": "ice", "mask": np.ones((30, 40), bool)}, "40×30 px, expected 100×64 px"),
    "an empty mask": ({"prompt": "ice", "mask": np.zeros((64, 100), bool)}, "the mask is empty"),
    "a region of another size": (
        {"prompt_1": "ice", "regions": [Region(np.ones((64, 99), bool))]},
        "mask of region 1 is of 99×64 px, expected 100×64 px",
    ),
    "an empty region": (
        {"prompt_1": "ice", "regions": [Region(np.zeros((64, 100), bool))]},
        "mask of region 1 is empty",
    ),
    "a region off the mask": (
        {"prompt_1": "ice", "regions": [Region(half(IMAGE))], "mask": half(IMAGE, left=False)},
        "region 1 lies where nothing may change",
    ),
    "no shape": ({"prompt": "ice", "shape": "cube"}, "no panorama has the shape 'cube'"),
    "no sphere": ({"prompt": "ice", "shape": "sphere"}, "100×64 px is not twice as wide as high"),
    "no rule": ({"exemplar": patches(), "rule": "sdf"}, "no rule is called 'sdf'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_before_any_work(name):
    changes, message = REFUSED[name]
    with pytest.raises(InvalidInput, match=message) as caught:
        next(edit_panorama(IMAGE, **{**SMALL, **changes}))
    assert caught.value.hint


@pytest.mark.parametrize("image", [picture(40, 100), picture()[..., 0], np.full((64, 100, 3), np.nan, np.float32)])
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(InvalidImage):
        next(edit_panorama(image, **{**SMALL, "prompt": "ice"}))


def test_an_exemplar_that_is_too_small_is_refused_before_any_work():
    with pytest.raises(WeftError, match="exemplar"):
        next(edit_panorama(picture(), **SMALL, exemplar=np.zeros((8, 8, 3), np.float32)))
