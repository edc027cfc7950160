"""Smart UV Project into a layer of its own, done on a copy: selection, mode, hidden faces, old layers stay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
import numpy as np

from .errors import SceneError

__all__ = ["LAYER", "smart_unwrap"]

LAYER = "Weft"


def smart_unwrap(obj: bpy.types.Object) -> str:
    """Add a UV layer to the mesh of `obj`, unwrapped by Smart UV Project; returns the layer's name.

    The new layer becomes the active one (what Solid shading shows), the layer used for rendering stays.
    Raises SceneError when the mesh belongs to a library or has no room for another layer.
    """
    mesh = obj.data
    if mesh.library is not None:
        raise SceneError(
            "linked_mesh",
            f"'{obj.name}' needs UVs, but its mesh is linked from {mesh.library.name} and cannot be changed here",
            "Object > Relations > Make Local > Selected Objects and Data, or unwrap it in its own file",
        )
    rendered = next((layer.name for layer in mesh.uv_layers if layer.active_render), "")
    layer = mesh.uv_layers.new(name=LAYER, do_init=False)
    if layer is None:
        raise SceneError(
            "uv_layers_full",
            f"'{obj.name}' needs UVs, but its mesh already has {len(mesh.uv_layers)} UV maps, the most there can be",
            "remove one in Properties > Data > UV Maps",
        )
    name = layer.name
    values = np.empty(2 * len(mesh.loops), np.float32)
    unwrap_copy(mesh, name, values)
    mesh.uv_layers[name].data.foreach_set("uv", values)
    mesh.uv_layers.active = mesh.uv_layers[name]
    if rendered:
        mesh.uv_layers[rendered].active_render = True
    mesh.update()
    return name


def unwrap_copy(mesh: bpy.types.Mesh, layer: str, values: np.ndarray) -> None:
    """Fill `values` f4 [2 L] with the unwrapped coordinates of layer `layer`, computed on a throw-away copy."""
    copy = mesh.copy()
    copy.materials.clear()
    stand_in = bpy.data.objects.new("Weft unwrap", copy)
    bpy.context.scene.collection.objects.link(stand_in)
    try:
        copy.uv_layers.active = copy.uv_layers[layer]
        with alone_in_edit_mode(stand_in):
            bpy.ops.mesh.reveal()
            bpy.ops.mesh.select_all(action="SELECT")
            bpy.ops.uv.smart_project(angle_limit=1.15, island_margin=0.01, correct_aspect=False)
        copy.uv_layers[layer].data.foreach_get("uv", values)
    finally:
        bpy.data.objects.remove(stand_in)
        bpy.data.meshes.remove(copy)


@contextmanager
def alone_in_edit_mode(obj: bpy.types.Object) -> Iterator[None]:
    """Edit Mode on `obj` only; afterwards the same objects are active, selected and in the same mode as before."""
    objects = bpy.context.view_layer.objects
    active, selected = objects.active, list(bpy.context.selected_objects)
    mode = active.mode if active else "OBJECT"
    if mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    for other in selected:
        other.select_set(False)
    obj.select_set(True)
    objects.active = obj
    try:
        bpy.ops.object.mode_set(mode="EDIT")
        yield
    finally:
        if obj.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        obj.select_set(False)
        for other in selected:
            other.select_set(True)
        objects.active = active
        if mode != "OBJECT":
            bpy.ops.object.mode_set(mode=mode)
