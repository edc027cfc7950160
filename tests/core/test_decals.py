"""Decals cover the surface, look at it face-on and share one scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from practice_shapes import box, needs_data, quad, real_mesh
from scipy.spatial import KDTree

from weft.geometry.mesh import Mesh
from weft.geometry.rasterize import Fragments, interpolate
from weft.spaces.decals import build_decals, place_decals
from weft.spaces.mesh_texture import LEAST_COSINE, MeshTextureSpace
from weft.spaces.surface import Surface, build_surface

BALL_SCALE = 40.0  # pixels per unit: a decal of 48 pixels spans 1.2 radii


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def ball() -> MeshTextureSpace:
    return decals_of(build_surface([box(12, sphere=True)], 128), 48, BALL_SCALE)


def decals_of(surface: Surface, size: int, scale: float, most: int = 200) -> MeshTextureSpace:
    return build_decals(surface, size=size, pixels_per_unit=scale, most=most, random=random())


def test_a_ball_is_covered(ball):
    assert ball.coverage >= 0.97
    assert 12 <= len(ball.views.cameras) <= 80
    linear = ball.linear(8.0, taps=4, residual_passes=1)
    constant = torch.full((len(ball.views.cameras), 3, 48, 48), 0.4)
    assert (linear.synchronize(constant)[0] - constant).abs().max() < 1e-4


@needs_data
@pytest.mark.parametrize(("name", "share"), [("spot.obj", 4), ("clutch_bag.obj", 4)])
def test_real_meshes_are_covered(name, share):
    """Decals as large as a quarter of the object's radius."""
    surface = build_surface([real_mesh(name)], 256)
    space = decals_of(surface, 48, 24 * share / surface.radius(), most=1000)
    assert space.coverage >= 0.97


def test_decals_face_the_surface(ball):
    """On the unit ball: centred on the surface, looking along its normal, orthonormal, upright."""
    for camera in ball.views.cameras:
        rotation = camera.pose[:3, :3]
        assert np.abs(rotation.T @ rotation - np.eye(3)).max() < 1e-6
        assert np.linalg.det(rotation) == pytest.approx(1)
        assert np.linalg.norm(camera.center) == pytest.approx(1, abs=0.02)
        assert -camera.forward @ camera.center > 0.97
        assert camera.orthographic
        if abs(camera.pose[2, 2]) < 0.95:
            assert rotation[2, 1] > 0
            assert abs(rotation[2, 0]) < 1e-6  # level: the image's horizontal is the world's
    assert (ball.sampling.cosine > 0.7).mean() > 0.9


def test_decals_share_one_scale(ball):
    """A length on the surface measures as many pixels as the scale says, in every decal."""
    hit = Fragments(ball.views.triangle, ball.views.barycentric, ball.views.depth)
    position = interpolate(hit, ball.surface.vertices, ball.surface.faces)
    for i, camera in enumerate(ball.views.cameras):
        both = ball.views.mask[i, 24, 18:31].all() and ball.views.mask[i, 18:31, 24].all()
        assert both
        for a, b in (((24, 18), (24, 30)), ((18, 24), (30, 24))):
            assert np.linalg.norm(position[i][a] - position[i][b]) == pytest.approx(12 / BALL_SCALE, rel=0.1)
        across = camera.pose[:3, 0] / BALL_SCALE
        at, _ = camera.project(np.stack([camera.center, camera.center + across]))
        assert np.abs(at - [[24, 24], [25, 24]]).max() < 1e-3


def test_never_more_than_asked_for():
    surface = build_surface([box(12, sphere=True)], 96)
    assert len(place_decals(surface, 0.1, 17, random())) == 17
    few = decals_of(surface, 32, 160.0, most=5)
    assert len(few.views.cameras) == 5
    assert few.coverage < 0.5
    assert few.surface.object[few.fill].max() == 0


def test_one_decal_can_be_enough():
    space = decals_of(build_surface([quad(half=0.2)], 32), 32, 32.0)
    assert len(space.views.cameras) < 6
    assert space.coverage > 0.95  # texels beyond the centres of the outermost pixels copy their neighbours
    single = decals_of(build_surface([quad(half=0.2)], 32), 32, 32.0, most=1)
    assert len(single.views.cameras) == 1
    assert single.coverage > 0.5


def test_centres_lie_apart():
    """No centre lies in the core of an earlier decal that faces the same way."""
    surface = build_surface([box(12, sphere=True)], 96)
    poses = place_decals(surface, 0.3, 500, random())
    centres, axes = poses[:, :3, 3], poses[:, :3, 2]
    for a, b in KDTree(centres).query_pairs(0.5 * 0.3):
        assert axes[a] @ axes[b] < 0.5


def test_same_random_numbers_same_decals():
    surface = build_surface([box(6, sphere=True)], 64)
    assert np.array_equal(place_decals(surface, 0.3, 99, random()), place_decals(surface, 0.3, 99, random()))
    assert not np.array_equal(place_decals(surface, 0.3, 9, random()), place_decals(surface, 0.3, 9, random(1)))


def test_both_sides_of_a_thin_plate_get_their_own_decals():
    """What lies on the other side is neither shown nor taken for seen."""
    flat = box(2, radius=1.0)
    plate = replace(flat, vertices=flat.vertices * np.array([1, 0.02, 1], np.float32))
    space = decals_of(build_surface([plate], 128), 48, 40.0)
    axes = np.array([-camera.forward for camera in space.views.cameras])
    assert (axes[:, 1] < -0.9).any()
    assert (axes[:, 1] > 0.9).any()
    seen = space.sampling.weight[:, 0] > 0
    assert seen.mean() > 0.97
    facing = (axes[space.sampling.image[:, 0]] * space.surface.normal).sum(1)
    assert facing[seen].min() >= LEAST_COSINE - 1e-3


def test_both_sides_of_a_sheet_of_no_thickness_too():
    front = quad(margin=0.05)
    assert front.corner_uv is not None
    uv = np.concatenate([front.corner_uv, front.corner_uv[:, ::-1]]) * np.array([0.5, 1], np.float32)
    uv[2:] += np.array([0.5, 0], np.float32)
    leaf = Mesh("leaf", front.vertices, np.concatenate([front.faces, front.faces[:, ::-1]]), uv)
    space = decals_of(build_surface([leaf], 64), 32, 24.0)
    assert space.coverage > 0.97


def test_a_stud_does_not_hide_the_ground_beside_it():
    """A pole stands on the square: it reaches above the slab that a decal shows."""
    ground = quad("ground", margin=0.02)
    pole = box(1, radius=1.0, name="pole")
    thin = pole.vertices * np.array([0.05, 1.5, 0.05], np.float32) - np.array([0, 1.6, 0], np.float32)
    space = decals_of(build_surface([ground, replace(pole, vertices=thin)], 96), 48, 40.0)
    ground_cells = space.surface.object == 0
    assert (space.sampling.cosine[ground_cells] > 0.9).mean() > 0.97
