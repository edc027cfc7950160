"""Relight, stylize and move as the science runs them: what stays, what is known exactly, what each way promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from practice_shapes import box

from weft.errors import InvalidInput
from weft.geometry.camera import frame_object
from weft.methods.view_editing import WAYS
from weft.spaces.surface import build_surface
from weft.tasks.events import Event, Preview, Progress, Result
from weft.tasks.move import move
from weft.tasks.relight import relight
from weft.tasks.rendering import render_surface
from weft.tasks.stylize import stylize
from weft.tasks.views_scene import ViewScene

SIDE = 64
ALIKE: dict[str, Any] = {
    "way": "automatic", "coupling": 0.4, "coupling_lambda": 0.0, "reference": 0, "views": 4, "size": SIDE,
    "texture_size": 128, "steps": 4, "seed": 0, "report": False,
}  # fmt: skip
RELIT: dict[str, Any] = {
    "environment": None, "old_environment": None, "light": "sunset", "rotation": 0.0, "exposure": 0.0,
    "old_light": "overcast", "shadows": True, "prompt": "", **ALIKE,
}  # fmt: skip
STYLED: dict[str, Any] = {
    "exemplar": None, "prompt": "moss", "guide": "automatic", "fidelity": 0.6, "pattern_scale": 1.0, **ALIKE,
}  # fmt: skip
MESH = box(8, sphere=True)


@pytest.fixture(scope="module")
def scene() -> ViewScene:
    """Three views of a ball with a soft texture."""
    surface = build_surface([MESH], 128)
    row, column = np.mgrid[:128, :128] / 128
    texture = np.stack([0.3 + 0.4 * row, 0.7 - 0.3 * column, 0.5 + 0 * row], -1).astype(np.float32)
    cameras = frame_object(surface.vertices, [(0.0, 10.0), (35.0, -10.0), (70.0, 10.0)], SIDE)
    images = np.stack([render_surface(surface, [texture], camera)[0] for camera in cameras])
    return ViewScene(images=images, cameras=cameras, meshes=[MESH], textures=[None])


def result_of(events: Iterator[Event]) -> Result:
    *_, last = events
    assert isinstance(last, Result)
    return last


def relit(scene: ViewScene, **changes: Any) -> np.ndarray:
    return result_of(relight(scene, **{**RELIT, **changes})).arrays["view.images"]


def moved(scene: ViewScene, shift: tuple[float, float, float], **changes: Any) -> Result:
    transform = np.eye(4)
    transform[:3, 3] = shift
    options = {"object_masks": None, "transform": transform, "object": MESH.name, "strength": 0.0, "prompt": ""}
    return result_of(move(scene, **{**options, **ALIKE, **changes}))


def test_the_light_that_is_there_changes_nothing(scene: ViewScene) -> None:
    assert scene.images is not None
    same = relit(scene, light="overcast")
    assert np.abs(same - scene.images).mean() < 0.01
    assert np.abs(relit(scene) - scene.images).mean() > 0.03


def test_exposure_is_stops_of_light(scene: ViewScene) -> None:
    """A stop more is twice the light, in linear values, wherever neither clips."""
    darker, brighter = (_linear(relit(scene, exposure=ev)) for ev in (-3.0, -2.0))
    assert scene.images is not None
    changed = (np.abs(darker - _linear(scene.images)) > 1e-3).all(-1) & (brighter.max(-1) < 0.9)
    assert changed.mean() > 0.1
    stops = np.log2(brighter[changed] / darker[changed])
    assert np.median(stops) == pytest.approx(1, abs=0.02)
    assert np.quantile(np.abs(stops - 1), 0.95) < 0.2


def _linear(image: np.ndarray) -> np.ndarray:
    return np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(
    "run", [lambda s: relight(s, **RELIT), lambda s: stylize(s, **STYLED)], ids=["relight", "stylize"]
)
def test_what_may_not_change_is_as_it_was(scene: ViewScene, run: Callable[[ViewScene], Iterator[Event]]) -> None:
    assert scene.images is not None
    allowed = np.zeros(scene.images.shape[:3], bool)
    allowed[:, :, : SIDE // 2] = True
    edited = result_of(run(replace(scene, masks=allowed))).arrays["view.images"]
    assert np.array_equal(edited[~allowed], scene.images[~allowed])
    assert not np.array_equal(edited[allowed], scene.images[allowed])


@pytest.mark.parametrize("way", WAYS)
def test_every_way_ends_with_views_and_their_bake(scene: ViewScene, way: str) -> None:
    events = list(stylize(scene, **{**STYLED, "way": way}))
    result = events[-1]
    assert isinstance(result, Result)
    assert result.info["way"] == way
    assert result.arrays["view.images"].shape == (3, SIDE, SIDE, 3)
    assert result.arrays["texture.0"].shape == (128, 128, 3)
    last = [event for event in events if isinstance(event, Progress) and event.phase == "views"][-1]
    assert last.step == last.total
    assert {event.object for event in events if isinstance(event, Preview)} == {0, 1}  # the texture, the strip


def test_a_reference_beyond_the_views_is_refused(scene: ViewScene) -> None:
    with pytest.raises(InvalidInput, match="reference = 9"):
        result_of(stylize(scene, **{**STYLED, "way": "coupled", "reference": 9}))


def test_a_textured_mesh_without_views_keeps_the_detail_of_its_texture() -> None:
    """Only the quotient of light goes through the views: in even light of 1 every texel of a chart comes back."""
    texture = np.random.default_rng(0).random((96, 96, 3), np.float32)
    given = ViewScene(meshes=[MESH], textures=[texture])
    even = np.ones((4, 8, 3), np.float32)
    result = result_of(relight(given, **{**RELIT, "environment": even, "light": "", "old_light": "automatic"}))
    chart = build_surface([MESH], 96).chart[0]
    assert np.abs(result.arrays["texture.0"] - texture)[chart].max() < 1e-3


def test_what_moved_is_there_and_its_old_place_is_the_backdrop(scene: ViewScene) -> None:
    """The ball before a plain backdrop, a fifth of a radius to the right of the first camera."""
    result = moved(scene, (0.2, 0, 0))
    assert scene.images is not None
    middle = SIDE // 2
    before, after = scene.images[0, middle], result.arrays["view.images"][0, middle]
    backdrop = scene.images[0, 0, 0]
    left = np.flatnonzero(np.abs(before - backdrop).max(-1) > 0.1)[0]
    assert np.abs(after[left] - backdrop).max() < 0.05
    assert result.arrays["view.holes"].shape == scene.images.shape[:3]


def test_nothing_that_moves_is_refused(scene: ViewScene) -> None:
    with pytest.raises(InvalidInput, match="where it is"):
        moved(scene, (0, 0, 0))
    with pytest.raises(InvalidInput, match="no view"):
        moved(scene, (0, 0, 90))
