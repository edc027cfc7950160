"""A job's life: start, follow, apply. The same functions serve the panel (a timer pumps) and scripts (a loop pumps).

    start(task, params, ...)   collect what the task needs, hand everything to the session; returns the Job at once
    pump()                     take what has arrived, show at most one finished picture; never waits
    cancel()                   ask the server to stop; its answer ends the job
    run(task, params, ...)     start, pump until the end, return the Job or raise

What differs between tasks lies in task_*.py. Objects are kept by name, pictures are prepared on a thread, and all that
a reloaded file needs lies in `record`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import bpy

from weft_wire import events
from weft_wire.errors import WireError
from weft_wire.jobs import TextureParams
from weft_wire.parameters import to_mapping, validate

from . import unloading
from .before import commit, restore
from .desk import DESK, Job, working
from .errors import SceneError, describe
from .link import LINK
from .tasks import task_named

__all__ = [
    "DESK",
    "Job",
    "attach",
    "cancel",
    "fail",
    "pump",
    "release",
    "run",
    "start",
    "texture_objects",
    "unload_models",
    "wait_for_server",
    "wait_for_unloading",
    "working",
]


def start(task: str, params: Any, *, previews: bool = True, **sources: Any) -> Job:
    """Collect what the task needs, from `sources` as its `collect` names them, and submit it over the open link.

    Raises WireError (or its kind SceneError) for everything that can be known to be wrong beforehand.
    """
    chosen = task_named(task)
    if DESK.job is not None and not DESK.job.ended:
        message = f"the task {DESK.job.task.label} is already being made"
        raise SceneError("busy", message, "wait for it, or cancel it")
    session = LINK.connection()
    validate(params)
    began = time.monotonic()
    collected = chosen.collect(params, **sources)
    labels = [target.label for target in collected.targets]
    job_id = session.submit(chosen.name, params, collected.arrays, labels=labels)
    release()
    restore()
    job = Job(job_id, chosen, collected.targets, to_mapping(params), warnings=collected.warnings, started=began)
    job.seconds["export"] = time.monotonic() - began
    DESK.put(job)
    DESK.previews = previews
    return job


def attach(job: Job) -> None:
    """Follow a job again that was begun before: after a file was loaded, or in another Blender."""
    assert LINK.session is not None
    DESK.put(job)
    DESK.previews = True
    LINK.session.watch(job.id)


def cancel() -> None:
    """Ask the server to stop the job on the desk; while it cannot be reached, the job ends here at once."""
    if DESK.job is None or DESK.job.ended or LINK.session is None:
        return
    DESK.job.phase = "cancelling"
    LINK.session.cancel(DESK.job.id)
    if not LINK.connected:
        change_state(DESK.job, "cancelled", None)


def fail(error: Exception) -> bool:
    """End the job on the desk because of a defect of ours; the result stays on the server."""
    if DESK.job is None or DESK.job.ended:
        return False
    message, hint = describe(error)
    change_state(DESK.job, "failed", WireError("internal", message, hint))
    return True


def release() -> None:
    """Let the server forget the finished job on the desk: its result lies in a saved file, or a new job begins."""
    if DESK.job is not None and DESK.job.state == "applied" and LINK.session is not None:
        LINK.session.release(DESK.job.id)
        DESK.put(None)


def pump() -> bool:
    """Take what has arrived and show at most one picture. Returns whether anything changed that the panel tells."""
    before = LINK.status
    # First what was prepared since the last call: a preview that comes with every call must not always displace it.
    shown = DESK.job is not None and show_one(DESK.job)
    arrived = LINK.poll()
    for event in arrived:
        if DESK.job is not None and not DESK.job.ended and getattr(event, "job_id", "") == DESK.job.id:
            follow(DESK.job, event)
        else:
            unloading.take(event)
    told = any(not isinstance(event, events.PreviewEvent) for event in arrived)
    return shown or told or LINK.status != before


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
            change_state(job, event.state, event.error)
        case events.ResultEvent():
            job.info, job.arrays = event.result.info, event.result.arrays
            DESK.result = DESK.thread.submit(job.task.prepare_result, event.result.arrays, DESK.kept)
        case events.FailedRequest():
            change_state(job, "failed", event.error)


def change_state(job: Job, state: str, error: WireError | None) -> None:
    """Enter one of the server's states; a job that ends without a result gives back what it covered."""
    job.state = state
    if state == "succeeded":
        job.phase, job.step, job.total = "receiving", 0, 0
        assert LINK.session is not None
        LINK.session.fetch(job.id)
    elif job.ended:
        job.error = error
        restore()


def show_one(job: Job) -> bool:
    """Show one prepared picture; the result takes precedence over previews."""
    if DESK.result is not None and DESK.result.done():
        finish(job, DESK.result.result())
        DESK.put(job)
        return True
    index = next((index for index, future in DESK.preparing.items() if future.done()), None)
    if index is None or job.ended:
        return False
    prepared = DESK.preparing.pop(index).result()
    job.seconds.setdefault("first_preview", time.monotonic() - job.started)
    return job.task.show_preview(job.id, index, job.targets[index], prepared)


def finish(job: Job, prepared: Sequence[Any]) -> None:
    """Show all results, in one undo step."""
    parameters = {"task": job.task.name, "job": job.id, **job.params, "info": job.info}
    for index, (target, result) in enumerate(zip(job.targets, prepared, strict=True)):
        warning = job.task.show_result(job.id, index, target, result, parameters)
        job.warnings += [warning] if warning else []
    commit(job.id)
    job.state, job.phase = "applied", ""
    job.seconds["total"] = time.monotonic() - job.started
    if not bpy.app.background:
        bpy.ops.ed.undo_push(message=f"Weft {job.task.label}")


def texture_objects(objects: Sequence[bpy.types.Object], params: TextureParams, **options: Any) -> Job:
    """`run` for the task texture: `exemplar`, `uv_source` and the options of `run`."""
    return run("texture", params, objects=objects, **options)


def run(
    task: str,
    params: Any,
    *,
    address: str = "",
    key_dir: str = "",
    patience: float = 10.0,
    previews: bool = False,
    on_change: Callable[[Job], None] = lambda job: None,
    **sources: Any,
) -> Job:
    """Do one job and return it finished, for scripts and `blender -b`. Ctrl+C cancels the job.

    `sources` are what `collect` of the task takes, e.g. `objects`, `exemplar` (u1 [H, W, 3]), `where`, `around`.
    `patience`: seconds without a server before giving up. Raises WireError for whatever goes wrong. The server keeps
    the result until `release`, which is best called when the scene is saved.
    """
    LINK.open(address, key_dir)
    wait_for_server(patience)
    job = start(task, params, previews=previews, **sources)
    try:
        while not job.ended:
            if pump():
                on_change(job)
            if not LINK.connected:
                wait_for_server(patience)
            time.sleep(0.01)
    except BaseException:
        cancel()
        restore()
        raise
    if job.error is not None:
        raise job.error
    return job


def unload_models(name: str = "", *, address: str = "", key_dir: str = "", patience: float = 10.0) -> list[str]:
    """Free the memory of the server's models of that name, or of all, for scripts; returns those that were loaded.

    `patience`: seconds without a server before giving up. Raises WireError for whatever goes wrong.
    """
    LINK.open(address, key_dir)
    wait_for_server(patience)
    unloading.start(name)
    wait_for_unloading(patience)
    return unloading.UNLOADING.freed


def wait_for_unloading(patience: float) -> None:
    """Pump until the server has answered. Raises the error that it met."""
    while unloading.UNLOADING.pending:
        pump()
        if not LINK.connected:
            wait_for_server(patience)
        time.sleep(0.01)
    if unloading.UNLOADING.error is not None:
        raise unloading.UNLOADING.error


def wait_for_server(patience: float) -> None:
    """Pump until the link is up. Raises the link's own error, or server_absent, after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not LINK.connected:
        pump()
        if time.monotonic() > deadline:
            hint = "start one with `weft serve`"
            raise LINK.error or SceneError("server_absent", f"no server answered within {patience:.0f} s", hint)
        time.sleep(0.02)
