"""The splat task from a cloud to colours, small: its cameras, its events, its promises, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from practice_clouds import ball, ring_around
from practice_shapes import DATA, needs_data

from weft.benchmarks.splat_colors import measure_fits, table
from weft.errors import InvalidInput, WeftError
from weft.geometry.camera import Camera, look_at
from weft.geometry.splats import Splats, transformed
from weft.io import load_splats
from weft.spaces.splat_colors import build_splat_colors
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.guide import Guide
from weft.tasks.phases import Painter
from weft.tasks.splat_report import FinishedSplats, held_out_psnr
from weft.tasks.splat_texture import splat_texture
from weft.tasks.splat_views import UPS, plan_cameras

SMALL: dict[str, Any] = {
    "exemplar": None, "cameras": [], "prompt": "", "up": "z", "size": 64, "steps": 4, "seed": 0, "views": 10,
    "cameras_from": "automatic", "pattern_scale": 1.0, "report": False,
}  # fmt: skip
GHOSTS = 50
CLOUD = ball(1500, ghosts=GHOSTS)


def patches() -> np.ndarray:
    """An exemplar f4 [64, 64, 3] of red and yellow squares."""
    choice = np.random.default_rng(0).integers(0, 2, (8, 8)).repeat(8, 0).repeat(8, 1)
    return np.array([(0.8, 0.1, 0.1), (0.9, 0.8, 0.1)], np.float32)[choice]


def run(splats: Splats = CLOUD, **changes: Any) -> Iterator[Event]:
    settings: dict[str, Any] = {**SMALL, "exemplar": patches(), **changes}
    return splat_texture(splats, **settings)


def result_of(splats: Splats = CLOUD, **changes: Any) -> Result:
    *_, last = run(splats, **changes)
    assert isinstance(last, Result)
    return last


def colors_of(result: Result) -> np.ndarray:
    return 0.5 + 0.28209479177387814 * result.arrays["splats.dc"]


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return list(run(report=True, steps=6))


@pytest.fixture(scope="module")
def plain() -> Result:
    """Of few steps, and nothing else asked for."""
    return result_of(steps=2, seed=1)


# What comes


def test_progress_and_previews_lead_to_one_result(events):
    assert isinstance(events[-1], Result)
    progress = [event for event in events if isinstance(event, Progress)]
    assert list(dict.fromkeys(event.phase for event in progress)) == ["prepare", "views", "decals", "finish"]
    for phase in ("views", "decals"):
        assert [event.step for event in progress if event.phase == phase] == [1, 2, 3]
    previews = [event.image for event in events if isinstance(event, Preview)]
    assert len(previews) == 6
    assert {image.shape for image in previews} == {(2, 1024, 3)}
    final = colors_of(events[-1])
    assert np.allclose(previews[-1].reshape(-1, 3)[:1500], final, atol=1e-5)


def test_the_result_holds_colors_of_the_exemplar(events):
    dc = events[-1].arrays["splats.dc"]
    assert dc.shape == (1500, 3)
    assert dc.dtype == np.float32
    colors = colors_of(events[-1])
    assert colors.min() > -1e-5
    assert colors.max() < 1 + 1e-5
    red = colors[:, 0] - colors[:, 2]  # 0.7 and 0.8 in the exemplar, 0 in the grey ball
    assert np.median(red) > 0.5
    assert colors[:, 1].std() > 0.05  # both colours are there


def test_splats_that_are_not_seen_copy_the_nearest_that_is(events):
    ghosts = colors_of(events[-1])[-GHOSTS:]
    others = colors_of(events[-1])[:-GHOSTS]
    for color, mean in zip(ghosts, CLOUD.means[-GHOSTS:], strict=True):
        assert np.abs(others - color).sum(1).min() < 1e-6
        nearest = np.linalg.norm(CLOUD.means[:-GHOSTS] - mean, axis=1).argsort()[:8]
        assert np.abs(others[nearest] - color).sum(1).min() < 1e-6


def test_geometry_is_not_touched():
    before = [getattr(CLOUD, name).copy() for name in ("means", "quaternions", "log_scales", "logits", "sh")]
    result_of(steps=2, views=4)
    for name, array in zip(("means", "quaternions", "log_scales", "logits", "sh"), before, strict=True):
        assert np.array_equal(getattr(CLOUD, name), array)


def test_reports_hold_pictures_and_plain_numbers(events):
    arrays, info = events[-1].arrays, events[-1].info
    assert arrays["contact_sheet"].shape[0] == 3 * 288
    assert arrays["turntable"].shape == (36, 128, 128, 3)
    for name in ("contact_sheet", "turntable"):
        assert arrays[name].dtype == np.float32
        assert 0 <= arrays[name].min() <= arrays[name].max() <= 1
    assert len(json.dumps(info)) < 16 * 1024
    assert info["held_out_psnr"] > 10
    assert 0 < info["sharpness"] < 2
    assert {"cameras", "weights", "views", "decals", "fit", "decals, of which denoising", "report", "total"} <= set(
        info["seconds"]
    )
    assert 0.9 < info["coverage"] < 1


def test_without_report_there_are_only_colors(plain):
    assert set(plain.arrays) == {"splats.dc"}


def test_same_seed_same_bytes_other_seed_other_colors(plain):
    one = plain.arrays["splats.dc"]
    again, other = (result_of(steps=2, seed=seed).arrays["splats.dc"] for seed in (1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_closing_ends_the_job():
    events = run(steps=50)
    assert isinstance(events, Generator)
    seen = [next(events) for _ in range(5)]
    assert any(isinstance(event, Preview) for event in seen)
    events.close()
    assert list(events) == []


def test_clouds_seen_in_part_are_warned_of():
    front = ring_around(CLOUD, 1, 64)
    warnings = [e for e in run(cameras=front, cameras_from="scene", steps=2) if isinstance(e, Warning)]
    assert len(warnings) == 1
    assert "%" in warnings[0].message


def test_what_is_too_thin_for_decals_is_painted_from_its_views():
    few = Splats(*(getattr(CLOUD, n)[:2] for n in ("means", "quaternions", "log_scales", "logits", "sh")))
    few = replace(few, log_scales=np.full_like(few.log_scales, -12.0), logits=np.full_like(few.logits, 6.0))
    result = result_of(few, steps=3, report=True)
    assert result.info["decals"] == 0
    assert np.isfinite(result.arrays["splats.dc"]).all()


# Where cameras stand


@pytest.mark.parametrize("up", UPS)
def test_up_turns_the_cameras_into_the_file(up):
    """The same object in another file's frame is seen by the same cameras from there."""
    to_file = np.eye(4)
    to_file[:3, :3] = UPS[up].T
    assert np.linalg.det(UPS[up]) == pytest.approx(1)
    upright, turned = (
        plan_cameras(cloud, up=direction, size=64, count=20, cameras_from="automatic", scene=[])
        for cloud, direction in ((CLOUD, "z"), (transformed(CLOUD, to_file), up))
    )
    for camera, other in zip(upright, turned, strict=True):
        assert np.allclose(to_file @ camera.pose, other.pose, atol=1e-5)
        assert other.fx == pytest.approx(camera.fx, rel=1e-5)
    axis = {"-y": (0, -1, 0), "y": (0, 1, 0), "z": (0, 0, 1)}[up]
    assert turned[0].pose[:3, 1] @ axis == pytest.approx(1, abs=1e-6)


def test_cameras_frame_the_object_with_one_lens():
    for cloud in (CLOUD, stretched(4.0)):
        cameras = plan_cameras(cloud, up="z", size=64, count=50, cameras_from="automatic", scene=[])
        assert 16 <= len(cameras) <= 50
        assert len({round(camera.fx, 6) for camera in cameras}) == 1
        shown = np.zeros(cloud.count, int)
        for camera in cameras:
            xy, depth = camera.project(cloud.means)
            shown += ((xy >= 0) & (xy <= 64)).all(1) & (depth > 0)
        assert (shown[:-GHOSTS] >= 12).mean() > 0.99


def stretched(factor: float) -> Splats:
    return replace(CLOUD, means=CLOUD.means * np.array([1, 1, factor], np.float32))


def test_long_objects_are_seen_from_closer_in_several_windows():
    def largest(cloud: Splats) -> float:
        cameras = plan_cameras(cloud, up="z", size=64, count=50, cameras_from="automatic", scene=[])
        return build_splat_colors(cloud, cameras).mask.mean()

    one_frame = ring_around(stretched(4.0), 10, 64)
    assert largest(stretched(4.0)) > 1.5 * build_splat_colors(stretched(4.0), one_frame).mask.mean()


def test_strays_do_not_widen_the_frame():
    far = CLOUD.means.copy()
    far[:2] = 100.0
    calm, stray = (
        plan_cameras(cloud, up="z", size=64, count=8, cameras_from="automatic", scene=[])[0]
        for cloud in (CLOUD, replace(CLOUD, means=far))
    )
    distance = np.linalg.norm(stray.center - CLOUD.means.mean(0)) / stray.fx
    assert distance == pytest.approx(np.linalg.norm(calm.center - CLOUD.means.mean(0)) / calm.fx, rel=0.05)


def test_scene_cameras_become_square():
    wide = Camera(look_at((0, -4, 0), (0, 0, 0)), 300, 200, 250.0, 250.0, 150.0, 100.0)
    (square,) = plan_cameras(CLOUD, up="-y", size=64, count=9, cameras_from="scene", scene=[wide])
    assert (square.width, square.height) == (64, 64)
    xy, _ = wide.project(CLOUD.means)
    expected = (xy - np.array([50, 0])) * 64 / 200
    assert np.allclose(square.project(CLOUD.means)[0], expected, atol=1e-3)
    both = plan_cameras(CLOUD, up="z", size=64, count=9, cameras_from="both", scene=[wide])
    assert len(both) == 10


# What is measured


def test_held_out_views_are_met_by_consistent_estimates_and_not_by_noise():
    cameras = plan_cameras(CLOUD, up="z", size=64, count=16, cameras_from="automatic", scene=[])
    space = build_splat_colors(CLOUD, cameras)
    linear = space.owned(60.0, residual_passes=2)
    colors = torch.from_numpy(np.sin(3 * CLOUD.means).astype(np.float32)) * 0.8
    painter = Painter(patches(), 60.0)

    def refit(pixels: torch.Tensor, held: Sequence[int]) -> tuple[torch.Tensor, np.ndarray]:
        part = space.without(held).owned(60.0, residual_passes=2)
        return part.aggregate(pixels), part.seen

    def score(pixels: torch.Tensor) -> float:
        z, counted = linear.aggregate(pixels), space.mask.ravel()
        finished = FinishedSplats(
            pixels, counted, pixels, refit, CLOUD, "z", space, z, Guide("exemplar", painter.picture, painter), []
        )  # fmt: skip
        return held_out_psnr(finished, pixels)

    consistent = linear.project(colors)
    assert score(consistent) > 28
    random = torch.rand(consistent.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert score(random) < 12


def test_fits_are_compared_in_a_table():
    cloud = replace(CLOUD, sh=np.sin(3 * CLOUD.means).astype(np.float32)[:, None])
    rows = list(measure_fits(cloud, up="z", size=48, views=9, seed=0, generous=False))
    for views in ("consistent", "inconsistent"):
        own = [row for row in rows if row.views == views]
        assert [row.method for row in own].count("conjugate gradients") == 3
        assert {row.method for row in own} > {"Adam, all views", "Adam, one view a step", "back-projection"}
        assert all(np.isfinite(row.psnr) for row in own)
    exact = [row for row in rows if row.views == "consistent"]
    assert max(row.psnr for row in exact if row.method == "conjugate gradients") > exact[0].psnr + 1
    assert len(list(table(rows))) == 1 + len(rows)
    with pytest.raises(InvalidInput):
        list(measure_fits(cloud, up="z", size=48, views=8, seed=0))


# What is refused


def away(camera: Camera) -> Camera:
    return replace(camera, pose=look_at((0, -10, 0), (0, -20, 0)))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"up": "sideways"}, InvalidInput),
        ({"cameras_from": "nowhere"}, InvalidInput),
        ({"cameras_from": "scene"}, InvalidInput),
        ({"cameras_from": "scene", "cameras": [away(c) for c in ring_around(CLOUD, 1)]}, WeftError),
        ({"views": 0}, InvalidInput),
        ({"exemplar": np.zeros((10, 10, 3), np.float32)}, InvalidInput),
        ({"splats": replace(CLOUD, means=np.full_like(CLOUD.means, np.nan))}, InvalidInput),
        ({"splats": replace(CLOUD, means=np.zeros_like(CLOUD.means))}, InvalidInput),
        ({"splats": Splats(*(getattr(CLOUD, n)[:0] for n in ("means", "quaternions", "log_scales", "logits", "sh")))},
         InvalidInput),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_the_first_event(changes, error):
    with pytest.raises(error) as caught:
        next(run(**changes))
    assert caught.value.hint or "splats" in caught.value.message


@needs_data
def test_the_guitar_is_painted():
    splats = load_splats(DATA / "guitar_splats.ply").splats
    result = result_of(splats, up="-y", size=96, views=9, steps=4)
    assert result.arrays["splats.dc"].shape == (90854, 3)
    colors = colors_of(result)
    assert np.median(colors[:, 0] - colors[:, 2]) > 0.4
    assert 0.3 < result.info["coverage"] < 1  # at this size many splats are less than a hundredth of any pixel
