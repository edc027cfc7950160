"""A space in which every pixel sees a cell, for methods that keep their state in the canonical space alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weft.spaces.linear import LinearSpace
from weft.spaces.sparse import SparseMatrix

__all__ = ["completed"]


def completed(space: LinearSpace) -> LinearSpace:
    """`space`, and behind its cells one more for every pixel that sees none, in the order of the pixels: what lies
    beside the object is then carried along as it is, and P z is a whole picture."""
    blind = np.flatnonzero(~space.covered).astype(np.int32)
    if not len(blind):
        return space
    cells = space.cells + len(blind)
    projection = _with_entries(space.projection, blind, np.arange(space.cells, cells, dtype=np.int32), cells)
    own = SparseMatrix.from_index(blind, space.projection.shape[0])
    gather, fill = space.gather, space.fill
    return replace(
        space,
        projection=projection,
        gather=None if gather is None else _stacked(gather, own),
        fill=None if fill is None else np.concatenate([fill, np.arange(space.cells, cells, dtype=np.int32)]),
    )


def _with_entries(matrix: SparseMatrix, rows: np.ndarray, columns: np.ndarray, total_columns: int) -> SparseMatrix:
    """`matrix` with a 1 at (rows[i], columns[i]); the rows, ascending, were empty."""
    at = matrix.row_starts[rows]
    counts = matrix.row_counts.copy()
    counts[rows] = 1
    starts = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=starts[1:])
    indices = np.insert(matrix.indices, at, columns)
    values = np.insert(matrix.values, at, np.float32(1))
    return SparseMatrix(starts, indices, values, total_columns)


def _stacked(upper: SparseMatrix, lower: SparseMatrix) -> SparseMatrix:
    starts = np.concatenate([upper.row_starts, lower.row_starts[1:] + upper.row_starts[-1]])
    indices = np.concatenate([upper.indices, lower.indices])
    return SparseMatrix(starts, indices, np.concatenate([upper.values, lower.values]), upper.columns)
