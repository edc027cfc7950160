"""Scenes of photographs: held-out views are met, a scene that was stopped goes on to the bit, failures are said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from practice_views import photographs, standing_around
from scipy.ndimage import gaussian_filter

from weft.errors import InvalidInput, UnknownName
from weft.geometry.splats import Splats
from weft.io.scene_files import read_scene
from weft.scenes.frame import SceneFrame
from weft.scenes.voxels import Voxels
from weft.tasks import fit_training
from weft.tasks.events import Checkpoint, Event, Preview, Progress, Result, Warning
from weft.tasks.fit import fit
from weft.tasks.scene_source import open_scene

CAMERAS = standing_around(9, 32)
WANTED: dict[str, Any] = {
    "kind": "splats", "size": 0, "splats": 700, "degree": 1, "steps": 60, "hold_out": 4, "background": "automatic",
    "mesh": False, "texture_size": 128, "seed": 1, "report": False,
}  # fmt: skip


def asked(**more: Any) -> dict[str, Any]:
    return {**WANTED, **more}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """A little out of focus: finer waves than splats of a test can show are no point here."""
    return gaussian_filter(photographs(CAMERAS)[0], (0, 1.2, 1.2, 0))


@pytest.fixture(scope="module")
def points(images: np.ndarray) -> dict[str, np.ndarray]:
    """Where the world's surfaces are, as structure from motion would tell it: no first look is needed."""
    depths = photographs(CAMERAS)[1]
    found, colors = [], []
    for camera, depth, image in zip(CAMERAS, depths, images, strict=True):
        row, column = np.mgrid[1:32:3, 1:32:3]
        away = depth[row, column]
        x, y = (column + 0.5 - camera.cx) / camera.fx, (camera.cy - row - 0.5) / camera.fy
        seen = np.stack([x, y, -np.ones_like(x)], -1) * away[..., None]
        found.append((seen @ camera.pose[:3, :3].T + camera.center).reshape(-1, 3))
        colors.append(image[row, column].reshape(-1, 3))
    return {"points": np.concatenate(found).astype(np.float32), "point_colors": np.concatenate(colors)}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poses are compared with the pictures elsewhere."""
    monkeypatch.setattr("weft.tasks.scene_input.check_poses", lambda images, cameras: None)


def result_of(events: Iterator[Event]) -> Result:
    *_, last = events
    assert isinstance(last, Result)
    return last


def test_a_scene_meets_views_that_it_never_saw(images: np.ndarray, points: dict[str, np.ndarray]) -> None:
    events = list(fit(images, CAMERAS, **points, **asked(steps=250, splats=1500, report=True)))
    result = events[-1]
    assert isinstance(result, Result)
    assert result.info["held_out_psnr"] > 20  # a single colour reaches 15.7 dB
    assert not [event for event in events if isinstance(event, Warning)]
    assert (result.info["kind"], result.info["steps"], result.info["held_out"]) == ("splats", 250, 3)
    for k, view in enumerate((0, 4, 8)):
        error = float(((result.arrays["view.images"][k] - images[view]) ** 2).mean())
        assert -10 * np.log10(error) > 15
        assert np.abs(result.arrays["camera.poses"][k] - CAMERAS[view].pose).max() < 1e-5
    assert result.arrays["turntable"].shape == (36, 32, 32, 3)
    assert result.arrays["contact_sheet"].ndim == 3
    assert np.ptp(result.arrays["turntable"], axis=0).max() > 0.2  # it turns
    last = [event for event in events if isinstance(event, Progress) and event.phase == "train"][-1]
    assert (last.step, last.total) == (250, 250)
    assert "dB on a held-out view" in last.message
    preview = [event for event in events if isinstance(event, Preview)][-1]
    assert preview.image.shape == (32, 68, 3)
    assert any(np.array_equal(preview.image[:, 36:], images[view]) for view in (0, 4, 8))


def test_the_splats_stand_in_the_world_of_the_cameras(images: np.ndarray, points: dict[str, np.ndarray]) -> None:
    """Rendered there by the cameras as they were given, they are the held-out renders."""
    arrays = result_of(fit(images, CAMERAS, **points, **WANTED)).arrays
    splats = Splats(*(arrays[f"splats.{n}"] for n in ("means", "quaternions", "log_scales", "logits", "sh")))
    there = open_scene(splats)
    assert np.array_equal(there.frame.matrix, np.eye(4))
    seen = there.scene.render(replace(CAMERAS[4], near=0.05 * 3.2)).image.clip(0, 1)
    assert np.abs(seen - arrays["view.images"][1]).mean() < 2e-3
    file = read_scene(arrays["scene"].tobytes())
    assert (file.kind, file.info.step, file.info.steps, file.info.size) == ("splats", 60, 60, (32, 32))
    opened = open_scene(arrays["scene"])
    assert np.array_equal(opened.scene.render(opened.frame.into(CAMERAS[4])).image.clip(0, 1), arrays["view.images"][1])


@pytest.mark.parametrize("kind", ["splats", "voxels"])
def test_a_scene_that_was_stopped_goes_on_to_the_bit(
    images: np.ndarray, points: dict[str, np.ndarray], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_training, "KEPT", 0.0)
    monkeypatch.setattr(Voxels, "begin", partial(Voxels.begin, resolution=16))
    wanted = asked(kind=kind, steps=10)
    events = list(fit(images, CAMERAS, **points, **wanted))
    whole = events[-1]
    kept = [event for event in events if isinstance(event, Checkpoint)]
    assert isinstance(whole, Result)
    assert len(kept) == wanted["steps"] - 1
    middle = kept[len(kept) // 2]
    assert set(middle.arrays) == {"scene"}
    # Steps, seed and size are those of the file, whatever is asked for.
    again = asked(kind=kind, steps=0, seed=77)
    rest = result_of(fit(images, CAMERAS, **points, **again, scene=middle.arrays["scene"]))
    assert np.array_equal(rest.arrays["scene"], whole.arrays["scene"])


def test_more_steps_are_taken_and_fewer_refused(images: np.ndarray, points: dict[str, np.ndarray]) -> None:
    short = result_of(fit(images, CAMERAS, **points, **asked(steps=4))).arrays["scene"]
    longer = result_of(fit(images, CAMERAS, **points, **asked(steps=6), scene=short))
    info = read_scene(longer.arrays["scene"].tobytes()).info
    assert (info.step, info.steps) == (6, 6)
    for steps, message in ((3, "has had 4 steps, and 3 were asked for"), (0, "has had 4 steps, and 4 were asked for")):
        with pytest.raises(InvalidInput, match=message):
            list(fit(images, CAMERAS, **points, **asked(steps=steps), scene=short))
    with pytest.raises(InvalidInput, match="made of splats, and kind = voxels"):
        list(fit(images, CAMERAS, **asked(kind="voxels"), scene=short))
    with pytest.raises(InvalidInput, match="damaged"):
        list(fit(images, CAMERAS, **WANTED, scene=short[:-9]))
    with pytest.raises(UnknownName, match="no scene is made of 'clay'"):
        list(fit(images, CAMERAS, **asked(kind="clay")))


def test_a_scene_that_does_not_converge_is_said_with_what_it_reached(
    images: np.ndarray, points: dict[str, np.ndarray]
) -> None:
    """Every picture with the pose of another."""
    shuffled = [CAMERAS[k] for k in np.random.default_rng(0).permutation(9)]
    events = list(fit(images, shuffled, **points, **WANTED))
    said = [event for event in events if isinstance(event, Warning)]
    assert len(said) == 1
    reached = events[-1]
    assert isinstance(reached, Result)
    assert f"{reached.info['held_out_psnr']:.1f} dB on held-out views" in said[0].message
    assert "check the poses" in said[0].hint
    assert reached.arrays["scene"].size  # it is not thrown away


def test_few_views_are_measured_by_themselves(images: np.ndarray, points: dict[str, np.ndarray]) -> None:
    events = list(fit(images[:2], CAMERAS[:2], **points, **asked(steps=5)))
    result = events[-1]
    assert isinstance(result, Result)
    assert (result.info["held_out"], result.info["held_out_psnr"]) == (0, None)
    assert result.arrays["view.images"].shape == (2, 32, 32, 3)
    assert any(isinstance(event, Warning) and "too few to hold one out" in event.message for event in events)


def test_a_frame_of_its_own_is_kept(images: np.ndarray, points: dict[str, np.ndarray]) -> None:
    """More pictures do not move a scene that goes on."""
    wanted = asked(steps=3)
    some = result_of(fit(images[:6], CAMERAS[:6], **points, **wanted)).arrays["scene"]
    more = result_of(fit(images, CAMERAS, **points, **asked(steps=5), scene=some)).arrays["scene"]
    first, second = (SceneFrame(read_scene(one.tobytes()).info.frame).matrix for one in (some, more))
    assert np.array_equal(first, second)


def test_closing_the_generator_ends_it(images: np.ndarray, points: dict[str, np.ndarray]) -> None:
    run: Any = fit(images, CAMERAS, **points, **WANTED)
    while not (isinstance(event := next(run), Progress) and event.phase == "train"):
        pass
    run.close()
    with pytest.raises(StopIteration):
        next(run)


def test_a_scene_is_not_lost_to_its_mesh(
    images: np.ndarray, points: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(scene: Any, views: Any, frame: Any, *, texture_size: int) -> dict[str, np.ndarray]:
        raise InvalidInput("the scene has no surface", "train it longer")

    monkeypatch.setattr("weft.tasks.fit.scene_mesh", fails)
    events = list(fit(images, CAMERAS, **points, **asked(steps=3, mesh=True)))
    assert isinstance(events[-1], Result)
    assert any(isinstance(event, Warning) and "there is no mesh: the scene has" in event.message for event in events)
    triangle = {"mesh.0.vertices": np.zeros((3, 3), np.float32)}
    monkeypatch.setattr("weft.tasks.fit.scene_mesh", lambda *_, texture_size: triangle)
    made = result_of(fit(images, CAMERAS, **points, **asked(steps=3, mesh=True)))
    assert made.arrays["mesh.0.vertices"] is triangle["mesh.0.vertices"]
