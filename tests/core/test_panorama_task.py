"""The panorama task, small: its events, its promises, what depth does to it, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import pytest
from practice_shapes import box

from weft.errors import InvalidImage, InvalidInput, InvalidMesh, UnknownName, WeftError
from weft.geometry.mesh import Mesh
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.panorama import panorama
from weft.tasks.panorama_report import seam_ratio

SMALL: dict[str, Any] = {
    "exemplar": None, "depth": None, "meshes": [], "viewpoint": None, "prompt": "", "shape": "sphere", "width": 128,
    "height": 64, "window": 64, "steps": 4, "seed": 0, "pattern_scale": 1.0, "case": "synctweedies", "report": False,
}  # fmt: skip


def patches(seed: int = 0) -> np.ndarray:
    """An exemplar f4 [64, 64, 3] of red and yellow squares."""
    choice = np.random.default_rng(seed).integers(0, 2, (16, 16)).repeat(4, 0).repeat(4, 1)
    return np.array([(0.8, 0.1, 0.1), (0.9, 0.8, 0.1)], np.float32)[choice]


def ball(center: tuple[float, float, float], radius: float = 1.0) -> Mesh:
    mesh = box(6, sphere=True, radius=radius)
    return Mesh("ball", mesh.vertices + np.array(center, np.float32), mesh.faces)


def run(**changes: Any) -> Iterator[Event]:
    return panorama(**{**SMALL, "exemplar": patches(), **changes})


def result_of(**changes: Any) -> Result:
    *_, last = run(**changes)
    assert isinstance(last, Result)
    return last


def steps_in_depth(height: int = 64, width: int = 128) -> np.ndarray:
    """A near block before a far wall, both below an empty sky."""
    depth = np.full((height, width), 8.0, np.float32)
    depth[: height // 4] = np.inf
    depth[height // 2 :, width // 4 : width // 2] = 2.0
    return depth


# What comes


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return list(run(steps=6, report=True))


def test_progress_and_previews_lead_to_one_result(events):
    assert isinstance(events[-1], Result)
    assert sum(isinstance(event, Result) for event in events) == 1
    phases = [event.phase for event in events if isinstance(event, Progress)]
    assert phases == ["prepare", *["views"] * 6, "finish"]
    previews = [event for event in events if isinstance(event, Preview)]
    assert [event.step for event in previews] == list(range(1, 7))
    assert {event.image.shape for event in previews} == {(64, 128, 3)}
    assert np.array_equal(previews[-1].image, events[-1].arrays["panorama"])


def test_the_result_is_what_was_asked_for(events):
    image = events[-1].arrays["panorama"]
    assert image.shape == (64, 128, 3)
    assert image.dtype == np.float32
    assert 0 <= image.min() <= image.max() <= 1
    assert image[..., 0].min() > 0.6  # red and yellow, nowhere blue
    assert image[..., 2].max() < 0.3
    assert image[..., 1].std() > 0.1


def test_info_is_plain_and_complete(events):
    info = events[-1].info
    assert json.loads(json.dumps(info, allow_nan=False)) == info
    assert info["material"]["name"] == "reference image"
    assert info["coverage"] == 1.0
    assert info["views"] == 20
    assert info["size"] == [128, 64]
    assert {"scene", "prepare", "views", "report", "total"} <= set(info["seconds"])
    assert info["view_psnr"] > 15
    assert info["sharpness"] > 0.2
    assert info["wrap_seam"] < 1.5
    assert info["view_seam"] < 1.5


def test_pictures_of_the_report(events):
    arrays = events[-1].arrays
    assert arrays["turntable"].shape == (48, 320, 320, 3)
    assert arrays["contact_sheet"].shape[1:] == (1280, 3)
    assert all(array.min() >= 0 and array.max() <= 1 for array in arrays.values())


@pytest.mark.parametrize("shape", ["sphere", "wide"])
def test_same_seed_same_bytes(shape):
    first, again, other = (result_of(shape=shape, seed=seed).arrays["panorama"] for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_a_wide_image_has_its_size():
    result = result_of(shape="wide", width=250, height=60, window=50, report=True)
    assert result.arrays["panorama"].shape == (64, 256, 3)
    assert result.info["size"] == [256, 64]
    assert result.info["window"] == 64
    assert result.info["coverage"] == 1.0
    assert result.arrays["turntable"].shape == (48, 320, 320, 3)


def test_the_borders_of_a_wide_image_meet():
    """Beside cuts through the same pictures; one column alone varies with what it happens to show."""
    joined, cut = [], []
    for seed in range(4):
        image = result_of(shape="wide", width=256, steps=8, seed=seed).arrays["panorama"]
        shorter = np.delete(image, np.arange(100, 130), 1)
        for picture, column, found in ((image, -1, joined), (shorter, 99, cut)):
            across = np.zeros(picture.shape[:2], bool)
            across[:, column] = True
            found.append(seam_ratio(picture, np.ones_like(across), across))
    assert np.mean(joined) < 0.6 * np.mean(cut)


def test_a_seam_is_measured_beside_its_surroundings():
    """Steps of 0.1 everywhere but for one of 0.3; without steps, or without pixels, there is nothing to compare."""
    image = np.tile(0.1 * (np.arange(40) % 2), (6, 1))
    image[:, 20:] += 0.4
    across = np.zeros((6, 40), bool)
    across[:, 19] = True
    solid = np.ones_like(across)
    image = np.repeat(image[..., None], 3, -1)
    assert seam_ratio(image, solid, across) == pytest.approx(3)
    assert seam_ratio(image, ~solid, across) is None
    assert seam_ratio(np.zeros_like(image), solid, across) is None


def test_a_sphere_is_half_as_high_as_wide_whatever_height_says():
    assert result_of(width=130, height=999, window=32, steps=2).arrays["panorama"].shape == (80, 160, 3)


def test_closing_the_events_cancels():
    events = run(steps=50)
    assert isinstance(events, Generator)
    while not isinstance(next(events), Preview):
        pass
    events.close()
    with pytest.raises(StopIteration):
        next(events)


@pytest.mark.parametrize("case", [0, 1, 2, 3, 5, "multidiffusion", 44, 56])
def test_every_kind_of_case_runs(case):
    image = result_of(case=case, window=32, steps=2).arrays["panorama"]
    assert np.isfinite(image).all()


# Depth


def brightness(image: np.ndarray) -> np.ndarray:
    return image.mean(-1)


@pytest.mark.parametrize("shape", ["sphere", "wide"])
def test_depth_shows_in_the_picture(shape):
    """Luminance follows near and far, shade and sky more than without the map: their correlation across pixels."""
    depth = steps_in_depth()
    far = np.where(np.isinf(depth), 20, depth)
    bare, deep = (brightness(result_of(shape=shape, depth=d, steps=6).arrays["panorama"]) for d in (None, depth))
    correlation = [abs(np.corrcoef(image.ravel(), far.ravel())[0, 1]) for image in (bare, deep)]
    assert correlation[1] > correlation[0] + 0.2


def test_sky_is_painted_as_sky_and_nothing_else_is():
    depth = steps_in_depth()
    image = result_of(depth=depth).arrays["panorama"]
    sky = np.isinf(depth)
    assert (image[sky][:, 2] > image[sky][:, 0]).all()
    assert (image[sky][:, 2] > 0.7).all()
    assert (image[~sky][:, 2] < 0.7).mean() > 0.95


def test_only_proportions_of_distances_count():
    depth = steps_in_depth()
    first, second = (result_of(depth=depth * scale).arrays["panorama"] for scale in (1.0, 1024.0))
    assert np.abs(first - second).mean() < 1e-3


def test_a_map_of_another_resolution_is_fitted():
    image = result_of(depth=steps_in_depth(32, 64)).arrays["panorama"]
    assert (image[:14, :, 2] > image[:14, :, 0]).all()
    assert image.shape == (64, 128, 3)


def test_previews_of_large_panoramas_are_small():
    """Also where the sides cannot be divided by the step between the shown pixels."""
    events = list(run(shape="wide", width=2064, depth=steps_in_depth(32, 1032), steps=1))
    shapes = {event.image.shape for event in events if isinstance(event, Preview)}
    assert shapes == {(22, 688, 3)}
    assert isinstance(events[-1], Result)
    assert events[-1].arrays["panorama"].shape == (64, 2064, 3)


def test_a_mesh_appears_in_its_direction():
    """A ball at +X is in the middle of the panorama, one at -Y three quarters to the right; all else is sky."""
    meshes = [ball((4, 0, 0)), ball((10, -4, 10))]
    image = result_of(meshes=meshes, viewpoint=np.array([10.0, 0, 10]), steps=2).arrays["panorama"]
    other = result_of(meshes=meshes[:1], viewpoint=np.zeros(3), steps=2).arrays["panorama"]
    for picture, column in ((image, 96), (other, 64)):
        painted = picture[..., 0] > picture[..., 2]
        rows, columns = np.nonzero(painted)
        near = np.abs(columns - column) < 12
        assert near.any()
        assert abs(columns[near].mean() + 0.5 - column) < 1
        assert abs(rows[near].mean() + 0.5 - 32) < 1
    radius = np.sqrt((other[..., 0] > other[..., 2]).sum() / np.pi) * 360 / 128
    assert abs(radius - np.degrees(np.arcsin(1 / 4))) < 2


def test_a_scene_without_a_viewpoint_is_seen_from_its_middle():
    meshes = [ball((4, 0, 0)), ball((-4, 0, 0))]
    events = list(run(meshes=meshes, steps=2))
    warnings = [event for event in events if isinstance(event, Warning)]
    assert len(warnings) == 1
    assert warnings[0].hint
    placed = result_of(meshes=meshes, viewpoint=np.zeros(3), steps=2)
    assert isinstance(events[-1], Result)
    assert events[-1].arrays["panorama"].tobytes() == placed.arrays["panorama"].tobytes()


def test_a_wide_image_of_a_scene_is_the_band_around_the_horizon():
    image = result_of(meshes=[ball((4, 0, 0))], viewpoint=np.zeros(3), shape="wide", width=256, height=64, steps=2)
    painted = image.arrays["panorama"][..., 0] > image.arrays["panorama"][..., 2]
    rows, columns = np.nonzero(painted)
    assert abs(rows.mean() + 0.5 - 32) < 1
    assert abs(columns.mean() + 0.5 - 128) < 1


# What is refused


@pytest.mark.parametrize(
    ("changes", "error", "what"),
    [
        ({"case": "99"}, UnknownName, "99"),
        ({"shape": "cube"}, InvalidInput, "cube"),
        ({"depth": np.ones((64, 64), np.float32)}, InvalidInput, "everywhere"),
        ({"depth": steps_in_depth(64, 64)}, InvalidInput, "64×64 px, expected the aspect 2:1"),
        ({"depth": steps_in_depth(), "shape": "wide", "width": 256}, InvalidInput, "256:64"),
        ({"depth": np.full((64, 128), np.nan, np.float32)}, InvalidInput, "NaN"),
        ({"depth": steps_in_depth(), "meshes": [ball((0, 0, 0))]}, InvalidInput, "both"),
        ({"window": 65}, InvalidInput, "window of 80 px"),
        ({"window": -1}, InvalidInput, "window"),
        ({"width": -5}, InvalidInput, "-5"),
        ({"steps": 0}, InvalidInput, "steps"),
        ({"exemplar": np.zeros((8, 8, 3), np.float32)}, InvalidImage, "8"),
        ({"meshes": [Mesh("void", np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))]}, InvalidMesh, "void"),
        ({"meshes": [ball((0, 0, 3))], "viewpoint": np.array([np.nan, 0, 0])}, InvalidInput, "viewpoint"),
        ({"meshes": [ball((0, 0, 3))], "shape": "wide", "width": 64, "height": 64}, InvalidInput, "zenith"),
    ],
)
def test_bad_input_is_refused_before_the_first_event(changes, error, what):
    events = run(**changes)
    with pytest.raises(error, match=what) as caught:
        next(events)
    assert isinstance(caught.value, WeftError)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
