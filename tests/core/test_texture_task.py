"""The texture task from meshes to textures, small: its events, its promises, and what it refuses."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from practice_shapes import DATA, box, needs_data, quad, real_mesh, tetrahedron

from weft.errors import InvalidImage, InvalidInput, InvalidMesh, WeftError
from weft.geometry.camera import Camera, look_at
from weft.geometry.mesh import Mesh
from weft.geometry.uv import uv_problems
from weft.io.images import load_image
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.texture import texture, warm_up

SMALL: dict[str, Any] = {
    "exemplar": None, "cameras": [], "prompt": "", "size": 64, "steps": 4, "seed": 0, "texture_size": 64, "views": 4,
    "cameras_from": "automatic", "pattern_scale": 1.0, "decals": True, "report": False,
}  # fmt: skip


def patches(seed: int = 0) -> np.ndarray:
    """An exemplar f4 [64, 64, 3] of red and yellow squares."""
    choice = np.random.default_rng(seed).integers(0, 2, (16, 16)).repeat(4, 0).repeat(4, 1)
    return np.array([(0.8, 0.1, 0.1), (0.9, 0.8, 0.1)], np.float32)[choice]


def run(meshes: Sequence[Mesh], **changes: Any) -> Iterator[Event]:
    settings: dict[str, Any] = {**SMALL, "exemplar": patches(), **changes}
    return texture(meshes, **settings)


def result_of(meshes: Sequence[Mesh], **changes: Any) -> Result:
    *_, last = run(meshes, **changes)
    assert isinstance(last, Result)
    return last


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """Two objects, one with UVs and one without."""
    return list(run([tetrahedron("pyramid"), box(3)], steps=8))


# What comes


def test_progress_and_previews_lead_to_one_result(events):
    assert isinstance(events[-1], Result)
    assert not any(isinstance(event, Result) for event in events[:-1])
    progress = [event for event in events if isinstance(event, Progress)]
    phases = list(dict.fromkeys(event.phase for event in progress))
    assert phases == ["prepare", "views", "decals", "finish"]
    for phase in phases:
        steps = [event.step for event in progress if event.phase == phase]
        totals = {event.total for event in progress if event.phase == phase}
        assert totals == {steps[-1]}
        assert steps == list(range(1, steps[-1] + 1))


def test_every_step_shows_every_object(events):
    for k, event in enumerate(events):
        if isinstance(event, Progress) and event.phase in ("views", "decals"):
            previews = events[k + 1 : k + 3]
            assert [p.object for p in previews if isinstance(p, Preview)] == [0, 1]
            assert all(isinstance(p, Preview) and (p.step, p.total) == (event.step, event.total) for p in previews)
    images = [event.image for event in events if isinstance(event, Preview)]
    assert {image.shape for image in images} == {(64, 64, 3)}
    assert all(image.dtype == np.float32 and 0 <= image.min() <= image.max() <= 1 for image in images)


def test_the_result_holds_a_texture_for_each_object_and_uvs_for_those_without(events):
    result = events[-1]
    assert isinstance(result, Result)
    assert set(result.arrays) == {"texture.0", "texture.1", "mesh.0.uv"}
    for i in range(2):
        image = result.arrays[f"texture.{i}"]
        assert image.shape == (64, 64, 3)
        assert image.dtype == np.float32
        assert 0 <= image.min() <= image.max() <= 1
        last = [event.image for event in events if isinstance(event, Preview) and event.object == i][-1]
        assert np.array_equal(image, last)
    uv = result.arrays["mesh.0.uv"]
    assert uv.shape == (4, 3, 2)
    assert uv_problems(replace(tetrahedron(), corner_uv=uv)) is None


def test_info_is_plain_and_complete(events):
    info = events[-1].info
    assert json.loads(json.dumps(info, allow_nan=False)) == info
    assert info["material"] == {"name": "reference image", "asked": "", "exact": True, "note": ""}
    assert {"unwrap", "cameras", "views", "decal placing", "decals", "total"} <= set(info["seconds"])
    assert info["coverage"] >= 0.97
    assert info["unfilled"] == 0
    assert info["views"] >= 4
    assert 0 < info["first_preview"] <= info["seconds"]["total"]


def test_the_exemplar_is_what_is_painted(events):
    """Red and yellow squares: nowhere blue, and neither a plain colour nor the average of both."""
    for i in range(2):
        image = events[-1].arrays[f"texture.{i}"]
        assert image[..., 2].max() < 0.2
        assert image[..., 1].std() > 0.2
        assert image[..., 0].min() > 0.7


@pytest.mark.parametrize("decals", [False, True])
def test_same_seed_same_bytes(decals):
    def run_once(seed: int) -> bytes:
        return result_of([tetrahedron()], seed=seed, decals=decals).arrays["texture.0"].tobytes()

    assert run_once(3) == run_once(3)
    assert run_once(3) != run_once(4)


def test_a_prompt_chooses_a_material_and_says_which():
    exact = result_of([tetrahedron()], exemplar=None, prompt="old red bricks").info["material"]
    assert exact["name"] == "bricks"
    assert exact["asked"] == "old red bricks"
    assert exact["exact"]
    other = result_of([tetrahedron()], exemplar=None, prompt="quetzalcoatl").info["material"]
    assert not other["exact"]
    assert "reference image" in other["note"]


def test_a_picture_goes_before_a_prompt():
    both, alone = (result_of([tetrahedron()], prompt=prompt) for prompt in ("lava", ""))
    assert both.info["material"]["name"] == "reference image"
    assert both.info["material"]["asked"] == "lava"
    assert np.array_equal(both.arrays["texture.0"], alone.arrays["texture.0"])


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 100},
        {"size": 72, "decals": False},
        {"steps": 30, "size": 64},
        {"texture_size": 130},
        {"views": 11},
        {"pattern_scale": 0.1},
        {"pattern_scale": 3.0},
    ],
    ids=str,
)
def test_parameters_anywhere_in_their_range_give_a_texture(changes):
    result = result_of([tetrahedron()], **changes)
    side = changes.get("texture_size", 64)
    assert result.arrays["texture.0"].shape == (side, side, 3)
    assert np.isfinite(result.arrays["texture.0"]).all()


def test_larger_patterns_have_fewer_edges():
    """Pattern scale: the same picture over a larger part of the object."""

    def edges(scale: float) -> float:
        image = result_of([quad(half=1.0)], pattern_scale=scale, texture_size=96, size=96).arrays["texture.0"]
        return np.abs(np.diff(image[..., 1], axis=0)).mean() + np.abs(np.diff(image[..., 1], axis=1)).mean()

    assert edges(3.0) < 0.75 * edges(1.0)


def test_previews_are_never_larger_than_1024():
    for event in run([tetrahedron()], texture_size=1100, decals=False):
        if isinstance(event, Preview):
            assert event.image.shape == (550, 550, 3)
            return
    pytest.fail("no preview came")


def test_closing_the_generator_stops_it():
    """At whatever point, nothing is raised, and a later run is not disturbed."""
    whole = [type(event) for event in run([tetrahedron()])]
    for stop in (1, 2, 4, len(whole) - 1):
        events = run([tetrahedron()])
        assert [type(next(events)) for _ in range(stop)] == whole[:stop]
        events.close()  # pyright: ignore[reportAttributeAccessIssue]
        assert next(events, None) is None
    assert [type(event) for event in run([tetrahedron()])] == whole


def test_scene_cameras_are_used():
    camera = Camera(look_at((0.0, -6.0, 1.0), (0, 0, 0)), 640, 480, 700.0, 700.0, 320.0, 240.0)
    scene = result_of([box(2)], cameras=[camera], cameras_from="scene").info
    both = result_of([box(2)], cameras=[camera], cameras_from="both").info
    automatic = result_of([box(2)], cameras=[camera]).info
    assert both["views"] == automatic["views"] + 1
    assert scene["coverage"] >= 0.97


def test_warming_up_ends_with_torch_out_of_the_way():
    threads = torch.get_num_threads()
    try:
        warm_up()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)


@needs_data
def test_a_photograph_on_a_real_mesh_without_uvs():
    photo = load_image(DATA / "fox_270x480" / "images" / "0001.jpg")
    result = result_of([real_mesh("blub_no_uv.obj")], exemplar=photo, texture_size=128)
    assert result.arrays["mesh.0.uv"].shape[1:] == (3, 2)
    assert result.info["coverage"] > 0.9
    assert result.arrays["texture.0"].std() > 0.05


# Difficult objects


def test_objects_may_touch_and_differ_in_size():
    small = replace(box(2), vertices=box(2).vertices * np.float32(0.05) + np.array([1.05, 0, 0], np.float32))
    result = result_of([box(2), replace(small, name="small")])
    assert all(result.arrays[f"texture.{i}"][..., 0].min() > 0.7 for i in range(2))


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_size_and_place_in_the_world_do_not_matter(factor):
    mesh = tetrahedron()
    moved = replace(mesh, vertices=mesh.vertices * np.float32(factor) + np.float32(100 * factor))
    result = result_of([moved])
    assert result.info["coverage"] >= 0.97
    assert result.arrays["texture.0"][..., 1].std() > 0.2


def test_flat_things_and_both_their_sides():
    sheet = quad()
    leaf = Mesh("leaf", sheet.vertices, np.concatenate([sheet.faces, sheet.faces[:, ::-1]]))
    for mesh in (sheet, leaf):
        result = result_of([mesh])
        assert result.info["coverage"] > 0.95
        assert result.arrays["texture.0"][..., 0].min() > 0.7


def test_an_object_inside_out_is_painted_too():
    """Negative scale that was not applied: all faces point inwards."""
    mesh = tetrahedron()
    result = result_of([replace(mesh, faces=mesh.faces[:, ::-1].copy())])
    assert result.arrays["texture.0"][..., 1].std() > 0.15


def test_degenerate_faces_among_good_ones_do_no_harm():
    mesh = tetrahedron()
    broken = np.array([[0, 0, 1], [2, 2, 2]], np.int32)
    result = result_of([replace(mesh, faces=np.concatenate([mesh.faces, broken]))])
    assert result.arrays["mesh.0.uv"].shape == (6, 3, 2)
    assert result.info["unfilled"] == 0


def test_what_no_camera_can_see_is_said():
    """A box in a box: its texels copy others, and a warning comes before the result."""
    *events, result = run([box(2), box(2, radius=0.3, name="inside")], decals=False)
    assert isinstance(result, Result)
    warnings = [event for event in events if isinstance(event, Warning)]
    assert result.info["coverage"] < 0.97
    assert any("seen" in warning.message and warning.hint for warning in warnings)
    assert result.info["unfilled"] == 0
    assert result.arrays["texture.1"][..., 0].min() > 0.7


# UVs that cannot be used


def overlapping() -> Mesh:
    mesh = box(2, name="folded")
    assert mesh.corner_uv is not None
    return replace(mesh, corner_uv=(mesh.corner_uv * np.array([3, 2], np.float32)) % 1)


def flat_uvs(value: float) -> Mesh:
    mesh = box(2, name="folded")
    assert mesh.corner_uv is not None
    return replace(mesh, corner_uv=np.full_like(mesh.corner_uv, value))


@pytest.mark.parametrize(
    ("mesh", "words"),
    [(overlapping(), "overlap"), (flat_uvs(0.5), "no area"), (flat_uvs(math.nan), "NaN")],
    ids=["overlapping", "zero area", "NaN"],
)
def test_useless_uvs_are_made_anew_with_a_warning(mesh, words):
    events = list(run([box(2), mesh]))
    warning = next(event for event in events if isinstance(event, Warning))
    assert "'folded'" in warning.message
    assert words in warning.message
    assert "\n" not in warning.message
    assert warning.hint
    result = events[-1]
    assert isinstance(result, Result)
    assert "mesh.0.uv" not in result.arrays
    assert uv_problems(replace(mesh, corner_uv=result.arrays["mesh.1.uv"])) is None


# Refusals


def spoilt(vertex: float) -> Mesh:
    mesh = tetrahedron("spoilt")
    vertices = mesh.vertices.copy()
    vertices[1, 2] = vertex
    return replace(mesh, vertices=vertices)


REFUSALS: dict[str, tuple[list[Mesh], dict[str, Any], type[WeftError], str]] = {
    "nothing selected": ([], {}, InvalidInput, "no mesh"),
    "no faces": ([Mesh("line", np.zeros((2, 3), np.float32), np.zeros((0, 3), np.int32))], {}, InvalidMesh, "'line'"),
    "second mesh empty": (
        [tetrahedron(), Mesh("dot", np.zeros((1, 3), np.float32), np.zeros((0, 3), np.int32))],
        {},
        InvalidMesh,
        "'dot'",
    ),
    "NaN vertex": ([spoilt(math.nan)], {}, InvalidMesh, "1 vertices at NaN"),
    "infinite vertex": ([spoilt(math.inf)], {}, InvalidMesh, "infinity"),
    "no area": ([replace(tetrahedron("dust"), vertices=np.zeros((4, 3), np.float32))], {}, InvalidMesh, "zero area"),
    "nothing asked for": ([tetrahedron()], {"exemplar": None, "prompt": ""}, InvalidInput, "prompt"),
    "only blanks": ([tetrahedron()], {"exemplar": None, "prompt": "  \n"}, InvalidInput, "prompt"),
    "unknown cameras": ([tetrahedron()], {"cameras_from": "sky"}, InvalidInput, "'sky'"),
    "no scene camera": ([tetrahedron()], {"cameras_from": "scene"}, InvalidInput, "no scene cameras"),
    "tiny picture": ([tetrahedron()], {"exemplar": np.zeros((8, 8, 3), np.float32)}, InvalidImage, "(8, 8, 3)"),
    "picture with alpha": ([tetrahedron()], {"exemplar": np.zeros((64, 64, 4), np.float32)}, InvalidImage, "64, 4"),
    "NaN picture": ([tetrahedron()], {"exemplar": np.full((64, 64, 3), np.nan, np.float32)}, InvalidImage, "NaN"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_input_is_refused_before_anything_happens(name):
    meshes, changes, kind, words = REFUSALS[name]
    with pytest.raises(kind) as refusal:
        next(run(meshes, **changes))
    assert words in refusal.value.message
    assert "\n" not in str(refusal.value)
    assert refusal.value.hint
    assert refusal.value.code == kind.code
