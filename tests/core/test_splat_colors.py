"""Splat colours as a linear space: what it recovers, who owns a splat, what stays unseen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from practice_clouds import ball, ring_around

from weft.geometry.camera import standard_ring
from weft.geometry.splat_weights import render_splats
from weft.noise import gaussian, generator
from weft.spaces.linear import LinearSpace
from weft.spaces.splat_colors import SplatColorSpace, build_splat_colors

VIEWS, SIZE = 8, 64
GHOSTS = 40


def smooth_colors(points: np.ndarray) -> np.ndarray:
    """A pattern of about five splats' width, f4 in [0, 1]."""
    return (0.5 + 0.4 * np.sin(5 * points[:, [0, 1, 2]] + [0, 1, 2])).astype(np.float32)


CLOUD = ball(2000, ghosts=GHOSTS)
COLORS = smooth_colors(CLOUD.means)


@pytest.fixture(scope="module")
def space() -> SplatColorSpace:
    return build_splat_colors(CLOUD, ring_around(CLOUD, VIEWS, SIZE))


def every_way(space: SplatColorSpace) -> list[LinearSpace]:
    return [space.shared(iterations=3), space.owned(60.0, residual_passes=2)]


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10(((a - b) ** 2).mean()))


def test_rows_are_means_of_splats_where_the_object_covers_most_of_a_pixel(space):
    sums = space.projection.row_sums.reshape(space.shape)
    assert np.allclose(sums[space.mask], 1, atol=1e-5)
    assert np.array_equal(space.mask, space.opacity >= 0.5)
    assert 0.2 < space.mask.mean() < 0.9


def test_views_are_renders_without_their_background(space):
    rows = space.projection @ torch.from_numpy(COLORS)
    for view, camera in enumerate(space.cameras[:2]):
        over_grey = render_splats(CLOUD, camera, COLORS, 0.3)
        opacity = space.opacity[view][..., None]
        own = rows.reshape(*space.shape, 3)[view].numpy() * opacity + 0.3 * (1 - opacity)
        inside = space.mask[view]
        assert np.abs(own - over_grey)[inside].max() < 0.03  # what was pruned
        assert -10 * np.log10(((own - over_grey)[inside] ** 2).mean()) > 50


def test_constants_survive_exactly(space):
    for linear in every_way(space):
        constant = torch.tensor([0.2, -0.4, 0.9])
        views, z = linear.synchronize(constant[None, :, None, None].expand(VIEWS, 3, SIZE, SIZE))
        assert torch.allclose(views, constant[None, :, None, None].expand_as(views), atol=1e-5)
        assert torch.allclose(z, constant.expand_as(z), atol=1e-5)


def test_colors_come_back_from_consistent_views(space):
    truth = torch.from_numpy(COLORS)
    for linear, least in zip(every_way(space), (40, 35), strict=True):
        rows = linear.project(truth)
        z = linear.aggregate(rows)
        covered = torch.from_numpy(linear.covered)
        assert psnr(linear.project(z)[covered], rows[covered]) > least
        well_seen = torch.from_numpy(space.presence.max(1) > 1)  # pixels
        assert well_seen.sum() > 1000
        assert psnr(z[well_seen], truth[well_seen]) > 25


def test_iterations_bring_consistent_views_closer(space):
    rows = space.projection @ torch.from_numpy(COLORS)
    gaps = []
    for iterations in range(4):
        linear = space.shared(iterations=iterations)
        gaps.append(float((linear.project(linear.aggregate(rows)) - rows).norm()))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[2] < 0.2 * gaps[0]


def test_owned_is_linear_and_shared_scales(space):
    a, b = (gaussian((VIEWS, 3, SIZE, SIZE), generator(seed)) for seed in (0, 1))
    owned, shared = space.owned(60.0, residual_passes=2), space.shared()
    mixed = owned.synchronize(2 * a - 0.5 * b)[1]
    assert torch.allclose(mixed, 2 * owned.synchronize(a)[1] - 0.5 * owned.synchronize(b)[1], atol=1e-4)
    assert torch.allclose(shared.synchronize(3 * a)[1], 3 * shared.synchronize(a)[1], atol=1e-4)


def test_owned_keeps_the_contrast_that_shared_averages_away(space):
    """Views that agree about nothing: with one owner a splat keeps the variance of what it sees of that view."""
    noise = gaussian((VIEWS, 3, SIZE, SIZE), generator(3))
    seen = torch.from_numpy(space.seen)
    owned = space.owned(60.0, residual_passes=0).synchronize(noise)[1][seen].std()
    everyone = space.owned(0.0, residual_passes=0).synchronize(noise)[1][seen].std()
    assert owned > 1.2 * everyone


def test_a_splat_listens_to_the_view_that_shows_it_largest():
    cloud = ball(2000)
    space = build_splat_colors(cloud, ring_around(cloud, 4, SIZE))
    linear = space.owned(60.0, residual_passes=0)
    numbers = torch.arange(4.0)[:, None, None, None].expand(4, 1, SIZE, SIZE)
    chosen = linear.synchronize(numbers)[1][:, 0].numpy()
    azimuths, elevations = np.radians(np.array(standard_ring(4))).T
    eyes = np.stack([np.sin(azimuths), -np.cos(azimuths), np.sin(elevations)], 1)
    facing = cloud.means @ eyes.T
    clear = np.sort(facing, 1)[:, -1] - np.sort(facing, 1)[:, -2] > 0.3
    clear &= space.seen
    assert clear.sum() > 300
    assert np.abs(chosen - facing.argmax(1))[clear].mean() < 0.05


def test_unseen_splats_copy_the_nearest_seen_one(space):
    ghost = np.arange(2000) >= 2000 - GHOSTS
    assert not space.seen[ghost].any()
    assert space.seen[~ghost].mean() > 0.9
    views = space.shared().views_of(space.projection @ torch.from_numpy(COLORS))
    for linear in every_way(space):
        z = linear.synchronize(views)[1].numpy()
        seen = np.flatnonzero(linear.seen)
        for splat in np.flatnonzero(~linear.seen)[:20]:
            nearest = seen[np.linalg.norm(CLOUD.means[seen] - CLOUD.means[splat], axis=1).argmin()]
            assert np.array_equal(z[splat], z[nearest])


def test_views_left_out_say_nothing(space):
    a = gaussian((VIEWS, 3, SIZE, SIZE), generator(0))
    b = a.clone()
    b[2] = 7.0
    held = space.without([2]).owned(60.0, residual_passes=1)
    assert torch.equal(held.synchronize(a)[1], held.synchronize(b)[1])
    listening = space.owned(60.0, residual_passes=1)
    assert not torch.equal(listening.synchronize(a)[1], listening.synchronize(b)[1])


def test_nothing_is_seen_of_a_cloud_that_is_hardly_there():
    faint = replace(CLOUD, logits=np.full(CLOUD.count, -4.0, np.float32))
    space = build_splat_colors(faint, ring_around(faint, 2, SIZE))
    assert not space.mask.any()
    linear = space.owned(60.0, residual_passes=1)
    views = gaussian((2, 3, SIZE, SIZE), generator(0))
    after, z = linear.synchronize(views)
    assert torch.equal(after, views)
    assert not z.any()
