"""A scene's own frame: what the cameras look at lies at 0, and half of them are nearer to it than 1, half farther.

Training knows no other unit: where samples begin and end, how far space is contracted, learning rates of positions and
the size of first splats are all told in it. Files keep their own world; cameras come in and splats, cameras and points
go out through one similarity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.splats import Splats, transformed
from weft.geometry.view_choice import focus

__all__ = ["SceneFrame", "frame_of"]

_BASELINES = 4.0  # how far away things are that cameras side by side were pointed at, in extents of their rig
_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class SceneFrame:
    """x ↦ s R x + t from the file's world into the scene's frame. Raises InvalidInput for any other matrix."""

    matrix: np.ndarray  # f8 [4, 4], of points as columns

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or np.abs(matrix[3] - [0, 0, 0, 1]).max() > 0:
            raise InvalidInput(
                f"a scene's frame is {list(matrix.shape)}, expected 4 × 4 finite numbers", "0 0 0 1 last"
            )
        size = np.cbrt(np.linalg.det(matrix[:3, :3]))
        if not size > 0 or np.abs(matrix[:3, :3].T @ matrix[:3, :3] / size**2 - np.eye(3)).max() > _TOLERANCE:
            raise InvalidInput("a scene's frame mirrors or shears, expected one scale, a rotation and a translation")
        object.__setattr__(self, "matrix", matrix)

    @property
    def scale(self) -> float:
        """Scene units in a unit of the world."""
        return float(np.cbrt(np.linalg.det(self.matrix[:3, :3])))

    @property
    def inverse(self) -> SceneFrame:
        """From the scene's frame to the world."""
        turned = self.matrix[:3, :3].T / self.scale**2
        back = np.eye(4)
        back[:3, :3], back[:3, 3] = turned, -turned @ self.matrix[:3, 3]
        return SceneFrame(back)

    def into(self, camera: Camera) -> Camera:
        """A camera of the world, in the scene's frame: the same picture. Depths are `scale` times as large."""
        pose = np.eye(4)
        pose[:3, :3] = self.matrix[:3, :3] @ camera.pose[:3, :3] / self.scale
        pose[:3, 3] = self.matrix[:3, :3] @ camera.center + self.matrix[:3, 3]
        pixels = 1 / self.scale if camera.orthographic else 1.0  # its focal lengths are pixels a unit
        return replace(camera, pose=pose, near=camera.near * self.scale, fx=camera.fx * pixels, fy=camera.fy * pixels)

    def out_of(self, camera: Camera) -> Camera:
        """A camera of the scene's frame, in the world."""
        return self.inverse.into(camera)

    def into_splats(self, splats: Splats) -> Splats:
        """Splats of the world in the scene's frame; their harmonics turn with them."""
        return transformed(splats, self.matrix)

    def out_of_splats(self, splats: Splats) -> Splats:
        """Splats of the scene's frame in the world."""
        return transformed(splats, self.inverse.matrix)

    def into_points(self, points: np.ndarray) -> np.ndarray:
        """Points of the world, f4 [..., 3] in the scene's frame."""
        return (np.asarray(points, np.float64) @ self.matrix[:3, :3].T + self.matrix[:3, 3]).astype(np.float32)

    def out_of_points(self, points: np.ndarray) -> np.ndarray:
        """Points of the scene's frame, f4 [..., 3] in the world."""
        return self.inverse.into_points(points)


def frame_of(cameras: Sequence[Camera], points: np.ndarray | None = None) -> SceneFrame:
    """The frame for what `cameras` of the world look at. Axes keep their directions, so that what stood up still does.

    The point nearest to all viewing axes becomes 0, the cameras' median distance to it 1. Where there is no such point
    (parallel axes, looking outwards, one view) the middle of `points` f4 [M, 3], known to be in the scene, takes its
    place. Without them things are taken to be four times as far away as the cameras are apart; a single place tells no
    distance at all and keeps the world's unit. A similarity of the world (but for that last case) changes the result
    by its rotation alone.
    """
    if not cameras:
        raise InvalidInput("a scene has no cameras, expected one or more", "give the poses of its pictures")
    centers = np.stack([camera.center for camera in cameras])
    center = focus(cameras)
    if center is None and points is not None and len(points):
        center = np.median(np.asarray(points, np.float64), axis=0)
    if center is not None:
        distance = float(np.median(np.linalg.norm(centers - center, axis=1)))
    else:
        middle = centers.mean(0)
        apart = 2 * float(np.linalg.norm(centers - middle, axis=1).max())
        # Cameras that look outwards, to all sides, surround what they see: their directions add up to nothing.
        distance = _BASELINES * apart if apart > 0 else 1.0
        center = middle + distance * np.mean([camera.forward for camera in cameras], 0)
    if not distance > 0:
        raise InvalidInput("all cameras stand at the point that they look at", "check the poses' translations")
    matrix = np.eye(4)
    matrix[:3] = np.concatenate([np.eye(3), -center[:, None]], 1) / distance
    return SceneFrame(matrix)
