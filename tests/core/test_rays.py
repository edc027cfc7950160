"""Rays: what Plücker coordinates must obey, whatever the camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from weft.errors import InvalidInput
from weft.geometry.camera import Camera, look_at, orbit
from weft.geometry.rays import FROM_OPENCV, meeting_point, plucker_rays, ray_grid
from weft.spaces.view_geometry import unprojected


def pinhole(pose: np.ndarray, **changes: float | bool) -> Camera:
    lens = {"width": 24, "height": 16, "fx": 20.0, "fy": 22.0, "cx": 11.0, "cy": 9.0} | changes
    return Camera(pose, **lens)  # pyright: ignore[reportArgumentType]


CAMERAS = (
    pinhole(look_at((2, -3, 1), (0.2, 0, 0.1))),
    pinhole(orbit(130, 40, 2.5)),
    pinhole(orbit(-70, -20, 1.5), orthographic=True),
)


def test_directions_are_unit_and_moments_stand_on_them() -> None:
    rays = plucker_rays(CAMERAS, 4, 6)
    assert rays.shape == (3, 6, 4, 6)
    assert rays.dtype == np.float32
    d, m = rays[:, :3], rays[:, 3:]
    np.testing.assert_allclose((d**2).sum(1), 1, atol=1e-6)
    np.testing.assert_allclose((d * m).sum(1), 0, atol=1e-6)


@pytest.mark.parametrize("camera", CAMERAS)
def test_moving_the_camera_along_a_ray_leaves_the_ray(camera: Camera) -> None:
    rays = plucker_rays([camera], 4, 6)[0]
    pose = camera.pose.copy()
    pose[:3, 3] += 1.7 * rays[:3, 1, 2]
    moved = plucker_rays([replace(camera, pose=pose)], 4, 6)[0]
    np.testing.assert_allclose(moved[:, 1, 2], rays[:, 1, 2], atol=1e-5)
    others = np.abs(moved - rays).reshape(6, -1).max(0).reshape(4, 6)
    assert (others.max() < 1e-5) == camera.orthographic  # its rays are parallel: they all stay


@pytest.mark.parametrize("camera", CAMERAS)
def test_rays_go_through_what_the_pixels_see(camera: Camera) -> None:
    origins, directions = ray_grid(camera, 16, 24)
    seen = unprojected(camera, np.full((16, 24), 1.3, np.float32))
    along = ((seen - origins) * directions).sum(-1, keepdims=True)
    np.testing.assert_allclose(origins + along * directions, seen, atol=1e-5)
    coarse = plucker_rays([camera], 8, 12)[0, :3]  # cells of 2 x 2 px: their centre is between the pixels'
    fine = plucker_rays([camera], 16, 24)[0, :3].reshape(3, 8, 2, 12, 2).mean((2, 4))
    np.testing.assert_allclose(coarse, fine / np.linalg.norm(fine, axis=0), atol=2e-3)


def test_rays_in_a_frame_do_not_know_the_world() -> None:
    """A rigid motion of everything changes nothing; a larger world is undone by the scale."""
    turn = look_at((5, 2, -3), (1, 1, 1))
    moved = [replace(camera, pose=turn @ camera.pose) for camera in CAMERAS]
    own = plucker_rays(CAMERAS, 3, 5, frame=CAMERAS[0].pose)
    np.testing.assert_allclose(plucker_rays(moved, 3, 5, frame=moved[0].pose), own, atol=1e-5)
    larger = []
    for camera in CAMERAS[:2]:
        pose = camera.pose.copy()
        pose[:3, 3] *= 3
        larger.append(replace(camera, pose=pose))
    np.testing.assert_allclose(plucker_rays(larger, 3, 5, scale=1 / 3), plucker_rays(CAMERAS[:2], 3, 5), atol=1e-6)


def test_a_camera_in_its_own_frame_looks_forward_from_the_origin() -> None:
    camera = CAMERAS[1]
    rays = plucker_rays([camera], 16, 24, frame=camera.pose @ FROM_OPENCV)[0]
    np.testing.assert_allclose(rays[3:], 0, atol=1e-6)
    axis = rays[:3, 8, 10] / rays[2, 8, 10]  # half a pixel right and above of the principal point (11, 9)
    np.testing.assert_allclose(axis, [-0.5 / 20, -0.5 / 22, 1], atol=1e-5)
    assert rays[1, 15, 0] > rays[1, 0, 0]  # down is +Y


def test_cameras_meet_where_they_look() -> None:
    target = np.array([0.3, -0.2, 0.7])
    around = [pinhole(orbit(azimuth, 15, 2, tuple(target))) for azimuth in (0, 100, 230)]
    np.testing.assert_allclose(meeting_point(around), target, atol=1e-9)
    opposite = [pinhole(orbit(azimuth, 0, 2, tuple(target))) for azimuth in (30, 210)]
    np.testing.assert_allclose(meeting_point(opposite), target, atol=1e-9)
    np.testing.assert_allclose(meeting_point(around[:1]), around[0].center, atol=1e-9)


def test_no_cells_are_refused() -> None:
    with pytest.raises(InvalidInput, match="0 x 4 cells"):
        plucker_rays(CAMERAS, 4, 0)
