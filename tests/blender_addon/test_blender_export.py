"""Laws of the exporter: the arrays are the surface that Blender shows, in world space."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.blender


def suzanne(bpy: Any, **options: Any) -> Any:
    bpy.ops.mesh.primitive_monkey_add(**options)
    return bpy.context.object


def plain_reference(bpy: Any, obj: Any) -> tuple[np.ndarray, np.ndarray]:
    """Corner positions [F, 3, 3] in world space and corner UVs [F, 3, 2], element by element."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    evaluated = obj.evaluated_get(depsgraph)
    mesh = evaluated.to_mesh()
    mesh.calc_loop_triangles()
    uv_layer = mesh.uv_layers.active.data
    corners, uvs = [], []
    for triangle in mesh.loop_triangles:
        corners.append([list(evaluated.matrix_world @ mesh.vertices[i].co) for i in triangle.vertices])
        uvs.append([list(uv_layer[i].uv) for i in triangle.loops])
    evaluated.to_mesh_clear()
    return np.array(corners), np.array(uvs)


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Signed volume: positive when faces are counter-clockwise seen from outside."""
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("modifiers", [(), ("SUBSURF",), ("TRIANGULATE", "SUBSURF"), ("SOLIDIFY",)])
def test_equals_the_plain_reference(bpy: Any, addon: ModuleType, modifiers: tuple[str, ...]) -> None:
    from weft_blender.export import read_surface

    obj = suzanne(bpy, location=(3, -2, 5), rotation=(0.3, 1.1, -2))
    obj.scale = (1, 2, 0.5)
    for kind in modifiers:
        obj.modifiers.new(kind, kind)
    bpy.context.view_layer.update()
    surface = read_surface(obj)
    corners, uvs = plain_reference(bpy, obj)
    assert surface.vertices.dtype == np.float32
    assert surface.faces.dtype == np.int32
    np.testing.assert_allclose(surface.vertices[surface.faces], corners, atol=1e-5)
    assert surface.uv is not None
    np.testing.assert_allclose(surface.uv, uvs, atol=1e-6)


@pytest.mark.parametrize("scale", [(1, 1, 1), (-1, 1, 1), (-2, -1, 1), (-1, -1, -3)])
def test_outward_stays_counter_clockwise(bpy: Any, addon: ModuleType, scale: tuple[float, ...]) -> None:
    from weft_blender.export import read_surface

    bpy.ops.mesh.primitive_uv_sphere_add()
    obj = bpy.context.object
    obj.scale = scale
    bpy.context.view_layer.update()
    surface = read_surface(obj)
    expected = 4 / 3 * math.pi * abs(np.prod(scale))
    assert volume(surface.vertices, surface.faces) == pytest.approx(expected, rel=0.1)


def test_mirroring_keeps_every_corner_with_its_uv(bpy: Any, addon: ModuleType) -> None:
    from weft_blender.export import read_surface

    obj = suzanne(bpy)
    before = read_surface(obj)
    obj.scale = (-1, 1, 1)
    bpy.context.view_layer.update()
    after = read_surface(obj)
    assert before.uv is not None
    assert after.uv is not None
    np.testing.assert_array_equal(after.faces[:, ::-1], before.faces)
    np.testing.assert_array_equal(after.uv[:, ::-1], before.uv)


def test_edit_mode_exports_what_is_being_edited(bpy: Any, addon: ModuleType) -> None:
    from weft_blender.export import read_surface

    obj = suzanne(bpy)
    count = len(read_surface(obj).faces)
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.subdivide()
    assert len(read_surface(obj).faces) > 3 * count
    bpy.ops.object.mode_set(mode="OBJECT")


def test_several_objects_are_one_job(bpy: Any, addon: ModuleType) -> None:
    from weft_blender.export import export_objects

    objects = [suzanne(bpy, location=(x, 0, 0)) for x in (0, 4)]
    export = export_objects(objects)
    assert sorted(export.arrays) == sorted(f"mesh.{i}.{part}" for i in (0, 1) for part in ("vertices", "faces", "uv"))
    assert [target.object for target in export.targets] == [obj.name for obj in objects]
    shift = export.arrays["mesh.1.vertices"] - export.arrays["mesh.0.vertices"]
    np.testing.assert_allclose(shift, np.broadcast_to([4, 0, 0], shift.shape), atol=1e-5)


def test_active_layer_is_exported(bpy: Any, addon: ModuleType) -> None:
    from weft_blender.export import export_objects

    obj = suzanne(bpy)
    other = obj.data.uv_layers.new(name="Other")
    assert other is not None
    values = np.empty(2 * len(obj.data.loops), np.float32)
    obj.data.uv_layers["UVMap"].data.foreach_get("uv", values)
    obj.data.uv_layers["Other"].data.foreach_set("uv", 0.5 * values)
    obj.data.uv_layers.active = obj.data.uv_layers["Other"]
    export = export_objects([obj])
    assert export.targets[0].layer == "Other"
    assert export.arrays["mesh.0.uv"].max() <= 0.5
    assert not export.warnings


def test_whole_tiles_away_is_the_same_layout(bpy: Any, addon: ModuleType) -> None:
    from weft_blender.export import export_objects

    obj = suzanne(bpy)
    before = export_objects([obj]).arrays["mesh.0.uv"]
    layer = obj.data.uv_layers.active.data
    values = np.empty(2 * len(obj.data.loops), np.float32)
    layer.foreach_get("uv", values)
    layer.foreach_set("uv", values + np.tile(np.array([2, -3], np.float32), len(obj.data.loops)))
    export = export_objects([obj])
    assert not export.warnings
    np.testing.assert_allclose(export.arrays["mesh.0.uv"], before, atol=1e-5)


def bare_vertex(bpy: Any) -> Any:
    mesh = bpy.data.meshes.new("Dot")
    mesh.from_pydata([(0, 0, 0)], [], [])
    return linked(bpy, mesh)


def with_nan(bpy: Any) -> Any:
    obj = suzanne(bpy)
    obj.data.vertices[7].co.x = float("nan")
    return obj


def camera(bpy: Any) -> Any:
    bpy.ops.object.camera_add()
    return bpy.context.object


def without_surface_uv(bpy: Any) -> Any:
    """Faces that geometry nodes make out of nothing: no layer of the base mesh reaches them."""
    obj = suzanne(bpy)
    tree = bpy.data.node_groups.new("Cube only", "GeometryNodeTree")
    if hasattr(tree, "interface"):
        tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    else:
        tree.outputs.new("NodeSocketGeometry", "Geometry")
    cube, out = tree.nodes.new("GeometryNodeMeshIcoSphere"), tree.nodes.new("NodeGroupOutput")
    tree.links.new(cube.outputs["Mesh"], out.inputs[0])
    obj.modifiers.new("Nodes", "NODES").node_group = tree
    return obj


def linked(bpy: Any, mesh: Any) -> Any:
    obj = bpy.data.objects.new(mesh.name, mesh)
    bpy.context.scene.collection.objects.link(obj)
    return obj


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (bare_vertex, "no_faces"),
        (with_nan, "nan_vertices"),
        (camera, "not_a_mesh"),
        (without_surface_uv, "no_uv_after_modifiers"),
    ],
)
def test_bad_objects_give_one_line_with_a_remedy(bpy: Any, addon: ModuleType, make: Any, code: str) -> None:
    from weft_blender.errors import SceneError
    from weft_blender.export import export_objects

    obj = make(bpy)
    with pytest.raises(SceneError) as caught:
        export_objects([obj])
    assert caught.value.code == code
    assert obj.name in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_nothing_selected(bpy: Any, addon: ModuleType) -> None:
    from weft_blender.errors import SceneError
    from weft_blender.export import export_objects

    with pytest.raises(SceneError, match="nothing is selected"):
        export_objects([])
