"""Photographs that scenes learn from: scaled, divided, put into the scene's frame; what cannot end well is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from practice_shapes import DATA, needs_data
from practice_views import photographs, standing_around

from weft.errors import InvalidCamera, InvalidImage, InvalidInput, UnknownName
from weft.geometry.camera import Camera
from weft.io.view_folder import load_views
from weft.tasks.scene_input import Dataset, dataset

CAMERAS = standing_around(10, 48)
FLIPPED = np.diag([1.0, -1.0, -1.0, 1.0])


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return photographs(CAMERAS)[0]


@pytest.fixture
def compared() -> None:
    """For tests in which poses are compared with the pictures, which takes its time."""


@pytest.fixture(autouse=True)
def unchecked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "compared" not in request.fixturenames:
        monkeypatch.setattr("weft.tasks.scene_input.check_poses", lambda images, cameras: None)


def made(images: np.ndarray, cameras: list[Camera] = CAMERAS, *given: Any, **more: Any) -> Dataset:
    wanted: dict[str, Any] = {"size": 0, "hold_out": 4, "background": "automatic"}
    return dataset(images, cameras, *given, **wanted | more)


def told(data: Dataset) -> str:
    return "\n".join(f"{warning.message} ({warning.hint})" for warning in data.warnings)


def test_every_so_many_th_view_is_held_out_in_the_scenes_frame(images: np.ndarray) -> None:
    data = made(images)
    assert data.held == (0, 4, 8)
    assert data.held_out is not None
    assert np.array_equal(data.held_out.images, images[[0, 4, 8]])
    assert np.array_equal(data.training.images, images[[1, 2, 3, 5, 6, 7, 9]])
    assert (data.bounded, data.background, data.warnings) == (False, (0.5, 0.5, 0.5), ())
    assert np.median([np.linalg.norm(c.center) for c in (*data.training.cameras, *data.held_out.cameras)]) == (
        pytest.approx(1)
    )
    points = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32) * 0.3
    for view, camera in zip(data.held, data.held_out.cameras, strict=True):
        before, after = CAMERAS[view].project(points)[0], camera.project(data.frame.into_points(points))[0]
        assert np.abs(before - after).max() < 1e-2


def test_scaling_keeps_where_points_appear(images: np.ndarray) -> None:
    data = made(images[:, :, :40], [replace(c, width=40) for c in CAMERAS], size=24)
    assert data.training.images.shape == (7, 24, 20, 3)
    points = np.random.default_rng(1).normal(size=(9, 3)).astype(np.float32) * 0.3
    at = data.training.cameras[0].project(data.frame.into_points(points))[0]
    assert np.abs(CAMERAS[1].project(points)[0] / 2 - at).max() < 1e-2
    assert made(images, size=4000).training.images.shape == (7, 48, 48, 3)
    assert np.abs(made(images, size=24).training.images.mean() - images.mean()) < 0.02


def test_masks_say_what_to_leave_out_but_white_around_an_object_is_learned(images: np.ndarray) -> None:
    masks = np.zeros(images.shape[:3], bool)
    masks[:, 8:40, 8:40] = True
    painted = made(images, CAMERAS, masks, size=24)
    assert painted.training.masks is not None
    assert painted.training.masks.shape == (7, 24, 24)
    assert 0.9 < painted.training.masks.mean() / masks.mean() < 1.1
    assert not painted.bounded
    cut = np.where(masks[..., None], images, np.float32(1))
    white, black = made(cut, CAMERAS, masks), made(cut, CAMERAS, masks, background="black")
    for data, value in ((white, 1), (black, 0)):
        assert data.bounded
        assert data.training.masks is None
        assert data.background == (value,) * 3
        assert (data.training.images[:, :8] == value).all()
        assert np.array_equal(data.training.images[:, 8:40, 8:40], images[[1, 2, 3, 5, 6, 7, 9], 8:40, 8:40])
    with pytest.raises(UnknownName, match="no background is called 'green'"):
        made(images, background="green")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, c: (i[:1], c[:1]), "1 view shows no depth, expected 2 or more"),
        (lambda i, c: (i, c[:9]), "9 cameras for 10 pictures"),
        (lambda i, c: (i, [replace(one, width=40) for one in c]), "camera 1 is for 40×48 px, its picture is 48×48"),
        (lambda i, c: (i[..., :2], c), "expected \\[N, height, width, 3\\]"),
        (lambda i, c: (i[:, :8], c), "of 16 px a side or more"),
        (lambda i, c: (i * np.nan, c), "NaN or values outside 0 to 1"),
        (lambda i, c: (i, c, np.ones((10, 20, 20), bool)), r"masks are \[10, 20, 20\], the pictures \[10, 48, 48\]"),
        (lambda i, c: (i, c, np.zeros((10, 48, 48), bool)), "the masks leave nothing"),
        (lambda i, c: (i, [replace(one, orthographic=True) for one in c]), "camera 1 is orthographic"),
        (lambda i, c: (i, [_at(one, (5, 5, 5)) for one in c]), "all 10 cameras stand in one place"),
        (lambda i, c: (i[:2], [c[0], replace(c[0], fx=50.0)]), "stand in one place"),
    ],
)
def test_what_cannot_become_a_scene_is_refused_in_one_line(
    images: np.ndarray, change: Callable[..., tuple], message: str
) -> None:
    with pytest.raises((InvalidInput, InvalidCamera, InvalidImage), match=message) as caught:
        made(*change(images, CAMERAS))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("compared")
@pytest.mark.parametrize(
    ("convert", "message"),
    [
        (lambda pose: pose @ FLIPPED, r"OpenCV's .* read as OpenGL's .*\(negate columns"),
        (np.linalg.inv, r"world-to-camera, expected camera-to-world \(write the inverse"),
    ],
)
def test_poses_of_another_convention_are_refused(
    images: np.ndarray, convert: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    with pytest.raises(InvalidCamera, match=message):
        made(images, [replace(camera, pose=convert(camera.pose)) for camera in CAMERAS])


def _at(camera: Camera, place: tuple[float, float, float]) -> Camera:
    pose = camera.pose.copy()
    pose[:3, 3] = place
    return replace(camera, pose=pose)


def test_poses_that_are_there_twice_are_told(images: np.ndarray) -> None:
    cameras = [*CAMERAS[:9], CAMERAS[3]]
    assert "views 4 and 10 have the same pose, but differ: one of the poses is wrong" in told(made(images, cameras))
    same = images.copy()
    same[9] = same[3]
    line = told(made(same, cameras))
    assert "views 4 and 10 have the same pose (" in line


def test_few_views_and_views_without_a_middle_are_told(images: np.ndarray) -> None:
    data = made(images[:3], CAMERAS[:3])
    assert data.held == (0,)
    assert "1 view is held out of 3" in told(data)
    data = made(images[:2], CAMERAS[:2])
    assert data.held_out is None
    assert "2 views are too few to hold one out" in told(data)
    straight = CAMERAS[0].pose.copy()
    aside = [replace(c, pose=straight + np.eye(4, k=3) * 0.02 * k) for k, c in enumerate(CAMERAS)]
    flat = np.full_like(images, 0.5)
    assert "do not look at one place" in told(made(flat, aside))
    given = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    assert told(made(flat, aside, None, given)) == ""


@needs_data
@pytest.mark.usefixtures("compared")
def test_the_fox_is_a_place_and_lego_an_object() -> None:
    fox = load_views(DATA / "fox_270x480", size=96, count=10)
    data = made(fox.images, list(fox.cameras), fox.masks)
    assert (data.bounded, data.background) == (False, (0.5, 0.5, 0.5))
    assert data.training.masks is None
    lego = load_views(DATA / "lego_200", size=50, count=10)
    data = made(lego.images, list(lego.cameras), lego.masks)
    assert (data.bounded, data.background) == (True, (1.0, 1.0, 1.0))
    assert data.training.masks is None
    assert not told(data)
