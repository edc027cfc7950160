"""The marks by which the add-on finds its own datablocks again, after undo and after loading a file."""

from __future__ import annotations

from typing import Any

__all__ = ["INDEX", "JOB", "PARAMETERS", "tag", "tagged", "weft_name"]

JOB, INDEX = "weft_job", "weft_object"  # on what a job makes: whose it is
PARAMETERS = "weft"  # on results: everything needed to make them again, as JSON; previews lack it


def tag(item: Any, job_id: str, index: int) -> None:
    item[JOB], item[INDEX] = job_id, index


def tagged(datablocks: Any, job_id: str, index: int) -> Any:
    """The datablock that carries the tags of target number `index` of the job, or None."""
    return next((item for item in datablocks if item.get(JOB) == job_id and item.get(INDEX) == index), None)


def weft_name(name: str) -> str:
    """What the copy of a datablock is called; the copy of a copy as well."""
    return f"Weft {name.removeprefix('Weft ')}"
