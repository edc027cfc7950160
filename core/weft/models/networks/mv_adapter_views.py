"""The cameras and surfaces of an object as MV-Adapter was trained to be told of them, six numbers a pixel in [0, 1].

| follows  | numbers                                                | views                                           |
|---|---|---|
| cameras  | viewing direction, direction from the object to the eye | level ones, the reference at azimuth 0          |
| geometry | position in a cube around the object, normal           | front, right, back, left, top, bottom, parallel |

The world is ours: +Z up, the reference sees the front, from -Y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.geometry.camera import Camera, orbit
from weft.geometry.rays import meeting_point
from weft.models.networks.multi_view import GeometryPictures

__all__ = ["CUBE", "camera_numbers", "check_cube", "cube_cameras", "elevations", "geometry_numbers"]

CUBE = ((0.0, 0.0), (90.0, 0.0), (180.0, 0.0), (270.0, 0.0), (180.0, 90.0), (180.0, -90.0))
"""(azimuth, elevation) in degrees of front, right, back, left, top and bottom."""
FRAME = 1.1  # sides of the object's cube that an image shows
DISTANCE = 3.6  # sides of the cube between it and its orthographic cameras
_ALIKE = math.cos(math.radians(3.0))


def cube_cameras(points: np.ndarray, size: int) -> tuple[Camera, ...]:
    """Six orthographic cameras of `size`² px around `points` [P, 3], for priors that follow geometry."""
    low, high = np.min(points, 0), np.max(points, 0)
    side = float((high - low).max())
    if not side > 0:
        raise InvalidInput("the object is a single point, expected something with an extent")
    middle, scale = tuple((low + high) / 2), size / (FRAME * side)
    return tuple(
        Camera(
            orbit(azimuth, elevation, DISTANCE * side, middle), size, size, scale, scale, size / 2, size / 2,
            near=0.1 * side, orthographic=True,
        )
        for azimuth, elevation in CUBE
    )  # fmt: skip


def camera_numbers(cameras: Sequence[Camera], reference: int) -> Tensor:
    """float32 [N, 6], the same in all pixels of a view."""
    outward = _outward(cameras)
    turn = _to_front(outward[reference])
    forward = np.stack([camera.forward for camera in cameras])
    numbers = np.concatenate([forward @ turn.T, outward @ turn.T], 1)
    return torch.from_numpy(numbers.astype(np.float32) / 2 + 0.5)


def geometry_numbers(geometry: GeometryPictures, reference: Camera) -> Tensor:
    """float32 [N, 6, H, W]; grey where nothing is. The cube is the smallest around all that the views show."""
    positions, mask = geometry.positions.float().cpu(), geometry.mask.cpu() >= 0.5
    shown = positions.permute(0, 2, 3, 1)[mask[:, 0]]
    low, high = shown.amin(0), shown.amax(0)
    side = float((high - low).max().clamp(min=1e-9))
    turn = torch.from_numpy(_to_front(-reference.forward).astype(np.float32))

    def turned(pictures: Tensor) -> Tensor:
        return torch.einsum("ij,njhw->nihw", turn, pictures)

    at = turned((positions - ((low + high) / 2)[:, None, None]) / side)
    numbers = torch.cat([at + 0.5, turned(geometry.normals.float().cpu()) / 2 + 0.5], 1).clamp(0, 1)
    return torch.where(mask, numbers, 0.5)


def elevations(cameras: Sequence[Camera]) -> np.ndarray:
    """f8 [N], degrees above the horizon at which the cameras stand, seen from what they look at."""
    return np.degrees(np.arcsin(_outward(cameras)[:, 2].clip(-1, 1)))


def check_cube(cameras: Sequence[Camera], name: str) -> None:
    """Raise InvalidInput unless these are front, right, back, left, top and bottom, the front being where it is."""
    turn = _to_front(-cameras[0].forward)
    for number, (camera, direction) in enumerate(zip(cameras, CUBE, strict=True)):
        axes = (turn @ camera.pose[:3, :3] * orbit(*direction, 1.0)[:3, :3]).sum(0)
        if axes.min() < _ALIKE or not camera.orthographic:
            azimuth, elevation = direction
            raise InvalidInput(
                f"camera {number} of {name} is not parallel from azimuth {azimuth:g}, elevation {elevation:g}",
                "take those of cube_cameras: front, right, back, left, top, bottom; or a prior that follows cameras",
            )


def _outward(cameras: Sequence[Camera]) -> np.ndarray:
    """f8 [N, 3], unit, from what all look at to each eye."""
    away = np.stack([camera.center for camera in cameras]) - meeting_point(cameras)
    length = np.linalg.norm(away, axis=1, keepdims=True)
    backward = -np.stack([camera.forward for camera in cameras])
    return np.where(length > 1e-9, away / np.maximum(length, 1e-9), backward)


def _to_front(outward: np.ndarray) -> np.ndarray:
    """f8 [3, 3], the rotation about +Z that takes this direction over -Y; none for what is right above."""
    length = math.hypot(outward[0], outward[1])
    if length < 1e-6:
        return np.eye(3)
    sine, cosine = -outward[0] / length, -outward[1] / length
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
