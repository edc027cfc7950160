"""What happens by itself: the timer that pumps, and what saving, loading and undo mean for a running job.

A file remembers its running job in the scene property RECORD, so that it finds the job again when it is loaded. A job
whose file was never saved is remembered here, by the file's path, until Blender ends.
"""

from __future__ import annotations

import json
import traceback
from typing import Any

import bpy

from weft_wire.errors import WireError

from . import job
from .before import restore
from .link import LINK
from .preferences import preferences

__all__ = ["RECORD", "connect", "recall", "register", "remember", "unregister"]

RECORD = "weft_job"
BUSY, IDLE = 0.02, 0.3  # seconds between two looks at the connection

_unsaved: dict[str, dict[str, Any]] = {}  # path of a file → record of what ran when it was left


def connect() -> None:
    """Open the link as the preferences say; errors stay on the link, where the panel shows them."""
    try:
        LINK.open(preferences().address, preferences().key_dir)
    except WireError as error:
        LINK.close()
        LINK.error = error


def tick() -> float:
    """Blender's timer: pump, redraw the panel when something changed, say when to come again."""
    try:
        changed = job.pump()
    except Exception as error:  # Blender would drop the timer for good, and the add-on would be dead
        traceback.print_exc()
        changed = job.fail(error)
    if changed:
        redraw()
    if job.DESK.job is not None and not job.DESK.job.ended:
        return BUSY
    connect()  # the preferences may have changed
    return IDLE


def redraw() -> None:
    """Redraw the sidebars and Image Editors; the viewports follow by themselves when a picture changes."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR":
                area.tag_redraw()
            elif area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def remember() -> None:
    """Write the running job into the scenes, or take a finished one out of them."""
    running = job.DESK.running()
    for scene in bpy.data.scenes:
        if running:
            scene[RECORD] = json.dumps(job.DESK.record(running))
        elif RECORD in scene:
            del scene[RECORD]


def recall() -> None:
    """After loading a file: follow its job again, or clean up what an unknown job left behind."""
    job.DESK.put(None)
    try:
        text = next((scene[RECORD] for scene in bpy.data.scenes if RECORD in scene), "")
        record = json.loads(text) if text else _unsaved.pop(bpy.data.filepath, None)
        left = jobs_of(record) if record is not None else []
    except (AttributeError, KeyError, TypeError, ValueError):
        left = []  # the file was changed by somebody else
    if left and LINK.session is None:
        connect()
    if left and LINK.session is not None:
        job.attach(left[0], left[1:])
    restore(keep=job.working())


def jobs_of(record: dict[str, Any]) -> list[job.Job]:
    """The job that a record tells of, and those that follow it."""
    first = job.Job.from_record(record)
    return [first, *(first.sibling(int(number)) for number in record.get("queue", []))]


@bpy.app.handlers.persistent
def before_load(*_: Any) -> None:
    running = job.DESK.running()
    if running and bpy.data.filepath:
        finished = [one for one in job.DESK.done if one.gallery and one.gallery == running[0].gallery]
        _unsaved[bpy.data.filepath] = job.DESK.record([*finished, *running])


@bpy.app.handlers.persistent
def after_load(*_: Any) -> None:
    recall()


@bpy.app.handlers.persistent
def before_save(*_: Any) -> None:
    remember()


@bpy.app.handlers.persistent
def after_save(*_: Any) -> None:
    job.release()


@bpy.app.handlers.persistent
def after_undo(*_: Any) -> None:
    # Undo can bring back a preview whose job has ended since.
    restore(keep=job.working())


HANDLERS = {
    "load_pre": before_load,
    "load_post": after_load,
    "save_pre": before_save,
    "save_post": after_save,
    "undo_post": after_undo,
    "redo_post": after_undo,
}


def register() -> None:
    for name, function in HANDLERS.items():
        getattr(bpy.app.handlers, name).append(function)
    if not bpy.app.background:
        bpy.app.timers.register(begin, first_interval=0.1)


def begin() -> None:
    """Once Blender has drawn its window: connect, look for a job in the file, and tick from then on."""
    connect()
    recall()
    bpy.app.timers.register(tick, persistent=True)


def unregister() -> None:
    for name, function in HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(function)
    for function in (begin, tick):
        if bpy.app.timers.is_registered(function):
            bpy.app.timers.unregister(function)
