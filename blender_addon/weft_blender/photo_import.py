"""Cameras of a dataset from its transforms.json, as nerfstudio, instant-ngp and Blender's NeRF exporters write it.

Each frame has a camera-to-world matrix with OpenGL axes, which are Blender's: nothing is turned. The pictures become
background images, and are read when they are looked at.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from .errors import SceneError
from .lens import Lens
from .photo_cameras import LENS

__all__ = ["import_cameras", "select_alone"]

PERSPECTIVE = ("PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", "OPENCV", "SIMPLE_RADIAL", "RADIAL")
SUFFIXES = ("", ".png", ".jpg", ".jpeg", ".webp")  # Blender's exporters leave the suffix out
DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")
SENSOR = 36.0  # mm, the width in Blender
RIGID = 1e-3  # by which products of a rotation's axes may be off
NEAR = 0.1  # of the cameras' spread: how large they are drawn
REMEDY = "write it with nerfstudio's ns-process-data, instant-ngp's colmap2nerf or a Blender NeRF exporter"


def import_cameras(path: str) -> tuple[list[bpy.types.Object], list[str]]:
    """New cameras in a collection of their own, where the file says, and what to warn of. The scene renders pictures of
    the photographs' size from then on. Raises SceneError in one line, and then adds nothing."""
    file = Path(path)
    frames, warnings = frames_of(file)
    images, lenses, poses = [], [], []
    try:
        for number, frame in frames:
            where = f"'{file.name}', frame {number + 1}"
            images.append(bpy.data.images.load(str(frame["image"]), check_existing=True))
            lenses.append(lens_in(frame, images[-1], where))
            poses.append(pose_in(frame, where))
    except SceneError:
        bpy.data.batch_remove({image for image in images if image.users == 0})
        raise
    collection = bpy.data.collections.new(file.resolve().parent.name or file.stem)
    bpy.context.scene.collection.children.link(collection)
    places = np.stack(poses)[:, :3, 3]
    spread = float(np.linalg.norm(places - places.mean(axis=0), axis=1).mean()) or 1.0
    cameras = [add_camera(*row, NEAR * spread, collection) for row in zip(images, lenses, poses, strict=True)]
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = lenses[0].width, lenses[0].height, 100
    bpy.context.scene.camera = bpy.context.scene.camera or cameras[0]
    return cameras, warnings


def frames_of(file: Path) -> tuple[list[tuple[int, dict[str, Any]]], list[str]]:
    """The frames whose pictures are there, as (number, values), with what the file says of all; and warnings."""
    try:
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise SceneError("no_cameras", f"'{file.name}' cannot be read: {error.strerror}", "check the path") from error
    except (ValueError, RecursionError):
        raise SceneError("no_cameras", f"'{file.name}' is not JSON, expected a transforms.json", REMEDY) from None
    frames = document.get("frames") if isinstance(document, dict) else None
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise SceneError("no_cameras", f"'{file.name}' has no frames", REMEDY)
    shared = {key: value for key, value in document.items() if key != "frames"}
    found = [(i, {**shared, **frame, "image": image_in(file.parent, frame)}) for i, frame in enumerate(frames)]
    there = [(i, values) for i, values in found if values["image"] is not None]
    missing = [str(values.get("file_path", ""))[:80] for _, values in found if values["image"] is None]
    if not there:
        raise SceneError("no_cameras", f"none of the {len(frames)} pictures of '{file.name}' is there", REMEDY)
    told = f"{len(missing)} of {len(frames)} pictures are missing, the first is '{missing[0]}'" if missing else ""
    return there, [told] if told else []


def image_in(folder: Path, frame: dict[str, Any]) -> Path | None:
    """The frame's picture, in the folder or below; None where there is none."""
    name, folder = str(frame.get("file_path", "")).replace("\\", "/"), folder.resolve()
    try:
        tried = ((folder / f"{name}{suffix}").resolve() for suffix in SUFFIXES)
        return next((path for path in tried if path.is_file() and path.is_relative_to(folder)), None)
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, a loop of links
        return None


def lens_in(frame: dict[str, Any], image: bpy.types.Image, where: str) -> Lens:
    """Intrinsics in pixels of the picture."""
    model = str(frame.get("camera_model", "PINHOLE"))[:40]
    if model.upper() not in PERSPECTIVE or frame.get("is_fisheye"):
        message = f"{where} has the lens '{model}', expected a perspective camera"
        raise SceneError("no_cameras", message, "undistort the pictures first")
    width, height = (number(frame, key, where) for key in "wh") if "w" in frame and "h" in frame else image.size
    if not (width >= 1 and height >= 1):
        raise SceneError("no_cameras", f"{where}: '{image.name}' cannot be read", "find its file")
    fx, fy = focal(frame, "x", width, where), focal(frame, "y", height, where)
    if not fx and not fy:
        raise SceneError("no_cameras", f"{where} has neither fl_x nor camera_angle_x", REMEDY)
    cx = number(frame, "cx", where) if "cx" in frame else width / 2
    cy = number(frame, "cy", where) if "cy" in frame else height / 2
    bent = {key: number(frame, key, where) for key in DISTORTION if key in frame}
    return Lens(fx or fy, fy or fx, cx, cy, round(width), round(height), **bent)


def focal(frame: dict[str, Any], axis: str, side: float, where: str) -> float:
    """Pixels, or 0 where the frame does not tell."""
    if f"fl_{axis}" in frame:
        return number(frame, f"fl_{axis}", where)
    angle = number(frame, f"camera_angle_{axis}", where) if f"camera_angle_{axis}" in frame else 0.0
    return side / (2 * math.tan(angle / 2)) if 0 < angle < math.pi else 0.0


def number(frame: dict[str, Any], key: str, where: str) -> float:
    value = frame[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise SceneError("no_cameras", f"{where}: its {key} is {str(value)[:40]!r}, expected a number", REMEDY)
    return float(value)


def pose_in(frame: dict[str, Any], where: str) -> np.ndarray:
    """f8 [4, 4], rigid."""
    try:
        pose = np.array(frame.get("transform_matrix"), np.float64)
    except (ValueError, TypeError, OverflowError):
        pose = np.zeros(0)
    turn = pose[:3, :3] if pose.shape == (4, 4) else np.zeros((3, 3))
    if np.isfinite(pose).all() and np.abs(turn.T @ turn - np.eye(3)).max() < RIGID and np.linalg.det(turn) > 0:
        return pose
    raise SceneError("no_cameras", f"{where} has no transform_matrix that turns and moves a camera", REMEDY)


def add_camera(
    image: bpy.types.Image, lens: Lens, pose: np.ndarray, size: float, collection: bpy.types.Collection
) -> bpy.types.Object:
    """A camera with its photograph. Blender's lens is the nearest that it has: square pixels, no distortion."""
    data: Any = bpy.data.cameras.new(os.path.splitext(image.name)[0])
    data.sensor_fit, data.sensor_width = "HORIZONTAL", SENSOR
    data.lens = lens.fx * SENSOR / lens.width
    data.shift_x, data.shift_y = (lens.width / 2 - lens.cx) / lens.width, (lens.cy - lens.height / 2) / lens.width
    data.display_size, data.show_background_images = size, True
    data.clip_start, data.clip_end = 0.01 * size, 1e4 * size
    background = data.background_images.new()
    background.image, background.alpha = image, 1.0
    data[LENS] = asdict(lens)
    camera = bpy.data.objects.new(data.name, data)
    camera.matrix_world = Matrix(pose.tolist())
    collection.objects.link(camera)
    return camera


def select_alone(cameras: Sequence[bpy.types.Object]) -> None:
    """Let these be all that is selected."""
    for other in bpy.context.selected_objects:
        other.select_set(False)
    for camera in cameras:
        camera.select_set(True)
    bpy.context.view_layer.objects.active = cameras[0]
