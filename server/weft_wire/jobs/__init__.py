"""The jobs that Weft does, declared once: parameters, input arrays, results.

The server validates by these declarations, the command line and Blender's panels are generated from them.
"""

from __future__ import annotations

from collections.abc import Mapping

from weft_wire.errors import WireError
from weft_wire.jobs.illusion import ILLUSION, IllusionParams
from weft_wire.jobs.move import MOVE, MoveParams
from weft_wire.jobs.panorama import PANORAMA, PanoramaParams
from weft_wire.jobs.relight import RELIGHT, RelightParams
from weft_wire.jobs.retexture import RETEXTURE, RetextureParams
from weft_wire.jobs.splat_texture import SPLAT_TEXTURE, SplatTextureParams
from weft_wire.jobs.stylize import STYLIZE, StylizeParams
from weft_wire.jobs.task import Task, check_inputs, group_of
from weft_wire.jobs.texture import TEXTURE, TextureParams
from weft_wire.jobs.unload import UNLOAD, UnloadParams

__all__ = [
    "ILLUSION",
    "MOVE",
    "PANORAMA",
    "RELIGHT",
    "RETEXTURE",
    "SPLAT_TEXTURE",
    "STYLIZE",
    "TASKS",
    "TEXTURE",
    "UNLOAD",
    "IllusionParams",
    "MoveParams",
    "PanoramaParams",
    "RelightParams",
    "RetextureParams",
    "SplatTextureParams",
    "StylizeParams",
    "Task",
    "TextureParams",
    "UnloadParams",
    "check_inputs",
    "group_of",
    "task_named",
]

TASKS: dict[str, Task] = {
    task.name: task for task in (TEXTURE, RETEXTURE, RELIGHT, STYLIZE, MOVE, ILLUSION, PANORAMA, SPLAT_TEXTURE, UNLOAD)
}


def task_named(name: str, tasks: Mapping[str, Task] = TASKS) -> Task:
    """The declaration of a task; unknown names raise."""
    if name not in tasks:
        raise WireError("unknown_task", f"there is no task {name!r}", f"tasks: {', '.join(tasks)}")
    return tasks[name]
