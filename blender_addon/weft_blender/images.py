"""Image datablocks of jobs: pixels while they form, then one packed file with everything needed to make it again."""

from __future__ import annotations

import json
from typing import Any

import bpy
import numpy as np

from . import pixels
from .tags import PARAMETERS, tag, tagged, weft_name

__all__ = ["image_of", "pack", "paint", "prepare", "read_bytes"]

LARGEST_PREVIEW = 1024  # pixels; a larger picture would hold up Blender's main thread for more than a frame


def image_of(name: str, job_id: str, index: int, *, alpha: bool = False) -> bpy.types.Image:
    """The image of target number `index` of the job, made at the first call."""
    image = tagged(bpy.data.images, job_id, index)
    if image is None:
        image = bpy.data.images.new(weft_name(name), 1, 1, alpha=alpha)
        tag(image, job_id, index)
    return image


def prepare(image: np.ndarray, alpha: np.ndarray | None = None) -> tuple[np.ndarray, tuple[int, int]]:
    """What `paint` takes, of a preview u1 [h, w, 3] and a coverage u1 [H, W] of any size. Runs on the thread."""
    image = pixels.shrink(image, LARGEST_PREVIEW)
    height, width = image.shape[:2]
    return pixels.to_blender(image, None if alpha is None else pixels.sample(alpha, height, width)), (width, height)


def paint(image: bpy.types.Image, flat: np.ndarray, size: tuple[int, int]) -> None:
    """Put `flat` (f4 RGBA of `size` = width, height) on the image; Blender uploads a texture and evaluates nothing."""
    if tuple(image.size) != size:
        image.scale(*size)
    image.pixels.foreach_set(flat)
    image.update()


def pack(image: bpy.types.Image, png: bytes, parameters: dict[str, Any]) -> None:
    """Turn a preview into the result: `png` packed into the image, `parameters` stored on it."""
    image.pack(data=png, data_len=len(png))
    image.source = "FILE"
    image.filepath_raw = f"//{bpy.path.clean_name(image.name)}.png"
    image[PARAMETERS] = json.dumps(parameters, sort_keys=True)


def read_bytes(image: bpy.types.Image) -> np.ndarray:
    """u1 [H, W, 4] of an image of bytes, exactly as stored, row 0 on top."""
    width, height = image.size
    flat = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(flat)
    flat *= 255
    return np.ascontiguousarray(np.rint(flat, out=flat).astype(np.uint8).reshape(height, width, 4)[::-1])
