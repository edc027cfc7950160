"""The evaluated selection as the arrays of a job: modifiers applied, in world space, triangulated, per-corner UVs.

read_surface(obj, depsgraph, layer) → Surface      one object, as it looks now
export_objects(objects, uv_source=...) → Collected  checks, unwraps where needed, names the arrays
export_visible(depsgraph) → arrays                 all that can be seen, as one mesh
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from .errors import SceneError
from .task import Collected
from .unwrap import smart_unwrap
from .uv_check import uv_problem, wrap_to_unit

__all__ = ["Surface", "Target", "check_objects", "export_objects", "export_visible", "read_surface"]


@dataclass(frozen=True)
class Surface:
    """One object's evaluated surface. World space, Blender's axes (+Z up), outward faces counter-clockwise."""

    vertices: np.ndarray  # f4 [V, 3]
    faces: np.ndarray  # i4 [F, 3]
    uv: np.ndarray | None  # f4 [F, 3, 2], (0, 0) at the bottom left of the texture
    layer: str  # the UV layer's name, "" without one
    slots: np.ndarray  # i4 [F], the material slot of each face
    selected: np.ndarray  # bool [F], faces selected in Edit Mode (modifiers pass it on)


@dataclass(frozen=True)
class Target:
    """Where a result belongs, by name: Blender's own references do not survive undo or loading a file."""

    object: str
    layer: str

    @property
    def label(self) -> str:
        return self.object


def export_objects(objects: Sequence[bpy.types.Object], *, uv_source: str = "AUTOMATIC") -> Collected:
    """Export `objects` as one job. Raises SceneError, before anything is changed, for what cannot be textured.

    `uv_source`: ACTIVE takes the active layer as it is, NEW always unwraps into a new one, AUTOMATIC does so only
    for objects whose active layer cannot carry a texture of its own (missing, without area, overlapping).
    """
    check_objects(objects)
    export = Collected()
    for index, obj in enumerate(objects):
        surface = surface_with_uv(obj, uv_source, export.warnings)
        export.arrays[f"mesh.{index}.vertices"] = surface.vertices
        export.arrays[f"mesh.{index}.faces"] = surface.faces
        if surface.uv is not None:
            export.arrays[f"mesh.{index}.uv"] = surface.uv
        export.targets.append(Target(obj.name, surface.layer))
    return export


def check_objects(objects: Sequence[bpy.types.Object]) -> None:
    """Raise SceneError unless there are objects, and all of them can be exported and take a material."""
    if not objects:
        raise SceneError("nothing_selected", "nothing is selected", "select one or more meshes in the viewport")
    for obj in objects:
        check_object(obj)
        obj.data.update_tag()  # scripts change meshes without saying so; what we export must be what is there


def check_object(obj: bpy.types.Object) -> None:
    """Raise SceneError unless `obj` is a mesh whose materials may be changed."""
    if obj.type != "MESH":
        raise SceneError(
            "not_a_mesh",
            f"'{obj.name}' is a {obj.type.lower().replace('_', ' ')}, not a mesh",
            "deselect it, or convert it with Object > Convert > Mesh",
        )
    if obj.library is not None:
        raise SceneError(
            "linked_object",
            f"'{obj.name}' is linked from {obj.library.name} and cannot take a material here",
            "Object > Library Override > Make, or Object > Relations > Make Local",
        )
    if obj.data.library is not None and not obj.material_slots:
        raise SceneError(
            "linked_mesh",
            f"'{obj.name}' has no material slot and its mesh is linked from {obj.data.library.name}",
            "add a slot to the mesh in its own file, or Object > Relations > Make Local",
        )


def surface_with_uv(obj: bpy.types.Object, uv_source: str, warnings: list[str]) -> Surface:
    """The surface of `obj` with UVs that can carry a texture, unwrapped anew as `uv_source` says."""
    surface = read_surface(obj)
    problem = uv_problem(surface.vertices, surface.faces, surface.uv)
    if uv_source == "ACTIVE" and surface.uv is not None and "NaN" not in problem:
        if problem:
            warnings.append(f"the UVs of '{obj.name}' ({surface.layer}) {problem}: parts will share texels")
        return surface
    if not problem and uv_source != "NEW":
        return surface
    old_layer = surface.layer
    surface = read_surface(obj, smart_unwrap(obj))
    if surface.uv is None:
        raise SceneError(
            "no_uv_after_modifiers",
            f"the modifiers of '{obj.name}' give a surface without UVs",
            "apply the modifiers, or store a UV map named 'Weft' at the end of its geometry nodes",
        )
    if old_layer:
        reason = problem or "are replaced as asked"
        warnings.append(f"the UVs of '{obj.name}' ({old_layer}) {reason}: unwrapped into the new layer {surface.layer}")
    problem = uv_problem(surface.vertices, surface.faces, surface.uv)
    if problem:
        # Mirror, Array and the like copy the UVs with the surface: no layout of the base mesh can prevent it.
        warnings.append(f"after its modifiers the UVs of '{obj.name}' {problem}: copies will share one texture")
    return surface


def read_surface(obj: bpy.types.Object, layer: str = "") -> Surface:
    """The evaluated surface of `obj` with UV layer `layer` (empty: the active one).

    Raises SceneError for a surface without faces or with NaN or infinite coordinates.
    """
    if obj.mode == "EDIT":
        obj.update_from_editmode()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    evaluated = obj.evaluated_get(depsgraph)
    mesh = evaluated.to_mesh(preserve_all_data_layers=True, depsgraph=depsgraph)
    try:
        local = read_mesh(mesh, layer)
    finally:
        evaluated.to_mesh_clear()
    check_geometry(obj.name, local.vertices, local.faces)
    return placed(local, np.array(evaluated.matrix_world, np.float64))


def placed(local: Surface, matrix: np.ndarray) -> Surface:
    """`local` moved by the `matrix` [4, 4] of its object."""
    vertices = (local.vertices @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32)
    faces, uv = local.faces, local.uv
    if np.linalg.det(matrix[:3, :3]) < 0:
        # A mirroring transform turns faces inside out: reverse them so that outward stays counter-clockwise.
        faces = np.ascontiguousarray(faces[:, ::-1])
        uv = None if uv is None else np.ascontiguousarray(uv[:, ::-1])
    uv = None if uv is None else wrap_to_unit(uv)
    return Surface(vertices, faces, uv, local.layer, local.slots, local.selected)


def read_mesh(mesh: bpy.types.Mesh, layer: str) -> Surface:
    """The surface of `mesh` in its own space, with the UVs as they are."""
    mesh.calc_loop_triangles()
    vertices = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", vertices.ravel())
    corner_vertex = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corner_vertex)
    count = len(mesh.loop_triangles)
    corners, polygon, slots = np.empty((count, 3), np.int32), np.empty(count, np.int32), np.empty(count, np.int32)
    mesh.loop_triangles.foreach_get("loops", corners.ravel())
    mesh.loop_triangles.foreach_get("polygon_index", polygon)
    mesh.loop_triangles.foreach_get("material_index", slots)
    selected = np.empty(len(mesh.polygons), bool)
    mesh.polygons.foreach_get("select", selected)
    uv, name = None, ""
    uv_layer = mesh.uv_layers.get(layer) if layer else mesh.uv_layers.active
    if uv_layer is not None:
        uv, name = np.empty((len(mesh.loops), 2), np.float32), uv_layer.name
        if hasattr(uv_layer, "uv"):  # Blender ≥ 3.5: the attribute's own array, 30 times faster
            uv_layer.uv.foreach_get("vector", uv.ravel())
        else:
            uv_layer.data.foreach_get("uv", uv.ravel())
        uv = uv[corners]
    return Surface(vertices, corner_vertex[corners], uv, name, slots, selected[polygon])


def check_geometry(name: str, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Raise SceneError unless the surface has faces and finite coordinates."""
    if not len(faces):
        raise SceneError(
            "no_faces",
            f"'{name}' has no faces ({len(vertices)} vertices after its modifiers)",
            "deselect it, or give it faces",
        )
    broken = int((~np.isfinite(vertices).all(axis=1)).sum())
    if broken:
        raise SceneError(
            "nan_vertices",
            f"'{name}' has {broken} vertices with NaN or infinite coordinates",
            "delete them, or run bpy.data.objects['" + name + "'].data.validate() in the Python console",
        )


def export_visible(depsgraph: bpy.types.Depsgraph) -> dict[str, np.ndarray]:
    """All that the viewport shows and that has faces, instances included, as one mesh `mesh.0`; empty if nothing is.

    Raises SceneError for NaN or infinite coordinates.
    """
    vertices, faces, count = [], [], 0
    for instance in depsgraph.object_instances:
        obj = instance.object
        if not instance.show_self or obj.type not in ("MESH", "CURVE", "SURFACE", "FONT", "META"):
            continue
        matrix = np.array(instance.matrix_world, np.float64)
        mesh = obj.to_mesh()
        try:
            local = read_mesh(mesh, "") if mesh is not None and len(mesh.polygons) else None
        finally:
            obj.to_mesh_clear()
        if local is None:
            continue
        check_geometry(obj.name, local.vertices, local.faces)
        surface = placed(local, matrix)
        vertices.append(surface.vertices)
        faces.append(surface.faces + np.int32(count))
        count += len(surface.vertices)
    if not faces:
        return {}
    return {"mesh.0.vertices": np.concatenate(vertices), "mesh.0.faces": np.concatenate(faces)}
