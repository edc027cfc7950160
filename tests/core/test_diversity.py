"""Diversity of a gallery: what the measures say of equal, opposite and unrelated pictures."""

from __future__ import annotations

import numpy as np
import pytest

from weft.errors import InvalidInput
from weft.metrics.diversity import cosine_similarity, layout, look, mean_similarity, pair_distances, vendi

RNG = np.random.default_rng(3)
GALLERY = list(RNG.random((4, 32, 32, 3)))


@pytest.mark.parametrize("m", [2, 3, 5])
def test_equal_things_are_one_and_orthogonal_ones_are_as_many_as_they_are(m: int) -> None:
    assert vendi(cosine_similarity(np.ones((m, 7)))) == pytest.approx(1)
    assert vendi(cosine_similarity(3 * np.eye(m, 7))) == pytest.approx(m)
    assert mean_similarity(cosine_similarity(np.ones((m, 7)))) == pytest.approx(1)
    assert mean_similarity(cosine_similarity(np.eye(m, 7))) == pytest.approx(0)


def test_groups_of_equals_count_once() -> None:
    assert vendi(cosine_similarity(np.repeat(np.eye(2), 3, axis=0))) == pytest.approx(2)


@pytest.mark.parametrize("features", [layout, look])
def test_the_order_of_a_gallery_means_nothing(features: object) -> None:
    turned = [GALLERY[i] for i in (2, 0, 3, 1)]
    ours, theirs = (cosine_similarity(features(images)) for images in (GALLERY, turned))  # type: ignore[operator]
    assert vendi(ours) == pytest.approx(vendi(theirs))
    assert mean_similarity(ours) == pytest.approx(mean_similarity(theirs))
    assert sorted(pair_distances(GALLERY)) == pytest.approx(sorted(pair_distances(turned)))


def test_distances_scale_with_contrast_and_forget_what_is_common() -> None:
    other = [0.5 * image + 0.2 for image in GALLERY]
    assert pair_distances(other) == pytest.approx(0.5 * pair_distances(GALLERY))
    a, b = pair_distances([np.zeros((2, 2, 3)), np.ones((2, 2, 3)), np.zeros((2, 2, 3))])[:2]
    assert (a, b) == (1, 0)


def test_opposite_pictures_have_nothing_in_common() -> None:
    """Their layouts are orthogonal. Of plain vectors, opposites would count as one thing."""
    wave = 0.5 + 0.4 * np.sin(np.linspace(0, 4 * np.pi, 32))[:, None, None] * np.ones((32, 32, 3))
    colour = np.full(3, 0.5)
    assert vendi(cosine_similarity(layout([wave, 1 - wave], colour))) == pytest.approx(2)
    assert vendi(cosine_similarity(np.array([[1.0, 0.0], [-1.0, 0.0]]))) == pytest.approx(1)


def test_layout_is_where_and_look_is_what() -> None:
    """A picture moved by a quarter has another layout and the same look."""
    base = np.repeat(np.repeat(RNG.random((8, 8, 3)), 4, 0), 4, 1)
    pair = [base, np.roll(base, 8, 0)]
    assert mean_similarity(cosine_similarity(layout(pair))) < 0.8
    assert mean_similarity(cosine_similarity(look(pair))) > 0.999


def test_cells_are_means_of_colours_whatever_the_size() -> None:
    for height, width in ((32, 32), (30, 45), (5, 8)):
        images = [np.full((height, width, 3), level) for level in (0.25, 0.75)]
        dark, bright = layout(images)
        assert dark.shape == (min(8, height) * min(8, width) * 6,)
        assert dark.sum() == pytest.approx(bright.sum())
        assert set(np.round(dark, 6)) == {0.0, 0.25}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: pair_distances(GALLERY[:1]), "1 pictures of 1 shapes are no gallery"),
        (lambda: layout([GALLERY[0], GALLERY[0][:8]]), "2 shapes"),
        (lambda: look([image[:4, :4] for image in GALLERY]), "4 x 4"),
        (lambda: cosine_similarity(np.zeros((2, 3))), "zero"),
        (lambda: cosine_similarity(np.full((2, 3), np.nan)), "no numbers"),
        (lambda: vendi(np.ones((2, 3))), r"\[2, 3\]"),
        (lambda: layout(GALLERY, cells=0), "0 cells"),
    ],
)
def test_what_is_no_gallery_is_refused(wrong: object, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        wrong()  # type: ignore[operator]
    assert caught.value.hint
