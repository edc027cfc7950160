"""Cutting an image into pieces that can trade places: which pixels a piece covers wherever it may lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Shuffle", "jigsaw", "squares"]

KNOB_RADIUS = 0.17  # of a jigsaw piece's side
KNOB_REACH = 0.13  # of a jigsaw piece's side: the knob's centre beyond the cut
_CORNERS = [(0, 0), (0, 3), (3, 3), (3, 0)]
_MIDDLES = [(1, 1), (1, 2), (2, 2), (2, 1)]
_EDGES = [(0, 1), (1, 3), (3, 2), (2, 0), (0, 2), (2, 3), (3, 1), (1, 0)]  # clockwise: the first of a side, the second


@dataclass(frozen=True, eq=False)
class Shuffle:
    """The cut of an image. Pieces of a kind, in a fixed order, fit each other's places, turned by quarter turns.

    Places of a kind are numbered like the pieces that lie there before anything is moved.
    """

    size: int  # S
    pieces: NDArray[np.int32]  # [S·S], the piece of each cell
    kinds: tuple[NDArray[np.int32], ...]  # per kind [n, m]: the m cells of each of its n pieces, as the first has them

    def random(self, generator: np.random.Generator) -> list[NDArray[np.intp]]:
        """For each kind, the place that every piece goes to, never its own."""
        return [_derangement(len(kind), generator) for kind in self.kinds]

    def source(self, goals: list[NDArray[np.intp]]) -> NDArray[np.int32]:
        """[S·S] the cell that each pixel shows once each piece lies at its goal."""
        source = np.empty(self.size**2, np.int32)
        for kind, places in zip(self.kinds, goals, strict=True):
            source[kind[places]] = kind
        return source


def squares(size: int, count: int) -> Shuffle:
    """`count` × `count` squares, which divides S; all fit everywhere, upright."""
    side = size // count
    grid = np.arange(size * size, dtype=np.int32).reshape(count, side, count, side)
    cells = grid.swapaxes(1, 2).reshape(count**2, side**2)
    return Shuffle(size, _labels(size, (cells,)), (cells,))


def jigsaw(size: int) -> Shuffle:
    """4 × 4 interlocking pieces; corners, middles and edges each fit every place of their kind. S: a multiple of 16.

    The cut is the same after a quarter turn about the image's centre, and the two edge pieces of a side have one shape:
    every knob points clockwise along the rim, inwards from the rim to the middle, and clockwise among the four middles.
    """
    owner = _cut(size)
    kinds = []
    for places in (_CORNERS, _MIDDLES, _EDGES):
        rows, columns = np.nonzero(owner == 4 * places[0][0] + places[0][1])
        cells = []
        for i, place in enumerate(places):
            turned_rows, turned_columns, corner = rows, columns, places[0]
            for _ in range(i % 4):  # clockwise about the centre
                turned_rows, turned_columns = turned_columns, size - 1 - turned_rows
                corner = corner[1], 3 - corner[0]
            down, right = ((place[axis] - corner[axis]) * (size // 4) for axis in (0, 1))
            cells.append((turned_rows + down) * size + turned_columns + right)
        kinds.append(np.array(cells, np.int32))
    return Shuffle(size, _labels(size, tuple(kinds)), tuple(kinds))


def _cut(size: int) -> NDArray[np.int32]:
    """[S, S] the piece of each pixel, numbered in rows by where its square lies."""
    quarter = size // 4
    pieces = np.arange(16, dtype=np.int32).reshape(4, 4).repeat(quarter, 0).repeat(quarter, 1)
    centres = np.arange(size) + 0.5
    for piece, (row, column), (down, right) in _knobs():
        y = (row + 0.5 + (0.5 + KNOB_REACH) * down) * quarter
        x = (column + 0.5 + (0.5 + KNOB_REACH) * right) * quarter
        knob = (centres[:, None] - y) ** 2 + (centres - x) ** 2 < (KNOB_RADIUS * quarter) ** 2
        pieces[knob] = piece
    return pieces


def _knobs() -> list[tuple[int, tuple[int, int], tuple[int, int]]]:
    """(piece, its row and column, the direction of one of its knobs): those of one quarter, turned four times."""
    right, down = (0, 1), (1, 0)
    quarter = [((0, 0), right), ((0, 1), right), ((0, 2), right), ((0, 1), down), ((0, 2), down), ((1, 1), right)]
    found = []
    for cell, way in quarter:
        for _ in range(4):
            found.append((4 * cell[0] + cell[1], cell, way))
            cell, way = (cell[1], 3 - cell[0]), (way[1], -way[0])
    return found


def _labels(size: int, kinds: tuple[NDArray[np.int32], ...]) -> NDArray[np.int32]:
    """[S·S] pieces numbered kind after kind."""
    labels, first = np.empty(size**2, np.int32), 0
    for kind in kinds:
        labels[kind] = first + np.arange(len(kind), dtype=np.int32)[:, None]
        first += len(kind)
    return labels


def _derangement(count: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """A permutation that leaves nothing in place. `count` ≥ 2."""
    while True:
        order = generator.permutation(count)
        if (order != np.arange(count)).all():
            return order
