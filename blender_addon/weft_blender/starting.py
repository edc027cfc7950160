"""The beginning of a job: what the task needs is collected, and handed to the session.

The variants of a gallery are jobs with the same arrays. The first is sent alone: when the server has it, it has the
arrays of all, and the others cost nothing to send. Then they are made even if Blender ends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from secrets import token_hex
from typing import Any

import bpy

from weft_wire.parameters import from_mapping, to_mapping, validate

from .before import restore
from .desk import DESK, Job
from .errors import SceneError
from .gallery import Variant, anchor_at, fresh_row
from .link import LINK
from .task import Collected
from .tasks import task_named
from .variant_ids import anchored_gallery, gallery_of, new_gallery, variant_id

__all__ = ["release", "send_rest", "start", "start_gallery", "start_like"]

ROOM = 2**30  # bytes of what galleries were made of, that are remembered


def start(task: str, params: Any, *, previews: bool = True, **sources: Any) -> Job:
    """Collect what the task needs, from `sources` as its `collect` names them, and submit it over the open link.

    Raises WireError (or its kind SceneError) for everything that can be known to be wrong beforehand.
    """
    began = time.monotonic()
    collected = collect(task, params, sources)
    return begin(task, [(token_hex(8), params)], collected, began, previews)


def start_gallery(task: str, params: Any, *, previews: bool = True, **sources: Any) -> Job:
    """Start all `params.variants` variants (two or more) of one gallery; the first. Raises as `start` does."""
    began = time.monotonic()
    collected = collect(task, params, sources)
    return begin_gallery(new_gallery(), task, params, collected, began, previews)


def start_like(variant: Variant, count: int, rho: float, *, previews: bool = True, **sources: Any) -> Job:
    """Start variants 2 to `count` of a gallery whose number 1 is `variant`, correlated by `rho`; the first of them.

    They are made of what the variant was made of, which is remembered until Blender ends; after that, it is collected
    from `sources` anew where that is the same. Raises as `start` does.
    """
    began = time.monotonic()
    check_free()
    row = fresh_row(variant)
    if row is None:
        raise SceneError("no_row", "the server did not tell what that variant's noise was", "make a new gallery")
    values = {**variant.parameters["params"], "variants": count, "correlation": f"{rho:.9g}"}
    params = from_mapping(variant.task.declaration.params, values)
    collected = DESK.inputs.get(gallery_of(variant.job)) or collected_again(variant, params, sources)
    gallery = anchored_gallery(variant.job)
    anchored = replace(collected, arrays={**collected.arrays, "anchor": row})
    return begin_gallery(gallery, variant.task.name, params, anchored, began, previews, anchor=variant)


def collected_again(variant: Variant, params: Any, sources: dict[str, Any]) -> Collected:
    """Raises SceneError where the scene no longer holds what the variant was made of."""
    if variant.task.sees_looks:
        message = "what the scene looked like before that gallery is known only until Blender ends"
        raise SceneError("forgotten", message, "make a new gallery")
    collected = collect(variant.task.name, params, sources)
    if collected.targets != variant.targets:
        names = ", ".join(target.label for target in variant.targets)
        raise SceneError("other_objects", f"that gallery was made of {names}", "select what it was made of")
    return collected


def collect(task: str, params: Any, sources: dict[str, Any]) -> Collected:
    """What the task needs of the scene. Raises while another job is under way, or without a server."""
    chosen = task_named(task)
    check_free()
    validate(params)
    return chosen.collect(params, **sources)


def check_free() -> None:
    """Raise unless there is a server, and no job under way."""
    if DESK.job is not None and not DESK.job.ended:
        message = f"the task {DESK.job.task.label} is already being made"
        raise SceneError("busy", message, "wait for it, or cancel it")
    LINK.connection()


def begin_gallery(
    gallery: str,
    task: str,
    params: Any,
    collected: Collected,
    began: float,
    previews: bool,
    *,
    anchor: Variant | None = None,
) -> Job:
    """Start the variants of `gallery`; without the first where an `anchor` takes its place."""
    numbers = range(1 if anchor is None else 2, params.variants + 1)
    jobs = [(variant_id(gallery, number), replace(params, variant=number)) for number in numbers]
    job = begin(task, jobs, collected, began, previews)
    if anchor is not None:
        anchor_at(anchor, gallery)
    keep_inputs(gallery, collected)
    bpy.context.scene.weft_gallery = gallery
    return job


def begin(task: str, jobs: Sequence[tuple[str, Any]], collected: Collected, began: float, previews: bool) -> Job:
    """Submit the first of `jobs` (id, parameters) and put it on the desk. The others follow when the server has the
    arrays, which all of them share, and has not refused them."""
    chosen, session = task_named(task), LINK.connection()
    made = [
        Job(job_id, chosen, collected.targets, to_mapping(params), warnings=list(collected.warnings), started=began)
        for job_id, params in jobs
    ]
    submit(made[0], collected, session)
    release()
    restore()
    made[0].seconds["export"] = time.monotonic() - began
    DESK.put(made[0])
    DESK.queue, DESK.unsent, DESK.chosen = made[1:], made[1:], ""
    DESK.previews = previews
    return made[0]


def submit(job: Job, collected: Collected, session: Any) -> None:
    labels = [target.label for target in collected.targets]
    session.submit(job.task.name, job.params, collected.arrays, labels=labels, job_id=job.id)


def keep_inputs(gallery: str, collected: Collected) -> None:
    """Remember what a gallery was made of, and of earlier ones as much as there is room for."""
    DESK.inputs[gallery] = collected
    while len(DESK.inputs) > 1 and bytes_remembered() > ROOM:
        del DESK.inputs[next(iter(DESK.inputs))]


def bytes_remembered() -> int:
    """Of arrays, which anchored galleries share."""
    arrays = (array for collected in DESK.inputs.values() for array in collected.arrays.values())
    return sum({id(array): array.nbytes for array in arrays}.values())


def send_rest() -> None:
    """Submit the variants that follow: the server has their arrays by now."""
    for job in DESK.unsent:
        submit(job, DESK.inputs[job.gallery], LINK.session)
    DESK.unsent = []


def release() -> None:
    """Let the server forget finished jobs: their results lie in a saved file, or a new job begins."""
    if LINK.session is None:
        return
    for job in DESK.done:
        LINK.session.release(job.id)
    DESK.done = []
    if DESK.job is not None and DESK.job.state == "applied":
        DESK.put(None)
