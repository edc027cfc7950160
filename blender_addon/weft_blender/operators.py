"""The buttons. Each calls the same function that a script calls, and turns an error into one line."""

from __future__ import annotations

from typing import Any

import bpy

from weft_wire.errors import WireError

from . import handlers, job, server_process
from .exemplar import read_image
from .preferences import preferences
from .properties import parameters_of

__all__ = ["CLASSES"]


class WeftOperator(bpy.types.Operator):
    """Runs `act`, and shows a typed error as one line instead of a traceback."""

    def act(self, context: bpy.types.Context) -> None:
        raise AssertionError("every button has its own")

    def execute(self, context: bpy.types.Context) -> set[Any]:
        try:
            self.act(context)
        except WireError as error:
            self.report({"ERROR"}, str(error))
            job.DESK.complaint = error
            return {"CANCELLED"}
        else:
            job.DESK.complaint = None
            return {"FINISHED"}
        finally:
            handlers.redraw()


class WEFT_OT_texture(WeftOperator):
    """Texture the selected meshes; the texture forms on them while you go on working"""

    bl_idname = "weft.texture"
    bl_label = "Texture"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return job.DESK.job is None or job.DESK.job.ended

    def act(self, context: bpy.types.Context) -> None:
        settings = context.scene.weft
        exemplar = read_image(settings.exemplar) if settings.exemplar else None
        handlers.connect()
        job.start(context.selected_objects, parameters_of(settings), exemplar=exemplar, uv_source=settings.uv_source)
        handlers.remember()
        show_textures(context)


class WEFT_OT_cancel(WeftOperator):
    """Stop the job; the objects get their former materials back"""

    bl_idname = "weft.cancel"
    bl_label = "Cancel"

    def act(self, context: bpy.types.Context) -> None:
        job.cancel()


class WEFT_OT_start_server(WeftOperator):
    """Start a Weft server on this machine; it ends with Blender and keeps unfinished jobs for the next time"""

    bl_idname = "weft.start_server"
    bl_label = "Start Local Server"

    def act(self, context: bpy.types.Context) -> None:
        server_process.start(preferences())
        handlers.connect()


class WEFT_OT_stop_server(WeftOperator):
    """Stop the server that this Blender has started"""

    bl_idname = "weft.stop_server"
    bl_label = "Stop Local Server"

    def act(self, context: bpy.types.Context) -> None:
        server_process.stop()


def show_textures(context: bpy.types.Context) -> None:
    """Let the viewport that the button was pressed in show textures, if it shows plain colours in Solid mode."""
    space = context.space_data
    if isinstance(space, bpy.types.SpaceView3D) and space.shading.type == "SOLID":
        space.shading.color_type = "TEXTURE"


CLASSES = (WEFT_OT_texture, WEFT_OT_cancel, WEFT_OT_start_server, WEFT_OT_stop_server)
