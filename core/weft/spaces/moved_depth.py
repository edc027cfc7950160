"""Depth maps after a part of what they show was moved: every view is a sheet of triangles between its pixels' points,
cut where it would bridge a jump, and the sheets of all views are drawn together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt, uniform_filter

from weft.geometry.camera import Camera
from weft.geometry.rasterize import rasterize_many
from weft.geometry.rigid import Rigid
from weft.spaces.view_geometry import unprojected

__all__ = ["moved_depths"]

_LEAST_COSINE = 0.12  # of a triangle's face with the ray of its pixel: flatter ones bridge a jump
_EVENED = 3  # pixels across, of which the most decide


def moved_depths(
    cameras: Sequence[Camera],
    depth: np.ndarray,  # f4 [N, H, W], infinite where unknown
    was: np.ndarray,  # bool [N, H, W], pixels that move
    rigid: Rigid,
) -> tuple[np.ndarray, np.ndarray]:
    """The depth maps after the motion, and which of their pixels show what moved, bool [N, H, W].

    Where a view sees what stays, its own depth stays; where it was covered, the depth is what the others know of it.
    """
    still = ~was & np.isfinite(depth)
    behind = _drawn(cameras, *_sheets(cameras, depth, still, None))
    front = _drawn(cameras, *_sheets(cameras, depth, was & np.isfinite(depth), rigid))
    base = np.where(was, behind, depth)
    front = np.stack([_evened(one, one < other) for one, other in zip(front, base, strict=True)])
    now = front < base
    return np.where(now, front, base).astype(np.float32), now


def _evened(front: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The depth [H, W] where most pixels around are the object's `own`, elsewhere infinite: its outline comes frayed,
    because pixels that faced away when they were seen are few and far between."""
    most = uniform_filter(own.astype(np.float32), _EVENED) > 0.5
    if not own.any():
        return np.full_like(front, np.inf)
    nearest = distance_transform_edt(~own, return_distances=False, return_indices=True)
    return np.where(most, front[tuple(np.asarray(nearest))], np.inf).astype(np.float32)


def _drawn(cameras: Sequence[Camera], vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """f4 [N, H, W], infinite where there is nothing."""
    if not len(faces):
        return np.full((len(cameras), cameras[0].height, cameras[0].width), np.inf, np.float32)
    return np.stack([drawn.depth for drawn in rasterize_many(vertices, faces, cameras)])


def _sheets(
    cameras: Sequence[Camera], depth: np.ndarray, part: np.ndarray, rigid: Rigid | None
) -> tuple[np.ndarray, np.ndarray]:
    """vertices f4 [V, 3] and faces i4 [F, 3] of the pixels in `part` bool [N, H, W], moved."""
    vertices, faces = [np.empty((0, 3), np.float32)], [np.empty((0, 3), np.int32)]
    first = 0
    for camera, distance, own in zip(cameras, depth, part, strict=True):
        points = unprojected(camera, distance)
        triangles = _triangles(camera, points, own)
        vertices.append(points[own] if rigid is None else rigid.points(points[own]))
        number = np.cumsum(own.reshape(-1)) - 1
        faces.append((number[triangles] + first).astype(np.int32))
        first += len(vertices[-1])
    return np.concatenate(vertices), np.concatenate(faces)


def _triangles(camera: Camera, points: np.ndarray, own: np.ndarray) -> np.ndarray:
    """i8 [F, 3], pixels of the triangles of a view, two for each four neighbours that are all its `own`."""
    height, width = own.shape
    whole = own[:-1, :-1] & own[1:, :-1] & own[:-1, 1:] & own[1:, 1:]
    corner = np.flatnonzero(np.pad(whole, ((0, 1), (0, 1))))
    triangles = np.concatenate(
        [
            np.stack([corner, corner + width, corner + 1], 1),
            np.stack([corner + 1, corner + width, corner + width + 1], 1),
        ]
    )
    flat = points.reshape(height * width, 3)
    a, b, c = (flat[triangles[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    length = np.maximum(np.linalg.norm(normal, axis=1), 1e-20)
    cosine = np.abs((normal * camera.toward(a)).sum(1)) / length
    return triangles[cosine > _LEAST_COSINE]
