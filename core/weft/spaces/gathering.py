"""The cell's side of a space: a matrix by which every cell reads the views that see it, the better ones more."""

from __future__ import annotations

import numpy as np

from weft.spaces.sparse import SparseMatrix
from weft.spaces.texel_kernels import count_taps, fill_taps

__all__ = ["gathering"]

NEGLIGIBLE = 0.02  # a share below this is left out


def gathering(
    image: np.ndarray,  # i4 [cells, R], the views that see a cell, best first
    x: np.ndarray,  # f4 [cells, R], pixel index coordinates in them
    y: np.ndarray,
    weight: np.ndarray,  # f4 [cells, R] ≥ 0, falling; 0 = unused
    exponent: float,
    *,
    taps: int,
    view_shape: tuple[int, int, int],  # N, H, W
) -> SparseMatrix:
    """G [cells, N·H·W], rows sum to 1: each view counts (weight / best weight)^exponent. High exponents let each cell
    belong to one view. `taps` 2 reads pixels bilinearly, 4 by Catmull-Rom."""
    _, height, width = view_shape
    least_ratio = np.float32(NEGLIGIBLE ** (1 / exponent))
    counts = np.empty(len(weight), np.int32)
    count_taps(weight, least_ratio, taps, counts)
    starts = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=starts[1:])
    columns, values = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float32)
    fill_taps(
        image, x, y, weight, np.float32(exponent), least_ratio, taps, height, width, starts, columns, values
    )  # fmt: skip
    return SparseMatrix(starts, columns, values, int(np.prod(view_shape)))
