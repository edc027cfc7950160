"""One variant's image in the place of another's: in the nodes that show it, so that what was changed in them stays.

A material or world that a job has made carries the job's tags; when it shows another variant it takes over that one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy

from .editors import editors
from .nodes import tree_of
from .tags import INDEX, JOB, tag, tagged
from .variant_ids import are_kin

__all__ = ["remove_unused", "shown_by", "swap_image", "swap_in_editors"]


def swap_image(owners: Sequence[Any], image: bpy.types.Image) -> bool:
    """Let those of `owners` (materials, worlds, None) that show another variant show `image`; whether there is one."""
    found = False
    for owner in owners:
        if owner is None or owner.get(INDEX) != image[INDEX] or not are_kin(owner.get(JOB, ""), image[JOB]):
            continue
        former = tagged(bpy.data.images, owner[JOB], image[INDEX])
        for node in tree_of(owner).nodes:
            if node.type in ("TEX_IMAGE", "TEX_ENVIRONMENT") and node.image is not None and node.image == former:
                node.image, found = image, True
        if found:
            tag(owner, image[JOB], image[INDEX])
    return found


def shown_by(owners: Sequence[Any], job_id: str, index: int) -> bool:
    """Whether one of `owners` shows result number `index` of the job."""
    return any(owner is not None and (owner.get(JOB), owner.get(INDEX)) == (job_id, index) for owner in owners)


def swap_in_editors(image: bpy.types.Image) -> None:
    """Let the Image Editors that show another variant show `image`."""
    for space in editors():
        if space.image is not None and are_kin(space.image.get(JOB, ""), image[JOB]):
            space.image = image


def remove_unused(job_id: str) -> None:
    """Remove the materials and worlds of kin of the job that nothing shows: another of them has its image by now."""
    spare = [
        item
        for item in (*bpy.data.materials, *bpy.data.worlds)
        if are_kin(item.get(JOB, ""), job_id) and item.users == int(item.use_fake_user)
    ]
    if spare:
        bpy.data.batch_remove(spare)
