"""When UVs cannot carry a texture, and what unwrapping leaves alone."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.blender


def grid(cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A flat sheet of 2 cells² triangles whose UVs fill the unit square exactly once."""
    side = np.linspace(0, 1, cells + 1, dtype=np.float32)
    x, y = np.meshgrid(side, side)
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(x.size, np.float32)], axis=1)
    corner = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]
    faces = np.concatenate([np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))]).astype(np.int32)
    return vertices, faces, vertices[faces][..., :2]


@pytest.mark.parametrize("cells", [1, 3, 40])
def test_a_full_layout_does_not_overlap(addon: ModuleType, cells: int) -> None:
    from weft_blender.uv_check import uv_problem

    assert uv_problem(*grid(cells)) == ""


@pytest.mark.parametrize("share", [0.1, 0.3, 1.0])
def test_overlap_is_measured(addon: ModuleType, share: float) -> None:
    """Slide a second copy of the sheet over the first: the doubled strip is found, in proportion."""
    from weft_blender.uv_check import overlap, triangle_area

    _, _, uv = grid(20)
    half = uv * np.array([0.4, 1], np.float32)
    both = np.concatenate([half, half + np.array([0.4 * (1 - share), 0], np.float32)])
    area = triangle_area(np.pad(both, ((0, 0), (0, 0), (0, 1))))
    assert overlap(both, area) == pytest.approx(share / 2, abs=0.05 * share + 0.02)


def test_each_fault_is_named(addon: ModuleType) -> None:
    from weft_blender.uv_check import uv_problem

    vertices, faces, uv = grid(4)
    broken = uv.copy()
    broken[3, 1] = np.nan
    assert "missing" in uv_problem(vertices, faces, None)
    assert "NaN" in uv_problem(vertices, faces, broken)
    assert "no area" in uv_problem(vertices, faces, np.zeros_like(uv))
    assert "unit square" in uv_problem(vertices, faces, 3 * uv)
    assert "overlap" in uv_problem(vertices, faces, np.concatenate([uv[:16], uv[:16]]))


def cube_without_uv(bpy: Any) -> Any:
    bpy.ops.mesh.primitive_cube_add()
    obj = bpy.context.object
    while obj.data.uv_layers:
        obj.data.uv_layers.remove(obj.data.uv_layers[0])
    return obj


def test_missing_uvs_are_unwrapped_into_their_own_layer(bpy: Any, addon: ModuleType) -> None:
    from weft_blender.export import export_objects
    from weft_blender.uv_check import uv_problem

    obj = cube_without_uv(bpy)
    export = export_objects([obj])
    assert export.targets[0].layer == "Weft"
    assert [layer.name for layer in obj.data.uv_layers] == ["Weft"]
    surface = (export.arrays[f"mesh.0.{part}"] for part in ("vertices", "faces", "uv"))
    assert uv_problem(*surface) == ""
    assert export_objects([obj]).targets[0].layer == "Weft", "a second run takes the layer that is there"
    assert len(obj.data.uv_layers) == 1


def test_unwrapping_leaves_everything_else_alone(bpy: Any, addon: ModuleType) -> None:
    from weft_blender.export import export_objects

    bpy.ops.mesh.primitive_monkey_add()
    obj = bpy.context.object
    values = np.zeros(2 * len(obj.data.loops), np.float32)
    obj.data.uv_layers["UVMap"].data.foreach_set("uv", values)
    obj.data.polygons[3].hide = True
    obj.data.polygons[5].select = False
    bpy.ops.mesh.primitive_cube_add()
    other = bpy.context.object
    bpy.ops.object.mode_set(mode="EDIT")
    names = {kind: [item.name for item in getattr(bpy.data, kind)] for kind in ("objects", "meshes", "materials")}
    export = export_objects([obj])
    assert export.targets[0].layer == "Weft"
    assert "no area" in export.warnings[0]
    assert names == {kind: [item.name for item in getattr(bpy.data, kind)] for kind in names}
    assert bpy.context.view_layer.objects.active == other
    assert other.mode == "EDIT"
    assert obj.data.polygons[3].hide
    assert not obj.data.polygons[5].select
    assert obj.data.uv_layers["UVMap"].active_render
    after = np.ones_like(values)
    obj.data.uv_layers["UVMap"].data.foreach_get("uv", after)
    np.testing.assert_array_equal(after, values)
    bpy.ops.object.mode_set(mode="OBJECT")


def test_sources(bpy: Any, addon: ModuleType) -> None:
    """ACTIVE keeps faulty UVs and says so, NEW replaces good ones."""
    from weft_blender.export import export_objects

    bpy.ops.mesh.primitive_monkey_add()
    obj = bpy.context.object
    assert export_objects([obj]).targets[0].layer == "UVMap"
    assert export_objects([obj], uv_source="NEW").targets[0].layer == "Weft"
    layer = obj.data.uv_layers["UVMap"]
    square = np.array([0, 0, 1, 0, 1, 1, 0, 1], np.float32)  # every face fills the whole texture
    layer.data.foreach_set("uv", np.resize(square, 2 * len(layer.data)))
    obj.data.uv_layers.active = layer
    export = export_objects([obj], uv_source="ACTIVE")
    assert export.targets[0].layer == "UVMap"
    assert "overlap" in export.warnings[0]


def test_copies_made_by_modifiers_are_told(bpy: Any, addon: ModuleType) -> None:
    from weft_blender.export import export_objects

    obj = cube_without_uv(bpy)
    obj.modifiers.new("Array", "ARRAY").count = 3
    export = export_objects([obj])
    assert any("after its modifiers" in warning for warning in export.warnings)


def test_shared_mesh_is_unwrapped_once(bpy: Any, addon: ModuleType) -> None:
    from weft_blender.export import export_objects

    obj = cube_without_uv(bpy)
    twin = bpy.data.objects.new("Twin", obj.data)
    bpy.context.scene.collection.objects.link(twin)
    export = export_objects([obj, twin])
    assert [target.layer for target in export.targets] == ["Weft", "Weft"]
    assert len(obj.data.uv_layers) == 1


def test_no_room_for_another_layer(bpy: Any, addon: ModuleType) -> None:
    from weft_blender.errors import SceneError
    from weft_blender.export import export_objects

    obj = cube_without_uv(bpy)
    while obj.data.uv_layers.new(name="Full") is not None:
        assert len(obj.data.uv_layers) <= 8
    for layer in obj.data.uv_layers:
        layer.data.foreach_set("uv", np.zeros(2 * len(layer.data), np.float32))
    with pytest.raises(SceneError, match="8 UV maps"):
        export_objects([obj])
