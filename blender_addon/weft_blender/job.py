"""Jobs, for the panel (a timer pumps) and for scripts (a loop pumps).

    start(task, params, ...)   collect what the task needs, hand everything to the session; returns the Job at once
    start_gallery(...)         the same for params.variants jobs, which follow one another on the desk
    start_like(variant, ...)   a gallery that goes on from a variant of an earlier one
    pump()                     take what has arrived, show at most one finished picture; never waits
    choose(variant)            wear a variant of a gallery
    cancel()                   ask the server to stop; its answer ends the job, and no other follows
    run(task, params, ...)     start, pump until the end, return the Job or raise; run_gallery alike

What differs between tasks lies in task_*.py. Objects are kept by name, pictures are prepared on a thread, and all that
a reloaded file needs lies in `record`.
"""

from __future__ import annotations

from .desk import DESK, Job, working
from .life import attach, cancel, choose, fail, pump
from .starting import release, start, start_gallery, start_like
from .waiting import (
    run,
    run_gallery,
    texture_objects,
    unload_models,
    wait_for_end,
    wait_for_server,
    wait_for_unloading,
)

__all__ = [
    "DESK",
    "Job",
    "attach",
    "cancel",
    "choose",
    "fail",
    "pump",
    "release",
    "run",
    "run_gallery",
    "start",
    "start_gallery",
    "start_like",
    "texture_objects",
    "unload_models",
    "wait_for_end",
    "wait_for_server",
    "wait_for_unloading",
    "working",
]
