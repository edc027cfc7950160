"""Reconstructions of COLMAP to practise on, and writers of both of its formats, independent of the product's reader."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from weft.geometry.camera import Camera

NUMBERS = {"SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "RADIAL": 3, "OPENCV": 4, "OPENCV_FISHEYE": 5}


@dataclass
class Reconstruction:
    """lenses: number → model, width, height, parameters. images: name, number of the lens, camera (its pose)."""

    lenses: dict[int, tuple[str, int, int, Sequence[float]]]
    images: list[tuple[str, int, Camera]]
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    colors: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.uint8))
    keypoints: int = 2  # of each image


def world_to_camera(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Quaternion w x y z and translation: what is right, below and ahead of a camera, by dot products."""
    right, up, back = camera.pose[:3, :3].T
    axes = np.stack([right, -up, -back])
    x, y, z, w = Rotation.from_matrix(axes).as_quat()
    return np.array([w, x, y, z]), -axes @ camera.center


def write_text(folder: Path, made: Reconstruction) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["# Camera list with one line of data per camera:"]
    for number, (model, width, height, params) in made.lenses.items():
        lines.append(" ".join(map(str, (number, model, width, height, *params))))
    (folder / "cameras.txt").write_text("\n".join([*lines, ""]))
    lines = [
        "# Image list with two lines of data per image:",
        "#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME",
    ]
    for k, (name, lens, camera) in enumerate(made.images):
        q, t = world_to_camera(camera)
        lines.append(" ".join(map(str, (k + 1, *map(float, (*q, *t)), lens, name))))
        lines.append(" ".join(["3.5 4.5 -1"] * made.keypoints))
    (folder / "images.txt").write_text("\n".join([*lines, ""]))
    lines = ["# 3D point list"]
    for k, (at, color) in enumerate(zip(made.points, made.colors, strict=True)):
        lines.append(" ".join(map(str, (k + 1, *map(float, at), *map(int, color), 0.5, 1, 0, 2, 1))))
    (folder / "points3D.txt").write_text("\n".join([*lines, ""]))


def binary(made: Reconstruction) -> dict[str, bytes]:
    """The three files by name."""
    cameras = struct.pack("<Q", len(made.lenses))
    for number, (model, width, height, params) in made.lenses.items():
        cameras += struct.pack(f"<IiQQ{len(params)}d", number, NUMBERS[model], width, height, *params)
    images = struct.pack("<Q", len(made.images))
    for k, (name, lens, camera) in enumerate(made.images):
        q, t = world_to_camera(camera)
        images += struct.pack("<I7dI", k + 1, *q, *t, lens) + name.encode() + b"\0"
        images += struct.pack("<Q", made.keypoints) + struct.pack("<2dq", 3.5, 4.5, -1) * made.keypoints
    points = struct.pack("<Q", len(made.points))
    for k, (at, color) in enumerate(zip(made.points, made.colors, strict=True)):
        points += struct.pack("<Q3d3BdQ4I", k + 1, *at, *color, 0.5, 2, 1, 0, 2, 1)
    return {"cameras.bin": cameras, "images.bin": images, "points3D.bin": points}


def write_binary(folder: Path, made: Reconstruction) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in binary(made).items():
        (folder / name).write_bytes(data)
