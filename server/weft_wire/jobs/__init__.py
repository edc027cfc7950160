"""The jobs that Weft does, declared once: parameters, input arrays, results.

The server validates by these declarations, the command line and Blender's panels are generated from them.
"""

from __future__ import annotations

from collections.abc import Mapping

from weft_wire.errors import WireError
from weft_wire.jobs.backgrounds import BACKGROUNDS, BackgroundsParams
from weft_wire.jobs.edit_panorama import EDIT_PANORAMA, EditPanoramaParams
from weft_wire.jobs.edit_scene import EDIT_SCENE, EditSceneParams
from weft_wire.jobs.edit_video import EDIT_VIDEO, EditVideoParams
from weft_wire.jobs.fit import FIT, FitParams
from weft_wire.jobs.illusion import ILLUSION, IllusionParams
from weft_wire.jobs.move import MOVE, MoveParams
from weft_wire.jobs.panorama import PANORAMA, PanoramaParams
from weft_wire.jobs.relight import RELIGHT, RelightParams
from weft_wire.jobs.render import RENDER, RenderParams
from weft_wire.jobs.retexture import RETEXTURE, RetextureParams
from weft_wire.jobs.splat_texture import SPLAT_TEXTURE, SplatTextureParams
from weft_wire.jobs.stylize import STYLIZE, StylizeParams
from weft_wire.jobs.task import Task, check_inputs, group_of
from weft_wire.jobs.text_to_3d import TEXT_TO_3D, TextTo3dParams
from weft_wire.jobs.texture import TEXTURE, TextureParams
from weft_wire.jobs.unload import UNLOAD, UnloadParams

__all__ = [
    "BACKGROUNDS",
    "EDIT_PANORAMA",
    "EDIT_SCENE",
    "EDIT_VIDEO",
    "FIT",
    "ILLUSION",
    "MOVE",
    "PANORAMA",
    "RELIGHT",
    "RENDER",
    "RETEXTURE",
    "SPLAT_TEXTURE",
    "STYLIZE",
    "TASKS",
    "TEXTURE",
    "TEXT_TO_3D",
    "UNLOAD",
    "BackgroundsParams",
    "EditPanoramaParams",
    "EditSceneParams",
    "EditVideoParams",
    "FitParams",
    "IllusionParams",
    "MoveParams",
    "PanoramaParams",
    "RelightParams",
    "RenderParams",
    "RetextureParams",
    "SplatTextureParams",
    "StylizeParams",
    "Task",
    "TextTo3dParams",
    "TextureParams",
    "UnloadParams",
    "check_inputs",
    "group_of",
    "task_named",
]

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        TEXTURE,
        RETEXTURE,
        RELIGHT,
        STYLIZE,
        MOVE,
        ILLUSION,
        PANORAMA,
        SPLAT_TEXTURE,
        EDIT_PANORAMA,
        EDIT_VIDEO,
        BACKGROUNDS,
        FIT,
        RENDER,
        EDIT_SCENE,
        TEXT_TO_3D,
        UNLOAD,
    )
}


def task_named(name: str, tasks: Mapping[str, Task] = TASKS) -> Task:
    """The declaration of a task; unknown names raise."""
    if name not in tasks:
        raise WireError("unknown_task", f"there is no task {name!r}", f"tasks: {', '.join(tasks)}")
    return tasks[name]
