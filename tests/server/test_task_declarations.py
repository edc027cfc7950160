"""The declarations of retexture, illusion, panorama and splat_texture: what fits passes, all else is one line."""

from __future__ import annotations

from typing import Any

import pytest

from weft_wire.arrays import ArrayRef
from weft_wire.errors import WireError
from weft_wire.jobs import TASKS, check_inputs
from weft_wire.parameters import from_mapping, schema

Shapes = dict[str, tuple[str, tuple[int, ...]]]
MESH: Shapes = {"mesh.0.vertices": ("f4", (8, 3)), "mesh.0.faces": ("i4", (12, 3))}
TEXTURED: Shapes = {**MESH, "mesh.0.uv": ("f4", (12, 3, 2)), "mesh.0.texture": ("u1", (64, 96, 3))}
PHOTO: Shapes = {"exemplar": ("u1", (64, 80, 3))}
SPLATS: Shapes = {
    "splats.means": ("f4", (9, 3)),
    "splats.quaternions": ("f4", (9, 4)),
    "splats.log_scales": ("f4", (9, 3)),
    "splats.logits": ("f4", (9,)),
}
CAMERAS: Shapes = {"camera.poses": ("f4", (2, 4, 4)), "camera.intrinsics": ("f4", (2, 6))}
MOSS = {"prompt": "moss"}
PAIR = {"prompt_1": "moss", "prompt_2": "rust"}


def check(task: str, params: dict[str, Any], shapes: Shapes) -> dict[str, dict[str, int]]:
    refs = [ArrayRef(name, dtype, shape, "0" * 64) for name, (dtype, shape) in shapes.items()]
    return check_inputs(TASKS[task], from_mapping(TASKS[task].params, params), refs)


def without(shapes: Shapes, name: str) -> Shapes:
    return {key: value for key, value in shapes.items() if key != name}


@pytest.mark.parametrize(
    ("task", "params", "shapes"),
    [
        ("retexture", MOSS, {**TEXTURED, "mesh.0.mask": ("u1", (64, 96)), "mesh.0.selected": ("u1", (12,))}),
        ("retexture", {"strength": 1, "cameras": "scene"}, {**TEXTURED, **PHOTO, **CAMERAS}),
        ("illusion", PAIR, {}),
        ("illusion", {"prompt_2": "rust"}, {"exemplar.0.image": ("u1", (64, 80, 3))}),
        ("illusion", {**PAIR, "prompt_3": "ice"}, {"exemplar.0.image": ("u1", (64, 80, 3))}),
        ("panorama", MOSS, {}),
        ("panorama", {**MOSS, "shape": "wide"}, {"depth": ("f4", (64, 256))}),
        ("panorama", {}, {**PHOTO, **MESH, "viewpoint": ("f4", (3,))}),
        ("splat_texture", MOSS, SPLATS),
        ("splat_texture", {"cameras": "both"}, {**SPLATS, **PHOTO, **CAMERAS}),
    ],
)
def test_what_fits_passes(task: str, params: dict[str, Any], shapes: Shapes) -> None:
    check(task, params, shapes)


@pytest.mark.parametrize(
    ("task", "params", "shapes", "says"),
    [
        ("retexture", {}, TEXTURED, "neither a prompt nor a reference image"),
        ("retexture", MOSS, without(TEXTURED, "mesh.0.texture"), "mesh.0.texture is missing"),
        ("retexture", MOSS, without(TEXTURED, "mesh.0.uv"), "mesh.0.uv is missing"),
        ("retexture", MOSS, {**TEXTURED, "mesh.1.mask": ("u1", (64, 96))}, "mesh.1.vertices is missing"),
        ("retexture", MOSS, {**TEXTURED, "mesh.0.mask": ("u1", (96, 64))}, "with H = 64"),
        ("retexture", MOSS, {**TEXTURED, "mesh.0.mask": ("u1", (64, 96, 3))}, "must be u1"),
        ("retexture", MOSS, {**TEXTURED, "mesh.0.mask": ("f4", (64, 96))}, "must be u1"),
        ("retexture", MOSS, {**TEXTURED, "mesh.0.selected": ("u1", (11,))}, "with F = 12"),
        ("retexture", MOSS, {**TEXTURED, "mesh.0.texture": ("u2", (64, 96, 3))}, "must be u1"),
        ("retexture", MOSS, {**TEXTURED, "mesh.0.texture": ("u1", (64, 96, 4))}, "must be u1"),
        ("retexture", MOSS, {**TEXTURED, "mesh.0.texture": ("u1", (64, 8, 3))}, "W of mesh.0.texture must be between"),
        ("retexture", {**MOSS, "strength": 0}, TEXTURED, "strength must be between"),
        ("retexture", {**MOSS, "strength": 1.01}, TEXTURED, "strength must be between"),
        ("retexture", {**MOSS, "cameras": "scene"}, TEXTURED, "has no camera"),
        ("illusion", {}, {}, "view 1 has neither a prompt nor a reference image"),
        ("illusion", {"prompt_1": "moss"}, {}, "view 2 has neither"),
        ("illusion", {"prompt_1": "moss", "prompt_3": "ice"}, {}, "view 2 has neither"),
        ("illusion", {**PAIR, "view_2": "identity"}, {}, r"two views look at the image alike \(identity\)"),
        ("illusion", {**PAIR, "prompt_3": "ice", "view_3": "rotate_180"}, {}, r"alike \(rotate_180\)"),
        ("illusion", {**PAIR, "view_2": "rotate_45"}, {}, "view_2 must be one of"),
        ("illusion", PAIR, {"exemplar.3.image": ("u1", (64, 80, 3))}, "there is no view for exemplar.3.image"),
        ("illusion", PAIR, PHOTO, "no input of illusion"),
        ("illusion", {**PAIR, "size": 32}, {}, "size must be 0 or between 64"),
        ("panorama", {}, {}, "neither a prompt nor a reference image"),
        ("panorama", MOSS, {**MESH, "depth": ("f4", (64, 128))}, "both a depth map and meshes"),
        ("panorama", {**MOSS, "shape": "wide", "height": 600}, MESH, "higher than a sphere"),
        ("panorama", MOSS, {"viewpoint": ("f4", (3,))}, "a viewpoint without meshes"),
        ("panorama", MOSS, {**MESH, "viewpoint": ("f4", (2,))}, "must be f4"),
        ("panorama", MOSS, {"depth": ("f4", (64, 128, 1))}, "must be f4"),
        ("panorama", MOSS, {"depth": ("u2", (64, 128))}, "must be f4"),
        ("panorama", MOSS, {"depth": ("f4", (8, 128))}, "rows of depth must be between 16"),
        ("panorama", MOSS, {"mesh.0.vertices": ("f4", (8, 3))}, "mesh.0.faces is missing"),
        ("panorama", MOSS, {**MESH, "mesh.2.faces": ("i4", (1, 3))}, "mesh.1.vertices is missing"),
        ("splat_texture", {**MOSS, "synchronize": "latents"}, SPLATS, "splats cannot share latents"),
        ("splat_texture", {}, SPLATS, "neither a prompt nor a reference image"),
        ("splat_texture", MOSS, {}, "splats.means is missing"),
        ("splat_texture", MOSS, without(SPLATS, "splats.logits"), "splats.logits is missing"),
        ("splat_texture", MOSS, {**SPLATS, "splats.logits": ("f4", (8,))}, "with S = 9"),
        ("splat_texture", MOSS, {key: (d, (0, *s[1:])) for key, (d, s) in SPLATS.items()}, "must be between 1 and"),
        ("splat_texture", MOSS, {**SPLATS, "splats.dc": ("f4", (9, 1, 3))}, "must be f4"),
        ("splat_texture", MOSS, {**SPLATS, "splats.dc": ("f4", (8, 3))}, "with S = 9"),
        ("splat_texture", {**MOSS, "up": "x"}, SPLATS, "up must be one of -y, y, z"),
        ("splat_texture", {**MOSS, "cameras": "scene"}, SPLATS, "has no camera"),
        ("splat_texture", MOSS, {**SPLATS, **without(CAMERAS, "camera.poses")}, "needs camera.poses"),
    ],
)
def test_what_does_not_fit_is_refused(task: str, params: dict[str, Any], shapes: Shapes, says: str) -> None:
    with pytest.raises(WireError, match=says):
        check(task, params, shapes)


def test_every_parameter_tells_a_person_what_it_is() -> None:
    for task in TASKS.values():
        assert all(row.get("help") for row in schema(task.params)), task.name
        assert all("default" in row for row in schema(task.params)), task.name
