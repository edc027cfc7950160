"""Matches carried from windows to those that overlap them: the same patches of the exemplar, at the same places."""

from __future__ import annotations

import numpy as np
import pytest

from weft.models.exemplar_matches import Matches, carried


def matches_at(top: int, left: int, *, step: int = 2, side: int = 6, far: int = 100) -> Matches:
    """As an image would have them that shows the exemplar itself, `far` px into it: offsets are places."""
    rows, columns = (first + far + step * np.arange(side) for first in (top, left))
    offsets = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1)[None, :, :, None].repeat(3, 3)
    return Matches(2, 5, step, offsets.astype(np.int32))


@pytest.mark.parametrize(("down", "right"), [(0, 4), (3, -5), (-7, 1), (10, 10)])
def test_what_is_known_of_a_place_is_known_wherever_the_window_is(down, right):
    found = carried([(matches_at(0, 0), down, right)])
    assert found is not None
    assert not found.settled
    known = found.offsets[..., 0] >= 0
    assert known.any()
    assert (found.offsets[known] == matches_at(down, right).offsets[known]).all()
    overlap = [6 - abs(round(way / 2)) for way in (down, right)]
    assert known.sum() == 3 * np.prod(overlap)


def test_the_newest_counts_and_others_fill_what_it_does_not_know():
    found = carried([(matches_at(0, 0), 0, 4), (matches_at(0, 0, far=500), 0, 0), (matches_at(0, 0, side=5), 0, 0)])
    assert found is not None
    assert (found.offsets[:, :, :4] == matches_at(0, 4).offsets[:, :, :4]).all()
    assert (found.offsets[:, :, 4:] == matches_at(0, 0, far=500).offsets[:, :, 4:]).all()


def test_windows_apart_tell_nothing():
    assert carried([(matches_at(0, 0), 12, 0), (matches_at(0, 0), 0, -12)]) is None
    assert carried([]) is None
