"""A scene's frame: laws of a similarity, and what becomes of rigs that look at nothing in particular."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from practice_clouds import random_splats

from weft.errors import InvalidInput
from weft.geometry.camera import Camera, look_at
from weft.geometry.splats import evaluate_sh
from weft.scenes.frame import SceneFrame, frame_of

TARGET = np.array([3.0, -20.0, 1.5])
TURN = look_at((1, 2, 3), (0, 0, 0))[:3, :3]


def at(x: float, y: float, z: float) -> np.ndarray:
    """A place beside the target."""
    return TARGET + np.array([x, y, z])


def camera(eye: np.ndarray, target: np.ndarray, orthographic: bool = False) -> Camera:
    return Camera(look_at(tuple(eye), tuple(target)), 8, 6, 7.0, 7.5, 4.5, 2.5, 1e-2, orthographic)


def moved(view: Camera, scale: float, turn: np.ndarray, shift: np.ndarray) -> Camera:
    """The camera in a world of another unit, turned and shifted."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn @ view.pose[:3, :3], scale * turn @ view.center + shift
    return replace(view, pose=pose, near=view.near * scale)


def ring() -> list[Camera]:
    rng = np.random.default_rng(0)
    return [camera(TARGET + rng.normal(0, 4, 3), TARGET) for _ in range(7)]


def side_by_side() -> list[Camera]:
    return [replace(camera(at(x, -5, 0), at(x, 0, 0)), width=9) for x in (0.0, 0.4, 1.0)]


def outwards() -> list[Camera]:
    ways = np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0.0]])
    return [camera(TARGET + 0.3 * way, TARGET + way) for way in ways]


def along_a_line() -> list[Camera]:
    return [camera(at(0, y, 0), at(0, 9, 0)) for y in (0.0, 1.0, 3.0)]


RIGS = (ring, side_by_side, outwards, along_a_line)


def test_cameras_around_something_put_it_at_the_origin_at_distance_one() -> None:
    frame = frame_of(ring())
    np.testing.assert_allclose(frame.into_points(TARGET), 0, atol=1e-6)
    assert np.median([np.linalg.norm(frame.into(view).center) for view in ring()]) == pytest.approx(1)


@pytest.mark.parametrize("rig", RIGS)
def test_a_similarity_of_the_world_turns_the_result_and_does_nothing_else(rig: object) -> None:
    views = rig()  # pyright: ignore[reportCallIssue]
    shift = np.array([5.0, 1.0, -2.0])
    others = [moved(view, 0.03, TURN, shift) for view in views]
    one, two = frame_of(views), frame_of(others)
    for view, other in zip(views, others, strict=True):
        expected = moved(one.into(view), 1.0, TURN, np.zeros(3))
        np.testing.assert_allclose(two.into(other).pose, expected.pose, atol=1e-9)
        assert two.into(other).near == pytest.approx(expected.near)


@pytest.mark.parametrize("orthographic", [False, True])
def test_a_camera_comes_back_as_it_went_and_sees_the_same(orthographic: bool) -> None:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = 0.2 * TURN, (1, -4, 2)
    frame = SceneFrame(matrix)
    view = camera(at(1, -5, 2), TARGET, orthographic)
    back = frame.out_of(frame.into(view))
    np.testing.assert_allclose(back.pose, view.pose, atol=1e-12)
    assert (back.fx, back.fy, back.near) == pytest.approx((view.fx, view.fy, view.near))
    points = TARGET + np.random.default_rng(1).normal(0, 1, (20, 3))
    (seen, depth), (inside, nearer) = view.project(points), frame.into(view).project(frame.into_points(points))
    np.testing.assert_allclose(inside, seen, atol=1e-3)
    np.testing.assert_allclose(nearer, depth * frame.scale, rtol=1e-5)
    np.testing.assert_allclose(frame.out_of_points(frame.into_points(points)), points, rtol=1e-6)


def test_splats_move_with_the_frame() -> None:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = 5 * TURN, (1, -4, 2)
    frame, splats = SceneFrame(matrix), random_splats(30, degree=1)
    inside = frame.into_splats(splats)
    np.testing.assert_allclose(inside.means, frame.into_points(splats.means), rtol=1e-5, atol=1e-5)
    direction = np.random.default_rng(2).normal(0, 1, (30, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    seen = evaluate_sh(inside.sh, direction @ TURN.T)
    np.testing.assert_allclose(seen, evaluate_sh(splats.sh, direction), atol=1e-5)
    np.testing.assert_allclose(frame.out_of_splats(inside).sh, splats.sh, atol=1e-5)


def test_known_points_say_where_things_are_when_the_cameras_do_not() -> None:
    points = TARGET + np.random.default_rng(3).normal(0, 0.1, (99, 3))
    for view in (side_by_side(), [side_by_side()[0]]):
        frame = frame_of(view, points)
        assert np.linalg.norm(frame.into_points(np.median(points, 0))) < 1e-6
        assert np.median([np.linalg.norm(frame.into(one).center) for one in view]) == pytest.approx(1)


def test_one_view_keeps_the_unit_and_looks_at_the_origin() -> None:
    view = side_by_side()[0]
    frame = frame_of([view])
    assert frame.scale == 1
    np.testing.assert_allclose(frame.into(view).center + view.forward, 0, atol=1e-12)


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no cameras"):
        frame_of([])
    mirror = np.diag([1.0, 1, -1, 1])
    for matrix in (mirror, np.diag([1.0, 2, 1, 1]), np.full((4, 4), np.nan), np.eye(3)):
        with pytest.raises(InvalidInput, match="frame"):
            SceneFrame(matrix)
