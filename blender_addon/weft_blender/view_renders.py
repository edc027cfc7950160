"""Views of objects as Blender renders them, with the cameras that took them: what jobs on views begin from.

render_views(objects, points, ...) → view.images, camera.poses, camera.intrinsics
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import bpy
import numpy as np

from .cameras import intrinsics, pose
from .errors import SceneError
from .rendering import passing_scene, rendered_bytes, use_engine
from .view_cameras import ALL_AROUND, ring_cameras, scene_cameras

__all__ = ["check_rendered", "progress", "render_views"]

UNIT = 8  # px: sides are multiples, or the views would be resized
LEAST = 32  # px a side
BEHIND = 0.5  # sRGB, of what is behind the objects: grey
LAMPS = ("LIGHT", "LIGHT_PROBE")


def render_views(
    objects: Sequence[bpy.types.Object],
    points: np.ndarray,
    *,
    scene: bpy.types.Scene,
    cameras: str = "AROUND",
    count: int = 8,
    size: int = 256,
    alone: bool = True,
    elevations: Sequence[float] = ALL_AROUND,
) -> dict[str, np.ndarray]:
    """`view.images` u1 [N, H, W, 3], `camera.poses` f4 [N, 4, 4] and `camera.intrinsics` f4 [N, 6], in Blender's world.

    cameras: AROUND, `count` square pictures of all `points` [P, 3] from these `elevations` in turn, in degrees; SCENE,
    pictures of the scene's shape by each of its cameras. size: px of the longer side. alone: only `objects` are seen,
    over grey, in the light of the scene's lamps and World; otherwise everything that `scene` renders. Raises
    SceneError, and then too leaves nothing behind.
    """
    own = scene_cameras(scene) if cameras == "SCENE" else []
    with passing_scene(scene.world, scene) as copy:
        lamps = [obj for obj in scene.objects if obj.type in LAMPS and is_rendered(obj)]
        keep_layer(copy, bpy.context.view_layer.name)
        if alone:
            fill(copy, [*objects, *lamps, *own])
        prepare(copy, alone)
        if own:
            set_size(copy, size, scene.render.resolution_x, scene.render.resolution_y)
            return pictures(copy, own)
        set_size(copy, size, 1, 1)
        copy.render.pixel_aspect_x = copy.render.pixel_aspect_y = 1
        with ring_cameras(copy, points, count, elevations) as around:
            return pictures(copy, around)


def check_rendered(objects: Sequence[bpy.types.Object]) -> None:
    """Raise SceneError for objects that would not be in the pictures."""
    for obj in objects:
        if obj.hide_render:
            raise SceneError(
                "hidden", f"'{obj.name}' is hidden in renders", "switch its camera symbol on in the Outliner"
            )


def is_rendered(obj: bpy.types.Object) -> bool:
    shown = any(not collection.hide_render for collection in obj.users_collection)
    return shown and not obj.hide_render and obj.name in bpy.context.view_layer.objects


def keep_layer(scene: bpy.types.Scene, name: str) -> None:
    """Let `scene` have one view layer: that of this name, or the first."""
    kept = scene.view_layers.get(name) or scene.view_layers[0]
    for layer in list(scene.view_layers):
        if layer != kept:
            scene.view_layers.remove(layer)
    kept.use = True


def fill(scene: bpy.types.Scene, objects: Sequence[bpy.types.Object]) -> None:
    """Let `scene` hold these objects and no others."""
    for collection in list(scene.collection.children):
        scene.collection.children.unlink(collection)
    for obj in list(scene.collection.objects):
        scene.collection.objects.unlink(obj)
    for obj in objects:
        scene.collection.objects.link(obj)


def prepare(scene: bpy.types.Scene, alone: bool) -> None:
    """The engine is the scene's, but where it shows no light, or cannot work because Blender has no window."""
    engine = scene.render.engine
    use_engine(scene, "CYCLES" if bpy.app.background or engine == "BLENDER_WORKBENCH" else engine)
    scene.render.film_transparent = alone


def set_size(scene: bpy.types.Scene, size: int, across: int, down: int) -> None:
    """The longer side of the picture is `size` px, its shape about across : down."""
    longer = max(across, down)
    sides = (max(LEAST, round(size * side / longer / UNIT) * UNIT) for side in (across, down))
    scene.render.resolution_x, scene.render.resolution_y = sides
    scene.render.resolution_percentage = 100


def pictures(scene: bpy.types.Scene, cameras: Sequence[bpy.types.Object]) -> dict[str, np.ndarray]:
    layer = scene.view_layers[0]
    layer.update()
    depsgraph: Any = layer.depsgraph
    images, poses, lenses = [], [], []
    with progress(len(cameras)) as advance:
        for camera in cameras:
            evaluated = camera.evaluated_get(depsgraph)
            poses.append(pose(evaluated))
            lenses.append(intrinsics(evaluated, scene, depsgraph))
            scene.camera = camera
            images.append(over_grey(rendered_bytes(scene)))
            advance()
    return {
        "view.images": np.stack(images),
        "camera.poses": np.stack(poses),
        "camera.intrinsics": np.stack(lenses),
    }


def over_grey(rgba: np.ndarray) -> np.ndarray:
    """u1 [H, W, 3] of u1 [H, W, 4]."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return np.rint(rgba[..., :3] * alpha + 255 * BEHIND * (1 - alpha)).astype(np.uint8)


@contextmanager
def progress(total: int) -> Iterator[Any]:
    """A number at the mouse that counts, while the main thread has no time for the panel."""
    manager, done = bpy.context.window_manager, iter(range(1, total + 1))
    manager.progress_begin(0, total)
    try:
        yield lambda: manager.progress_update(next(done))
    finally:
        manager.progress_end()
