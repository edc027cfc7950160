"""Illusions in Blender: the image with all its views, and a plane that turns as the views say."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from weft_wire.errors import WireError
from weft_wire.jobs import IllusionParams

pytestmark = pytest.mark.blender


def run(practice: Any, params: IllusionParams, **sources: Any) -> Any:
    from weft_blender.job import run

    return run("illusion", params, key_dir=practice.key_dir, previews=True, **sources)


def test_image_and_views_are_kept(bpy: Any, link: Any, practice: Any) -> None:
    from weft_blender.images import read_bytes

    params = IllusionParams(
        prompt_1="a duck", prompt_2="a rabbit", view_2="rotate_90", prompt_3="x", view_3="negate", steps=4, size=64
    )
    job = run(practice, params)
    image = bpy.context.scene.weft_illusion.result
    assert image.name == "Weft Illusion"
    assert json.loads(image["weft"])["prompt_2"] == "a rabbit"
    pictures = [read_bytes(bpy.data.images[f"Weft Illusion View {i}"])[..., :3] for i in (1, 2, 3)]
    np.testing.assert_array_equal(read_bytes(image)[..., :3], job.arrays["image"])
    np.testing.assert_array_equal(pictures[0], job.arrays["image"])
    np.testing.assert_array_equal(pictures[1], np.rot90(job.arrays["image"]))
    assert all(bpy.data.images[f"Weft Illusion View {i}"].use_fake_user for i in (1, 2, 3))


def test_references_take_the_place_of_words(bpy: Any, link: Any, practice: Any) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8), None]
    job = run(practice, IllusionParams(prompt_2="a rabbit", steps=4, size=64), exemplars=pictures)
    assert job.info["views"] == [1, 2]


@pytest.mark.parametrize(
    ("name", "look"),
    [
        ("identity", lambda seen: seen),
        ("flip_horizontal", lambda seen: seen[:, ::-1]),
        ("flip_vertical", lambda seen: seen[::-1]),
        ("rotate_90", np.rot90),
        ("rotate_180", lambda seen: np.rot90(seen, 2)),
        ("rotate_270", lambda seen: np.rot90(seen, 3)),
    ],
)
def test_plane_turns_as_its_view_looks(bpy: Any, addon: Any, name: str, look: Any) -> None:
    """The corners of the image, looked at from the front, lie where they lie in the view."""
    from mathutils import Euler

    from weft_blender.illusion_plane import TURNS

    corners = {(0, 0): (-1, 0, -1), (1, 0): (1, 0, -1), (1, 1): (1, 0, 1), (0, 1): (-1, 0, 1)}  # as make_plane has them
    turn = Euler(TURNS[name]).to_matrix()
    image, seen = np.array([[1, 2], [3, 4]]), np.zeros((2, 2), int)
    for (u, v), place in corners.items():
        from mathutils import Vector

        x, _, z = turn @ Vector(place)
        seen[int(z < 0), int(x > 0)] = image[1 - v, u]
    np.testing.assert_array_equal(seen, look(image))


def test_plane_plays_the_views(bpy: Any, link: Any, practice: Any) -> None:
    params = IllusionParams(
        prompt_1="a duck", prompt_2="a rabbit", view_2="rotate_180", prompt_3="x", view_3="negate", steps=4, size=64
    )
    run(practice, params)
    bpy.ops.weft.illusion_plane()
    plane, scene = bpy.context.object, bpy.context.scene
    assert plane.name == "Weft Illusion"
    nodes = plane.material_slots[0].material.node_tree.nodes
    assert {node.image.name for node in nodes if node.type == "TEX_IMAGE"} == {
        "Weft Illusion",
        "Weft Illusion View 3",
    }
    mix = next(node for node in nodes if node.type == "MIX_RGB")
    states = []
    for frame in (1, 73, 145, 217):
        scene.frame_set(frame)
        states.append((round(float(np.degrees(plane.rotation_euler[1]))), mix.inputs[0].default_value))
    assert states == [(0, 0), (-180, 0), (0, 1), (0, 0)]
    assert plane.data.uv_layers[0].data[0].uv[:] == (0, 0)
    assert plane.data.vertices[0].co[:] == (-1, 0, -1)


def test_plane_needs_an_illusion(bpy: Any, addon: Any) -> None:
    with pytest.raises(RuntimeError, match="there is no illusion yet"):
        bpy.ops.weft.illusion_plane()


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"prompt_1": "a duck"}, "view 2 has neither a prompt nor a reference image"),
        ({"prompt_1": "a duck", "prompt_2": "a rabbit", "view_2": "identity"}, "two views look at the image alike"),
        ({"prompt_1": "a duck", "prompt_2": "a rabbit", "view_2": "inside_out"}, "view_2 must be one of"),
    ],
)
def test_bad_wishes_are_refused_in_one_line(bpy: Any, link: Any, values: dict[str, Any], part: str) -> None:
    from weft_blender import job

    with pytest.raises(WireError, match=part) as caught:
        job.start("illusion", IllusionParams(**values))
    assert caught.value.hint
    assert job.DESK.job is None


def test_third_view_counts_when_it_is_switched_on(bpy: Any) -> None:
    from weft_blender.tasks import TASKS

    settings = bpy.context.scene.weft_illusion
    settings.prompt_3 = "a hare"
    settings.exemplar_3 = bpy.data.images.new("Hare", 32, 32)
    task = TASKS["illusion"]
    assert task.parameters(settings).prompt_3 == ""
    assert len(task.chosen(bpy.context)["exemplars"]) == 2
    settings.third = True
    assert task.parameters(settings).prompt_3 == "a hare"
    assert len(task.chosen(bpy.context)["exemplars"]) == 3
