"""Cameras: projection against hand-made geometry, poses, and the law of framing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.errors import InvalidCamera, InvalidInput
from weft.geometry.camera import Camera, frame_object, look_at, orbit, standard_ring

ANGLE = st.floats(-360, 360, allow_nan=False)


def camera(pose: np.ndarray | None = None, **changes: float) -> Camera:
    lens = {"width": 40, "height": 30, "fx": 50.0, "fy": 60.0, "cx": 21.0, "cy": 14.0} | changes
    return Camera(np.eye(4) if pose is None else pose, **lens)  # pyright: ignore[reportArgumentType]


def test_projection_matches_the_pinhole_by_hand() -> None:
    xy, depth = camera().project(np.array([[0.0, 0, -2], [1, 0, -2], [0, 1, -2], [3, -1, -5]]))
    np.testing.assert_allclose(xy, [[21, 14], [46, 14], [21, -16], [51, 26]], atol=1e-5)
    np.testing.assert_array_equal(depth, [2, 2, 2, 5])
    assert xy.dtype == depth.dtype == np.float32


def test_points_that_are_not_in_front_have_no_place_in_the_image() -> None:
    xy, depth = camera().project(np.array([[0.0, 0, 1], [0, 0, 0], [0, 0, -1]]))
    assert np.isnan(xy[:2]).all()
    assert np.isfinite(xy[2]).all()
    np.testing.assert_array_equal(depth, [-1, 0, 1])


def test_orthographic_projection_ignores_depth() -> None:
    flat = camera(orthographic=True, near=-10.0)
    xy, depth = flat.project(np.array([[0.1, 0.2, -1.0], [0.1, 0.2, -7.0], [0.1, 0.2, 3.0]]))
    np.testing.assert_allclose(xy, [[26, 2]] * 3, atol=1e-5)
    np.testing.assert_array_equal(depth, [1, 7, -3])
    np.testing.assert_allclose(flat.toward(np.random.default_rng(0).normal(size=(4, 3))), [[0, 0, 1]] * 4, atol=1e-7)


@given(ANGLE, st.floats(-90, 90), st.floats(0.1, 100))
def test_orbit_is_rigid_and_keeps_its_target_on_the_axis(azimuth: float, elevation: float, distance: float) -> None:
    target = (0.3, -2.0, 1.0)
    view = camera(orbit(azimuth, elevation, distance, target))
    np.testing.assert_allclose(view.pose[:3, :3] @ view.pose[:3, :3].T, np.eye(3), atol=1e-12)
    xy, depth = view.project(np.array([target]))
    np.testing.assert_allclose(xy, [[21, 14]], atol=1e-3)
    np.testing.assert_allclose(depth, distance, rtol=1e-5)
    np.testing.assert_allclose(view.center + distance * view.forward, target, atol=1e-9 * distance + 1e-9)
    assert view.pose[2, 1] >= -1e-12  # the image's up is never downwards


def test_the_front_is_seen_from_minus_y_and_azimuth_runs_counter_clockwise() -> None:
    np.testing.assert_allclose(orbit(0, 0, 2)[:3, 3], [0, -2, 0], atol=1e-12)
    np.testing.assert_allclose(orbit(90, 0, 2)[:3, 3], [2, 0, 0], atol=1e-12)
    np.testing.assert_allclose(orbit(0, 90, 2)[:3, 3], [0, 0, 2], atol=1e-12)
    np.testing.assert_allclose(orbit(0, 90, 2)[:3, :3], np.eye(3), atol=1e-12)  # from above, the front is at the bottom
    # With +Y up the front is +Z, as in glTF: the same object after (x, y, z) -> (x, z, -y).
    np.testing.assert_allclose(orbit(0, 0, 2, up=(0, 1, 0))[:3, 3], [0, 0, 2], atol=1e-12)
    np.testing.assert_allclose(orbit(90, 0, 2, up=(0, 1, 0))[:3, 3], [2, 0, 0], atol=1e-12)
    np.testing.assert_allclose(orbit(30, 20, 2, up=(0, 0, -1))[:3, :3] @ [0, 1, 0] @ [0, 0, -1], np.cos(np.radians(20)))


@given(ANGLE, st.floats(-89, 89))
def test_look_at_agrees_with_orbit(azimuth: float, elevation: float) -> None:
    pose = orbit(azimuth, elevation, 3, (1, 2, 3))
    np.testing.assert_allclose(look_at(tuple(pose[:3, 3]), (1, 2, 3)), pose, atol=1e-9)


def test_look_at_survives_an_up_along_the_axis() -> None:
    pose = look_at((0, 0, 5), (0, 0, 0))
    np.testing.assert_allclose(pose[:3, :3].T @ pose[:3, :3], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(pose[:3, 2], [0, 0, 1])
    with pytest.raises(InvalidCamera, match="lies on its target"):
        look_at((1, 1, 1), (1, 1, 1))


def test_toward_points_to_the_eye() -> None:
    view = camera(orbit(20, 10, 4))
    rays = view.toward(np.zeros((1, 3), np.float32))
    np.testing.assert_allclose(rays[0], -view.forward, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pose": np.eye(3)}, r"shape \(3, 3\)"),
        ({"pose": np.full((4, 4), np.nan)}, "NaN"),
        ({"pose": np.diag([2.0, 2, 2, 1])}, "rotation"),
        ({"pose": np.diag([-1.0, 1, 1, 1])}, "rotation"),
        ({"fx": 0.0}, "focal"),
        ({"fy": float("nan")}, "finite"),
        ({"width": 0}, "0×30"),
        ({"near": 0.0}, "near plane"),
    ],
)
def test_impossible_cameras_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(InvalidCamera, match=message):
        camera(**changes)


def test_poses_from_float32_are_accepted() -> None:
    assert camera(orbit(33, 12, 4).astype(np.float32)).pose.dtype == np.float64


def test_ten_views_are_the_papers() -> None:
    expected = [(45.0 * k, 0.0) for k in range(8)] + [(0.0, 30.0), (180.0, 30.0)]
    assert standard_ring(10) == expected


@pytest.mark.parametrize("n", range(1, 41))
def test_any_number_of_views_spreads_over_the_sphere(n: int) -> None:
    ring = standard_ring(n)
    assert len(set(ring)) == n
    assert ring[0] == (0, 0)
    if n >= 12:
        assert {(0.0, 90.0), (0.0, -90.0)} <= set(ring)
    backs = np.array([orbit(azimuth, elevation, 1)[:3, 2] for azimuth, elevation in ring])
    cosines = backs @ backs.T - 2 * np.eye(n)
    assert cosines.max() < np.cos(np.radians(20))


@pytest.mark.parametrize("n", [0, 41])
def test_a_ring_of_impossible_size_is_refused(n: int) -> None:
    with pytest.raises(InvalidInput, match="1 to 40"):
        standard_ring(n)


@given(st.integers(0, 2**32 - 1), st.floats(1e-4, 1e4), st.sampled_from([4, 10, 16]))
def test_framing_shows_everything_centred_with_one_focal_length(seed: int, scale: float, n: int) -> None:
    random = np.random.default_rng(seed)
    points = random.normal(size=(50, 3)) * random.uniform(0.05, 1, 3) * scale + random.normal(size=3) * scale
    cameras = frame_object(points.astype(np.float32), standard_ring(n), 128, fill=0.9)
    extents = []
    for view in cameras:
        xy, depth = view.project(points)
        low, high = xy.min(0), xy.max(0)
        np.testing.assert_allclose((low + high) / 2, 64, atol=0.05)
        assert (depth > view.near).all()
        extents.append((high - low).max())
    assert len({(view.fx, view.fy) for view in cameras}) == 1
    np.testing.assert_allclose(max(extents), 0.9 * 128, rtol=1e-3)


def test_a_single_point_cannot_be_framed() -> None:
    with pytest.raises(InvalidInput, match="single point"):
        frame_object(np.ones((5, 3), np.float32), standard_ring(4), 64)
