"""Reference pictures: a Blender image or a file, as the array that the wire wants."""

from __future__ import annotations

import os

import bpy
import numpy as np

from .errors import SceneError
from .pixels import shrink, to_wire

__all__ = ["read_file", "read_image"]

LONGEST = 2048  # pixels: more than any view shows of it
SMALLEST = 16


def read_image(image: bpy.types.Image) -> np.ndarray:
    """u1 [H, W, 3] sRGB of `image`, shrunk to LONGEST. Raises SceneError when Blender cannot read it."""
    source = image.filepath_raw or image.name
    width, height = image.size
    if not width * height:
        raise SceneError(
            "unreadable_image", f"the reference image '{source}' cannot be read", "choose a PNG, JPEG, EXR or HDR file"
        )
    if min(width, height) < SMALLEST:
        raise SceneError(
            "small_image",
            f"the reference image '{source}' has only {width} × {height} pixels",
            f"choose one with at least {SMALLEST} on each side",
        )
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return shrink(to_wire(pixels, width, height, linear=image.is_float), LONGEST)


def read_file(path: str) -> np.ndarray:
    """Like `read_image`, of a file; the scene keeps nothing of it."""
    if not os.path.isfile(path):
        raise SceneError("unreadable_image", f"there is no reference image '{path}'", "check the path")
    try:
        image = bpy.data.images.load(os.path.abspath(path), check_existing=False)
    except RuntimeError as error:
        raise SceneError("unreadable_image", f"the reference image '{path}' cannot be read: {error}") from error
    try:
        return read_image(image)
    finally:
        bpy.data.images.remove(image)
