"""Tasks whose result is one picture: it forms in an image datablock, which the open Image Editors show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy

from .editors import show_in_editors
from .images import image_of, pack, paint
from .swaps import swap_in_editors
from .tags import INDEX, JOB, tagged

__all__ = [
    "RESULT",
    "Picture",
    "finish_picture",
    "keep_result",
    "opened",
    "show_picture",
    "wear_picture",
    "wears_picture",
]

RESULT = bpy.props.PointerProperty(name="Result", type=bpy.types.Image, description="The latest result")


@dataclass(frozen=True)
class Picture:
    """A picture for the scene called `scene`; `world`: it becomes the background there."""

    name: str
    scene: str
    world: bool = False

    @property
    def label(self) -> str:
        return self.name


def show_picture(job_id: str, index: int, target: Picture, prepared: Any) -> bpy.types.Image:
    """The image with a preview on it."""
    image = opened(job_id, index, target)
    paint(image, *prepared)
    return image


def finish_picture(
    job_id: str, index: int, target: Picture, png: bytes, parameters: dict[str, Any], settings: str
) -> bpy.types.Image:
    """The image with the result, which the scene's `settings` (a property of scenes) keep."""
    image = opened(job_id, index, target)
    pack(image, png, {**parameters, "object": target.name})
    keep_result(image, target.scene, settings)
    return image


def keep_result(image: bpy.types.Image, scene_name: str, settings: str) -> None:
    """Let the `settings` of the scene keep `image` as their latest result, and the file the one before."""
    scene = bpy.data.scenes.get(scene_name)
    if scene is None:
        image.use_fake_user = True
        return
    former = getattr(scene, settings).result
    getattr(scene, settings).result = image
    if former is not None and former.users == 0:
        former.use_fake_user = True


def wear_picture(job_id: str, index: int, target: Picture, settings: str) -> bpy.types.Image | None:
    """Let the editors that show another variant, and the scene's `settings`, show this one; None if it is gone."""
    image = tagged(bpy.data.images, job_id, index)
    if image is not None:
        swap_in_editors(image)
        keep_result(image, target.scene, settings)
    return image


def wears_picture(job_id: str, index: int, target: Picture, settings: str) -> bool:
    """Whether the scene's `settings` name that image as their latest result."""
    scene = bpy.data.scenes.get(target.scene)
    image = getattr(scene, settings).result if scene is not None else None
    return image is not None and (image.get(JOB), image.get(INDEX)) == (job_id, index)


def opened(job_id: str, index: int, target: Picture) -> bpy.types.Image:
    """The target's image; the editors show it when it is new, and whatever the user likes from then on."""
    new = tagged(bpy.data.images, job_id, index) is None
    image = image_of(target.name, job_id, index)
    if new:
        show_in_editors(image, job_id)
    return image
