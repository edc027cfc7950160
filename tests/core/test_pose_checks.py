"""Poses of other conventions are told apart, by pictures of a small world and by real photographs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from practice_shapes import DATA, needs_data
from practice_views import photographs, standing_around

from weft.geometry.camera import Camera
from weft.geometry.pose_checks import check_poses
from weft.io.view_folder import load_views

FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
Poses = Callable[[np.ndarray], np.ndarray]
CONVENTIONS: list[tuple[Poses, str]] = [
    (lambda pose: pose @ FLIP, r"OpenCV's \(\+Y down, \+Z forward\) read as OpenGL's .*: negate columns 1 and 2"),
    (np.linalg.inv, "world-to-camera, expected camera-to-world: write the inverse"),
    (lambda pose: np.linalg.inv(pose @ FLIP), "COLMAP's .*: write the inverse .*, then negate columns 1 and 2"),
]


def told(images: np.ndarray, cameras: Sequence[Camera], poses: Poses) -> str | None:
    return check_poses(images, [replace(camera, pose=poses(camera.pose)) for camera in cameras])


@pytest.fixture(scope="module")
def world() -> tuple[np.ndarray, list[Camera]]:
    cameras = standing_around(4, 64)
    return photographs(cameras)[0], cameras


def test_right_poses_pass(world: tuple[np.ndarray, list[Camera]]) -> None:
    assert check_poses(*world) is None


@pytest.mark.parametrize(("poses", "expected"), CONVENTIONS)
def test_other_conventions_are_named(world: tuple[np.ndarray, list[Camera]], poses: Poses, expected: str) -> None:
    sentence = told(*world, poses)
    assert sentence is not None
    assert re.search(expected, sentence)


def test_what_cannot_be_told_passes(world: tuple[np.ndarray, list[Camera]]) -> None:
    """One view, and views of nothing."""
    images, cameras = world
    assert check_poses(images[:1], cameras[:1]) is None
    assert check_poses(np.full_like(images, 0.5), cameras) is None


@needs_data
@pytest.mark.parametrize(("name", "size"), [("fox_270x480", 96), ("lego_200", 100)])
def test_real_poses_pass_and_opencv_axes_are_named(name: str, size: int) -> None:
    views = load_views(DATA / name, size=size, count=5)
    assert check_poses(views.images, views.cameras) is None
    sentence = told(views.images, views.cameras, CONVENTIONS[0][0])
    assert sentence is not None
    assert "read as OpenGL's" in sentence
