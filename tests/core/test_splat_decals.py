"""Decals on splats: where they stand, what they share, what others read of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from practice_clouds import ball, ring_around

from weft.spaces.splat_colors import SplatColorSpace, build_splat_colors
from weft.spaces.splat_decals import SplatDecals, build_splat_decals
from weft.spaces.splat_surface import Seen, density_of, see_surface

CLOUD = ball(2000)
MIDDLE = CLOUD.means.mean(0)
VIEWS, SIZE = 12, 96


@pytest.fixture(scope="module")
def views() -> SplatColorSpace:
    return build_splat_colors(CLOUD, ring_around(CLOUD, VIEWS, SIZE))


@pytest.fixture(scope="module")
def seen(views) -> Seen:
    return see_surface(views.cameras, views.projection, views.means, views.shape)


@pytest.fixture(scope="module")
def decals(views, seen) -> SplatDecals:
    found = build_splat_decals(
        CLOUD, views, seen, size=48, pixels_per_unit=density_of(views.cameras, seen), most=80,
        up=np.array([0.0, 0.0, 1.0]), random=np.random.default_rng(0), prune=1e-2,
    )  # fmt: skip
    assert found is not None
    return found


def pattern(points: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.sin(2 * np.asarray(points, np.float32)))


def test_views_see_the_ball_where_it_is(views, seen):
    clear = seen.mask & (seen.cosine > 0.5)
    outward = seen.position[clear] - MIDDLE
    radius = np.linalg.norm(outward, axis=-1)
    assert radius.std() < 0.05 * radius.mean()
    assert ((seen.normal[clear] * outward).sum(-1) / radius > 0.9).mean() > 0.95
    for camera, position, mask in zip(views.cameras, seen.position, seen.mask, strict=True):
        line, column = np.nonzero(mask)
        assert np.allclose(camera.project(position[mask])[0], np.stack([column, line], 1) + 0.5, atol=1e-2)


def test_decals_look_straight_down(decals):
    for camera in decals.cameras:
        outward = camera.center - MIDDLE
        assert camera.pose[:3, 2] @ outward > 0.9 * np.linalg.norm(outward)
        assert camera.pose[2, 1] > -1e-9  # upright


def test_constants_survive(decals):
    linear = decals.linear
    constant = torch.tensor([0.2, -0.4, 0.9])
    synced, z = linear.synchronize(constant[None, :, None, None].expand(*linear.view_shape[:1], 3, 48, 48))
    assert torch.allclose(synced, constant[None, :, None, None].expand_as(synced), atol=1e-5)
    assert torch.allclose(z, constant.expand_as(z))


def test_overlapping_decals_read_one_owner(decals):
    """Where each decal paints a colour of its own, another decal's colour shows in a part of it, unmixed inside."""
    linear = decals.linear
    here = np.repeat(np.arange(len(decals.cameras)), 48 * 48)
    rows = torch.from_numpy(here.astype(np.float32))[:, None]
    read = linear.project(linear.aggregate(rows))[:, 0].numpy()
    inside = decals.mask.ravel()
    assert np.allclose(read[inside], np.rint(read[inside]), atol=1e-3)
    assert (np.abs(read - here)[inside] > 0.5).mean() > 0.3


def test_what_is_painted_on_the_surface_is_read_there(decals, seen):
    """Decals that paint a function of the place agree with each other and with the views, to a pixel or so."""
    cells = pattern(decals.seen.position[decals.mask])
    again = decals.linear.project(cells)[torch.from_numpy(decals.mask.ravel())]
    assert (again - cells).abs().median() < 0.01
    assert (again - cells).abs().mean() < 0.05
    reads = decals.read_by(seen)
    found = reads.row_counts > 0
    assert found[seen.mask.ravel()].mean() > 0.85
    own = pattern(seen.position.reshape(-1, 3)[found])
    assert ((reads @ cells)[torch.from_numpy(found)] - own).abs().median() < 0.03


def test_views_that_see_nothing_get_no_decals(views, seen):
    nothing = Seen(np.zeros_like(seen.mask), seen.depth, seen.position, seen.normal, seen.cosine)
    assert (
        build_splat_decals(
            CLOUD, views, nothing, size=48, pixels_per_unit=20.0, most=80, up=np.array([0.0, 0.0, 1.0]),
            random=np.random.default_rng(0), prune=1e-2,
        )
        is None
    )  # fmt: skip
