"""Light that a surface lets through, and the light that its pictures were taken in."""

from __future__ import annotations

import numpy as np
import pytest
from practice_shapes import box

from weft.errors import InvalidInput
from weft.geometry.environment import Environment
from weft.geometry.equirectangular import cell_directions
from weft.geometry.harmonics import sh_basis
from weft.geometry.light_fit import fit_light
from weft.geometry.lights import light_named
from weft.geometry.mesh import vertex_normals
from weft.geometry.shading import principal_directions, shading, visibility

EVEN = Environment(np.ones((8, 16, 3), np.float32))


def sphere(n: int = 24):
    mesh = box(n, sphere=True)
    return mesh.vertices, vertex_normals(mesh), (mesh.vertices, mesh.faces)


def roofed() -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """A square of side 2 at z = 1 over a floor of side 6 at z = 0; points on the floor, with their normals."""
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float32)
    floor, roof = (np.c_[side * corners, np.full(4, z)] for side, z in ((3, 0), (1, 1)))
    faces = np.array([(0, 1, 2), (0, 2, 3), (4, 5, 6), (4, 6, 7)], np.int32)
    x = np.linspace(-2.8, 2.8, 57, dtype=np.float32)
    points = np.stack([x, np.zeros_like(x), np.zeros_like(x)], 1)
    up = np.broadcast_to(np.array([0, 0, 1], np.float32), points.shape)
    return points, up, (np.concatenate([floor, roof]).astype(np.float32), faces)


@pytest.mark.parametrize("name", ["overcast", "noon"])
def test_nothing_shades_itself_that_is_convex(name):
    points, normals, occluders = sphere()
    free = light_named(name).irradiance(normals)
    assert np.abs(shading(light_named(name), points, normals, occluders) - free).max() < 0.02 * free.max()


def test_directions_hold_all_light_and_more_of_them_where_it_is_brighter():
    light = light_named("noon")
    directions = principal_directions(light, 96)
    assert len(directions.toward) <= 96
    assert np.allclose(np.linalg.norm(directions.toward, axis=1), 1, atol=1e-5)
    expected = np.einsum("hwck->ck", light.moments(32))
    assert np.allclose(directions.moments[:, :3].sum(0), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    sun = np.unravel_index(light.radiance[..., 0].argmax(), light.radiance.shape[:2])
    assert (directions.toward @ cell_directions(light.height)[sun]).max() > 0.999


def test_a_sun_casts_the_shadow_that_geometry_says():
    # A sun at 45° towards +X moves the roof's shadow, [-1, 1] at z = 1, to [-2, 0] on the floor.
    radiance = np.full((64, 128, 3), 1e-4, np.float32)
    radiance[16, 64] = 1000
    points, normals, occluders = roofed()
    seen = visibility(Environment(radiance), points, normals, occluders).share[:, 0]
    shadow = (points[:, 0] > -1.85) & (points[:, 0] < -0.15)
    clear = (points[:, 0] < -2.15) | (points[:, 0] > 0.15)
    assert seen[shadow].max() < 0.01
    assert seen[clear].min() > 0.99


def test_under_an_overhang_it_is_as_dark_as_the_solid_angle_says():
    # The centre below a square of half side a at height a: the form factor of a parallel square (Howell, B-4).
    points, normals, occluders = roofed()
    side = 1 / np.sqrt(2)
    factor = 4 / (2 * np.pi) * 2 * side * np.arctan(side)
    seen = visibility(EVEN, points, normals, occluders).share[:, 0]
    assert seen[len(seen) // 2] == pytest.approx(1 - factor, abs=0.03)
    assert seen[0] > seen[len(seen) // 2] + 0.3


def test_what_is_blocked_shows_the_object_instead_of_nothing():
    points, normals, occluders = roofed()
    dark = shading(EVEN, points, normals, occluders)
    lit = shading(EVEN, points, normals, occluders, albedo=0.5)
    white = shading(EVEN, points, normals, occluders, albedo=1.0)
    assert (lit >= dark).all()
    assert lit[28].mean() > dark[28].mean() + 0.1
    assert white == pytest.approx(1, abs=0.02)  # a white furnace


def smooth_light() -> Environment:
    coefficients = np.array([3.0, 0.9, 0.9, -0.8, 0.3, -0.2, 0.2, 0.1, 0.2])
    radiance = np.maximum(sh_basis(cell_directions(32), 2) @ coefficients, 0)
    return Environment(np.repeat(radiance[..., None], 3, 2).astype(np.float32))


def error_of_shape(fitted: Environment, truth: Environment, normals: np.ndarray) -> float:
    """RMS of log(fitted / truth) over the normals, their mean taken out: that the pictures cannot tell."""
    logs = np.log(fitted.irradiance(normals) / truth.irradiance(normals))
    return float(np.sqrt((logs - logs.mean(0)).var()))


def test_the_light_on_a_sphere_of_one_albedo_is_found():
    points, normals, _ = sphere()
    truth = smooth_light()
    fitted = fit_light(0.3 * truth.irradiance(normals), normals, points)
    assert error_of_shape(fitted, truth, normals) < 0.05
    assert error_of_shape(EVEN, truth, normals) > 0.2


def test_the_light_on_a_painted_sphere_is_found():
    points, normals, _ = sphere()
    truth, random = smooth_light(), np.random.default_rng(0)
    checks = (np.floor(points * 3).sum(1) % 2)[:, None]
    albedo = np.where(checks > 0, [0.5, 0.3, 0.2], [0.12, 0.15, 0.3]) * random.lognormal(0, 0.05, (len(points), 1))
    fitted = fit_light((albedo * truth.irradiance(normals)).astype(np.float32), normals, points)
    assert error_of_shape(fitted, truth, normals) < 0.12


def test_the_fitted_light_is_white_on_the_whole_and_dark_nowhere():
    points, normals, _ = sphere(12)
    fitted = fit_light(0.4 * light_named("sunset").irradiance(normals), normals, points)
    assert np.ptp(fitted.mean) < 1e-3 * fitted.mean[0]
    assert fitted.radiance.min() > 0.04 * fitted.mean.min()


def test_pictures_that_tell_nothing_are_refused():
    points, normals, _ = sphere(8)
    with pytest.raises(InvalidInput, match="too few"):
        fit_light(np.ones_like(normals), normals, points)
