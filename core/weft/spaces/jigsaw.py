"""A jigsaw of 4 × 4 interlocking pieces whose corners, edges and middles each fit every place of their kind.

The cut is the same after a quarter turn about the image's centre, and the two edge pieces of a side have one shape:

    corner edge   edge   corner        every knob points clockwise along the rim, inwards from the rim to the middle,
    edge   middle middle edge          and clockwise among the four middles
    edge   middle middle edge
    corner edge   edge   corner

so corners can trade places by quarter turns, middles too, and edges by quarter turns and a step along their side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["jigsaw_pieces", "jigsaw_shuffle"]

KNOB_RADIUS = 0.17  # of a piece's side
KNOB_REACH = 0.13  # of a piece's side: the knob's centre beyond the cut


def jigsaw_pieces(size: int) -> NDArray[np.int32]:
    """[S, S] the piece 0..15 of each pixel, numbered in rows by where its square lies. S is a multiple of 16."""
    quarter = size // 4
    square = np.arange(16, dtype=np.int32).reshape(4, 4).repeat(quarter, 0).repeat(quarter, 1)
    pieces = square.copy()
    centres = np.arange(size) + 0.5
    for owner, (row, column), (down, right) in _knobs():
        y = (row + 0.5 + (0.5 + KNOB_REACH) * down) * quarter
        x = (column + 0.5 + (0.5 + KNOB_REACH) * right) * quarter
        knob = (centres[:, None] - y) ** 2 + (centres - x) ** 2 < (KNOB_RADIUS * quarter) ** 2
        pieces[knob] = owner
    return pieces


def _knobs() -> list[tuple[int, tuple[int, int], tuple[int, int]]]:
    """(piece, its row and column, the direction of one of its knobs); those of one quarter, turned four times."""
    found = []
    for cell, way in (((0, 0), (0, 1)), ((0, 1), (0, 1)), ((0, 2), (0, 1)), ((0, 1), (1, 0)), ((0, 2), (1, 0)),
                      ((1, 1), (0, 1))):  # fmt: skip
        for _ in range(4):
            found.append((4 * cell[0] + cell[1], cell, way))
            cell, way = (cell[1], 3 - cell[0]), (way[1], -way[0])  # a quarter turn clockwise
    return found


def jigsaw_shuffle(size: int, random: np.random.Generator) -> NDArray[np.int32]:
    """[S·S] the cell that each pixel shows once the pieces were shuffled: every piece lies in another place."""
    pieces = jigsaw_pieces(size)
    source = np.empty((size, size), np.int32)
    for kind in _KINDS:
        goals = _derangement(len(kind), random)
        for place, goal in zip(kind, goals, strict=True):
            turns, offset = _motion(place, kind[goal], size // 4)
            rows, columns = np.nonzero(pieces == 4 * place[0] + place[1])
            to_rows, to_columns = _turned(rows, columns, turns, size)
            source[to_rows + offset[0], to_columns + offset[1]] = rows * size + columns
    return source.ravel()


_CORNERS = [(0, 0), (0, 3), (3, 3), (3, 0)]
_MIDDLES = [(1, 1), (1, 2), (2, 2), (2, 1)]
_EDGES = [(0, 1), (1, 3), (3, 2), (2, 0), (0, 2), (2, 3), (3, 1), (1, 0)]  # clockwise: the first of a side, the second
_KINDS = (_CORNERS, _MIDDLES, _EDGES)


def _derangement(count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """A permutation that leaves nothing in place."""
    while True:
        order = random.permutation(count)
        if (order != np.arange(count)).all():
            return order


def _motion(start: tuple[int, int], goal: tuple[int, int], quarter: int) -> tuple[int, tuple[int, int]]:
    """Clockwise quarter turns about the image's centre, then (down, right) pixels, that carry a piece to its goal.

    Both are of one kind; the turns bring the piece to the goal's side of the image, the step along it.
    """
    turns = (_side(goal) - _side(start)) % 4
    for _ in range(turns):
        start = (start[1], 3 - start[0])
    return turns, ((goal[0] - start[0]) * quarter, (goal[1] - start[1]) * quarter)


def _side(place: tuple[int, int]) -> int:
    """How many clockwise quarter turns lie between a place and the top (an edge) or the top left (the others)."""
    return next(kind.index(place) % 4 for kind in _KINDS if place in kind)


def _turned(
    rows: NDArray[np.intp], columns: NDArray[np.intp], turns: int, size: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    for _ in range(turns):
        rows, columns = columns, size - 1 - rows
    return rows, columns
