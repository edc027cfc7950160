"""Cameras with photographs from a dataset, in the menu File > Import and in the panel of Fit Scene."""

from __future__ import annotations

from typing import Any

import bpy

from .operators import WeftOperator
from .photo_import import import_cameras, select_alone

__all__ = ["CLASSES", "add_to_menus", "remove_from_menus"]


class WEFT_OT_import_cameras(WeftOperator):
    """Import a dataset's cameras with their photographs, from its transforms.json; renders get the photographs' size"""

    bl_idname = "weft.import_cameras"
    bl_label = "Import Cameras"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012
    __annotations__ = {
        "filepath": bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"}),
        "filter_glob": bpy.props.StringProperty(default="*.json", options={"HIDDEN"}),
    }

    def invoke(self, context: bpy.types.Context, event: Any) -> set[Any]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self, context: bpy.types.Context) -> None:
        values: Any = self.properties
        cameras, warnings = import_cameras(bpy.path.abspath(values.filepath))
        select_alone(cameras)
        for warning in warnings:
            self.report({"WARNING"}, warning)


def in_import_menu(menu: Any, _: bpy.types.Context) -> None:
    menu.layout.operator("weft.import_cameras", text="Cameras with Photographs (transforms.json)")


def add_to_menus() -> None:
    bpy.types.TOPBAR_MT_file_import.append(in_import_menu)


def remove_from_menus() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(in_import_menu)


CLASSES = (WEFT_OT_import_cameras,)
