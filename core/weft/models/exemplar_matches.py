"""Which patches of an exemplar the last call found where: the next one starts from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Matches", "carried"]


@dataclass(frozen=True)
class Matches:
    """Of images that the next call sees again, or, if not `settled`, of what overlapped them."""

    d: int  # pixels of a coarse one
    patch: int  # coarse pixels
    step: int  # pixels between queries
    offsets: np.ndarray  # i4 [N, h, w, K, 2], -1: unknown
    settled: bool = True


def carried(known: Sequence[tuple[Matches, int, int]]) -> Matches | None:
    """What is known of a window from those that overlap it, of its size and image, the newest first: each with the rows
    and columns, in pixels, that the new window lies below and right of it. None if none does."""
    found: Matches | None = None
    for matches, down, right in known:
        if found is not None and not _alike(matches, found):
            continue
        rows, columns = (round(way / matches.step) for way in (down, right))
        rest = np.array([down - rows * matches.step, right - columns * matches.step], np.int32)
        height, width = matches.offsets.shape[1:3]
        if abs(rows) >= height or abs(columns) >= width:
            continue
        if found is None:
            blank = np.full_like(matches.offsets, -1)
            found = Matches(matches.d, matches.patch, matches.step, blank, settled=False)
        old = matches.offsets[:, max(rows, 0) : height + min(rows, 0), max(columns, 0) : width + min(columns, 0)]
        top, left = max(-rows, 0), max(-columns, 0)
        new = found.offsets[:, top : top + old.shape[1], left : left + old.shape[2]]
        np.copyto(new, np.maximum(old + rest, 0), where=(old >= 0) & (new < 0))
    return found


def _alike(one: Matches, other: Matches) -> bool:
    """Whether both are of one level and size."""
    keys = ((each.d, each.patch, each.step, each.offsets.shape) for each in (one, other))
    return len(set(keys)) == 1
