"""Frames of a video as views of what moves in them: a cell is one thing's way through the frames.

Optical flow says where each pixel was a frame before. A pixel takes the cell of the pixel that it came from, if the
flow back agrees with the flow forth; otherwise it begins a cell of its own, and so does all that comes into view.
Cells know where they are between pixels, so that slow movements add up. No cell has two pixels of one frame. What is
explained as well by standing still stands still: flow drifts where there is little to see, and still matter shimmers.
It is a lookup: F keeps what moves consistently as it is, and averages over time what does not. F∘A is then a temporal
prior for any editor A of single frames, and frames are edited like views (`methods.view_editing`).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage

from weft.errors import InvalidImage, InvalidInput
from weft.geometry.optical_flow import agreeing, optical_flow, sampled
from weft.spaces.linear import LinearSpace, lookup

__all__ = ["followed", "frame_space", "tracks"]

_FARTHEST = 0.71  # px between where a cell is and the middle of its pixel: half a diagonal
_STILL = 2 / 255  # RMS over a window, by which standing still may explain less than moving: noise of cameras
_WINDOW = 2.0  # px, standard deviation
_AROUND = np.array([(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)], np.float32)


def frame_space(frames: np.ndarray) -> LinearSpace:
    """`frames` f4 [N, H, W, 3] in [0, 1], in order. Raises InvalidImage, InvalidInput for fewer than two."""
    index = tracks(frames)
    count, height, width = index.shape
    return lookup(index.reshape(-1), int(index.max()) + 1, (count, height, width))


def tracks(frames: np.ndarray, *, moving: bool = True) -> np.ndarray:
    """i4 [N, H, W]: the cell that each pixel of `frames` f4 [N, H, W, 3] shows. Cells count from 0. Unless `moving`,
    only what stands still keeps its cells."""
    if frames.ndim != 4 or not np.isfinite(frames).all():
        raise InvalidImage(f"frames of shape {list(frames.shape)} with NaN or infinity", "give [N, H, W, 3] in [0, 1]")
    if len(frames) < 2:
        raise InvalidInput("one frame has nothing to agree with", "give two or more")
    flows = []
    for before, after in pairwise(frames):
        back, known = np.zeros((*after.shape[:2], 2), np.float32), np.zeros(after.shape[:2], bool)
        if moving:
            back = optical_flow(after, before)
            known = agreeing(back, optical_flow(before, after))
        still = _unlike(before, after, 0 * back) <= (_unlike(before, after, back) if moving else 0) + _STILL**2
        flows.append((np.where(still[..., None], 0, back).astype(np.float32), known | still))
    return followed(flows)


def _unlike(before: np.ndarray, after: np.ndarray, back: np.ndarray) -> np.ndarray:
    """f4 [H, W], mean square over a window of what a flow `back` leaves unexplained."""
    row, column = np.indices(after.shape[:2], np.float32)
    missed = after - sampled(before, np.stack([column, row], -1) + back)
    return ndimage.gaussian_filter(np.square(missed).mean(-1), _WINDOW, mode="nearest")


def followed(flows: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """i4 [N, H, W] from N - 1 flows back: (f4 [H, W, 2] right and down from each frame to the one before, bool [H, W]
    where that is known)."""
    height, width = flows[0][1].shape
    cell = np.arange(height * width, dtype=np.int32).reshape(height, width)
    beside = np.zeros((height, width, 2), np.float32)  # from a pixel's middle to where its cell is
    found, cells = [cell], height * width
    for back, known in flows:
        cell, beside = _next(cell, beside, back, known)
        new = cell < 0
        cell[new] = np.arange(cells, cells + new.sum(), dtype=np.int32)
        cells += int(new.sum())
        found.append(cell)
    return np.stack(found)


def _next(cell: np.ndarray, beside: np.ndarray, back: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(cells i4 [H, W] of the next frame, -1 for new ones, and where they are beside their pixels)."""
    height, width = cell.shape
    row, column = np.indices(cell.shape, np.float32)
    came_from = np.stack([column, row], -1) + back
    nearest = np.rint(came_from)[:, :, None] + _AROUND  # [H, W, 9, 2], the pixels around
    x, y = nearest[..., 0].astype(np.int32), nearest[..., 1].astype(np.int32)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    offset = np.stack([x, y], -1) + beside[y, x] - came_from[:, :, None]  # where their cells are, from here
    distance = np.where(inside & known[:, :, None], np.linalg.norm(offset, axis=-1), np.inf)
    best = distance.argmin(-1)
    chosen = np.take_along_axis(distance, best[..., None], -1)[..., 0]
    taken = np.where(chosen <= _FARTHEST, np.take_along_axis(cell[y, x], best[..., None], -1)[..., 0], -1)
    _leave_one_each(taken, chosen)
    offset = np.take_along_axis(offset, best[..., None, None], 2)[:, :, 0]
    return taken, np.where(taken[..., None] >= 0, offset, 0).astype(np.float32)


def _leave_one_each(taken: np.ndarray, distance: np.ndarray) -> None:
    """-1, in place, for all but the nearest pixel of each cell."""
    flat = taken.reshape(-1)
    order = np.lexsort((distance.reshape(-1), flat))
    again = np.zeros(len(flat), bool)
    again[order[1:]] = flat[order[1:]] == flat[order[:-1]]
    flat[again] = -1
