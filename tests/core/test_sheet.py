"""Contact sheets: pictures of any size in tiles of one, beside each other as they were given."""

from __future__ import annotations

import numpy as np
import pytest

from weft.tasks.sheet import TILE, sheet

RED = np.array([0.8, 0.2, 0.2], np.float32)


def shown(tile: np.ndarray) -> tuple[int, int]:
    """Rows and columns of the red picture in a tile."""
    red = np.abs(tile - RED).max(-1) < 0.02
    return int(red.any(1).sum()), int(red.any(0).sum())


@pytest.mark.parametrize("shape", [(64, 64), (100, 400), (1000, 250)])
def test_pictures_fill_their_tiles_in_their_own_aspect(shape: tuple[int, int]) -> None:
    tile = sheet([[("", np.broadcast_to(RED, (*shape, 3)))]])
    rows, columns = shown(tile)
    assert rows == TILE - 24 or columns == TILE - 8
    assert rows / columns == pytest.approx(shape[0] / shape[1], rel=0.05)


def test_rows_keep_their_order_and_are_filled_up_with_white() -> None:
    red, blue = (np.broadcast_to(colour, (32, 32, 3)) for colour in (RED, RED[::-1]))
    page = sheet([[("one", red), ("two", blue)], [("three", blue)]])
    assert page.shape == (2 * TILE, 2 * TILE, 3)
    middles = page.reshape(2, TILE, 2, TILE, 3)[:, TILE // 2, :, TILE // 2]
    assert np.allclose(middles, [[RED, RED[::-1]], [RED[::-1], [1, 1, 1]]], atol=0.01)


def test_labels_stay_in_their_tile() -> None:
    white = np.ones((8, 8, 3), np.float32)
    page = sheet([[("W" * 200, white), ("", white)]])
    assert page[:, :TILE].min() < 0.5
    assert page[:, TILE:].min() == 1
