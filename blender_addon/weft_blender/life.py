"""A job's life after its beginning: events are followed, pictures prepared on a thread and shown, one at a time.

The variants of a gallery follow one another on the desk. A finished one stays as datablocks of its own; the next one
forms in its place, unless the user has chosen what is to be worn.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import bpy
import numpy as np

from weft_wire import events
from weft_wire.errors import WireError
from weft_wire.jobs.variants import THUMBNAIL

from . import unloading
from .before import commit, restore
from .desk import DESK, Job, working
from .errors import SceneError, describe
from .gallery import enrol, has_kin, stored, variant_of, wear
from .link import LINK
from .starting import send_rest
from .thumbnails import shrunk

__all__ = ["attach", "cancel", "choose", "fail", "pump"]


def attach(job: Job, queue: Sequence[Job] = ()) -> None:
    """Follow a job again that was begun before, and those of `queue` after it: after a file was loaded, or in another
    Blender."""
    assert LINK.session is not None
    DESK.put(job)
    DESK.queue, DESK.unsent, DESK.previews = list(queue), [], True
    LINK.session.watch(job.id)


def advance() -> None:
    """Put the next variant on the desk when the one before it has ended."""
    if DESK.job is None or not DESK.job.ended or not DESK.queue or LINK.session is None:
        return
    DESK.job.arrays = {}  # datablocks hold them by now
    job = DESK.queue.pop(0)
    DESK.put(job)
    if job.state == "failed":
        change_state(job, "failed", job.error)
    elif job.state != "sending":  # or its events are to come: the session watches what it has sent
        job.state = "waiting"
        LINK.session.watch(job.id)


def cancel() -> None:
    """Ask the server to stop the job on the desk; while it cannot be reached, the job ends here at once. Variants that
    were to follow are not made; finished ones stay."""
    if DESK.job is None or DESK.job.ended or LINK.session is None:
        return
    drop_queue()
    DESK.job.phase = "cancelling"
    LINK.session.cancel(DESK.job.id)
    if not LINK.connected:
        change_state(DESK.job, "cancelled", None)


def drop_queue() -> None:
    """Let nothing follow the job on the desk."""
    for job in DESK.queue:
        if job not in DESK.unsent and LINK.session is not None:
            LINK.session.cancel(job.id)
    DESK.queue, DESK.unsent = [], []


def fail(error: Exception) -> bool:
    """End the job on the desk because of a defect of ours; the result stays on the server."""
    if DESK.job is None or DESK.job.ended:
        return False
    message, hint = describe(error)
    change_state(DESK.job, "failed", WireError("internal", message, hint))
    return True


def choose(job_id: str) -> None:
    """Wear that variant; while others are being made, they then form without being worn. Raises SceneError."""
    variant_of(job_id)
    if working():
        DESK.preparing.clear()
        DESK.previews, DESK.chosen = False, job_id
        restore()
    wear(variant_of(job_id))


def pump() -> bool:
    """Take what has arrived and show at most one picture. Returns whether anything changed that the panel tells."""
    before = LINK.status
    # First what was prepared since the last call: a preview that comes with every call must not always displace it.
    shown = DESK.job is not None and show_one(DESK.job)
    arrived = LINK.poll()
    for event in arrived:
        job_id = getattr(event, "job_id", "")
        waiting = next((job for job in DESK.queue if job.id == job_id), None)
        if DESK.job is not None and not DESK.job.ended and job_id == DESK.job.id:
            follow(DESK.job, event)
        elif waiting is not None:
            note(waiting, event)
        else:
            unloading.take(event)
    advance()
    told = any(not isinstance(event, events.PreviewEvent) for event in arrived)
    return shown or told or LINK.status != before


def note(job: Job, event: Any) -> None:
    """Remember of a variant whose turn has not come whether the server has it; the events come again at its turn."""
    match event:
        case events.StateEvent():
            job.state = "waiting"
        case events.FailedRequest():
            job.state, job.error = "failed", event.error


def follow(job: Job, event: Any) -> None:
    """Change `job` as `event` says; pictures go to the thread."""
    match event:
        case events.ProgressEvent():
            job.phase, job.step, job.total = event.phase, event.step, event.total
        case events.PreviewEvent() if DESK.previews and event.object < len(job.targets):
            if event.object in DESK.preparing:
                DESK.preparing[event.object].cancel()
            kept = DESK.kept[event.object]
            DESK.preparing[event.object] = DESK.thread.submit(job.task.prepare_preview, event.image, kept)
        case events.WarningEvent():
            job.warnings.append(f"{event.message} ({event.hint})" if event.hint else event.message)
        case events.StateEvent():
            if event.state == "queued":
                send_rest()
            change_state(job, event.state, event.error)
        case events.ResultEvent():
            job.info, job.arrays = event.result.info, event.result.arrays
            DESK.result = DESK.thread.submit(prepare, job, event.result.arrays, DESK.kept)
        case events.FailedRequest():
            change_state(job, "failed", event.error)


def prepare(job: Job, arrays: Mapping[str, np.ndarray], kept: Sequence[Any]) -> tuple[list[Any], np.ndarray | None]:
    """What `finish` takes, of a result: a value for each target, and a variant's small picture. Runs on the thread."""
    thumbnail = arrays.get(THUMBNAIL.name)
    return job.task.prepare_result(arrays, kept), None if thumbnail is None else shrunk(thumbnail)


def change_state(job: Job, state: str, error: WireError | None) -> None:
    """Enter one of the server's states; a job that ends without a result gives back what it covered, and what was to
    follow it is not made. A variant that the server does not know (any more) is passed over."""
    job.state = state
    if state == "succeeded":
        job.phase, job.step, job.total = "receiving", 0, 0
        assert LINK.session is not None
        LINK.session.fetch(job.id)
    elif job.ended:
        job.error = error
        restore()
        if DESK.queue and error is not None and error.code == "unknown_job":
            DESK.queue[0].warnings += [*job.warnings, f"the server has no variant {job.number} any more"]
        else:
            drop_queue()


def show_one(job: Job) -> bool:
    """Show one prepared picture; the result takes precedence over previews."""
    if DESK.result is not None and DESK.result.done():
        finish(job, *DESK.result.result())
        DESK.put(job)
        return True
    index = next((index for index, future in DESK.preparing.items() if future.done()), None)
    if index is None or job.ended:
        return False
    prepared = DESK.preparing.pop(index).result()
    job.seconds.setdefault("first_preview", time.monotonic() - job.started)
    return job.task.show_preview(job.id, index, job.targets[index], prepared)


def finish(job: Job, prepared: Sequence[Any], picture: np.ndarray | None = None) -> None:
    """Show all results, in one undo step."""
    parameters = {"task": job.task.name, "job": job.id, **job.params, "info": job.info}
    if job.gallery:
        parameters |= stored(job)
    for index, (target, result) in enumerate(zip(job.targets, prepared, strict=True)):
        warning = job.task.show_result(job.id, index, target, result, parameters)
        job.warnings += [warning] if warning else []
    if job.gallery:
        enrol(job, picture)
        settle(job)
    commit(job.id)
    job.state, job.phase = "applied", ""
    job.seconds["total"] = time.monotonic() - job.started
    DESK.done.append(job)
    if not bpy.app.background:
        number = f", Variant {job.number}" if job.gallery else ""
        bpy.ops.ed.undo_push(message=f"Weft {job.task.label}{number}")


def settle(job: Job) -> None:
    """After a variant that is not its gallery's first: put back the variant before, and wear in its place the new one,
    or that which was chosen meanwhile. So what was changed in materials stays, and copies do not pile up."""
    if not has_kin(job.id):
        return
    restore()
    with suppress(SceneError):  # its object is gone, as a warning has said
        try:
            variant = variant_of(DESK.chosen)
        except SceneError:
            variant = variant_of(job.id)
        wear(variant)
