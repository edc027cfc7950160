"""Panoramas and other large images as they are, for the wire: of an image, or of what a World shows."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .errors import SceneError
from .nodes import tree_of
from .pixels import to_wire

__all__ = ["read_wide", "world_image"]

SMALLEST, TALLEST, WIDEST = 64, 4096, 8192  # px


def read_wide(image: bpy.types.Image) -> np.ndarray:
    """u1 [H, W, 3] sRGB of `image`, as large as it is. Raises SceneError for what is unreadable, too small or large."""
    width, height = image.size
    if not width * height:
        where = image.filepath_raw or image.name
        raise SceneError(
            "unreadable_image", f"the image '{where}' cannot be read", "choose a PNG, JPEG, EXR or HDR file"
        )
    if min(width, height) < SMALLEST or height > TALLEST or width > WIDEST:
        message = f"'{image.name}' has {width} × {height} px, expected {SMALLEST} to {WIDEST} × {TALLEST}"
        raise SceneError("image_size", message, "scale it with Image > Resize")
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return to_wire(pixels, width, height, linear=image.is_float)


def world_image(scene: bpy.types.Scene) -> bpy.types.Image:
    """The picture around `scene`. Raises SceneError where its World shows none."""
    hint = "add an Environment Texture to the World, or choose an image"
    if scene.world is None:
        raise SceneError("no_world", f"the scene '{scene.name}' has no World", hint)
    tree: Any = tree_of(scene.world)
    images = [node.image for node in tree.nodes if node.type == "TEX_ENVIRONMENT" and node.image is not None]
    if not images:
        raise SceneError("no_world", f"the World '{scene.world.name}' shows no image", hint)
    return images[0]
