"""Windows over a wide image: every pixel is covered, borders meet where they should, averages keep what agrees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from weft.errors import InvalidInput
from weft.noise import CanonicalNoise, generator
from weft.spaces.wide_image import WideImageSpace, window_starts

SPACES = [
    WideImageSpace(16, 64, 16, 8),
    WideImageSpace(16, 60, 16, 7, wrap=True),
    WideImageSpace(24, 40, 16, 16),
    WideImageSpace(20, 20, 20, 5, wrap=True),
]


@pytest.mark.parametrize(("length", "window", "stride"), [(64, 16, 8), (61, 16, 8), (16, 16, 3), (17, 16, 16)])
def test_windows_begin_at_the_border_and_end_at_it(length, window, stride):
    starts = window_starts(length, window, stride)
    assert starts[0] == 0
    assert starts[-1] == length - window
    assert (np.diff(starts) > 0).all()
    assert np.diff(starts).max(initial=0) <= stride


@pytest.mark.parametrize("space", SPACES)
def test_every_pixel_is_covered(space):
    assert set(space.index) == set(range(space.cells))
    assert space.linear(0.0).coverage == 1.0


@pytest.mark.parametrize("space", SPACES)
def test_every_window_is_a_piece_of_the_image(space):
    """Each window read from a picture of coordinates shows consecutive rows and (around the border) columns."""
    rows, columns = np.divmod(space.index.reshape(space.view_shape), space.width)
    assert (np.diff(rows, axis=1) == 1).all()
    steps = np.diff(columns, axis=2) % space.width
    assert (steps == 1).all()
    crossing = (np.diff(columns, axis=2) != 1).any()
    assert crossing == space.wrap


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("exponent", [0.0, 5.0, 100.0])
def test_constants_survive_and_synchronising_twice_is_once(space, exponent):
    linear = space.linear(exponent)
    constant = torch.full((space.view_shape[0], 3, *space.view_shape[1:]), 0.37)
    assert torch.allclose(linear.synchronize(constant)[0], constant, atol=1e-6)
    views = torch.randn(constant.shape, generator=generator(3))
    once, z = linear.synchronize(views)
    twice, again = linear.synchronize(once)
    assert torch.allclose(once, twice, atol=1e-5)
    assert torch.allclose(z, again, atol=1e-5)


def test_the_plain_average_is_the_mean_of_the_windows():
    space = WideImageSpace(8, 16, 8, 4)
    views = torch.randn(space.view_shape[0], 1, 8, 8, generator=generator(1))
    z = space.linear(0.0).synchronize(views)[1].reshape(8, 16)
    assert torch.allclose(z[:, 4:8], (views[0, 0, :, 4:] + views[1, 0, :, :4]) / 2, atol=1e-6)
    assert torch.allclose(z[:, :4], views[0, 0, :, :4], atol=1e-6)


def test_a_high_exponent_gives_each_pixel_to_the_window_around_it():
    space = WideImageSpace(16, 64, 16, 8, wrap=True)
    numbers = torch.arange(space.view_shape[0]).float()[:, None, None, None].expand(-1, 1, 16, 16)
    z = space.linear(10_000.0).synchronize(numbers)[1].reshape(16, 64)
    centres = (space.corners[:, 1] + 8) % 64
    away = np.abs((np.arange(64) + 0.5)[:, None] - centres)
    away = np.minimum(away, 64 - away)
    alone = (away == away.min(1, keepdims=True)).sum(1) == 1
    assert alone.sum() > 50
    assert np.array_equal(z[:, alone].numpy(), np.tile(away.argmin(1)[alone], (16, 1)))
    assert np.array_equal(space.owner.reshape(16, 64)[:, alone], np.tile(away.argmin(1)[alone], (16, 1)))


def test_noise_is_white_in_each_window_and_common_to_all():
    space = WideImageSpace(32, 128, 32, 16, wrap=True)
    noise = CanonicalNoise(space.index, space.cells, space.view_shape)(3, generator(5))
    assert torch.equal(noise[0, :, :, 16:], noise[1, :, :, :16])
    assert torch.equal(noise[-1, :, :, 16:], noise[0, :, :, :16])
    count = noise[0].numel()
    assert abs(float(noise[0].mean())) < 5 / count**0.5
    assert abs(float(noise[0].var()) - 1) < 5 * (2 / count) ** 0.5


@pytest.mark.parametrize(("height", "width", "window", "stride"), [(16, 64, 32, 8), (64, 16, 32, 8), (16, 64, 0, 1)])
def test_a_window_that_does_not_fit_is_refused(height, width, window, stride):
    with pytest.raises(InvalidInput, match="window"):
        WideImageSpace(height, width, window, stride)


@pytest.mark.parametrize("stride", [0, 17])
def test_a_stride_that_leaves_gaps_is_refused(stride):
    with pytest.raises(InvalidInput, match="stride"):
        WideImageSpace(16, 64, 16, stride)
