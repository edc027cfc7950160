"""Jobs from scripts and `blender -b`, where no timer pumps: loops that do, and end or raise."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import bpy

from weft_wire.jobs import TextureParams

from . import unloading
from .before import restore
from .desk import DESK, Job
from .errors import SceneError
from .life import cancel, pump
from .link import LINK
from .starting import start, start_gallery

__all__ = [
    "run",
    "run_gallery",
    "texture_objects",
    "unload_models",
    "wait_for_end",
    "wait_for_server",
    "wait_for_unloading",
]


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
    wait_for_end(patience, on_change)
    return job


def run_gallery(
    task: str,
    params: Any,
    *,
    address: str = "",
    key_dir: str = "",
    patience: float = 10.0,
    on_change: Callable[[Job], None] = lambda job: None,
    **sources: Any,
) -> list[Job]:
    """As `run`, for `params.variants` variants (two or more): their finished jobs, of which the last one is worn."""
    LINK.open(address, key_dir)
    wait_for_server(patience)
    start_gallery(task, params, previews=False, **sources)
    wait_for_end(patience, on_change)
    return list(DESK.done)


def wait_for_end(patience: float, on_change: Callable[[Job], None] = lambda job: None) -> None:
    """Pump until the job on the desk and all that follow it have ended. Raises the error that ended them."""
    try:
        while DESK.running():
            job = DESK.job
            if pump() and job is not None:
                on_change(job)
            if not LINK.connected:
                wait_for_server(patience)
            time.sleep(0.01)
    except BaseException:
        cancel()
        restore()
        raise
    if DESK.job is not None and DESK.job.error is not None:
        raise DESK.job.error


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
