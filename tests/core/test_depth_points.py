"""Depth maps as geometry: points that views share, against the mesh that the maps were drawn of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from practice_shapes import box
from torch import Tensor

from weft.errors import InvalidInput
from weft.geometry.camera import Camera, frame_object, look_at
from weft.geometry.depth_normals import depth_normals
from weft.spaces.depth_points import depth_geometry
from weft.spaces.mesh_texture import MeshTextureSpace, Trust, build_space, rasterize_views
from weft.spaces.surface import build_surface
from weft.spaces.view_geometry import ViewGeometry, of_mesh, unprojected

RING = [(30.0 * k, 20.0 * (-1) ** k) for k in range(6)]


@pytest.fixture(scope="module")
def mesh() -> MeshTextureSpace:
    surface = build_surface([box(16, sphere=True)], 256)
    cameras = frame_object(surface.vertices, RING, 64)
    return build_space(surface, rasterize_views(surface, cameras, jump=0.08 * surface.radius()), Trust())


@pytest.fixture(scope="module")
def points(mesh: MeshTextureSpace) -> ViewGeometry:
    return depth_geometry(mesh.views.depth, mesh.views.cameras)


def painted(mesh: MeshTextureSpace) -> Tensor:
    """[N, 3, H, W], views of a smooth colouring of the sphere; the background is of another colour."""
    at = of_mesh(mesh).position
    colours = np.where(mesh.views.mask[..., None], 0.5 + 0.4 * np.sin(6 * at + np.array([0, 1, 2])), 0.9)
    return torch.from_numpy(colours.astype(np.float32)).permute(0, 3, 1, 2)


def quality(a: Tensor, b: Tensor, mask: np.ndarray) -> float:
    """dB on the pixels of `mask`."""
    return float(-10 * np.log10(((a - b).permute(0, 2, 3, 1).numpy()[mask] ** 2).mean()))


def test_every_pixel_with_depth_reads_points_and_no_other(points: ViewGeometry, mesh: MeshTextureSpace) -> None:
    space = points.space(6.0)
    assert np.array_equal(space.covered.reshape(points.shape), mesh.views.mask)
    assert np.abs(space.projection.row_sums[space.covered] - 1).max() < 1e-5
    assert space.projection.values.min() >= 0
    assert space.coverage > 0.99


def test_views_share_points(points: ViewGeometry, mesh: MeshTextureSpace) -> None:
    """Six views 30° apart: far fewer points than pixels, on the sphere, facing outwards."""
    assert len(points.cell_position) < 0.65 * mesh.views.mask.sum()
    assert np.abs(np.linalg.norm(points.cell_position, axis=1) - 1).max() < 0.02
    assert np.median((points.cell_position * points.cell_normal).sum(1)) > 0.995


@pytest.mark.parametrize("exponent", [1.0, 6.0, 24.0])
def test_what_agrees_survives(points: ViewGeometry, mesh: MeshTextureSpace, exponent: float) -> None:
    space, views = points.space(exponent), painted(mesh)
    once, _ = space.synchronize(views)
    twice, _ = space.synchronize(once)
    constant, _ = space.synchronize(torch.full_like(views, 0.3))
    assert quality(once, views, mesh.views.mask) > 38
    assert quality(twice, once, mesh.views.mask) > 48
    assert np.abs(constant.numpy() - 0.3).max() < 1e-5


def test_views_that_disagree_come_together_as_through_the_mesh(points: ViewGeometry, mesh: MeshTextureSpace) -> None:
    gains = torch.linspace(0.8, 1.2, len(RING))[:, None, None, None]
    views = painted(mesh) * gains
    ours, theirs = points.space(1.0).synchronize(views)[0], mesh.linear(1.0).synchronize(views)[0]
    assert quality(ours, theirs, mesh.views.mask) > quality(ours, views, mesh.views.mask) + 5


def test_pixels_without_depth_keep_their_own(mesh: MeshTextureSpace) -> None:
    depths = mesh.views.depth.copy()
    depths[:, 20:30] = np.inf
    views = torch.rand(len(RING), 3, 64, 64, generator=torch.Generator().manual_seed(0))
    geometry = depth_geometry(depths, mesh.views.cameras)
    synchronized = geometry.space(6.0).synchronize(views)[0].permute(0, 2, 3, 1).numpy()
    own = views.permute(0, 2, 3, 1).numpy()
    assert np.array_equal(synchronized[~geometry.mask], own[~geometry.mask])
    assert not np.array_equal(synchronized[geometry.mask], own[geometry.mask])


def test_what_hides_a_wall_is_not_painted_on_it() -> None:
    """A card before a wall: the views share the wall, and none of the wall's points reads the card."""
    cameras = [Camera(look_at((x, -4, 0), (x, 0, 0)), 48, 48, 40.0, 40.0, 24.0, 24.0) for x in (-0.5, 0.5)]
    depths, views = np.full((2, 48, 48), 4, np.float32), np.zeros((2, 3, 48, 48), np.float32)
    for k, camera in enumerate(cameras):
        column = camera.project(np.array([[0.0, -2.0, 0.0]]))[0][0, 0]
        card = np.s_[k, ..., 16:32, round(column - 5) : round(column + 5)]
        depths[card], views[card] = 2, 1
    geometry = depth_geometry(depths, cameras)
    synchronized = geometry.space(1.0).synchronize(torch.from_numpy(views))[0].numpy()
    assert np.abs(synchronized - views).max() < 1e-5
    assert len(geometry.cell_position) < 1.6 * 48 * 48


def test_normals_and_jumps_of_planes() -> None:
    """Two slanted planes that meet in a jump: exact normals to its very edge, in both projections."""
    normals = np.array([(0.3, 0.2, 1.0), (-0.4, 0.1, 1.0)])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    camera = Camera(np.eye(4), 40, 30, 50.0, 52.0, 21.0, 14.0)
    for one in (camera, replace(camera, orthographic=True)):
        reference = unprojected(one, np.ones((30, 40), np.float32)).astype(np.float64)
        origin = reference * (1, 1, 0) if one.orthographic else np.zeros_like(reference)
        ray = reference - origin if one.orthographic else reference
        depth = np.empty((30, 40), np.float32)
        for normal, distance, half in zip(normals, (2.0, 4.0), (np.s_[:, :20], np.s_[:, 20:]), strict=True):
            depth[half] = ((-distance - origin @ normal) / (ray @ normal))[half]
        found, solid = depth_normals(depth[None], [one])
        expected = np.where(np.arange(40)[:, None] < 20, normals[0], normals[1])
        assert np.abs(found[0] - expected).max() < 2e-3
        assert not solid[0, :, 19:21].any()
        assert solid[0, :, :19].all()
        assert solid[0, :, 21:].all()


def test_nothing_known_and_another_number_of_cameras_are_refused(mesh: MeshTextureSpace) -> None:
    with pytest.raises(InvalidInput, match="no depth anywhere"):
        depth_geometry(np.full((6, 64, 64), np.inf), mesh.views.cameras)
    with pytest.raises(InvalidInput, match="5 cameras for depth maps"):
        depth_geometry(mesh.views.depth, mesh.views.cameras[:5])
