"""Panoramas as the background: a new World beside the old one, which stays and can be put back."""

from __future__ import annotations

from typing import Any

import bpy

from .before import remember, undone_by
from .nodes import tree_of
from .swaps import swap_image
from .tags import INDEX, JOB

__all__ = ["exchange_image", "former_world", "keep_former", "put_back", "use_as_world", "wears"]

IMAGE, FORMER = "weft_image", "weft_former"  # on worlds: what they show, and which world they took the place of


def use_as_world(scene: bpy.types.Scene, image: bpy.types.Image, job_id: str = "", *, alike: bool = False) -> None:
    """Show `image`, whose middle looks towards +X, around `scene`; until a job ends, if one is named. `alike`: turned
    and lit as the World was whose image it takes the place of."""
    if wears(scene, image):
        return
    world = next((world for world in bpy.data.worlds if world.get(IMAGE) == image), None)
    if world is None:
        world = copy_of(scene.world, image) if alike and scene.world is not None else make_world(image)
        world[IMAGE] = image
        for key in (JOB, INDEX):
            if key in image:
                world[key] = image[key]
    if job_id:
        remember(scene, job_id, "world", world=scene.world)
    former = former_world(scene) if scene.world is not None and IMAGE in scene.world else scene.world
    if former is not None:
        world[FORMER] = former  # also after a second panorama: the world that the user had made
    scene.world = world


def exchange_image(scene: bpy.types.Scene, image: bpy.types.Image) -> bool:
    """Let the World show `image` if it shows another variant of it; whether it does."""
    if not swap_image([scene.world], image):
        return False
    scene.world[IMAGE] = image
    return True


def keep_former(scene: bpy.types.Scene) -> None:
    """Let the former world be saved even when the panorama is deleted."""
    former = former_world(scene)
    if former is not None and former.library is None:
        former.use_fake_user = True


def wears(scene: bpy.types.Scene, image: bpy.types.Image) -> bool:
    """Whether the world of `scene` shows `image`."""
    return scene.world is not None and scene.world.get(IMAGE) == image


def former_world(scene: bpy.types.Scene) -> bpy.types.World | None:
    """The world that a panorama took the place of, if one did."""
    return scene.world.get(FORMER) if scene.world is not None else None


def put_back(scene: bpy.types.Scene) -> None:
    """Give the scene its former world back."""
    scene.world = former_world(scene)


@undone_by("world")
def restore_world(scene: Any, memory: Any) -> None:
    scene.world = memory.get("world")


def make_world(image: bpy.types.Image) -> bpy.types.World:
    """A world whose background is `image`."""
    world = bpy.data.worlds.new(image.name)
    nodes, links = tree_of(world).nodes, tree_of(world).links
    background = next(node for node in nodes if node.type == "BACKGROUND")
    picture = nodes.new("ShaderNodeTexEnvironment")
    picture.image = image
    x, y = background.location
    picture.location = (x - 320, y)
    links.new(picture.outputs["Color"], background.inputs["Color"])
    return world


def copy_of(former: bpy.types.World, image: bpy.types.Image) -> bpy.types.World:
    """A copy of the world with `image` where it shows one."""
    world = former.copy()
    world.name, world.use_fake_user = image.name, False
    for node in tree_of(world).nodes:
        if node.type == "TEX_ENVIRONMENT" and node.image is not None:
            node.image = image
    return world
