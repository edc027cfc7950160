"""Pictures with poses, set up for stereo: how each pixel of one view lies in another, and which views to compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weft.errors import InvalidCamera, InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.view_choice import focus, parallaxes

__all__ = ["StereoRig", "shrunk", "viewing_distance"]

_SOURCES = 4
_ONE_PLACE = 1e-6  # of the cameras' distance from the origin, by which they stand apart at least
_PARALLAX = (1.0, 8.0, 40.0)  # degrees to a source: least, best, most


class StereoRig:
    """Pictures f4 [N, H, W, 3] with perspective cameras, and how each pixel of one lies in another."""

    def __init__(self, images: np.ndarray, cameras: Sequence[Camera]) -> None:
        _check(images, cameras)
        self.images = np.ascontiguousarray(images, np.float32)
        self.cameras = tuple(cameras)
        self.grey = np.ascontiguousarray(self.images @ np.array([0.299, 0.587, 0.114], np.float32))
        self.apart = parallaxes(cameras).round(4)

    def sources(self, view: int, most: int = _SOURCES) -> list[int]:
        """The views that `view` is best compared with, nearest to the best parallax first."""
        least, best, farthest = _PARALLAX
        angle = self.apart[view]
        able = [k for k in range(len(angle)) if k != view and least <= angle[k] <= farthest]
        if not able:  # the closest there is
            able = [k for k in np.argsort(angle, kind="stable")[1:3] if k != view]
        # Ties are cut by where cameras stand, not by their number: the order of the views must not matter.
        able.sort(key=lambda k: (abs(np.log(max(angle[k], 1e-3) / best)).round(4), *self.cameras[k].center.round(9)))
        return [int(k) for k in able[:most]]

    def to(self, view: int, others: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """rays f4 [K, 3, 3] and shifts f4 [K, 3], see `stereo_kernels.sweep`."""
        camera = self.cameras[view]
        outward = _axes(camera) @ np.linalg.inv(_lens(camera))
        inward = [_lens(self.cameras[k]) @ _axes(self.cameras[k]).T for k in others]
        shifts = [m @ (camera.center - self.cameras[k].center) for m, k in zip(inward, others, strict=True)]
        return np.array([m @ outward for m in inward], np.float32), np.array(shifts, np.float32)


def viewing_distance(cameras: Sequence[Camera]) -> float:
    """How far away what the cameras look at is: the median distance to where their axes meet, or a guess from how far
    apart they stand."""
    centers = np.stack([camera.center for camera in cameras])
    point = focus(cameras)
    if point is not None:
        return float(np.median(np.linalg.norm(centers - point, axis=1)))
    return float(3 * np.linalg.norm(centers - centers.mean(0), axis=1).max())


def shrunk(images: np.ndarray, cameras: Sequence[Camera], factor: int) -> tuple[np.ndarray, list[Camera]]:
    """Means of factor² pixels; what is over at the right and the bottom is left out."""
    views, height, width, channels = images.shape
    rows, columns = height // factor, width // factor
    cut = images[:, : rows * factor, : columns * factor].reshape(views, rows, factor, columns, factor, channels)
    small = [
        Camera(c.pose, columns, rows, c.fx / factor, c.fy / factor, c.cx / factor, c.cy / factor, c.near)
        for c in cameras
    ]
    return cut.mean((2, 4)), small


def _axes(camera: Camera) -> np.ndarray:
    """Right, down and forward in the world, as columns."""
    return camera.pose[:3, :3] * (1, -1, -1)


def _lens(camera: Camera) -> np.ndarray:
    return np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])


def _check(images: np.ndarray, cameras: Sequence[Camera]) -> None:
    if images.ndim != 4 or images.shape[3] != 3 or len(images) != len(cameras):
        raise InvalidInput(f"{len(cameras)} cameras for images of {list(images.shape)}", "expected [N, H, W, 3]")
    if len(cameras) < 2:
        raise InvalidInput(f"{len(cameras)} view has no depth by itself", "give 2 or more views of the scene")
    if any(camera.orthographic for camera in cameras):
        raise InvalidCamera("an orthographic camera's depth is not looked for in pictures", "give depth maps")
    centers = np.stack([camera.center for camera in cameras])
    if np.ptp(centers, axis=0).max() <= _ONE_PLACE * np.abs(centers).max():
        raise InvalidCamera(f"all {len(cameras)} views are taken from one place", "depth needs views from several")
