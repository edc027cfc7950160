"""New images in the Image Editors that are open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from .before import remember, undone_by

__all__ = ["editors", "show_in_editors", "showing"]


def editors() -> Iterator[Any]:
    """The Image Editors that just show an image: not the UV Editor, nor one that paints, is pinned or shows renders."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            space: Any = area.spaces.active
            if area.type != "IMAGE_EDITOR" or space.mode != "VIEW" or space.use_image_pin:
                continue
            if space.image is None or space.image.type in ("IMAGE", "UV_TEST"):
                yield space


def show_in_editors(image: bpy.types.Image, job_id: str) -> None:
    """Let the editors show `image`, until the job ends without a result."""
    for space in editors():
        remember(image, job_id, "editor", image=space.image)
        space.image = image


def showing(image: Any) -> list[Any]:
    """The editors that show `image`."""
    return [space for space in editors() if space.image == image]


@undone_by("editor")
def show_former(image: Any, memory: Any) -> None:
    for space in showing(image):
        space.image = memory.get("image")
