"""Cameras from transforms.json, as nerfstudio, instant-ngp and Blender's NeRF exporters write it.

Each frame has a camera-to-world matrix with OpenGL axes, which are those of `Camera`: nothing is turned, the poses stay
in the file's world. Intrinsics (`fl_x fl_y cx cy w h` or `camera_angle_x`) stand in the file or in a frame, which wins.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from weft.errors import InvalidCamera, InvalidInput
from weft.geometry.camera import Camera
from weft.io.files import read_file

__all__ = ["PosedImages", "load_cameras"]

_PERSPECTIVE = ("PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "OPENCV", "SIMPLE_RADIAL", "RADIAL")
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")
_SUFFIXES = ("", ".png", ".jpg", ".jpeg", ".webp")  # Blender's variant leaves the suffix out
_MASKS = ("mask_path",)
_DEPTHS = ("depth_file_path", "depth_path")
_DEPTH_UNITS = ("depth_unit_scale_factor", "integer_depth_scale")  # nerfstudio's and instant-ngp's
_MILLIMETRE = 1e-3  # nerfstudio's unit where the file names none
_LARGEST_SIDE = 16384
_REMEDY = "write it with nerfstudio's ns-process-data, instant-ngp's colmap2nerf or a Blender NeRF exporter"


@dataclass(frozen=True, eq=False)
class PosedImages:
    """N frames in the file's order. The cameras are pinholes: the lens distortion beside them is not in them."""

    cameras: tuple[Camera, ...]
    images: tuple[Path | None, ...]  # None where the picture is missing or lies outside the file's folder
    distortion: tuple[dict[str, float], ...]  # of OpenCV's model: k1 to k4, p1, p2, as far as given
    warnings: tuple[str, ...]
    masks: tuple[Path | None, ...]  # black = ignore
    depths: tuple[Path | None, ...]
    depth_unit: float  # world units of a step of depth maps in whole numbers
    points: np.ndarray | None = None  # f4 [P, 3] of structure from motion, in the cameras' world, where the file has it
    point_colors: np.ndarray | None = None  # u1 [P, 3], sRGB


def load_cameras(path: str | Path) -> PosedImages:
    """Every frame of a transforms.json. Pictures are looked for in the file's folder and below, and not decoded.

    Raises `InvalidInput` for a file that is none, `InvalidCamera` for a frame without a rigid pose or intrinsics.
    """
    path = Path(path)
    data = read_file(path)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidInput(f"{path.name!r} is not JSON, expected a transforms.json", _REMEDY) from None
    frames = document.get("frames") if isinstance(document, dict) else None
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise InvalidInput(f"{path.name!r} has no frames, expected a list of cameras in 'frames'", _REMEDY)
    images, warnings = _find_images(path.parent.resolve(), frames)
    shared = {key: value for key, value in document.items() if key != "frames"}
    cameras, distortion = [], []
    for i, (frame, image) in enumerate(zip(frames, images, strict=True)):
        values = shared | frame
        try:
            cameras.append(_camera(values, image or next(filter(None, images), None)))
            distortion.append({key: _number(values, key) for key in _DISTORTION if key in values})
        except InvalidCamera as error:
            message = f"{path.name!r}, frame {i + 1} of {len(frames)}: {error.message}"
            raise InvalidCamera(message, error.hint or _REMEDY) from None
    masks, depths = (_find_beside(path.parent.resolve(), frames, names) for names in (_MASKS, _DEPTHS))
    unit = next((_number(shared, key) for key in _DEPTH_UNITS if key in shared), _MILLIMETRE)
    return PosedImages(tuple(cameras), tuple(images), tuple(distortion), tuple(warnings), masks, depths, unit)


def _find_beside(folder: Path, frames: list[dict[str, Any]], keys: tuple[str, ...]) -> tuple[Path | None, ...]:
    """Each frame's picture of another kind, if one of `keys` names it and it is there."""
    names = (next((str(frame[key]) for key in keys if frame.get(key)), None) for frame in frames)
    return tuple(_find_image(folder, name.replace("\\", "/"))[0] if name else None for name in names)


def _find_images(folder: Path, frames: list[dict[str, Any]]) -> tuple[list[Path | None], list[str]]:
    """Each frame's picture, and one line for those that are missing and one for those outside of `folder`."""
    images: list[Path | None] = []
    missing, outside = [], []
    for frame in frames:
        name = str(frame.get("file_path", "")).replace("\\", "/")
        image, inside = _find_image(folder, name)
        images.append(image)
        if image is None:
            (missing if inside else outside).append(name[:80])
    warnings = []
    if missing:
        warnings.append(f"{len(missing)} of {len(frames)} pictures are missing, the first is {missing[0]!r}")
    if outside:
        warnings.append(f"{len(outside)} of {len(frames)} pictures lie outside the file's folder: {outside[0]!r}")
    return images, warnings


def _find_image(folder: Path, name: str) -> tuple[Path | None, bool]:
    """The picture, if there is one, and whether `name` stays inside `folder`."""
    try:
        for suffix in _SUFFIXES:
            image = (folder / f"{name}{suffix}").resolve()
            if not image.is_relative_to(folder):
                return None, False
            if image.is_file():
                return image, True
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, a loop of links
        pass
    return None, True


def _camera(values: dict[str, Any], image: Path | None) -> Camera:
    """A frame's camera; `image` tells the size where the file does not."""
    model = str(values.get("camera_model", "PINHOLE"))[:40]
    if model.upper() not in _PERSPECTIVE or values.get("is_fisheye"):
        lens = "a fisheye" if values.get("is_fisheye") else f"{model!r}"
        raise InvalidCamera(f"its lens is {lens}, expected a perspective camera", "undistort the pictures first")
    width, height = _size(values, image)
    fx = _focal(values, "fl_x", "camera_angle_x", width)
    fy = _focal(values, "fl_y", "camera_angle_y", height) or fx
    fx = fx or fy
    if fx is None or fy is None:
        raise InvalidCamera("it has neither fl_x nor camera_angle_x, expected a focal length")
    cx = _number(values, "cx") if "cx" in values else width / 2
    cy = _number(values, "cy") if "cy" in values else height / 2
    return Camera(_pose(values.get("transform_matrix")), width, height, fx, fy, cx, cy)


def _size(values: dict[str, Any], image: Path | None) -> tuple[int, int]:
    if "w" in values and "h" in values:
        width, height = _number(values, "w"), _number(values, "h")
    elif image is None:
        raise InvalidCamera("it has neither w and h nor a picture that tells them")
    else:
        try:
            with Image.open(image) as opened:
                width, height = opened.size
        except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise InvalidCamera(f"it has no w and h, and {image.name!r} is not a picture that tells them") from None
    if not (1 <= width <= _LARGEST_SIDE and 1 <= height <= _LARGEST_SIDE):
        raise InvalidCamera(f"its image is {width:g}×{height:g} pixels, expected 1 to {_LARGEST_SIDE} a side")
    return round(width), round(height)


def _focal(values: dict[str, Any], length: str, angle: str, side: int) -> float | None:
    """Pixels, from a focal length or a full angle of view in radians over `side` pixels."""
    if length in values:
        return _number(values, length)
    if angle not in values:
        return None
    radians = _number(values, angle)
    if not 0 < radians < math.pi:
        raise InvalidCamera(f"its {angle} is {radians:g}, expected radians between 0 and π")
    return side / (2 * math.tan(radians / 2))


def _number(values: dict[str, Any], key: str) -> float:
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise InvalidCamera(f"its {key} is {str(value)[:40]!r}, expected a number")
    return float(value)


def _pose(matrix: Any) -> np.ndarray:
    if matrix is None:
        raise InvalidCamera("it has no transform_matrix, expected 4 rows of 4 numbers")
    try:
        pose = np.array(matrix, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InvalidCamera("its transform_matrix is not made of numbers, expected 4 rows of 4") from None
    if pose.shape != (4, 4):
        raise InvalidCamera(f"its transform_matrix has the shape {list(pose.shape)}, expected [4, 4]")
    return pose
