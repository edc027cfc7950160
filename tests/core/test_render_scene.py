"""Scenes that are opened and rendered: files and splats alike, in the world's unit, with what did not change intact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from practice_splat_files import cloud
from practice_views import photographs, standing_around

from weft.errors import InvalidCamera, InvalidInput, UnknownName
from weft.geometry.splat_weights import render_splats
from weft.geometry.splats import Splats
from weft.io.scene_files import SceneInfo, read_scene, scene_bytes
from weft.scenes.frame import frame_of
from weft.scenes.scene import TrainingViews
from weft.scenes.voxels import Voxels
from weft.tasks.events import Event, Preview, Result
from weft.tasks.render_scene import render_scene
from weft.tasks.scene_source import OpenScene, open_scene, scene_array

CAMERAS = standing_around(3, 24, scale=2.0)
PARTS = ("means", "quaternions", "log_scales", "logits", "sh")


def ball(degree: int = 1) -> Splats:
    """Splats within a unit of 0."""
    made = cloud(300, degree)
    return replace(made, means=made.means * 0.4, log_scales=made.log_scales, logits=np.abs(made.logits) + 1)


def rendered(scene: Any, background: str = "automatic", cameras: Any = CAMERAS, **more: Any) -> Result:
    asked: dict[str, Any] = {"views": 5, "size": 0, "up": "z", **more}
    events: Iterator[Event] = render_scene(scene, cameras, background=background, **asked)
    *_, last = events
    assert isinstance(last, Result)
    return last


def file_of(opened: OpenScene) -> np.ndarray:
    return scene_array(opened.scene, opened.info)


def test_splats_are_rendered_as_the_plain_rasteriser_does() -> None:
    splats = ball(0)
    result = rendered(splats, "white")
    for camera, image in zip(CAMERAS, result.arrays["view.images"], strict=True):
        plain = render_splats(splats, camera, splats.colors, 1.0)
        assert np.abs(image - plain.clip(0, 1)).max() < 2e-3
    assert result.arrays["view.images"].dtype == np.float32
    assert (result.info["kind"], result.info["views"]) == ("splats", 3)


def test_a_frame_changes_nothing_of_what_is_seen_nor_its_unit() -> None:
    """The same splats in the world and in the frame of cameras that stand 6.4 units away."""
    splats = ball()
    there = frame_of(CAMERAS)
    assert abs(there.scale * 6.4 - 1) < 0.1
    plain, framed = rendered(splats), rendered(file_of(open_scene(splats, frame=there)))
    for name in ("view.images", "view.opacities"):
        assert np.abs(plain.arrays[name] - framed.arrays[name]).max() < 1e-3
    near, far = plain.arrays["view.depths"], framed.arrays["view.depths"]
    seen = (near > 0) & (far > 0)
    assert seen.mean() > 0.02
    assert np.abs(near - far)[seen].max() < 1e-2
    assert 5 < np.median(near[seen]) < 7.5
    assert (near[~seen] == 0).mean() > 0.99


def test_backgrounds_take_each_others_place() -> None:
    """Over grey, then white: the same as over white from the start."""
    scene = file_of(open_scene(ball()))
    for name, value in (("white", 1.0), ("black", 0.0), ("grey", 0.5)):
        over, known = rendered(scene, name).arrays, rendered(ball(), name).arrays
        assert np.abs(over["view.images"] - known["view.images"]).max() < 1e-5
        empty = over["view.opacities"] < 1e-4
        assert empty.any()
        assert np.allclose(over["view.images"][empty], value, atol=1e-3)


def test_without_cameras_it_is_seen_from_all_around_or_as_it_was_photographed() -> None:
    around = rendered(ball(), cameras=(), size=40).arrays
    assert around["view.images"].shape == (5, 40, 40, 3)
    assert (around["view.opacities"].max((1, 2)) > 0.9).all()
    eyes = around["camera.poses"][:, :3, 3]
    assert np.ptp(np.linalg.norm(eyes - eyes.mean(0) * [1, 1, 0], axis=1)) < 0.05 * np.linalg.norm(eyes, axis=1).mean()
    opened = open_scene(ball())
    known = scene_array(opened.scene, replace(opened.info, cameras=tuple(CAMERAS)))
    again = rendered(known, cameras=(), views=2).arrays
    assert np.allclose(again["camera.poses"], [CAMERAS[0].pose, CAMERAS[2].pose], atol=1e-6)
    assert np.array_equal(again["view.images"], rendered(known).arrays["view.images"][[0, 2]])


def test_every_view_is_shown_as_it_is_done() -> None:
    events = list(render_scene(ball(), CAMERAS, background="automatic", views=5, size=0, up="z"))
    shown = [event.image for event in events if isinstance(event, Preview)]
    assert isinstance(events[-1], Result)
    assert np.array_equal(np.stack(shown), events[-1].arrays["view.images"])


def test_a_nerf_is_opened_like_splats() -> None:
    images = photographs(CAMERAS, 2.0)[0]
    frame = frame_of(CAMERAS)
    inside = tuple(frame.into(camera) for camera in CAMERAS)
    scene = Voxels.begin(TrainingViews(images, inside), resolution=12)
    scene.field.density[3:9, 3:9, 3:9] = 5.0
    opened = open_scene(scene_bytes("voxels", scene.arrays(), SceneInfo(frame.matrix)))
    assert opened.splats() is None
    result = rendered(file_of(opened))
    seen = scene.render(inside[1])
    assert np.array_equal(result.arrays["view.images"][1], seen.image.clip(0, 1))
    assert np.isfinite(seen.depth).any()
    away = np.where(np.isfinite(seen.depth), seen.depth * 6.4, 0)
    assert np.abs(result.arrays["view.depths"][1] - away).max() < 0.1 * away.max()


@pytest.mark.parametrize("framed", [False, True])
def test_what_did_not_change_of_given_splats_keeps_its_bytes(framed: bool) -> None:
    given = ball(2)
    opened = open_scene(given, frame=frame_of(CAMERAS) if framed else None)
    same = opened.splats()
    assert same is not None
    for name in PARTS:
        assert np.array_equal(getattr(same, name), getattr(given, name))
    parameters: Any = opened.scene
    parameters.parameters[:10, 11:14] += 0.5  # f_dc of the first ten
    parameters.parameters[20, :3] += 0.25  # one is moved
    edited = opened.splats()
    assert edited is not None
    for name in ("quaternions", "log_scales", "logits"):
        assert np.array_equal(getattr(edited, name), getattr(given, name))
    assert np.allclose(edited.sh[:10, 0], given.sh[:10, 0] + 0.5, atol=1e-5)
    assert np.array_equal(edited.sh[:, 1:], given.sh[:, 1:])
    assert np.array_equal(edited.sh[10:], given.sh[10:])
    moved = np.flatnonzero((edited.means != given.means).any(1))
    assert moved.tolist() == [20]
    assert np.allclose(edited.means[20] - given.means[20], 0.25 / opened.frame.scale, atol=1e-5)


def without(name: str) -> bytes:
    file = read_scene(file_of(open_scene(ball())).tobytes())
    return scene_bytes(file.kind, {key: one for key, one in file.arrays.items() if key != name}, file.info)


def test_what_is_no_scene_is_told_in_one_line() -> None:
    broken = replace(ball(), means=np.full((300, 3), np.nan, np.float32))
    flat = replace(ball(), log_scales=np.full((300, 3), 99, np.float32))
    wrong = scene_bytes("splats", {"parameters": np.zeros((3, 4), np.float32)}, SceneInfo(np.eye(4)))
    for scene, message in (
        (broken, "300 of 300 splats have a position at NaN"),
        (flat, "a log-scale at NaN or above 44"),
        (b"text", "the scene file is damaged, or is none"),
        (without("background"), "background"),
        (wrong, "splats"),
    ):
        with pytest.raises(InvalidInput, match=message) as caught:
            rendered(scene)
        assert "\n" not in str(caught.value)
        assert caught.value.hint


def test_cameras_that_cannot_be_rendered_from_are_told() -> None:
    with pytest.raises(InvalidCamera, match="nothing tells from where to look"):
        rendered(file_of(open_scene(ball())), cameras=[])
    with pytest.raises(InvalidCamera, match="camera 2 is for 30×24 px, the first 24×24"):
        rendered(ball(), cameras=[CAMERAS[0], replace(CAMERAS[1], width=30)])
    with pytest.raises(InvalidCamera, match="camera 1 is orthographic"):
        rendered(ball(), cameras=[replace(CAMERAS[0], orthographic=True)])
    with pytest.raises(UnknownName, match="no background is called 'green'"):
        rendered(ball(), "green")
