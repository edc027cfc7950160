"""The sphere as a panorama: directions, coverage, lookups that keep noise white, gathers that keep what agrees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from weft.errors import InvalidInput
from weft.noise import CanonicalNoise, generator
from weft.spaces.linear import lookup
from weft.spaces.panorama import (
    PanoramaSpace,
    cell_directions,
    look_along,
    pixel_directions,
    place,
    ring_directions,
)


@pytest.mark.parametrize(
    ("row", "column", "direction"),
    [
        (0.5, 0.5, (1, 0, 0)),
        (0.5, 0.25, (0, 1, 0)),
        (0.5, 0.75, (0, -1, 0)),
        (0.5, 0.0, (-1, 0, 0)),
        (0.0, 0.5, (0, 0, 1)),
        (1.0, 0.5, (0, 0, -1)),
        (0.25, 0.5, (1, 0, 1)),
    ],
)
def test_the_axes_are_blenders(row, column, direction):
    """Fractions of the image: its middle looks along +X, the left quarter along +Y, the zenith is +Z."""
    at = place(np.array(direction, float), 64)
    assert np.isclose((at[0] + 0.5) / 64, row)
    if abs(direction[2]) < 1 or direction[0]:
        assert np.isclose((at[1] + 0.5) / 128 % 1, column)
    shown = cell_directions(64)[min(int(row * 64), 63), int(column * 128) % 128]
    assert shown @ np.array(direction) / np.linalg.norm(direction) > np.cos(2 * np.pi / 64)


def test_cells_and_places_are_inverse():
    directions = cell_directions(24)
    assert np.allclose(np.linalg.norm(directions, axis=-1), 1, atol=1e-6)
    expected = np.stack(np.meshgrid(np.arange(24), np.arange(48), indexing="ij"), -1)
    assert np.allclose(place(directions * 3.0, 24), expected, atol=1e-4)


def test_rows_are_areas():
    """Mean of z² over the sphere is 1/3, of z 0: cells weighted by the cosine of their latitude."""
    directions = cell_directions(128)
    weight = np.sqrt(1 - directions[..., 2].astype(float) ** 2)
    assert np.isclose((weight * directions[..., 2] ** 2).sum() / weight.sum(), 1 / 3, atol=1e-3)
    assert np.allclose((weight[..., None] * directions).sum((0, 1)) / weight.sum(), 0, atol=1e-6)


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (45, 0), (200, 30), (10, 90), (0, -90), (300, -54)])
def test_a_view_looks_where_it_says_and_stands_upright(azimuth, elevation):
    camera = look_along(azimuth, elevation, size=32, fov=72.0)
    at = place(camera.forward, 360)
    assert np.isclose(at[0] + 0.5, 180 - 2 * elevation)
    if abs(elevation) < 90:
        assert np.isclose((at[1] + 0.5) / 2, (180 + azimuth) % 360)
    assert camera.pose[2, 0] == 0
    assert camera.pose[2, 1] >= -1e-12
    assert np.isclose(np.linalg.det(camera.pose[:3, :3]), 1)
    rays = pixel_directions(camera)
    assert np.allclose(rays @ camera.forward, 1, atol=1e-6)
    edges = rays[16, [0, 31]] / np.linalg.norm(rays[16, [0, 31]], axis=1, keepdims=True)
    assert 68 < np.degrees(np.arccos(edges[0] @ edges[1])) < 72


def test_the_first_eight_views_are_the_papers():
    assert ring_directions()[:8] == [(45.0 * k, 0.0) for k in range(8)]


@pytest.mark.parametrize("fov", [20.0, 33.0, 50.0, 72.0, 90.0, 105.0, 120.0])
def test_the_whole_sphere_is_covered(fov):
    assert PanoramaSpace(96, 48, fov).linear().coverage == 1.0


def test_a_field_of_view_that_cannot_be_covered_is_refused():
    with pytest.raises(InvalidInput, match="field of view"):
        ring_directions(150.0)


@pytest.mark.parametrize("exponent", [1.0, 40.0])
@pytest.mark.parametrize("taps", [2, 4])
def test_constants_survive(exponent, taps):
    space = PanoramaSpace(64, 32)
    linear = space.linear(exponent, taps=taps)
    views = torch.full((space.view_shape[0], 3, 32, 32), -0.6)
    synced, z = linear.synchronize(views)
    assert torch.allclose(z, torch.full_like(z, -0.6), atol=1e-5)
    assert torch.allclose(synced, views, atol=1e-5)


def test_the_nearest_lookup_alone_synchronises_once_and_for_all():
    space = PanoramaSpace(64, 32)
    linear = lookup(space.index, space.cells, space.view_shape)
    views = torch.randn(space.view_shape[0], 3, 32, 32, generator=generator(2))
    once = linear.synchronize(views)[0]
    assert torch.allclose(linear.synchronize(once)[0], once, atol=1e-5)


def test_what_all_views_agree_about_comes_back():
    """A smooth function of the direction, seen by all views and gathered again, is itself to the size of a pixel."""
    space = PanoramaSpace(128, 64)
    rays = np.stack([pixel_directions(camera) for camera in space.cameras])
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    z = space.linear(20.0).synchronize(torch.from_numpy(rays).permute(0, 3, 1, 2))[1]
    assert np.abs(z.numpy() - cell_directions(128).reshape(-1, 3)).max() < 0.003


def test_a_cell_belongs_to_the_view_that_looks_at_it_most_squarely():
    space = PanoramaSpace(48, 64)
    cosine = np.stack([cell_directions(48).reshape(-1, 3) @ camera.forward for camera in space.cameras])
    best = np.take_along_axis(cosine, space.owner[None].astype(np.int64), 0)[0]
    assert (best >= cosine.max(0) - 0.02).all()  # half a pixel of a view
    numbers = torch.arange(len(space.cameras)).float()[:, None, None, None].expand(-1, 1, 64, 64)
    z = space.linear(3000.0).synchronize(numbers)[1][:, 0].numpy()
    second = np.sort(cosine, 0)[-2]
    clear = cosine.max(0) - second > 0.03
    assert np.allclose(z[clear], space.owner[clear], atol=1e-3)


def test_noise_keeps_mean_variance_and_independence():
    """Thresholds: five standard errors. Neighbours in a view are uncorrelated; two views share what both see."""
    space = PanoramaSpace(128, 48)
    noise = CanonicalNoise(space.index, space.cells, space.view_shape)(3, generator(11))
    for view in (noise[0], noise[9], noise[-1]):  # level, raised, at the pole
        count = view.numel()
        assert abs(float(view.mean())) < 5 / count**0.5
        assert abs(float(view.var()) - 1) < 5 * (2 / count) ** 0.5
        for across in (view[:, :, 1:] * view[:, :, :-1], view[:, 1:] * view[:, :-1], view[[0, 1]] * view[[1, 2]]):
            assert abs(float(across.mean())) < 5 / across.numel() ** 0.5
    rows = noise.permute(0, 2, 3, 1).reshape(len(noise), -1, 3)
    first, second = (space.index.reshape(len(noise), -1)[k] for k in (0, 1))
    common, a, b = np.intersect1d(first, second, return_indices=True)
    assert len(common) > 100
    assert torch.equal(rows[0, a], rows[1, b])
