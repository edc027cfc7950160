"""Edits of scenes: what changes, what must not, and in which rhythm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from practice_clouds import ball
from practice_edits import Painted
from practice_shapes import DATA, box, needs_data

from weft.errors import InvalidCamera, InvalidInput, WeftError
from weft.geometry.camera import Camera, frame_object
from weft.geometry.mesh import Mesh
from weft.geometry.splats import Splats
from weft.io.splats import load_splats
from weft.methods.score_distillation import RULES
from weft.scenes.frame import frame_of
from weft.scenes.scene import TrainingViews
from weft.scenes.splats import SplatScene
from weft.scenes.voxels import Voxels
from weft.tasks import edit_scene as task
from weft.tasks.edit_region import Region, changing_pixels, changing_places
from weft.tasks.edit_rounds import SCHEDULES, EditSchedule, chosen_schedule
from weft.tasks.edited_views import EditedViews
from weft.tasks.events import Preview, Progress, Result, Warning
from weft.tasks.scene_source import open_scene, scene_array

COUNT = 200
USUAL: dict[str, Any] = {
    "images": None, "cameras": (), "masks": None, "exemplar": None, "region": Region(), "prompt": "anything",
    "fidelity": 0.6, "pattern_scale": 1.0, "rule": "dds", "repulsion": True, "iterations": 0, "rate": 0.0,
    "noise_low": 0.0, "noise_high": 0.0, "schedule": "csd", "change": "automatic", "size": 32, "views": 6, "up": "z",
    "batch": 3, "every": 0, "scene_steps": 0, "anchor": 0.0, "seed": 0, "report": False,
}  # fmt: skip


@pytest.fixture(autouse=True)
def painted(monkeypatch: pytest.MonkeyPatch) -> Painted:
    model = Painted()

    def choose(*, rule: str, **_: Any) -> tuple[Painted, Any, dict[str, Any]]:
        return model, replace(model.defaults, rule=RULES[rule]), {"name": "paint"}

    monkeypatch.setattr(task, "choose_instruction", choose)
    return model


def edited(scene: Any, **wanted: Any) -> tuple[Result, list[Any]]:
    events = list(task.edit_scene(scene, **(USUAL | wanted)))
    assert isinstance(events[-1], Result)
    return events[-1], events


def green(count: int = COUNT) -> Splats:
    return ball(count, np.tile(np.array([0.3, 0.6, 0.3], np.float32), (count, 1)))


def colors_of(result: Result) -> np.ndarray:
    return result.arrays["splats.sh"][:, 0] * 0.28209479 + 0.5


def test_splats_take_the_colour_that_the_model_wants_and_nothing_else_of_them_changes() -> None:
    splats = green()
    result, events = edited(splats, report=True)
    assert np.median(np.abs(colors_of(result) - Painted().color).max(1)) < 0.15
    for name in ("means", "quaternions", "log_scales", "logits"):
        np.testing.assert_array_equal(result.arrays[f"splats.{name}"], getattr(splats, name))
    assert result.info["reached"] > 0.8
    assert result.info["change"] == "colors"
    assert result.info["held_out"]["psnr"] > result.info["held_out"]["psnr_before"] + 8
    assert result.info["held_out"]["depth_change"] == 0
    assert result.arrays["view.images"].shape == (6, 32, 32, 3)
    assert len(result.arrays["turntable"]) == 36
    assert sum(isinstance(event, Preview) for event in events) >= 1
    assert not any(isinstance(event, Warning) for event in events)


def test_the_same_seed_gives_the_same_bytes_and_the_report_changes_none() -> None:
    first, _ = edited(green(), every=4)
    again, _ = edited(green(), every=4, report=True)
    np.testing.assert_array_equal(first.arrays["scene"], again.arrays["scene"])


def inside_of(points: np.ndarray) -> np.ndarray:
    return points[:, 0] > 0.1


@pytest.mark.parametrize("how", ["selected", "box", "mesh"])
def test_outside_the_region_every_splat_keeps_its_bytes(how: str) -> None:
    splats = green()
    inside = inside_of(splats.means)
    volume = np.array([[0.1, -2, -2], [2.5, 2, 2]], np.float32)
    if how == "selected":
        region = Region(selected=inside)
    elif how == "box":
        region = Region(box=volume)
    else:
        cube = box(1)
        middle, half = volume.mean(0), np.ptp(volume, axis=0) / 2
        region = Region(meshes=(Mesh("region", (cube.vertices * half + middle).astype(np.float32), cube.faces),))
    result, _ = edited(splats, region=region, change="all")
    for name in ("means", "quaternions", "log_scales", "logits", "sh"):
        array, before = result.arrays[f"splats.{name}"], getattr(splats, name)
        np.testing.assert_array_equal(array[~inside], before[~inside])
    changed = (result.arrays["splats.sh"] != splats.sh).any((1, 2))
    assert changed[inside].mean() > 0.9
    assert np.median(np.abs(colors_of(result)[inside] - Painted().color).max(1)) < 0.15


def colourful(count: int = COUNT) -> Splats:
    """A ball whose pictures tell where they were taken."""
    return ball(count, np.random.default_rng(0).random((count, 3)).astype(np.float32))


def side_by_side(splats: Splats, views: int, size: int) -> list[Camera]:
    """So close to each other that the pictures show which poses are right."""
    return frame_object(splats.means, [(6.0 * k, 4.0 * (k % 3)) for k in range(views)], size, 0.8)


def photographed(splats: Splats, cameras: Sequence[Camera]) -> np.ndarray:
    opened = open_scene(splats, frame=frame_of(cameras))
    return np.stack([opened.scene.render(opened.frame.into(camera)).image for camera in cameras]).clip(0, 1)


def test_pixels_of_a_region_are_found_by_its_splats_and_by_depth_alike() -> None:
    splats = green(600)
    cameras = frame_object(splats.means, [(0.0, 0.0), (40.0, 20.0)], 40, 0.8)
    opened = open_scene(splats, frame=frame_of(side_by_side(splats, 4, 40)))
    inside = [opened.frame.into(camera) for camera in cameras]
    region = Region(box=np.array([[0.1, -2, -2], [2.5, 2, 2]], np.float32))
    places = changing_places(region, opened.scene, opened.frame)
    assert places is not None
    np.testing.assert_array_equal(places, inside_of(splats.means))
    by_splats, by_depth = (
        changing_pixels(region, places, some, opened.scene, opened.frame, inside)
        for some in (opened.frame.into_splats(splats), None)
    )
    assert by_splats[0][:, :18].sum() == 0  # seen from the front, +X is to the right
    assert by_splats[0][14:26, 27:32].all()
    assert (by_splats != by_depth).mean() < 0.05
    assert changing_places(Region(), opened.scene, opened.frame) is None


def test_a_trained_scene_changes_though_its_optimiser_stood_still() -> None:
    """Loaded moments that are huge make every step nothing: edits that silently do nothing."""
    splats = colourful()
    cameras = side_by_side(splats, 10, 32)
    frame = frame_of(cameras)
    scene = SplatScene.from_splats(frame.into_splats(splats), np.full(3, 0.5))
    scene.optimiser.second[:] = 1e12
    scene.optimiser.updates = 10_000
    opened = open_scene(splats, frame=frame)
    data = scene_array(scene, opened.info)
    pictures = photographed(splats, cameras)
    result, events = edited(data, images=pictures, cameras=cameras, batch=4, every=25)
    assert result.info["change"] == "all"
    assert result.info["reached"] > 0.8
    assert result.info["views"] == 8
    after = open_scene(result.arrays["scene"]).scene.render(frame.into(cameras[1])).image
    assert np.abs(after - pictures[1])[12:20, 12:20].mean() > 0.2
    told = [event for event in events if isinstance(event, Progress) and event.phase == "scene"]
    assert told[-1].step == told[-1].total == result.info["scene_steps"] == 2 * 4 * 25


def test_a_nerf_keeps_its_density_and_needs_views(painted: Painted) -> None:
    splats = colourful()
    cameras = side_by_side(splats, 8, 24)
    pictures = photographed(splats, cameras)
    frame = frame_of(cameras)
    views = TrainingViews(pictures, tuple(frame.into(camera) for camera in cameras))
    scene = Voxels.begin(views, resolution=16, bounded=True)
    for step in range(40):
        scene.fit(views, step, 40, 0)
    data = scene_array(scene, open_scene(splats, frame=frame).info)
    result, _ = edited(data, images=pictures, cameras=cameras, every=2)
    now = open_scene(result.arrays["scene"]).scene.arrays()
    np.testing.assert_array_equal(now["density"], scene.arrays()["density"])
    assert np.abs(now["color"] - scene.arrays()["color"]).max() > 0.1
    alone = scene_array(scene, replace(open_scene(splats, frame=frame).info, cameras=()))
    with pytest.raises(InvalidInput, match="no views of a scene made of voxels"):
        edited(alone)


def test_too_few_steps_are_told_of() -> None:
    result, events = edited(green(), scene_steps=2, batch=2, anchor=1e-6)
    told = [event.message for event in events if isinstance(event, Warning)]
    assert result.info["edited_views"] == 2
    assert any("4 of 6 views were not edited" in message for message in told)
    assert any("of the way" in message for message in told)


def test_schedules_edit_every_view_once_a_round_together_or_alone(painted: Painted) -> None:
    edited(green(), scene_steps=1, every=1, batch=4)
    assert {len(views) for views in painted.seen} == {3}
    random = np.random.default_rng(0)
    for schedule in (*SCHEDULES.values(), EditSchedule(5, 7, 2, 1.0)):
        batches = schedule.batches(13, random)
        parts = np.array_split(np.arange(len(batches)), schedule.rounds)
        for part in parts:
            np.testing.assert_array_equal(np.sort(np.concatenate([batches[i] for i in part])), np.arange(13))
        assert max(map(len, batches)) <= schedule.batch
        assert schedule.steps(13) >= len(batches) * schedule.every
    assert chosen_schedule("one_by_one", batch=16, every=0).batch == 1
    assert chosen_schedule("csd", batch=5, every=7) == replace(SCHEDULES["csd"], batch=5, every=7)


def test_only_what_may_change_of_pictures_does_at_any_size(painted: Painted) -> None:
    painted.unit = 8
    pictures = np.random.default_rng(0).random((3, 13, 18, 3), np.float32)
    masks = np.zeros((3, 13, 18), bool)
    masks[:, 4:9, 3:12] = True
    views = EditedViews(painted, replace(painted.defaults, rule=RULES["dds"]), pictures, masks)
    run = views.edited([2, 0], pictures[[2, 0]])
    while True:
        try:
            next(run)
        except StopIteration as end:
            result = end.value
            break
    np.testing.assert_array_equal(result[~masks[:2]], pictures[[2, 0]][~masks[:2]])
    np.testing.assert_allclose(result[masks[:2]], np.broadcast_to(painted.color, (90, 3)), atol=1e-5)
    assert views.calls == 2 * 2 * 4


def test_what_cannot_be_edited_is_refused_in_one_line() -> None:
    splats = green(100)
    pictures = np.zeros((4, 32, 32, 3), np.float32)
    far = Region(box=np.array([[8, 8, 8], [9, 9, 9]], np.float32))
    short = Region(selected=np.ones(7, bool))
    refused: list[tuple[type[WeftError], dict[str, Any]]] = [
        (InvalidInput, {"schedule": "all_at_once"}), (InvalidInput, {"change": "shape"}), (InvalidInput, {"batch": 0}),
        (InvalidCamera, {"images": pictures}), (InvalidInput, {"region": far}), (InvalidInput, {"region": short}),
        (InvalidInput, {"up": "sideways"}),
    ]  # fmt: skip
    for kind, wanted in refused:
        with pytest.raises(kind) as caught:
            edited(splats, **wanted)
        assert "\n" not in str(caught.value)
        assert caught.value.hint


@needs_data
def test_the_colours_of_a_scan_change_and_its_positions_do_not() -> None:
    splats = load_splats(DATA / "guitar_splats.ply").splats
    result, _ = edited(splats, up="-y", views=4, size=32, batch=4, every=4)
    np.testing.assert_array_equal(result.arrays["splats.means"], splats.means)
    np.testing.assert_array_equal(result.arrays["splats.log_scales"], splats.log_scales)
    assert result.info["reached"] > 0.1
