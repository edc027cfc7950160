"""Pictures of results, small: kept in the file with the datablock that holds the result, drawn as icons in the panel.

shrunk(image) → u1 [SIDE, SIDE, 3]     a picture of any shape, inside a square
keep_picture(item, picture)            bytes in a property: undo, saving and appending take them along
icon_of(item) → int                    what layout.template_icon takes; 0 without a window
"""

from __future__ import annotations

from typing import Any

import bpy
import bpy.utils.previews
import numpy as np

from .pixels import sample, shrink, to_blender
from .tags import JOB

__all__ = ["SIDE", "clear", "icon_of", "keep_picture", "picture_of", "shrunk"]

SIDE = 128  # px
PICTURE = "weft_picture"  # on results
BACKGROUND = 56  # sRGB, 0 to 255, around pictures that are no square; that of Blender's panels

_icons: Any = None  # Blender's collection of pictures, made when the first is drawn


def shrunk(image: np.ndarray) -> np.ndarray:
    """`image` u1 [H, W, 3] in the middle of a square u1 [SIDE, SIDE, 3]."""
    small = shrink(image, SIDE)
    scale = SIDE / max(small.shape[:2])
    height, width = (max(round(side * scale), 1) for side in small.shape[:2])
    small = np.stack([sample(small[..., channel], height, width) for channel in range(3)], axis=-1)
    square = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    square[top : top + height, left : left + width] = small
    return square


def keep_picture(item: Any, picture: np.ndarray) -> None:
    item[PICTURE] = np.ascontiguousarray(picture, np.uint8).tobytes()


def picture_of(item: Any) -> np.ndarray | None:
    """u1 [SIDE, SIDE, 3], or None for an item that has no picture."""
    stored = item.get(PICTURE)
    if not isinstance(stored, bytes) or len(stored) != SIDE * SIDE * 3:
        return None
    return np.frombuffer(stored, np.uint8).reshape(SIDE, SIDE, 3)


def icon_of(item: Any) -> int:
    """The number of the icon that shows the item's picture; 0 without one."""
    global _icons
    picture = picture_of(item)
    if picture is None:
        return 0
    if _icons is None:
        _icons = bpy.utils.previews.new()
    if item[JOB] not in _icons:
        icon = _icons.new(item[JOB])
        icon.image_size = (SIDE, SIDE)
        icon.image_pixels_float.foreach_set(to_blender(picture))
    return _icons[item[JOB]].icon_id


def clear() -> None:
    """Let Blender forget the icons; they come again when they are drawn."""
    global _icons
    if _icons is not None:
        bpy.utils.previews.remove(_icons)
        _icons = None
