"""What a preview covers is remembered on its owner, in the property BEFORE, and put back unless the job succeeds.

The property survives saving, loading and undo. `what` names the kind of memory; each kind registers, with `undone_by`,
the function that puts it back: material slots and meshes of objects, a scene's world, an editor's image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import bpy

from .tags import JOB, PARAMETERS

__all__ = ["BEFORE", "commit", "remember", "restore", "undone_by"]

BEFORE = "weft_before"
Undo = Callable[[Any, Any], None]  # (owner, memory)

_undo: dict[str, Undo] = {}


def undone_by(what: str) -> Callable[[Undo], Undo]:
    """Register the function that puts back memories of the kind `what`."""

    def register(function: Undo) -> Undo:
        _undo[what] = function
        return function

    return register


def remember(owner: Any, job_id: str, what: str, **values: Any) -> None:
    """Remember `values` (datablocks, texts or None) on `owner`; what is remembered already stays."""
    if BEFORE not in owner:
        owner[BEFORE] = {"job": job_id, "what": what, **{k: v for k, v in values.items() if v is not None}}


def owners() -> Iterator[Any]:
    """Everything that remembers something."""
    for datablocks in (bpy.data.objects, bpy.data.scenes, bpy.data.images):
        yield from [item for item in datablocks if BEFORE in item]


def commit(job_id: str) -> None:
    """Forget what `job_id` has covered; datablocks that nobody uses now are kept on saving."""
    for owner in owners():
        if owner[BEFORE]["job"] != job_id:
            continue
        former = [value for value in owner[BEFORE].values() if isinstance(value, bpy.types.ID)]
        del owner[BEFORE]
        for item in former:
            if item.users == 0 and item.library is None:
                item.use_fake_user = True


def restore(*, keep: str = "") -> None:
    """Take off every unfinished preview except those of job `keep`, and remove what they were made of."""
    for owner in owners():
        memory = owner[BEFORE]
        if memory["job"] != keep:
            _undo[memory.get("what", "slots")](owner, memory)
            del owner[BEFORE]
    pictures = [*bpy.data.images, *bpy.data.meshes]
    unfinished = {item[JOB] for item in pictures if JOB in item and PARAMETERS not in item} - {keep}
    stale = [
        item
        for item in (*bpy.data.materials, *bpy.data.worlds, *pictures)
        if item.get(JOB) in unfinished and PARAMETERS not in item
    ]
    if stale:
        bpy.data.batch_remove(stale)
