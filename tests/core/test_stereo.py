"""Depth from pictures, against the depth of the world that they were drawn of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from practice_shapes import DATA, needs_data
from practice_views import photographs, standing_around

from weft.errors import InvalidCamera, InvalidInput
from weft.geometry.depth_filling import enlarged, filled
from weft.geometry.stereo import depth_range, estimate_depths
from weft.geometry.view_choice import choose_views, focus, parallaxes
from weft.io import load_cameras

SIZE, VIEWS = 80, 5


@pytest.fixture(scope="module")
def world() -> tuple[np.ndarray, np.ndarray]:
    """images, depths"""
    return photographs(standing_around(VIEWS, SIZE))


@pytest.fixture(scope="module")
def found(world: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """depths, confidence; the range is found as well."""
    return estimate_depths(world[0], standing_around(VIEWS, SIZE))


def test_depth_is_found_nearly_everywhere(world, found) -> None:
    (_, true), (depth, _) = world, found
    known = np.isfinite(depth)
    error = np.abs(depth / true - 1)
    assert known.mean() > 0.9
    assert np.median(error[known]) < 0.015
    assert (error[known] < 0.05).mean() > 0.85


def test_confidence_tells_what_is_right(world, found) -> None:
    (_, true), (depth, confidence) = world, found
    error = np.abs(depth / true - 1)
    sure, guessed = confidence > 0.5, (confidence > 0) & (confidence <= 0.5)
    assert np.array_equal(confidence > 0, np.isfinite(depth))
    assert (error[sure] < 0.03).mean() > 0.9
    assert (error[sure] < 0.03).mean() > (error[guessed] < 0.03).mean()


def test_the_range_holds_what_there_is(world) -> None:
    images, true = world
    near, far = depth_range(images, standing_around(VIEWS, SIZE))
    low, high = np.quantile(true, (0.02, 0.98))
    assert 0.6 * low < near < low
    assert high < far < 2 * high


def test_the_order_of_the_views_does_not_matter(world) -> None:
    images, cameras = world[0][:, ::2, ::2], [c.scaled(0.5) for c in standing_around(VIEWS, SIZE)]
    order = [3, 0, 4, 2, 1]
    one, _ = estimate_depths(images, cameras, 1.5, 12.0)
    other, _ = estimate_depths(images[order], [cameras[k] for k in order], 1.5, 12.0)
    assert np.isfinite(one).mean() > 0.8
    np.testing.assert_allclose(other, one[order], rtol=1e-5)


def test_scaling_the_world_scales_depth(world) -> None:
    images, scale = world[0][:, ::2, ::2], 8.0  # a power of two: the same roundings
    small = [c.scaled(0.5) for c in standing_around(VIEWS, SIZE)]
    large = [c.scaled(0.5) for c in standing_around(VIEWS, SIZE, scale=scale)]
    one, _ = estimate_depths(images, small)
    other, _ = estimate_depths(images, large)
    assert np.isfinite(one).mean() > 0.8
    same = np.isfinite(one) == np.isfinite(other)
    both = np.isfinite(one) & np.isfinite(other)
    assert same.mean() > 0.999
    assert (np.abs(other / scale / np.where(both, one, 1) - 1)[both] < 1e-4).mean() > 0.999


def test_filling_goes_along_colours() -> None:
    """Two halves of different colours and depths, measured at a few places: each takes its own depth."""
    image = np.zeros((20, 40, 3), np.float32)
    image[:, 20:] = 0.8
    depth = np.full((20, 40), np.inf, np.float32)
    depth[5:15:4, 4:18:4], depth[5:15:4, 24:38:4] = 2, 5
    whole = filled(depth, np.isfinite(depth).astype(np.float32), image, farthest=100)
    assert np.abs(whole[:, :20] - 2).max() < 0.1
    assert np.abs(whole[:, 20:] - 5).max() < 0.5
    near = filled(depth, np.isfinite(depth).astype(np.float32), image, farthest=1)
    assert np.isinf(near[0]).all()
    assert np.isfinite(near[5, 3:6]).all()


def test_enlarged_depth_keeps_planes_and_moves_jumps_to_colours() -> None:
    """A slanted plane stays one; a jump between two walls comes back to where the whole picture changes colour."""
    row, column = np.mgrid[:12, :16] + 0.5
    plane = (1 / (0.2 + 0.006 * column + 0.003 * row)).astype(np.float32)
    grey = np.full((36, 48, 3), 0.5, np.float32)
    row, column = (np.mgrid[:36, :48] + 0.5) / 3
    whole = enlarged(plane, grey, 3)[3:-3, 3:-3]
    assert np.abs(1 / whole - (0.2 + 0.006 * column + 0.003 * row)[3:-3, 3:-3]).max() < 1e-4
    grey[:, 25:] = 0.9
    walls = np.where(np.arange(16) < 8, 2, 4).astype(np.float32)[None].repeat(12, 0)
    walls[0, 0] = np.inf
    found = enlarged(walls, grey, 3)
    expected = np.where(np.arange(48) < 25, 2, 4)
    assert np.array_equal(found[3:], np.broadcast_to(expected, (33, 48)))
    assert np.isinf(found[:3, :3]).all()


def test_masked_background_has_no_depth(world) -> None:
    images, cameras = world[0][:3, ::2, ::2], [c.scaled(0.5) for c in standing_around(VIEWS, SIZE)[:3]]
    masks = np.zeros(images.shape[:3], bool)
    masks[:, 10:30, 10:30] = True
    depth, confidence = estimate_depths(images, cameras, 1.5, 12.0, masks)
    assert np.isinf(depth[~masks]).all()
    assert not confidence[~masks].any()
    assert np.isfinite(depth[masks]).mean() > 0.7


def test_pictures_of_other_poses_match_nowhere(world) -> None:
    noise = np.random.default_rng(0).random((4, 48, 48, 3), np.float32)
    with pytest.raises(InvalidInput, match=r"match each other in .*% of what they show"):
        estimate_depths(noise, standing_around(4, 48))


def test_what_has_no_depth_is_refused(world) -> None:
    images, cameras = world[0], standing_around(VIEWS, SIZE)
    with pytest.raises(InvalidInput, match="1 view has no depth"):
        estimate_depths(images[:1], cameras[:1])
    with pytest.raises(InvalidInput, match="4 cameras for images"):
        estimate_depths(images, cameras[:4])
    with pytest.raises(InvalidCamera, match="orthographic"):
        estimate_depths(images, [replace(c, orthographic=True) for c in cameras])
    with pytest.raises(InvalidCamera, match="from one place"):
        estimate_depths(images[:2], [cameras[0]] * 2)
    with pytest.raises(InvalidInput, match="0 < near < far"):
        estimate_depths(images, cameras, 3.0, 2.0)


def test_chosen_views_are_spread_and_near_one_another() -> None:
    cameras = standing_around(40, 32, step=2.0)
    chosen = choose_views(cameras, 8)
    apart = parallaxes([cameras[k] for k in chosen])
    nearest = np.sort(apart, 1)[:, 1]
    assert len(set(chosen)) == 8
    assert chosen == sorted(chosen)
    assert nearest.max() <= 12
    assert apart.max() > 40
    assert choose_views(cameras[:5], 9) == [0, 1, 2, 3, 4]
    meet = focus(cameras)
    assert meet is not None
    assert np.abs(meet).max() < 1e-6


@needs_data
def test_chosen_views_of_the_fox_overlap() -> None:
    cameras = load_cameras(DATA / "fox_270x480/transforms.json").cameras
    apart = parallaxes([cameras[k] for k in choose_views(cameras, 12)])
    assert np.sort(apart, 1)[:, 1].max() < 15
    assert apart.max() > 40
