"""Edges at places known beforehand, the symmetries of the method, and a plain implementation beside the kernels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from weft.errors import InvalidInput
from weft.geometry.canny import canny


def plain(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """The same from its definition: angles instead of comparisons, labels instead of a search."""
    binomial = np.array([1, 4, 6, 4, 1]) / 16
    smooth = image.astype(np.float64)
    for axis in (0, 1):
        smooth = ndimage.convolve1d(smooth, binomial, axis, mode="nearest")
    down, right = (ndimage.sobel(smooth, axis, mode="nearest") for axis in (0, 1))
    strength = np.hypot(down, right) / 2.5  # of a straight step of height 1
    padded = np.pad(strength, 1)
    octant = np.rint(np.arctan2(down, right) / (np.pi / 4)).astype(int) % 4
    kept = np.zeros(image.shape, bool)
    for (i, j), k in np.ndenumerate(octant):
        di, dj = [(0, 1), (1, 1), (1, 0), (1, -1)][k]
        kept[i, j] = padded[i + 1, j + 1] >= padded[i + 1 - di, j + 1 - dj]
        kept[i, j] &= padded[i + 1, j + 1] > padded[i + 1 + di, j + 1 + dj]
    label = np.zeros(image.shape, np.int32)
    ndimage.label(kept & (strength > low), np.ones((3, 3)), output=label)
    return np.isin(label, np.unique(label[kept & (strength > high)])) & (label > 0)


def blobs(seed: int = 0, shape: tuple[int, int] = (47, 61)) -> np.ndarray:
    """Smooth random greys f4 in [0, 1] of 10 bits, with which the kernels' arithmetic is exact up to the lengths."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2.5)
    return (np.rint((noise - noise.min()) / np.ptp(noise) * 1024) / 1024).astype(np.float32)


def edges_of(image: np.ndarray, low: float = 0.05, high: float = 0.15) -> np.ndarray:
    return canny(image[None].astype(np.float32), low, high)[0]


@pytest.mark.parametrize("seed", range(4))
def test_the_kernels_do_what_the_definition_says(seed):
    image = blobs(seed)
    found, wanted = edges_of(image), plain(image, 0.05, 0.15)
    assert 100 < wanted.sum() < wanted.size / 3
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("place", [1, 7, 14])
def test_a_step_is_one_line_where_it_is(place):
    image = np.zeros((16, 16), np.float32)
    image[:, place:] = 0.5
    assert np.array_equal(np.argwhere(edges_of(image).any(0)).ravel(), [place])
    assert np.array_equal(np.argwhere(edges_of(image.T).any(1)).ravel(), [place])
    assert edges_of(image).all(0)[place]


@pytest.mark.parametrize("height", [0.125, 0.5, 3.0])
def test_thresholds_are_the_heights_of_steps(height):
    image = np.zeros((16, 16), np.float32)
    image[:, 8:] = height
    assert edges_of(image, 0, height * 0.999).any()
    assert not edges_of(image, 0, height).any()


def test_nothing_constant_has_edges():
    for value in (0.0, 0.3, 1.0):
        assert not edges_of(np.full((20, 31), value), 0, 0).any()


def test_turned_and_mirrored_images_have_turned_and_mirrored_edges():
    image = blobs(7)
    edges = edges_of(image)
    for turns in (1, 2, 3):
        assert np.array_equal(edges_of(np.rot90(image, turns)), np.rot90(edges, turns))
    assert np.array_equal(edges_of(image[:, ::-1]), edges[:, ::-1])
    assert np.array_equal(edges_of(1 - image), edges)


def test_a_disc_has_one_closed_thin_outline():
    i, j = np.mgrid[:80, :80] - 39.3
    radius = np.hypot(i, j + 0.4)
    edges = edges_of((30.5 - radius).clip(0, 1).astype(np.float32))
    assert np.abs(radius[edges] - 30).max() < 1.2
    label = np.zeros(edges.shape, np.int32)
    assert ndimage.label(~edges, output=label) == 2  # four neighbours: a line of diagonal steps is closed
    assert label[40, 40] != label[0, 0]
    assert edges.sum() < 8 * 30  # the steps of its outline


def test_weak_edges_stay_where_they_continue_strong_ones():
    image = np.zeros((40, 40), np.float32)
    image[:, 10:20] = np.linspace(0.4, 0.15, 40)[:, None]  # a step that weakens on its way down …
    image[:, 30:] = 0.15  # … and one that is weak all along
    edges = edges_of(image, 0.1, 0.3)
    assert edges[:, 10].all()
    assert not edges[:, 27:].any()


def test_images_are_independent_of_each_other():
    stack = np.stack([blobs(seed) for seed in range(3)])
    assert np.array_equal(canny(stack, 0.05, 0.15)[1], edges_of(stack[1]))
    assert canny(stack[:0], 0.05, 0.15).shape == (0, 47, 61)


def test_bad_input_is_refused():
    with pytest.raises(InvalidInput, match=r"\[8, 8\]"):
        canny(np.zeros((8, 8), np.float32), 0.1, 0.2)
    with pytest.raises(InvalidInput, match=r"0\.3 and 0\.2"):
        canny(np.zeros((1, 8, 8), np.float32), 0.3, 0.2)
