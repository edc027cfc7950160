"""Gaussian splats from and to .ply files, in the menus File > Import and File > Export."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import bpy

from .errors import SceneError
from .operators import WeftOperator
from .splat_display import add_display
from .splat_mesh import check_splats, file_of, fill
from .splat_ply import read_ply, write_ply
from .tasks import TASKS

__all__ = ["CLASSES", "add_to_menus", "export_splats", "import_splats", "remove_from_menus"]

# How an object is turned so that the splats' up is Blender's +Z; the mesh keeps the coordinates of the file.
TURNS = {"-y": -math.pi / 2, "y": math.pi / 2, "z": 0.0}
UPS = [("-y", "-Y", "As most captures and files have it"), ("y", "Y", ""), ("z", "Z", "As in Blender")]


def import_splats(path: str, *, up: str = "-y") -> bpy.types.Object:
    """A new object with the splats of a PLY file, standing upright. Raises SceneError in one line."""
    name = os.path.basename(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SceneError("no_splats", f"'{name}' cannot be read: {error.strerror}", "check the path") from error
    file = read_ply(data, name)
    mesh = bpy.data.meshes.new(Path(path).stem)
    fill(mesh, file)
    obj = bpy.data.objects.new(mesh.name, mesh)
    obj.rotation_euler[0] = TURNS[up]
    bpy.context.collection.objects.link(obj)
    add_display(obj)
    return obj


def export_splats(obj: bpy.types.Object, path: str) -> None:
    """Write the splats of `obj` in the frame that they were read in. Raises SceneError in one line."""
    check_splats(obj)
    try:
        Path(path).write_bytes(write_ply(file_of(obj.data)))
    except OSError as error:
        raise SceneError(
            "not_saved", f"'{path}' cannot be written: {error.strerror}", "choose another place"
        ) from error


class SplatFile(WeftOperator):
    """A file dialogue for .ply files."""

    __annotations__ = {
        "filepath": bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"}),
        "filter_glob": bpy.props.StringProperty(default="*.ply", options={"HIDDEN"}),
    }

    def invoke(self, context: bpy.types.Context, event: Any) -> set[Any]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


class WEFT_OT_import_splats(SplatFile):
    """Import Gaussian splats with all their properties, as a mesh of points"""

    bl_idname = "weft.import_splats"
    bl_label = "Import Gaussian Splats"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012
    __annotations__ = {
        **SplatFile.__annotations__,
        "up": bpy.props.EnumProperty(name="Up", description="Which way is up in the file", items=UPS),
    }

    def act(self, context: bpy.types.Context) -> None:
        values: Any = self.properties
        obj = import_splats(bpy.path.abspath(values.filepath), up=values.up)
        TASKS["splat_texture"].settings_of(context.scene).up = values.up
        for other in context.selected_objects:
            other.select_set(False)
        obj.select_set(True)
        context.view_layer.objects.active = obj
        TASKS["splat_texture"].show(context)


class WEFT_OT_export_splats(SplatFile):
    """Export the selected Gaussian splats: what was not changed is written bit for bit as it was read"""

    bl_idname = "weft.export_splats"
    bl_label = "Export Gaussian Splats"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.object is not None and context.object.type == "MESH"

    def invoke(self, context: bpy.types.Context, event: Any) -> set[Any]:
        values: Any = self.properties
        values.filepath = f"{bpy.path.clean_name(context.object.name)}_weft.ply"
        return super().invoke(context, event)

    def act(self, context: bpy.types.Context) -> None:
        values: Any = self.properties
        export_splats(context.object, bpy.path.ensure_ext(bpy.path.abspath(values.filepath), ".ply"))


def in_import_menu(menu: Any, _: bpy.types.Context) -> None:
    menu.layout.operator("weft.import_splats", text="Gaussian Splats (.ply)")


def in_export_menu(menu: Any, _: bpy.types.Context) -> None:
    menu.layout.operator("weft.export_splats", text="Gaussian Splats (.ply)")


def add_to_menus() -> None:
    bpy.types.TOPBAR_MT_file_import.append(in_import_menu)
    bpy.types.TOPBAR_MT_file_export.append(in_export_menu)


def remove_from_menus() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(in_import_menu)
    bpy.types.TOPBAR_MT_file_export.remove(in_export_menu)


CLASSES = (WEFT_OT_import_splats, WEFT_OT_export_splats)
