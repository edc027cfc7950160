"""Cameras with the photographs that they took as background images: what scenes are fitted to.

Cameras of a dataset remember their lens, which Blender's own cannot be to the last digit; others have Blender's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import bpy
import numpy as np

from .cameras import pose
from .errors import SceneError
from .lens import Lens, picture_of
from .pixels import to_wire
from .view_renders import progress

__all__ = ["LENS", "chosen_cameras", "is_transparent", "lens_of", "photograph_of", "photographs", "with_photographs"]

LENS = "weft_lens"  # on cameras: the fields of a Lens
FEWEST, MOST = 2, 1000
SMALLEST, LARGEST = 16, 2048  # px a side
MOST_BYTES = 1 << 30  # of all pictures


def photograph_of(camera: bpy.types.Object) -> bpy.types.Image | None:
    """The picture behind what the camera sees."""
    if camera.type != "CAMERA" or camera.data.type != "PERSP":
        return None
    backgrounds = camera.data.background_images
    return next((item.image for item in backgrounds if item.source == "IMAGE" and item.image is not None), None)


def with_photographs(objects: Iterable[bpy.types.Object]) -> list[bpy.types.Object]:
    """The cameras with photographs among `objects`, by name."""
    return sorted((obj for obj in objects if photograph_of(obj) is not None), key=lambda camera: camera.name)


def chosen_cameras(objects: Sequence[bpy.types.Object], scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The cameras with photographs among `objects`, or all of `scene` where none is. Raises SceneError for too few."""
    chosen = with_photographs(objects)
    cameras = chosen or with_photographs(scene.objects)
    if FEWEST <= len(cameras) <= MOST:
        return cameras
    hint = "select fewer"
    if len(cameras) < FEWEST:
        hint = "select more" if chosen else "press Import Cameras, or give cameras background images"
    count = f"{len(cameras) or 'no'} camera{'' if len(cameras) == 1 else 's'} with a photograph"
    where = "selected" if chosen else f"in the scene '{scene.name}'"
    message = f"{count} {'is' if len(cameras) == 1 else 'are'} {where}, expected {FEWEST} to {MOST}"
    raise SceneError("no_camera", message, hint)


def photographs(cameras: Sequence[bpy.types.Object], size: int) -> dict[str, np.ndarray]:
    """`view.images` u1 [N, H, W, 3], over white where transparent, `camera.poses` and `camera.intrinsics` of pinholes,
    in Blender's world. size: px of the longer side, at most that of the pictures. Raises SceneError."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    images, poses, lenses = [], [], []
    first, width, height = (0, 0), 0, 0
    with progress(len(cameras)) as advance:
        for camera in cameras:
            picture = read(camera)
            down, across = picture.shape[:2]
            if not images:
                first, (width, height) = (across, down), wanted_size(across, down, size, len(cameras))
            elif (across, down) != first:
                told = f"'{cameras[0].name}' has {first[0]} × {first[1]} px, that of '{camera.name}' {across} × {down}"
                raise SceneError("other_size", f"the picture of {told}", "select cameras with pictures of one size")
            evaluated = camera.evaluated_get(depsgraph)
            image, seen = picture_of(picture, lens_of(evaluated, across, down, depsgraph), width, height)
            images.append(image)
            poses.append(pose(evaluated))
            lenses.append(seen.numbers)
            advance()
    return {
        "view.images": np.stack(images), "camera.poses": np.stack(poses), "camera.intrinsics": np.stack(lenses)
    }  # fmt: skip


def wanted_size(across: int, down: int, size: int, count: int) -> tuple[int, int]:
    """Width and height in which `count` pictures are sent. Raises SceneError for too little and for too much."""
    longer = max(across, down)
    factor = min(size or longer, longer, LARGEST) / longer
    width, height = (max(1, round(side * factor)) for side in (across, down))
    if min(width, height) < SMALLEST:
        message = f"pictures of {width} × {height} px are too small, expected {SMALLEST} or more a side"
        raise SceneError("small_image", message, "set a larger Size")
    if count * width * height * 3 > MOST_BYTES:
        message = f"{count} pictures of {width} × {height} px are more than {MOST_BYTES >> 20} MiB"
        raise SceneError("too_large", message, "set a smaller Size, or select fewer cameras")
    return width, height


def read(camera: bpy.types.Object) -> np.ndarray:
    """The photograph u1 [H, W, 3]. Raises SceneError where Blender cannot read it."""
    pixels, width, height, linear = pixels_of(camera)
    return to_wire(pixels, width, height, linear=linear)


def is_transparent(camera: bpy.types.Object) -> bool:
    """Whether something can be seen through its photograph."""
    return bool((pixels_of(camera)[0][3::4] < 1).any())


def pixels_of(camera: bpy.types.Object) -> tuple[np.ndarray, int, int, bool]:
    """Flat f4 RGBA, width, height, linear or not. A picture that is read for this alone does not stay in memory."""
    image: Any = photograph_of(camera)
    loaded, (width, height), linear = image.has_data, image.size, image.is_float
    if not width * height:
        where = image.filepath_raw or image.name
        raise SceneError(
            "unreadable_image", f"the picture '{where}' of '{camera.name}' cannot be read", "find its file"
        )
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    if not loaded and not image.is_dirty:
        image.buffers_free()
    return pixels, width, height, linear


def lens_of(camera: bpy.types.Object, width: int, height: int, depsgraph: bpy.types.Depsgraph) -> Lens:
    """The lens that took a picture of that size."""
    kept = camera.data.get(LENS)
    if kept is not None:
        return Lens(**kept.to_dict()).scaled(width, height)
    matrix = camera.calc_matrix_camera(depsgraph, x=width, y=height)
    return Lens(
        matrix[0][0] * width / 2, matrix[1][1] * height / 2,
        (1 - matrix[0][2]) * width / 2, (1 + matrix[1][2]) * height / 2, width, height,
    )  # fmt: skip
