"""A wide image seen through overlapping square windows: every window pixel is one pixel of the image.

Bar-Tal et al. 2023 ("MultiDiffusion") average the windows; here a window may count more near its centre, so that fine
detail can belong to one window instead of to the mean of several that differ a little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weft.errors import InvalidInput
from weft.spaces.linear import LinearSpace, lookup
from weft.spaces.sparse import SparseMatrix

__all__ = ["WideImageSpace", "window_starts"]

_NEGLIGIBLE = 0.02  # a share of the best window's below which a window is left out


def window_starts(length: int, window: int, stride: int, *, wrap: bool = False) -> np.ndarray:
    """i4 [n]: where windows begin along an axis. The last one ends at the border, or, with `wrap`, runs over it."""
    if wrap:
        return np.arange(0, length, stride, dtype=np.int32)
    return np.append(np.arange(0, length - window, stride), length - window).astype(np.int32)


@dataclass(frozen=True, eq=False)
class WideImageSpace:
    """Windows of `window`² pixels every `stride` pixels over [height, width] cells (row-major), row by row.

    `wrap` joins the left border to the right one. Raises InvalidInput if a window does not fit or a stride skips
    pixels.
    """

    height: int
    width: int
    window: int
    stride: int
    wrap: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.window <= min(self.height, self.width):
            raise InvalidInput(
                f"a window of {self.window} px does not fit an image of {self.width}×{self.height} px",
                "use a smaller window or a larger image",
            )
        if not 1 <= self.stride <= self.window:
            raise InvalidInput(
                f"a stride of {self.stride} px leaves gaps between windows of {self.window} px",
                "use a stride from 1 px to the window",
            )

    @cached_property
    def corners(self) -> np.ndarray:
        """i4 [N, 2]: row and column of each window's first pixel."""
        rows = window_starts(self.height, self.window, self.stride)
        columns = window_starts(self.width, self.window, self.stride, wrap=self.wrap)
        return np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)

    @property
    def cells(self) -> int:
        return self.height * self.width

    @property
    def view_shape(self) -> tuple[int, int, int]:
        return len(self.corners), self.window, self.window

    @cached_property
    def index(self) -> np.ndarray:
        """i4 [N·w·w]: the cell that each window pixel shows."""
        steps = np.arange(self.window, dtype=np.int32)
        rows = self.corners[:, 0, None] + steps
        columns = (self.corners[:, 1, None] + steps) % self.width
        return (rows[:, :, None] * self.width + columns[:, None, :]).reshape(-1)

    def linear(self, exponent: float = 0.0, *, taps: int = 1) -> LinearSpace:
        """The space in which a window counts (weight / best weight)^exponent, weight = exp(-r²), r the distance from
        its centre in half windows; 0 is the plain average. A lookup with F∘F = F either way: cells coincide with
        window pixels, so `taps` changes nothing."""
        plain = lookup(self.index, self.cells, self.view_shape)
        return LinearSpace(plain.projection, self.view_shape, self._gather(exponent))

    @property
    def owner(self) -> np.ndarray:
        """i4 [cells]: the window whose centre is nearest to each cell (the first of equals)."""
        farness, least = self._farness
        owner = np.full(self.cells, len(self.corners), np.int32)
        closest = np.flatnonzero(farness == least[self.index])
        np.minimum.at(owner, self.index[closest], (closest // self.window**2).astype(np.int32))
        return owner

    @cached_property
    def _farness(self) -> tuple[np.ndarray, np.ndarray]:
        """r² of every window pixel [N·w·w], and the least of each cell [cells]."""
        off = (np.arange(self.window) + 0.5) / (self.window / 2) - 1
        farness = np.tile((off[:, None] ** 2 + off**2).reshape(-1), len(self.corners))
        least = np.full(self.cells, np.inf)
        np.minimum.at(least, self.index, farness)
        return farness, least

    def _gather(self, exponent: float) -> SparseMatrix:
        farness, least = self._farness
        share = np.exp(-exponent * (farness - least[self.index])).astype(np.float32)
        kept = np.flatnonzero(share >= _NEGLIGIBLE)
        shape = (self.cells, len(self.index))
        return SparseMatrix.from_entries(self.index[kept], kept, share[kept], shape).rows_normalized()
