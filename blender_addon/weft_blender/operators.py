"""The buttons: one for every task, Cancel, and the server's. Each calls the same function that a script calls."""

from __future__ import annotations

from typing import Any

import bpy

from weft_wire.errors import WireError

from . import handlers, job, server_process
from .preferences import preferences
from .task import SceneTask
from .tasks import TASKS

__all__ = ["CLASSES", "WeftOperator"]


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


class StartOperator(WeftOperator):
    """Starts a job of the class's task, with what the panel says."""

    task: SceneTask

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return job.DESK.job is None or job.DESK.job.ended

    def act(self, context: bpy.types.Context) -> None:
        task, settings = self.task, self.task.settings_of(context.scene)
        handlers.connect()
        params = task.parameters(settings)
        start = job.start_gallery if getattr(params, "variants", 1) > 1 else job.start
        start(task.name, params, **task.chosen(context))
        handlers.remember()
        task.show(context)


def start_operator(task: SceneTask) -> type[Any]:
    """The button weft.TASK."""
    values = {"__doc__": task.about, "bl_idname": f"weft.{task.name}", "bl_label": f"Weft {task.label}", "task": task}
    return type(f"WEFT_OT_{task.name}", (StartOperator,), values)


class WEFT_OT_cancel(WeftOperator):
    """Stop the job; everything gets its former looks back, and finished variants stay"""

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


CLASSES = (*map(start_operator, TASKS.values()), WEFT_OT_cancel, WEFT_OT_start_server, WEFT_OT_stop_server)
