"""Pixels as rays: Plücker coordinates of cameras, and the frames in which networks are told of them.

A line through the point o with the unit direction d has the moment m = o x d (Plücker 1865). (d, m) does not depend on
which of its points is o, and d · m = 0. Multi-view networks read six numbers a pixel instead of a pose and a lens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import Camera

__all__ = ["FROM_OPENCV", "meeting_point", "plucker_rays", "ray_grid"]

FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
"""Camera axes of OpenCV (right, down, forward) in those of a `Camera` (right, up, backward); its own inverse."""


def ray_grid(camera: Camera, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Origins and unit directions f8 [height, width, 3] in the world, through the centres of height x width equal cells
    of the image. Rays of a pinhole begin at the eye, those of an orthographic camera in the plane of its centre."""
    if height < 1 or width < 1:
        raise InvalidInput(
            f"an image of {width} x {height} cells has no rays", "give at least one cell along each side"
        )
    row, column = np.indices((height, width), np.float64)
    x = ((column + 0.5) * camera.width / width - camera.cx) / camera.fx
    y = (camera.cy - (row + 0.5) * camera.height / height) / camera.fy
    rotation = camera.pose[:3, :3]
    origins = np.broadcast_to(camera.center, (height, width, 3))
    if camera.orthographic:
        return origins + np.stack([x, y], -1) @ rotation[:, :2].T, np.broadcast_to(camera.forward, origins.shape)
    directions = np.stack([x, y, -np.ones_like(x)], -1) @ rotation.T
    return origins, directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def plucker_rays(
    cameras: Sequence[Camera], height: int, width: int, *, frame: np.ndarray | None = None, scale: float = 1.0
) -> np.ndarray:
    """(d, m) of height x width rays a camera, f4 [N, 6, height, width].

    `frame` f8 [4, 4] is the rigid pose, to the world, of the coordinates they are told in (the world's by default);
    lengths are multiplied with `scale`.
    """
    to_frame = np.linalg.inv(np.eye(4) if frame is None else frame)
    told = []
    for camera in cameras:
        origins, directions = ray_grid(camera, height, width)
        d = directions @ to_frame[:3, :3].T
        o = scale * (origins @ to_frame[:3, :3].T + to_frame[:3, 3])
        told.append(np.concatenate([d, np.cross(o, d)], -1).transpose(2, 0, 1))
    return np.stack(told).astype(np.float32)


def meeting_point(cameras: Sequence[Camera]) -> np.ndarray:
    """f8 [3], the point in the world with the least squared distance to all viewing axes: what the cameras look at.

    Where that is a line or a space (axes are parallel), its point nearest to the mean of the cameras' centres.
    """
    middle = np.mean([camera.center for camera in cameras], 0)
    across = [np.eye(3) - np.outer(camera.forward, camera.forward) for camera in cameras]
    target = sum(plane @ (camera.center - middle) for plane, camera in zip(across, cameras, strict=True))
    return middle + np.linalg.lstsq(np.sum(across, 0), np.asarray(target), rcond=1e-9)[0]
