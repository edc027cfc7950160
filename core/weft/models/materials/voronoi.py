"""Periodic Voronoi cells: which cell a place belongs to, and how far its border is.

The border distance is the exact distance to the nearest bisector (not the difference of the two nearest distances,
whose lines grow and shrink in width); cf. Quilez, "Voronoi edges" (2012).
"""

from __future__ import annotations

import numpy as np

from weft.kernels import kernel

__all__ = ["PAD", "nearest_cells"]

PAD = 5  # grid cells by which the points continue around the tile


@kernel
def nearest_cells(x, y, points, stagger, aspect, want_border):
    """`x`, `y` f4 [h, w] in tiles; `points` f4 [down + 2 PAD, across + 2 PAD, 2] (x, y), continued periodically.

    The point of grid cell (r, c) lies inside that cell, which `stagger` (cells) moves right in odd rows. Distances
    count y `aspect` times. Returns the index i4 [h, w] (row-major without the padding), the border distance (0 unless
    wanted) and the offset (dx, dy) from the cell's point, all f4 [h, w] in tiles.
    """
    height, width = x.shape
    down, across = points.shape[0] - 2 * PAD, points.shape[1] - 2 * PAD
    # A point two rows or columns away is at least one cell away.
    far = min(aspect / down, np.float32(1.0) / across) ** 2
    index = np.empty((height, width), np.int32)
    border = np.zeros((height, width), np.float32)
    dx = np.empty((height, width), np.float32)
    dy = np.empty((height, width), np.float32)
    for r in range(height):
        for c in range(width):
            px, py = x[r, c] - np.floor(x[r, c]), y[r, c] - np.floor(y[r, c])
            row = int(py * down) + PAD
            best, best_i, best_j = np.float32(1e9), 0, 0
            near_x, near_y = np.float32(0), np.float32(0)
            for reach in range(1, 3):
                if best < far:
                    break
                for i in range(row - reach, row + reach + 1):
                    column = int(np.floor(px * across - stagger * ((i - PAD) & 1))) + PAD
                    for j in range(column - reach, column + reach + 1):
                        ox, oy = points[i, j, 0] - px, (points[i, j, 1] - py) * aspect
                        distance = ox * ox + oy * oy
                        if distance < best:
                            best, best_i, best_j, near_x, near_y = distance, i, j, ox, oy
            index[r, c] = ((best_i - PAD) % down) * across + (best_j - PAD) % across
            dx[r, c], dy[r, c] = -near_x, -near_y / aspect
            if not want_border:
                continue
            edge = np.float32(1e9)
            for i in range(best_i - 2, best_i + 3):
                for j in range(best_j - 2, best_j + 3):
                    ox, oy = points[i, j, 0] - px, (points[i, j, 1] - py) * aspect
                    gap = (ox - near_x) ** 2 + (oy - near_y) ** 2
                    twice = ox * ox + oy * oy - best
                    if gap > 0 and twice * twice < 4 * edge * edge * gap:
                        edge = twice / (2 * np.sqrt(gap))
            border[r, c] = edge
    return index, border, dx, dy
