"""What a job on views refuses before it begins, each in one line with its remedy."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from practice_shapes import quad

from weft.errors import InvalidInput, UnknownName, WeftError
from weft.geometry.camera import Camera, frame_object, look_at
from weft.schedule import stable_diffusion
from weft.spaces.surface import build_surface
from weft.spaces.view_geometry import of_mesh
from weft.tasks.events import Warning
from weft.tasks.move import move
from weft.tasks.painting import Clock
from weft.tasks.view_plan import space_of
from weft.tasks.views_job import ViewsJob, strip
from weft.tasks.views_scene import ViewScene, check_scene
from weft.tasks.views_stage import Stage, fitted_views, prepared
from weft.tasks.views_wanted import Wanted

CAMERAS = [Camera(look_at((x, -3, 0), (0, 0, 0)), 64, 48, 60, 60, 32, 24) for x in (-1, 0, 1)]
IMAGES = np.full((3, 48, 64, 3), 0.5, np.float32)
SCENE = ViewScene(IMAGES, CAMERAS)


@pytest.mark.parametrize(
    ("scene", "what", "remedy"),
    [
        (ViewScene(), "neither views nor meshes", "give"),
        (ViewScene(meshes=[quad()], textures=[None]), "no texture", "rendered views"),
        (ViewScene(meshes=[replace(quad(), corner_uv=None)], textures=[IMAGES[0]]), "has no UVs", "unwrap"),
        (replace(SCENE, images=IMAGES[:1], cameras=CAMERAS[:1]), "1 view", "2 or more"),
        (replace(SCENE, cameras=()), "without poses", "transforms.json"),
        (replace(SCENE, cameras=CAMERAS[:2]), "2 cameras for 3 views", "one camera a view"),
        (replace(SCENE, images=np.full((3, 40, 64, 3), 0.5, np.float32)), "is for 64×48 px", "intrinsics"),
        (replace(SCENE, images=np.full_like(IMAGES, np.nan)), "NaN", "8 bits"),
        (replace(SCENE, images=IMAGES * 4), "outside 0 to 1", "8 bits"),
        (replace(SCENE, images=IMAGES[:, :8], cameras=CAMERAS), "64×8 px", "scale"),
        (replace(SCENE, masks=np.zeros(IMAGES.shape[:3], bool)), "empty", "white"),
        (replace(SCENE, masks=np.ones((2, 48, 64), bool)), "masks of shape", "one a view"),
        (replace(SCENE, depths=np.ones((3, 24, 64), np.float32)), "depth maps of shape", "one a view"),
    ],
)
def test_what_cannot_be_worked_on_is_refused_in_one_line(scene: ViewScene, what: str, remedy: str) -> None:
    with pytest.raises(WeftError) as caught:
        check_scene(scene)
    assert what in caught.value.message
    assert remedy in caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reference", [4, -1])
def test_a_reference_that_is_no_view_is_refused(reference: int) -> None:
    with pytest.raises(InvalidInput, match=f"reference = {reference}, and there are 3 views"):
        check_scene(SCENE, Wanted(reference=reference))
    check_scene(SCENE, Wanted(reference=3))


def test_an_object_to_move_is_known_before_any_work() -> None:
    """Neither names nor masks wait for depth or weights."""
    options: dict[str, Any] = {"transform": np.eye(4), "strength": 0.3, "prompt": "", "report": False, "seed": 0}
    options |= {"way": "automatic", "coupling": 0.4, "coupling_lambda": 0.0, "reference": 0}
    options |= {"views": 4, "size": 64, "texture_size": 64, "steps": 4}
    with pytest.raises(UnknownName, match="no mesh is called 'sofa'"):
        next(move(SCENE, object="sofa", object_masks=None, **options))
    with pytest.raises(InvalidInput, match="masks of the object are empty"):
        next(move(SCENE, object="", object_masks=np.zeros(IMAGES.shape[:3], bool), **options))


def test_a_prior_refuses_before_anything_is_edited_for_it() -> None:
    surface = build_surface([quad()], 32)
    geometry = of_mesh(space_of(surface, frame_object(surface.vertices, [(-20, 0), (20, 0)], 32)))
    stage = Stage(IMAGES[:2, :32, :32], geometry.mask, geometry, lambda cells: {}, lambda cells: [])
    editor: Any = SimpleNamespace(
        schedule=stable_diffusion(4), shape=(2, 3, 32, 32), device=torch.device("cpu"), eta=1.0, clean=None,
        editor=lambda seed: lambda x, level: 0 * x,
    )  # fmt: skip

    def refuses(*wanted: Any) -> None:
        raise InvalidInput("six views, not two")

    prior: Any = SimpleNamespace(bind=refuses)
    with pytest.raises(InvalidInput, match="six views"):
        next(ViewsJob(stage, editor, Wanted(), Clock(), prior).run())
    assert next(ViewsJob(stage, editor, Wanted("per_view"), Clock(), prior).run()) is not None  # it asks nobody


@pytest.mark.parametrize("shape", [(2, 64, 16), (5, 64, 96), (9, 1024, 1024), (1, 48, 2048)])
def test_a_strip_is_narrow_and_has_room_for_all(shape: tuple[int, int, int]) -> None:
    count = shape[0]
    grey = np.linspace(0.1, 0.5, count, dtype=np.float32)[:, None, None, None]
    shown = strip(np.broadcast_to(grey, (*shape, 3)), 1024)
    assert shown.shape[1] <= 1024
    assert len(np.unique(shown[shown < 1])) == count
    assert (shown < 1).mean() > count / (count + np.sqrt(count) + 1)


def test_what_is_whole_passes() -> None:
    check_scene(SCENE)
    check_scene(ViewScene(meshes=[quad()], textures=[IMAGES[0]]))


def test_views_are_fitted_with_their_cameras() -> None:
    """A point lands at the same part of the frame, whatever its size becomes."""
    masks = np.zeros(IMAGES.shape[:3], bool)
    masks[:, :24] = True
    depths = np.tile(np.arange(64, dtype=np.float32) + 1, (3, 48, 1))
    scene = replace(SCENE, masks=masks, depths=depths)
    fitted = fitted_views(scene, 48, 16)
    assert fitted.images is not None
    assert fitted.images.shape == (3, 32, 48, 3)
    point = np.array([[0.3, 0.2, 0.4]], np.float32)
    for before, after in zip(scene.cameras, fitted.cameras, strict=True):
        old, new = before.project(point)[0][0], after.project(point)[0][0]
        np.testing.assert_allclose(new / (48, 32), old / (64, 48), atol=1e-5)
    assert fitted.masks is not None
    assert fitted.masks.mean() == pytest.approx(0.5)
    assert fitted.depths is not None
    assert set(np.unique(fitted.depths)) <= set(np.unique(depths))  # no depth between two surfaces is invented


def test_views_that_fit_stay_as_they_are() -> None:
    assert fitted_views(SCENE, 256, 16) is SCENE


@pytest.mark.parametrize(("half", "told"), [(0.03, True), (0.5, False)])
def test_a_mesh_that_views_hardly_show_is_told_of(half: float, told: bool) -> None:
    scene = ViewScene(IMAGES, CAMERAS, meshes=[quad(half=half)])
    events = list(prepared(scene, Clock(), side=64, unit=16, views=3, texture_size=128))
    assert any(isinstance(event, Warning) and "nearly nothing will change" in event.message for event in events) == told
