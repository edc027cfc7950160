"""Ids of jobs that make the variants of a gallery: the id alone says which gallery, and which number in it.

    GALLERY.NUMBER            a variant; a job without a dot stands alone
    GALLERY = ROOT            made by a button of a task
    GALLERY = ROOT-STAMP      "more like this": anchored at a variant of a gallery with the same root

Every datablock that a job makes is tagged with its job's id, previews too, so that all of them tell where they belong
after undo and after loading a file. Jobs of one root are made of the same inputs: their results are exchangeable.
"""

from __future__ import annotations

import secrets
import time

__all__ = ["anchored_gallery", "are_kin", "created", "gallery_of", "new_gallery", "number_of", "variant_id"]


def stamp() -> str:
    """17 hex digits that sort by time."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(3)}"


def new_gallery() -> str:
    return stamp()


def anchored_gallery(job_id: str) -> str:
    """A new gallery that goes on from the variant `job_id`."""
    return f"{root_of(job_id)}-{stamp()}"


def variant_id(gallery: str, number: int) -> str:
    return f"{gallery}.{number}"


def gallery_of(job_id: str) -> str:
    """Empty for a job that stands alone."""
    return job_id.rpartition(".")[0]


def number_of(job_id: str) -> int:
    """From 1; 0 for a job that stands alone."""
    gallery, _, number = job_id.rpartition(".")
    return int(number) if gallery and number.isdecimal() else 0


def root_of(job_id: str) -> str:
    return gallery_of(job_id).partition("-")[0]


def are_kin(one: str, other: str) -> bool:
    """Whether both jobs make variants of the same inputs."""
    return bool(root_of(one)) and root_of(one) == root_of(other)


def created(gallery: str) -> str:
    """By which galleries sort, the oldest first."""
    return gallery.rpartition("-")[2]
