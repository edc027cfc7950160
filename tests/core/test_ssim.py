"""Structural similarity: its range, what it forgives and what it does not, and one number by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from weft.errors import InvalidInput
from weft.metrics import psnr, ssim


def picture(seed: int = 0, size: int = 48) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size, size, 3)), (1, 1, 0))
    return (0.5 + 0.6 * noise).clip(0, 1)


def test_equal_images_are_alike_and_the_order_does_not_matter():
    a, b = picture(0), picture(1)
    assert ssim(a, a) == pytest.approx(1)
    assert ssim(a, b) == pytest.approx(ssim(b, a))
    assert -1 <= ssim(a, b) < 0.3
    assert ssim(a, 1 - a) < 0


def test_it_forgives_an_even_shift_but_not_blur_of_the_same_psnr():
    a = picture()
    blurred = ndimage.gaussian_filter(a, (1.2, 1.2, 0))
    shift = 10 ** (-psnr(a, blurred) / 20)
    assert ssim(a, a + shift) > ssim(a, blurred) + 0.1


def test_flat_images_compare_by_their_means():
    low, high = np.full((20, 20, 1), 0.2), np.full((20, 20, 1), 0.6)
    assert ssim(low, high) == pytest.approx((2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4))


def test_one_window_by_the_equation():
    a, b = picture(2, 11), picture(3, 11)
    steps = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    window = (np.outer(steps, steps) / np.outer(steps, steps).sum())[..., None]
    mean_a, mean_b = (window * a).sum((0, 1)), (window * b).sum((0, 1))
    var_a, var_b = (window * (a - mean_a) ** 2).sum((0, 1)), (window * (b - mean_b) ** 2).sum((0, 1))
    both = (window * (a - mean_a) * (b - mean_b)).sum((0, 1))
    expected = (2 * mean_a * mean_b + 1e-4) * (2 * both + 9e-4)
    expected /= (mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)
    centre = np.zeros((11, 11), bool)
    centre[5, 5] = True
    assert ssim(a, b, centre) == pytest.approx(expected.mean(), rel=1e-9)


def test_only_windows_on_the_mask_count():
    a, mask = picture(), np.zeros((48, 48), bool)
    mask[:20] = True
    b = a.copy()
    b[30:] = 0
    assert ssim(a, b, mask) == pytest.approx(1)
    assert ssim(a, b) < 0.8


def test_what_cannot_be_compared_is_refused():
    a = picture()
    for other, mask, said in (
        (a[:40], None, "shapes"),
        (a, np.zeros((48, 48), bool), "no pixel"),
    ):
        with pytest.raises(InvalidInput, match=said):
            ssim(a, other, mask)
    with pytest.raises(InvalidInput, match="10×48"):
        ssim(a[:, :10], a[:, :10])
