"""Periodic Voronoi cells: which cell a place belongs to, and how far its border is.

The border distance is the exact distance to the nearest bisector (not the difference of the two nearest distances,
whose lines grow and shrink in width); cf. Quilez, "Voronoi edges" (2012).
"""

from __future__ import annotations

import numpy as np

from weft.kernels import kernel

__all__ = ["nearest_cells"]


@kernel
def nearest_cells(x: np.ndarray, y: np.ndarray, points: np.ndarray):
    """`x`, `y` f4 [h, w] in tiles; `points` f4 [down, across, 2], one a grid cell, at most half a cell off it.

    Returns index i4 [h, w] (row-major in the grid), border distance, and the offset (dx, dy) from the cell's centre,
    all f4 [h, w] in tiles.
    """
    height, width = x.shape
    down, across = points.shape[:2]
    index = np.empty((height, width), np.int32)
    border = np.empty((height, width), np.float32)
    dx = np.empty((height, width), np.float32)
    dy = np.empty((height, width), np.float32)
    for r in range(height):
        for c in range(width):
            px, py = x[r, c], y[r, c]
            column, row = int(np.floor(px * across)), int(np.floor(py * down))
            best, best_row, best_column = np.float32(1e9), 0, 0
            near_x, near_y = np.float32(0), np.float32(0)
            for i in range(row - 2, row + 3):
                for j in range(column - 2, column + 3):
                    ox = points[i % down, j % across, 0] + j // across - px
                    oy = points[i % down, j % across, 1] + i // down - py
                    distance = ox * ox + oy * oy
                    if distance < best:
                        best, best_row, best_column, near_x, near_y = distance, i, j, ox, oy
            edge = np.float32(1e9)
            for i in range(best_row - 2, best_row + 3):
                for j in range(best_column - 2, best_column + 3):
                    if i == best_row and j == best_column:
                        continue
                    ox = points[i % down, j % across, 0] + j // across - px
                    oy = points[i % down, j % across, 1] + i // down - py
                    gap_x, gap_y = ox - near_x, oy - near_y
                    length = np.sqrt(gap_x * gap_x + gap_y * gap_y)
                    edge = min(edge, (ox * ox + oy * oy - best) / (2 * length))
            index[r, c] = (best_row % down) * across + best_column % across
            border[r, c] = edge
            dx[r, c], dy[r, c] = -near_x, -near_y
    return index, border, dx, dy
