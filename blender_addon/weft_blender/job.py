"""A job's life: start, follow, apply. The same functions serve the panel (a timer pumps) and scripts (a loop pumps).

    start(...)   export the objects and hand everything to the session; returns the Job at once
    pump()       take what has arrived, put at most one finished picture on the mesh; never waits
    cancel()     ask the server to stop; its answer ends the job
    texture_objects(...)   start, pump until the end, return the Job or raise

Objects are kept by name, pictures are prepared on a thread, and all that a reloaded file needs lies in `record`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import bpy
import numpy as np

from weft_wire import events
from weft_wire.errors import WireError
from weft_wire.jobs import TEXTURE, TextureParams
from weft_wire.parameters import to_mapping, validate

from . import apply, pixels
from .cameras import export_cameras
from .desk import DESK, Job, working
from .errors import SceneError, describe
from .export import export_objects
from .link import LINK

__all__ = ["DESK", "Job", "attach", "cancel", "fail", "pump", "release", "start", "texture_objects", "working"]

LARGEST_PREVIEW = 1024  # pixels; a larger picture would hold up Blender's main thread for more than a frame


def start(
    objects: Sequence[bpy.types.Object],
    params: TextureParams,
    *,
    exemplar: np.ndarray | None = None,
    uv_source: str = "AUTOMATIC",
    previews: bool = True,
) -> Job:
    """Export `objects` (+ `exemplar` u1 [H, W, 3]) and submit them over the open link.

    Raises WireError (or its kind SceneError) for everything that can be known to be wrong beforehand.
    """
    if DESK.job is not None and not DESK.job.ended:
        raise SceneError("busy", "a texture is already being made", "wait for it, or cancel it")
    if LINK.session is None or not LINK.connected:
        raise LINK.error or SceneError("server_absent", "no server answers yet", "wait a moment, or start one")
    validate(params)
    began = time.monotonic()
    arrays: dict[str, np.ndarray] = {}
    if exemplar is not None:
        arrays["exemplar"] = exemplar
    if params.cameras != "automatic":
        arrays |= export_cameras(bpy.context.scene)
    TEXTURE.check(params, frozenset(arrays))
    export = export_objects(objects, uv_source=uv_source)
    arrays |= export.arrays
    release()
    apply.restore()
    labels = [target.object for target in export.targets]
    job_id = LINK.session.submit("texture", params, arrays, labels=labels)
    job = Job(job_id, export.targets, to_mapping(params), warnings=export.warnings, started=began)
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
    told = any(not isinstance(event, events.PreviewEvent) for event in arrived)
    return shown or told or LINK.status != before


def follow(job: Job, event: Any) -> None:
    """Change `job` as `event` says; pictures go to the thread."""
    match event:
        case events.ProgressEvent():
            job.phase, job.step, job.total = event.phase, event.step, event.total
        case events.PreviewEvent() if DESK.previews:
            if event.object in DESK.preparing:
                DESK.preparing[event.object].cancel()
            DESK.preparing[event.object] = DESK.thread.submit(prepare_preview, event.image)
        case events.WarningEvent():
            job.warnings.append(f"{event.message} ({event.hint})" if event.hint else event.message)
        case events.StateEvent():
            change_state(job, event.state, event.error)
        case events.ResultEvent():
            job.info, job.arrays = event.result.info, event.result.arrays
            DESK.result = DESK.thread.submit(prepare_result, event.result.arrays, len(job.targets))
        case events.FailedRequest():
            change_state(job, "failed", event.error)


def change_state(job: Job, state: str, error: WireError | None) -> None:
    """Enter one of the server's states; a job that ends without a result gives its objects their looks back."""
    job.state = state
    if state == "succeeded":
        job.phase, job.step, job.total = "receiving", 0, 0
        assert LINK.session is not None
        LINK.session.fetch(job.id)
    elif job.ended:
        job.error = error
        apply.restore()


def prepare_preview(image: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    image = pixels.shrink(image, LARGEST_PREVIEW)
    return pixels.to_blender(image), (image.shape[1], image.shape[0])


def prepare_result(arrays: dict[str, np.ndarray], count: int) -> list[bytes]:
    return [pixels.encode_png(arrays[f"texture.{index}"]) for index in range(count)]


def show_one(job: Job) -> bool:
    """Put one prepared picture on its object; the result takes precedence over previews."""
    if DESK.result is not None and DESK.result.done():
        finish(job, DESK.result.result())
        DESK.put(job)
        return True
    index = next((index for index, future in DESK.preparing.items() if future.done()), None)
    if index is None or job.ended:
        return False
    flat, size = DESK.preparing.pop(index).result()
    target = job.targets[index]
    job.seconds.setdefault("first_preview", time.monotonic() - job.started)
    return apply.show_preview(target.object, target.layer, job.id, index, flat, size)


def finish(job: Job, files: list[bytes]) -> None:
    """Put all results on their objects, in one undo step."""
    for index, (target, png) in enumerate(zip(job.targets, files, strict=True)):
        parameters = {"task": "texture", "job": job.id, "object": target.object, **job.params, "info": job.info}
        if not apply.show_result(target.object, target.layer, job.id, index, png, parameters):
            job.warnings.append(f"'{target.object}' is gone: its texture is kept as the image 'Weft {target.object}'")
    apply.commit(job.id)
    job.state, job.phase = "applied", ""
    job.seconds["total"] = time.monotonic() - job.started
    if not bpy.app.background:
        bpy.ops.ed.undo_push(message="Weft Texture")


def texture_objects(
    objects: Sequence[bpy.types.Object],
    params: TextureParams,
    *,
    exemplar: np.ndarray | None = None,
    uv_source: str = "AUTOMATIC",
    address: str = "",
    key_dir: str = "",
    patience: float = 10.0,
    previews: bool = False,
    on_change: Callable[[Job], None] = lambda job: None,
) -> Job:
    """Texture `objects` and return the finished Job, for scripts and `blender -b`. Ctrl+C cancels the job.

    `patience`: seconds without a server before giving up. Raises WireError for whatever goes wrong. The server keeps
    the result until `release`, which is best called when the scene is saved.
    """
    LINK.open(address, key_dir)
    wait_for_server(patience)
    job = start(objects, params, exemplar=exemplar, uv_source=uv_source, previews=previews)
    try:
        while not job.ended:
            if pump():
                on_change(job)
            if not LINK.connected:
                wait_for_server(patience)
            time.sleep(0.01)
    except BaseException:
        cancel()
        apply.restore()
        raise
    if job.error is not None:
        raise job.error
    return job


def wait_for_server(patience: float) -> None:
    """Pump until the link is up. Raises the link's own error, or server_absent, after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not LINK.connected:
        pump()
        if time.monotonic() > deadline:
            hint = "start one with `weft serve`"
            raise LINK.error or SceneError("server_absent", f"no server answered within {patience:.0f} s", hint)
        time.sleep(0.02)
