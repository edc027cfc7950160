"""The jobs that Weft does, declared once: parameters, input arrays, results.

The server validates by these declarations, the command line and Blender's panels are generated from them.
"""

from __future__ import annotations

from collections.abc import Mapping

from weft_wire.errors import WireError
from weft_wire.jobs.illusion import ILLUSION, IllusionParams
from weft_wire.jobs.panorama import PANORAMA, PanoramaParams
from weft_wire.jobs.retexture import RETEXTURE, RetextureParams
from weft_wire.jobs.splat_texture import SPLAT_TEXTURE, SplatTextureParams
from weft_wire.jobs.task import Task, check_inputs, group_of
from weft_wire.jobs.texture import TEXTURE, TextureParams
from weft_wire.jobs.unload import UNLOAD, UnloadParams

__all__ = [
    "ILLUSION",
    "PANORAMA",
    "RETEXTURE",
    "SPLAT_TEXTURE",
    "TASKS",
    "TEXTURE",
    "UNLOAD",
    "IllusionParams",
    "PanoramaParams",
    "RetextureParams",
    "SplatTextureParams",
    "Task",
    "TextureParams",
    "UnloadParams",
    "check_inputs",
    "group_of",
    "task_named",
]

TASKS: dict[str, Task] = {task.name: task for task in (TEXTURE, RETEXTURE, ILLUSION, PANORAMA, SPLAT_TEXTURE, UNLOAD)}


def task_named(name: str, tasks: Mapping[str, Task] = TASKS) -> Task:
    """The declaration of a task; unknown names raise."""
    if name not in tasks:
        raise WireError("unknown_task", f"there is no task {name!r}", f"tasks: {', '.join(tasks)}")
    return tasks[name]
