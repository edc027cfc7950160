"""Do poses mean what they are taken to mean? Pictures tell: under the right convention they match, else hardly at all.

Poses are camera-to-world with OpenGL axes. Files come with OpenCV's axes (+Y down, +Z forward), or with the inverse
(world-to-camera, as COLMAP has it), or both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weft.errors import InvalidCamera
from weft.geometry.camera import Camera
from weft.geometry.stereo import LEAST_MATCHED, coarse_matches
from weft.geometry.view_choice import choose_views, focus

__all__ = ["check_poses"]

_LOOKED_AT = 6  # views
_SURELY = 0.2  # of what pictures show: no wrong convention makes so much of it match
_CLEARLY = 3.0  # times as much of the pictures as under the given poses
_TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
_AXES = "negate columns 1 and 2 (y and z) of every transform_matrix"
_INVERSE = "write the inverse of every transform_matrix"


def check_poses(images: np.ndarray, cameras: Sequence[Camera]) -> str | None:
    """None for poses under which the views f4 [N, H, W, 3] match each other, or match no less than under others; else
    one line that says what the poses look like, and the remedy. Perspective cameras; fewer than 2 views are not looked
    at. Deterministic."""
    if len(cameras) < 2 or any(camera.orthographic for camera in cameras):
        return None
    chosen = choose_views(cameras, _LOOKED_AT)
    some, given = images[chosen], [cameras[k] for k in chosen]
    share = _matched(some, given)
    if share >= _SURELY:
        return None
    for told, remedy, convert in (
        ("OpenCV's (+Y down, +Z forward) read as OpenGL's (+Y up, -Z forward)", _AXES, lambda m: m @ _TO_OPENGL),
        ("world-to-camera, expected camera-to-world", _INVERSE, np.linalg.inv),
        (
            "COLMAP's (world-to-camera, +Y down, +Z forward), expected camera-to-world with OpenGL's axes",
            f"{_INVERSE}, then {_AXES}",
            lambda m: np.linalg.inv(m) @ _TO_OPENGL,
        ),
    ):
        other = _matched(some, [replace(camera, pose=convert(camera.pose)) for camera in given])
        if other >= max(LEAST_MATCHED, _CLEARLY * share):
            return f"the poses look like {told}: {remedy}"
    away = [replace(camera, pose=camera.pose @ _TO_OPENGL) for camera in given]
    if share < LEAST_MATCHED and focus(given) is None and focus(away) is not None:
        return (
            "the views match hardly anywhere, and what the cameras look at lies behind them, as if the poses were "
            f"OpenCV's (+Y down, +Z forward) read as OpenGL's: {_AXES}"
        )
    return None


def _matched(images: np.ndarray, cameras: Sequence[Camera]) -> float:
    try:
        return coarse_matches(images, cameras)[1]
    except InvalidCamera:  # inverted, cameras around an object all stand in one place
        return 0.0
