"""Seams are seen where they are, and only there; what an edit keeps is measured."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from weft.errors import InvalidInput
from weft.metrics import detail_correlation, line_seams, wrap_seam


def noise(height: int = 60, width: int = 96, smooth: float = 0.0) -> np.ndarray:
    image = np.random.default_rng(0).standard_normal((height, width, 3))
    return gaussian_filter(image, (smooth, smooth, 0)) if smooth else image


def test_noise_has_no_seam_anywhere():
    for axis in (0, 1):
        assert np.abs(line_seams(noise(400, 500), 20, axis) - 1).max() < 0.1


@pytest.mark.parametrize("axis", [0, 1])
def test_windows_that_do_not_fit_show_where_they_meet(axis):
    image = noise(smooth=2.0)
    steps = np.arange(image.shape[axis]) // 16 % 2 * 0.2
    image += steps[:, None, None] if axis == 0 else steps[:, None]
    seams = line_seams(image, 16, axis)
    assert seams[-1] > 1.5  # windows that begin at 16, 32, …
    assert (seams[:-1] < 1.15).all()


def test_what_goes_on_around_the_borders_has_no_seam_there():
    white = np.random.default_rng(0).standard_normal((400, 96, 3))
    ring = gaussian_filter(white, (2, 2, 0), mode="wrap")
    assert wrap_seam(np.roll(ring, 9, 1)) == pytest.approx(1, abs=0.1)
    assert wrap_seam(ring[:, :80]) > 2


def test_flat_images_have_no_seam_and_one_window_has_none_to_meet():
    assert (line_seams(np.full((40, 40, 3), 0.3), 8, 1) == 1).all()
    with pytest.raises(InvalidInput, match="windows of 40 px do not meet in an image of 40×40 px"):
        line_seams(np.zeros((40, 40, 3)), 40, 1)


def test_detail_is_kept_by_other_colours_and_lost_by_others():
    image = noise(smooth=1.0).astype(np.float32)
    assert detail_correlation(0.3 * image + 0.2, image) == pytest.approx(1, abs=1e-4)
    assert detail_correlation(1 - image, image) == pytest.approx(-1, abs=1e-4)
    assert abs(detail_correlation(image[::-1], image)) < 0.2
    mask = np.zeros(image.shape[:2], bool)
    mask[:, :40] = True
    half = np.where(mask[..., None], image, image[::-1])
    inner = np.roll(mask, -20, 1) & mask
    assert detail_correlation(half, image, inner) > 0.99
    assert detail_correlation(half, image, ~mask) < 0.3
    with pytest.raises(InvalidInput, match="nothing is there"):
        detail_correlation(np.zeros_like(image), image)
