"""Pictures of real lenses as a pinhole would have taken them: OpenCV's model of radial and tangential distortion.

A point (x, y) of the image plane at distance 1 appears at x (1 + k1 r² + k2 r⁴ + k3 r⁶ + k4 r⁸) + 2 p1 xy + p2 (r² +
2x²), likewise y with p1 and p2 exchanged (Brown 1966, as OpenCV and nerfstudio have it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.ndimage import map_coordinates

from weft.errors import InvalidCamera
from weft.geometry.camera import Camera

__all__ = ["distorted", "resampled", "undistorted"]

_ZOOMS = np.linspace(1, 2, 101)
_HINT = "undistort the pictures first, for example with COLMAP's image_undistorter"


def distorted(x: np.ndarray, y: np.ndarray, lens: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Where points of the image plane (x right, y down, at distance 1) appear, by the coefficients of `lens`."""
    k1, k2, k3, k4, p1, p2 = (lens.get(name, 0.0) for name in ("k1", "k2", "k3", "k4", "p1", "p2"))
    r = x * x + y * y
    radial = 1 + r * (k1 + r * (k2 + r * (k3 + r * k4)))
    return (
        x * radial + 2 * p1 * x * y + p2 * (r + 2 * x * x),
        y * radial + 2 * p2 * x * y + p1 * (r + 2 * y * y),
    )


def undistorted(camera: Camera, lens: Mapping[str, float]) -> tuple[Camera, np.ndarray | None]:
    """The pinhole that takes `camera`'s place, and at f8 [2, H, W], the (row, column) index coordinates at which its
    pixels lie in the distorted picture; None where nothing is distorted.

    The frame keeps its size and its principal point; the focal length grows, by at most 2, until all of the frame was
    in the picture. Raises InvalidCamera where that is not enough.
    """
    if not any(lens.values()):
        return camera, None
    last = (camera.height - 1, camera.width - 1)
    for zoom in _ZOOMS:
        pinhole = replace(camera, fx=camera.fx * zoom, fy=camera.fy * zoom)
        at = _positions(camera, pinhole, lens)
        inside = (at > -0.5 - 1e-6).all() and all(at[k].max() < last[k] + 0.5 + 1e-6 for k in (0, 1))
        if inside and (np.diff(at[0], axis=0) > 0).all() and (np.diff(at[1], axis=1) > 0).all():
            return pinhole, at
    told = ", ".join(f"{name}={value:g}" for name, value in lens.items())
    raise InvalidCamera(
        f"a lens that distorts by {told} leaves no frame, expected coefficients of OpenCV's model", _HINT
    )


def _positions(camera: Camera, pinhole: Camera, lens: Mapping[str, float]) -> np.ndarray:
    row, column = np.mgrid[: camera.height, : camera.width] + 0.5
    x, y = distorted((column - pinhole.cx) / pinhole.fx, (row - pinhole.cy) / pinhole.fy, lens)
    return np.stack([camera.cy + camera.fy * y, camera.cx + camera.fx * x]) - 0.5


def resampled(image: np.ndarray, at: np.ndarray | None, *, smooth: bool = True) -> np.ndarray:
    """f4 [H, W, C] of an image [h, w, C] at `at` (see `undistorted`), by cubic splines, or by the nearest pixel's own
    value: masks and depths must not be mixed."""
    if at is None:
        return image.astype(np.float32)
    order = 3 if smooth else 0
    planes = [map_coordinates(image[..., c], at, order=order, mode="nearest") for c in range(image.shape[2])]
    return np.stack(planes, -1).astype(np.float32)
