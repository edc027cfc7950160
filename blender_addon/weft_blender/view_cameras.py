"""Where views are taken from: a ring around what is shown, or the scene's cameras."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import bpy
import numpy as np
from mathutils import Matrix

from .errors import SceneError

__all__ = ["ALL_AROUND", "CAMERAS", "FROM_ABOVE", "ring", "ring_cameras", "scene_cameras"]

CAMERAS = (
    ("AROUND", "Around", "A ring of cameras around the selection, seeing it from above and below too"),
    ("SCENE", "Scene", "The scene's own perspective cameras, at least two"),
)
# Elevations of a ring, in degrees, in turn: most surfaces are seen well by two views; or what stands on a ground.
ALL_AROUND, FROM_ABOVE = (0.0, 30.0, 0.0, -30.0), (12.0, 35.0)
DISTANCE = 2.9  # in bounding radii: mild perspective, and every point well in front
FILL = 0.92  # of the frame, at most
FEWEST, MOST = 2, 64


def ring(points: np.ndarray, count: int, elevations: Sequence[float] = ALL_AROUND) -> tuple[np.ndarray, float, float]:
    """Poses f8 [count, 4, 4] around `points` [N, 3], the first in front of them (towards -Y); the one field of view,
    in radians, in which all points fit every square picture; and the distance from their middle."""
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    centre = (low + high) / 2
    radius = max(float(np.linalg.norm(points - centre, axis=1).max()), 1e-6)
    poses = np.stack(
        [orbit(2 * math.pi * k / count, math.radians(elevations[k % len(elevations)])) for k in range(count)]
    )
    distance = DISTANCE * radius
    poses[:, :3, 3] = centre + distance * poses[:, :3, 2]
    extent = max(float(extents(pose, points).max()) for pose in poses)
    return poses, 2 * math.atan(extent / FILL), distance


def orbit(azimuth: float, elevation: float) -> np.ndarray:
    """f8 [4, 4], turned towards the origin; azimuth 0 sees it from -Y, a quarter turn from +X."""
    outward = np.array([math.sin(azimuth), -math.cos(azimuth), 0.0])
    right = np.array([math.cos(azimuth), math.sin(azimuth), 0.0])
    back = math.cos(elevation) * outward + np.array([0.0, 0.0, math.sin(elevation)])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(back, right), back], axis=1)
    return pose


def extents(pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    """f8 [2]: the greatest |x| and |y| of the points at depth 1."""
    x, y, z = ((points - pose[:3, 3]) @ pose[:3, :3]).T
    return np.array([np.abs(x / z).max(), np.abs(y / z).max()])


@contextmanager
def ring_cameras(
    scene: bpy.types.Scene, points: np.ndarray, count: int, elevations: Sequence[float]
) -> Iterator[list[bpy.types.Object]]:
    """Cameras of `ring` in `scene`; they go again."""
    poses, angle, distance = ring(points, count, elevations)
    lens = bpy.data.cameras.new("Weft View")
    lens.sensor_fit, lens.angle = "HORIZONTAL", angle
    lens.clip_start, lens.clip_end = 1e-3 * distance, 1e3 * distance
    cameras = [bpy.data.objects.new("Weft View", lens) for _ in poses]
    try:
        for camera, pose in zip(cameras, poses, strict=True):
            camera.matrix_world = Matrix(pose.tolist())
            scene.collection.objects.link(camera)
        yield cameras
    finally:
        bpy.data.batch_remove([*cameras, lens])


def scene_cameras(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """All perspective cameras of `scene`. Raises SceneError for too few or too many."""
    cameras = [obj for obj in scene.objects if obj.type == "CAMERA" and obj.data.type == "PERSP"]
    if FEWEST <= len(cameras) <= MOST:
        return cameras
    count = f"{len(cameras)} perspective camera{'' if len(cameras) == 1 else 's'}"
    raise SceneError(
        "no_camera",
        f"the scene '{scene.name}' has {count}, expected {FEWEST} to {MOST}",
        "add some with Add > Camera, or set Cameras to Around" if len(cameras) < FEWEST else "delete some",
    )
