"""What the views of a panorama show of its scene, as control pictures.

A scene holds distances from the viewer. The views of a sphere are perspective, and depth estimators are trained on
photographs, in which depth counts along the viewing axis: by distance a straight wall before the viewer would look
like the inside of a ball. So each view's depth is that of its own camera. The windows of a wide image are parts of one
picture and keep its own depths: with a depth map those of one perspective view, with meshes distances, which curve as
that picture does. Their normals are seen by a level viewer who looks that picture's or the window's way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.spaces.panorama import PanoramaSpace, look_along
from weft.spaces.wide_image import WideImageSpace
from weft.tasks.control_encoding import Shown, check_kinds, control_pictures, nearness
from weft.tasks.panorama_scene import scene_normals
from weft.tasks.panorama_setting import Setting

__all__ = ["panorama_controls"]

_CLIPPED = 0.005  # of a view's pixels: what almost touches the viewer would leave no range to the rest
_WHITE = np.float32(1.25)  # light at which the shaded picture is white: on a surface that faces the sun


def panorama_controls(kinds: Sequence[str], setting: Setting) -> dict[str, Tensor]:
    """[N, 3, H, W] in [0, 1] for each of `kinds` ("depth", "normal", "canny"), at the pixels of the views of
    `setting.space`. The sky is background.

    Raises UnknownName for another kind and InvalidInput where the panorama has no scene.
    """
    check_kinds(kinds)
    scene = setting.cell_scene
    if not kinds:
        return {}
    if scene is None:
        raise InvalidInput(
            f"the panorama has no scene to take {' and '.join(kinds)} pictures from",
            "give a depth map or meshes, or choose a model without ControlNets",
        )
    space = setting.space
    index = space.index.reshape(space.view_shape)
    mask, light = ~scene.sky.reshape(-1)[index], (scene.light / _WHITE).clip(0, 1).reshape(-1)[index]
    cameras = space.cameras if isinstance(space, PanoramaSpace) else _window_cameras(space)
    position = scene.distance[..., None] * setting.directions
    if isinstance(space, PanoramaSpace):
        points, axes = position.reshape(-1, 3), [camera.forward.astype(np.float32) for camera in cameras]
        depth = np.stack([points[cells] @ axis for cells, axis in zip(index, axes, strict=True)])
    else:
        depth = scene.distance.reshape(-1)[index]

    def normals() -> np.ndarray:
        found = scene_normals(position, setting.directions, setting.wrap).astype(np.float32)
        return _in_camera_axes(found.reshape(-1, 3), cameras, index, mask)

    return control_pictures(kinds, Shown(mask, nearness(depth, mask, cameras, _CLIPPED), normals, light))


def _window_cameras(space: WideImageSpace) -> list[Camera]:
    """Level cameras: of a picture without ends one that looks at each window's middle, else one for all windows."""
    part = space.window / space.width
    if not space.wrap:
        return [look_along(0, 0, size=space.window, fov=math.degrees(2 * math.atan(part / 2)))] * len(space.corners)
    middles = space.corners[:, 1] / space.width + part / 2
    return [look_along(360 * (x - 0.5), 0, size=space.window, fov=min(360 * part, 120)) for x in middles]


def _in_camera_axes(
    normals: np.ndarray, cameras: Sequence[Camera], index: np.ndarray, mask: np.ndarray
) -> np.ndarray:  # f4 [cells, 3], N of them, i4 [N, H, W], bool [N, H, W]
    """f4 [N, 3, H, W]: right, up and towards the viewer; 0 off the mask."""
    result = np.empty((len(index), 3, *index.shape[1:]), np.float32)
    for view, camera in enumerate(cameras):
        turned = normals[index[view]] @ camera.pose[:3, :3].astype(np.float32)
        result[view] = np.moveaxis(turned * mask[view][..., None], -1, 0)
    return result
