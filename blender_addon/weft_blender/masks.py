"""Pictures that say where something may change: as bright as they are, what is transparent or black may not."""

from __future__ import annotations

import bpy
import numpy as np

from .errors import SceneError

__all__ = ["check_white", "mask_of", "mask_values"]


def mask_values(image: bpy.types.Image | None, hint: str) -> np.ndarray:
    """u1 [H, W] of the brightest channel. Raises SceneError where there is no picture."""
    if image is None or not image.size[0] * image.size[1]:
        raise SceneError("no_mask", "there is no mask", hint)
    flat = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(flat)
    rgba = np.nan_to_num(flat.reshape(image.size[1], image.size[0], 4)[::-1])
    return np.rint(255 * np.clip(rgba[..., :3].max(axis=2) * rgba[..., 3], 0, 1)).astype(np.uint8)


def mask_of(image: bpy.types.Image | None, height: int, width: int, what: str) -> np.ndarray:
    """u1 [height, width]. Raises SceneError for a mask of another size than `what`, and for a black one."""
    values = mask_values(image, "choose an image, white where something may change")
    assert image is not None
    if values.shape != (height, width):
        raise SceneError(
            "mask_size",
            f"the mask '{image.name}' has {image.size[0]} × {image.size[1]} pixels, {what} has {width} × {height}",
            "scale the mask with Image > Resize",
        )
    check_white(values, image.name)
    return values


def check_white(values: np.ndarray, name: str) -> None:
    """Raise SceneError where nothing may change."""
    if not values.any():
        raise SceneError("empty_mask", f"the mask '{name}' is black", "paint white what may change")
