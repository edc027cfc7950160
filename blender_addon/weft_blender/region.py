"""Where splats may change: points that are selected, points of a vertex group, or what lies inside a closed mesh."""

from __future__ import annotations

import bpy
import numpy as np

from .errors import SceneError
from .export import read_surface

__all__ = ["WHERE", "is_volume", "region_of"]

WHERE = (
    ("ALL", "All", "All splats"),
    ("SELECTED", "Selected", "Points selected in Edit Mode; C paints a selection"),
    ("GROUP", "Group", "Points whose weight in the active vertex group is above 0"),
    ("VOLUME", "Inside", "What lies inside a closed mesh"),
)


def is_volume(settings: object, obj: bpy.types.Object) -> bool:
    """Whether the panel offers `obj` as a volume: it has faces."""
    return obj.type == "MESH" and len(obj.data.polygons) > 0


def region_of(obj: bpy.types.Object, where: str, volume: bpy.types.Object | None) -> dict[str, np.ndarray]:
    """The region of the splats of `obj` as arrays for the wire, in the frame of their file; none for ALL.

    Raises SceneError for an empty one, and for a volume that is open.
    """
    match where:
        case "SELECTED":
            chosen = selected(obj.data)
            hint = "select points in Edit Mode (B draws a box, C paints), or set Where to All"
            return points(chosen, f"no splat of '{obj.name}' is selected", hint)
        case "GROUP":
            group = obj.vertex_groups.active
            if group is None:
                message = f"'{obj.name}' has no vertex group"
                raise SceneError("no_region", message, "add one in Properties > Data, and Assign points in Edit Mode")
            hint = "Assign points to it in Edit Mode, or set Where to All"
            return points(grouped(obj.data, group.index), f"the group '{group.name}' of '{obj.name}' is empty", hint)
        case "VOLUME":
            return inside(obj, volume)
    return {}


def points(chosen: np.ndarray, message: str, hint: str) -> dict[str, np.ndarray]:
    """`region.selected` of bool [S]. Raises SceneError where none is."""
    if not chosen.any():
        raise SceneError("no_region", message, hint)
    return {"region.selected": chosen.astype(np.uint8)}


def selected(mesh: bpy.types.Mesh) -> np.ndarray:
    """bool [S]: the points that are selected and not hidden."""
    flags = np.empty((2, len(mesh.vertices)), bool)
    mesh.vertices.foreach_get("select", flags[0])
    mesh.vertices.foreach_get("hide", flags[1])
    return flags[0] & ~flags[1]


def grouped(mesh: bpy.types.Mesh, index: int) -> np.ndarray:
    """bool [S]: the points whose weight in that vertex group is above 0."""
    weighed = (any(g.group == index and g.weight > 0 for g in vertex.groups) for vertex in mesh.vertices)
    return np.fromiter(weighed, bool, len(mesh.vertices))


def inside(obj: bpy.types.Object, volume: bpy.types.Object | None) -> dict[str, np.ndarray]:
    """`mesh.0.*`: the evaluated surface of `volume` in the frame of the splats."""
    if volume is None:
        raise SceneError("no_region", "no mesh is chosen as the volume", "add a sphere around the part, and choose it")
    if volume.type != "MESH" or volume == obj:
        raise SceneError("no_region", f"'{volume.name}' is no volume", "choose a closed mesh, such as a sphere")
    surface = read_surface(volume)
    check_closed(volume.name, surface.faces)
    matrix = np.linalg.inv(np.array(obj.matrix_world, np.float64))
    vertices = (surface.vertices @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32)
    means = np.empty((len(obj.data.vertices), 3), np.float32)
    obj.data.vertices.foreach_get("co", means.ravel())
    # Of the corners' box alone: what lies inside a mesh of many faces is the server's work.
    if not ((means >= vertices.min(axis=0)) & (means <= vertices.max(axis=0))).all(axis=1).any():
        message = f"no splat of '{obj.name}' lies inside '{volume.name}'"
        raise SceneError("no_region", message, "move or scale it until it covers what may change")
    return {"mesh.0.vertices": vertices, "mesh.0.faces": surface.faces}


def check_closed(name: str, faces: np.ndarray) -> None:
    """Raise SceneError unless every edge has a face on either side."""
    edges = np.sort(np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    odd = int((counts % 2).sum())
    if odd:
        raise SceneError(
            "open_volume",
            f"'{name}' is not closed: {odd} edges have a face on one side only",
            "close it with Face > Fill, or take a cube or a sphere",
        )
