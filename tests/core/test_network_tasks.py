"""Whole tasks done by networks, tiny ones of the real classes: what they take, what they promise, what they refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from practice_clouds import ball
from practice_shapes import box

from weft.errors import InvalidInput
from weft.models.cards import card_named
from weft.models.library import Library
from weft.models.networks.image_model import Control
from weft.models.requests import parse
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.guide import guide_of
from weft.tasks.illusion import illusion
from weft.tasks.network import Network
from weft.tasks.panorama import panorama
from weft.tasks.retexture import retexture
from weft.tasks.splat_texture import splat_texture
from weft.tasks.texture import texture

SIDE = 64
BALL = box(4, sphere=True)
COMMON: dict[str, Any] = {"prompt": "an old brick", "steps": 3, "seed": 0, "pattern_scale": 1.0, "report": False}
MESHES: dict[str, Any] = {
    **COMMON, "exemplar": None, "cameras": [], "cameras_from": "automatic", "size": SIDE, "views": 4, "decals": True,
}  # fmt: skip
PANORAMA: dict[str, Any] = {
    **COMMON, "exemplar": None, "depth": None, "meshes": [], "viewpoint": None, "shape": "sphere", "width": 128,
    "height": 64, "window": SIDE, "case": "synctweedies",
}  # fmt: skip
SPLATS: dict[str, Any] = {
    **COMMON, "exemplar": None, "cameras": [], "up": "z", "size": SIDE, "views": 6, "cameras_from": "automatic",
}  # fmt: skip


@pytest.fixture(scope="module")
def cache(models_folder: Path) -> Any:
    pytest.importorskip("diffusers")
    from weft.models.networks.cache import ModelCache

    return ModelCache(Library([models_folder]), torch.device("cpu"), torch.float32, 1 << 34)


@pytest.fixture(scope="module")
def make(cache: Any):
    """A network by its card's name; `words` are what a job says of it."""

    def network(name: str, *, geometry: bool = True, style: bool = False, control: str = "", **changes: Any) -> Network:
        wish = parse(name, control=control, geometry=geometry, style=style)
        return Network(card_named(name), lambda: cache.get(wish.request), controls=wish.controls, **changes)

    return network


def textured(network: Network, **changes: Any) -> Iterator[Event]:
    return texture([BALL], network=network, **{**MESHES, "texture_size": 128, **changes})


@pytest.fixture(scope="module")
def usual(make) -> np.ndarray:
    """The texture that sd15 paints where nothing else is said."""
    return result_of(textured(make("sd15"))).arrays["texture.0"]


def retextured(network: Network, mask: np.ndarray | None = None, **changes: Any) -> Iterator[Event]:
    return retexture(
        [BALL], network=network, textures=[stripes()], masks=[mask], selections=[None],
        **{**MESHES, "strength": 0.6, **changes},
    )  # fmt: skip


def stripes(side: int = 128) -> np.ndarray:
    """A texture f4 [side, side, 3] in [0, 1]."""
    y, x = np.mgrid[:side, :side] / side
    return np.stack([x, y, 0.5 + 0.5 * np.sin(20 * x)], -1).astype(np.float32)


def result_of(events: Iterator[Event]) -> Result:
    *_, last = events
    assert isinstance(last, Result)
    return last


def result_at_the_end(events: Iterator[Event], phase: str) -> Result:
    """The result, once every step of the phase was told of."""
    told = list(events)
    steps = [(event.step, event.total) for event in told if isinstance(event, Progress) and event.phase == phase]
    assert steps
    assert steps == [(i, len(steps)) for i in range(1, len(steps) + 1)]
    return result_of(iter(told))


TEXTURING = ["sd15", "sdxl", "sd3.5-medium", "flux2-klein"]


@pytest.mark.parametrize("name", TEXTURING)
def test_a_mesh_is_textured_and_the_same_seed_gives_the_same_bytes(make, name: str):
    first, again = (result_of(textured(make(name), seed=seed)) for seed in (0, 0))
    other = result_of(textured(make(name), seed=1))
    picture = first.arrays["texture.0"]
    assert picture.shape == (128, 128, 3)
    assert np.isfinite(picture).all()
    assert picture.std() > 1e-3
    assert np.array_equal(picture, again.arrays["texture.0"])
    assert not np.array_equal(picture, other.arrays["texture.0"])
    assert first.info["material"]["name"] == name


def test_events_lead_to_the_result(make):
    events = list(textured(make("sd15"), report=True))
    assert isinstance(events[-1], Result)
    steps = [(event.step, event.total) for event in events if isinstance(event, Progress) and event.phase == "views"]
    assert steps == [(i, 4) for i in (1, 2, 3, 4)]  # three of denoising, one of baking
    previews = [event for event in events if isinstance(event, Preview)]
    assert [event.step for event in previews] == [1, 2, 3, 4]
    info = events[-1].info
    assert json.loads(json.dumps(info, allow_nan=False)) == info
    assert {"model", "conditioning", "binding", "views", "report", "total"} <= set(info["seconds"])
    assert {"rerender_psnr", "pairwise_psnr", "seam_energy"} <= set(info)
    assert "sharpness" not in info
    assert events[-1].arrays["turntable"].ndim == 4


@pytest.mark.parametrize(
    "change",
    [
        {"control": "none"}, {"control": "depth:0.2"}, {"control": "depth:1@0-0.3"}, {"control": "depth, canny:0.5"},
        {"view_attention": False}, {"synchronize": "pixels"}, {"sync_until": 0.0}, {"negative": "blurred"},
        {"guidance": 2.0},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_said_of_a_network_counts(make, usual: np.ndarray, change: dict[str, Any]):
    changed = result_of(textured(make("sd15", **change))).arrays["texture.0"]
    assert not np.array_equal(usual, changed)


def test_a_reference_image_counts_beside_the_words(make, usual: np.ndarray):
    styled = result_of(textured(make("sd15", style=True), exemplar=stripes(64))).arrays["texture.0"]
    assert not np.array_equal(usual, styled)


@pytest.mark.parametrize("name", ["instruct-pix2pix", "ic-light", "ic-light-background", "sd15-inpainting", "sd15"])
def test_a_texture_is_changed(make, name: str):
    exemplar = stripes(64) if name == "ic-light-background" else None
    result = result_of(retextured(make(name), exemplar=exemplar))
    assert result.arrays["texture.0"].shape == (128, 128, 3)
    assert not np.array_equal(result.arrays["texture.0"], stripes())
    again = result_of(retextured(make(name), exemplar=exemplar))
    assert np.array_equal(result.arrays["texture.0"], again.arrays["texture.0"])


def test_the_background_lights(make):
    bright, dark = (
        result_of(retextured(make("ic-light-background"), exemplar=np.full((32, 32, 3), value, np.float32)))
        for value in (0.9, 0.1)
    )
    assert not np.array_equal(bright.arrays["texture.0"], dark.arrays["texture.0"])


def test_a_background_must_be_there(make):
    with pytest.raises(InvalidInput, match="no background"):
        list(retextured(make("ic-light-background")))


@pytest.mark.parametrize("name", ["sd15", "sd15-inpainting"])
@pytest.mark.parametrize("synchronize", ["latents", "pixels"])
def test_what_is_outside_the_mask_stays_to_the_bit(make, name: str, synchronize: str):
    mask = np.zeros((128, 128), bool)
    mask[:, :50] = True
    painted = result_of(retextured(make(name, synchronize=synchronize), mask)).arrays["texture.0"]
    assert np.array_equal(painted[~mask], stripes()[~mask])
    assert not np.array_equal(painted[mask], stripes()[mask])


def test_little_strength_changes_little(make):
    little, much = (
        result_of(retextured(make("sd15"), strength=strength, steps=6)).arrays["texture.0"] for strength in (0.2, 0.9)
    )
    assert np.abs(little - stripes()).mean() < np.abs(much - stripes()).mean()


def steps_in_depth(height: int = 64, width: int = 128) -> np.ndarray:
    depth = np.full((height, width), 8.0, np.float32)
    depth[: height // 4] = np.inf
    depth[height // 2 :, width // 4 : width // 2] = 2.0
    return depth


@pytest.mark.parametrize("shape", ["sphere", "wide"])
@pytest.mark.parametrize("depth", [None, steps_in_depth()], ids=["free", "with depth"])
def test_a_panorama_is_painted(make, shape: str, depth: np.ndarray | None):
    changes = {"shape": shape, "depth": depth, "report": True, "width": 256 if shape == "wide" else 128, "height": 128}
    network = make("sd15", geometry=depth is not None)
    result = result_at_the_end(panorama(network=network, **{**PANORAMA, **changes}), "views")
    assert result.arrays["panorama"].shape == ((128, 256, 3) if shape == "wide" else (64, 128, 3))
    assert result.arrays["panorama"].std() > 1e-3
    assert result.info["coverage"] == 1
    again = result_of(panorama(network=network, **{**PANORAMA, **changes, "report": False}))
    assert np.array_equal(result.arrays["panorama"], again.arrays["panorama"])


@pytest.mark.parametrize("name", ["sd15", "flux2-klein"])
def test_splats_are_painted(make, name: str):
    first, again = (
        result_at_the_end(splat_texture(ball(1500), network=make(name), **{**SPLATS, "report": report}), "views")
        for report in (True, False)
    )
    assert first.arrays["splats.dc"].shape == (1500, 3)
    assert np.array_equal(first.arrays["splats.dc"], again.arrays["splats.dc"])
    assert first.info["decals"] == 0
    assert {"held_out_psnr", "painted_psnr"} <= set(first.info)


def test_a_panorama_has_windows_as_large_as_fit(make):
    """The card's own would be larger than the panorama; what is asked for and does not fit is refused unloaded."""
    events = list(panorama(network=make("sd15", geometry=False), **{**PANORAMA, "window": 0, "width": 160}))
    assert isinstance(events[-1], Result)
    assert events[-1].info["window"] == 80
    told = [event.message for event in events if isinstance(event, Warning)]
    assert [text for text in told if "80 px" in text and "512 px" in text]
    unopened = Network(card_named("sd15"), lambda: pytest.fail("it was loaded"))
    with pytest.raises(InvalidInput, match="a window of 512 px does not fit"):
        list(panorama(network=unopened, **{**PANORAMA, "window": 512}))


def test_words_beyond_reading_are_told_of_once(make):
    """Every view adds words of its own to the prompt, and none of them is read."""
    words = "brick " * 200
    events = list(textured(make("sd15", negative=words), prompt=words))
    told = [event.message for event in events if isinstance(event, Warning) if "does not count" in event.message]
    assert [text.partition(" is longer")[0] for text in told] == ["the prompt", "the negative prompt"]
    assert all(len(text) < 200 for text in told)


ILLUSION: dict[str, Any] = {
    "exemplars": [], "prompt_1": "an old man", "prompt_2": "a horse", "prompt_3": "", "view_1": "identity",
    "view_2": "rotate_90", "view_3": "negate", "size": SIDE, "steps": 3, "seed": 0, "case": "synctweedies",
}  # fmt: skip


@pytest.mark.parametrize("name", ["sd15", "flux2-klein"])
@pytest.mark.parametrize("third", ["", "a house"])
def test_an_illusion_is_painted_from_words(make, name: str, third: str):
    settings = {**ILLUSION, "prompt_3": third}
    first, again = (
        result_at_the_end(illusion(network=make(name, geometry=False), **settings, report=report), "denoise")
        for report in (True, False)
    )
    assert first.arrays["image"].shape == (SIDE, SIDE, 3)
    assert np.array_equal(first.arrays["image"], again.arrays["image"])
    assert np.array_equal(first.arrays["view.0"], first.arrays["image"])
    assert np.array_equal(first.arrays["view.1"], np.rot90(first.arrays["image"]))
    assert ("view.2" in first.arrays) == bool(third)
    assert [material["asked"] for material in first.info["materials"]] == ["an old man", "a horse", third][
        : 2 + bool(third)
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"exemplars": [stripes(64)]}, "words, not of pictures"), ({"case": "3"}, "in one way")],
)
def test_an_illusion_of_a_network_is_refused(make, changes: dict[str, Any], says: str):
    with pytest.raises(InvalidInput, match=says):
        list(illusion(network=make("sd15", geometry=False), **{**ILLUSION, "report": False, **changes}))


def test_the_sheet_shows_a_view_that_sees_something():
    blank, seen = torch.zeros(3, 8, 8), torch.rand(3, 8, 8)
    for images, shown in ((torch.stack([blank, seen]), seen), (torch.stack([blank, blank]), blank)):
        guide = guide_of([Control("depth", images)])
        assert np.array_equal(guide.picture, shown.permute(1, 2, 0).numpy())


def test_words_that_are_not_read_are_told_once(make):
    events = textured(make("sd15"), prompt="an old brick " * 60)
    told = [event.message for event in events if isinstance(event, Warning) and "longer" in event.message]
    assert 1 <= len(told) == len(set(told))


def test_a_model_that_edits_needs_something_to_edit(make):
    with pytest.raises(InvalidInput, match="instruct-pix2pix edits what is there") as problem:
        list(textured(make("instruct-pix2pix")))
    assert "retexture" in problem.value.hint


def test_a_panorama_without_distances_has_nothing_to_draw(make):
    with pytest.raises(InvalidInput, match="without geometry"):
        list(panorama(network=make("sd15"), **PANORAMA))


def test_a_network_denoises_views_only(make):
    with pytest.raises(InvalidInput, match="canonical variable"):
        list(panorama(network=make("sd15", geometry=False), **{**PANORAMA, "case": "5"}))
