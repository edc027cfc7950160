"""The tasks of the add-on, in the order of the panel. A new one is a class in its own file and a line here, the last:
files remember the chosen task by its number."""

from __future__ import annotations

from .errors import SceneError
from .task import SceneTask
from .task_edit_panorama import EditPanoramaTask
from .task_edit_scene import EditSceneTask
from .task_edit_video import EditVideoTask
from .task_fit import FitTask
from .task_illusion import IllusionTask
from .task_move import MoveTask
from .task_panorama import PanoramaTask
from .task_relight import RelightTask
from .task_retexture import RetextureTask
from .task_splats import SplatTask
from .task_stylize import StylizeTask
from .task_texture import TextureTask

__all__ = ["TASKS", "task_named"]

TASKS: dict[str, SceneTask] = {
    task.name: task
    for task in (
        TextureTask(),
        RetextureTask(),
        PanoramaTask(),
        IllusionTask(),
        SplatTask(),
        RelightTask(),
        StylizeTask(),
        MoveTask(),
        EditPanoramaTask(),
        EditVideoTask(),
        FitTask(),
        EditSceneTask(),
    )
}


def task_named(name: str) -> SceneTask:
    """Raises SceneError for a name that is no task's."""
    if name not in TASKS:
        raise SceneError("unknown_task", f"there is no task '{name}'", f"tasks: {', '.join(TASKS)}")
    return TASKS[name]
