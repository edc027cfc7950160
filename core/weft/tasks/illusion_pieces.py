"""Pieces of a shuffled image in flight: each on an arc of its own, some earlier, some later, turning on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from weft.spaces.illusion import Transformation

__all__ = ["flying"]

_ARC = 0.22  # of the way: how far the arc bends aside
_LAG = 0.35  # of the time: the last piece starts so much later
_SEED = 7  # of the arcs: the same in every film


@dataclass(frozen=True, eq=False)
class _Flight:
    """The way of each of n pieces."""

    cells: list[tuple[NDArray[np.intp], NDArray[np.intp]]]  # rows and columns in the image
    start: NDArray[np.float64]  # [n, 2], the pieces' middles (row, column)
    goal: NDArray[np.float64]  # [n, 2]
    turn: NDArray[np.float64]  # [n] degrees counter-clockwise
    bend: NDArray[np.float64]  # [n, 2], added halfway
    lag: NDArray[np.float64]  # [n], in [0, _LAG]
    order: NDArray[np.intp]  # [n], later ones fly above

    def at(self, t: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(middles [n, 2], degrees [n]) at t in [0, 1]."""
        own = np.clip((t - self.lag) / (1 - _LAG), 0, 1)
        own = own * own * (3 - 2 * own)
        arc = (4 * own * (1 - own))[:, None]
        return self.start + (self.goal - self.start) * own[:, None] + self.bend * arc, self.turn * own


def flying(image: NDArray[np.float32], view: Transformation, margin: int) -> Callable[[float], NDArray[np.float32]]:
    """The frame f4 [C, C, 4] (colour times cover, cover), C = S + 2 margin, at t in [0, 1] of the way to the view."""
    flight = _flight(view)

    def frame_at(t: float) -> NDArray[np.float32]:
        middles, degrees = flight.at(t)
        frame = np.zeros((len(image) + 2 * margin, len(image) + 2 * margin, 4), np.float32)
        if flight.turn.any():
            for i in flight.order:
                _place(frame, image, flight.cells[i], flight.start[i], middles[i] + margin, float(degrees[i]))
        else:
            _place_upright(frame, image, flight, middles + margin)
        return frame

    return frame_at


def _flight(view: Transformation) -> _Flight:
    assert view.pieces is not None
    size, count = view.size, int(view.pieces.max()) + 1
    rows, columns = np.divmod(np.arange(size * size), size)
    to_rows, to_columns = np.divmod(view.back, size)
    order = np.argsort(view.pieces, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(view.pieces, minlength=count))[:-1])
    start = np.array([(rows[g].mean(), columns[g].mean()) for g in groups])
    goal = np.array([(to_rows[g].mean(), to_columns[g].mean()) for g in groups])
    turn = np.array([_turn(rows[g], columns[g], to_rows[g], to_columns[g]) for g in groups])
    random = np.random.default_rng(_SEED)
    way = goal - start
    bend = np.stack([-way[:, 1], way[:, 0]], -1) * random.uniform(-_ARC, _ARC, (count, 1))
    lag = _LAG * (0.6 * start.sum(1) / (2 * size) + 0.4 * random.random(count))  # from the top left, loosely
    cells = [(rows[g], columns[g]) for g in groups]
    return _Flight(cells, start, goal, turn, bend, lag, random.permutation(count))


def _turn(
    rows: NDArray[np.intp], columns: NDArray[np.intp], to_rows: NDArray[np.intp], to_columns: NDArray[np.intp]
) -> float:
    """Degrees counter-clockwise, in (-180, 180], that a piece turns: the rotation of least squares."""
    a = (columns - columns.mean()) - 1j * (rows - rows.mean())  # x right, y up
    b = (to_columns - to_columns.mean()) - 1j * (to_rows - to_rows.mean())
    degrees = np.degrees(np.angle((b * a.conj()).sum()))
    return 180.0 if degrees < -179.9 else (0.0 if abs(degrees) < 0.1 else float(degrees))


def _place(
    frame: NDArray[np.float32], image: NDArray[np.float32], cells: tuple[NDArray[np.intp], NDArray[np.intp]],
    start: NDArray[np.float64], middle: NDArray[np.float64], degrees: float,
) -> None:  # fmt: skip
    """Lay a turned piece over the frame, smoothly at its rim."""
    rows, columns = cells
    top, left = int(rows.min()) - 1, int(columns.min()) - 1
    tile = np.zeros((rows.max() - top + 2, columns.max() - left + 2, 4), np.float32)
    tile[rows - top, columns - left] = np.append(image[rows, columns], np.ones((len(rows), 1), np.float32), 1)
    reach = int(np.ceil(np.hypot(tile.shape[0], tile.shape[1]) / 2)) + 2
    first = np.floor(middle).astype(int) - reach
    y, x = np.mgrid[: 2 * reach, : 2 * reach] + first[:, None, None] - middle[:, None, None]
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    from_x, from_y = cos * x - sin * y, sin * x + cos * y  # rows count down
    height, width = tile.shape[:2]
    u = (from_x + start[1] - left + 0.5) * 2 / width - 1
    v = (from_y + start[0] - top + 0.5) * 2 / height - 1
    grid = torch.from_numpy(np.stack([u, v], -1).astype(np.float32))[None]
    drawn = functional.grid_sample(torch.from_numpy(tile).permute(2, 0, 1)[None], grid, align_corners=False)
    piece = drawn[0].permute(1, 2, 0).numpy()
    low, high = np.maximum(first, 0), np.minimum(first + 2 * reach, len(frame))
    if (low < high).all():
        part = piece[low[0] - first[0] : high[0] - first[0], low[1] - first[1] : high[1] - first[1]]
        target = frame[low[0] : high[0], low[1] : high[1]]
        target[:] = part + (1 - part[..., 3:]) * target


def _place_upright(
    frame: NDArray[np.float32], image: NDArray[np.float32], flight: _Flight, middles: NDArray[np.float64]
) -> None:
    """Lay all pieces over the frame at whole pixels, at once: where several meet, the last one written stays."""
    steps = np.rint(middles - flight.start).astype(int)
    rows, columns = (np.concatenate([flight.cells[i][axis] for i in flight.order]) for axis in (0, 1))
    down, right = (
        np.concatenate([np.full(len(flight.cells[i][0]), steps[i, axis]) for i in flight.order]) for axis in (0, 1)
    )
    to_rows, to_columns = rows + down, columns + right
    inside = (to_rows >= 0) & (to_rows < len(frame)) & (to_columns >= 0) & (to_columns < len(frame))
    frame[to_rows[inside], to_columns[inside], :3] = image[rows[inside], columns[inside]]
    frame[to_rows[inside], to_columns[inside], 3] = 1
