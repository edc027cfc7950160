"""Many thin curved strokes, one over the other: grass, hair, paint."""

from __future__ import annotations

import numpy as np

from weft.kernels import kernel

__all__ = ["draw_blades"]


@kernel
def draw_blades(n, root, tip, bend, width, taper):
    """Draw blades in order, later ones on top, on a periodic tile of n×n pixels.

    `root`, `tip` f4 [M, 2] (x, y) in tiles, `bend` f4 [M] how far the middle is pushed sideways, `width` f4 [M] at the
    root, shrinking by 1 - t^taper to the tip. Returns the blade i4 [n, n] (-1: none), the place along it (0 root ..
    1 tip) and across it (-1 .. 1).
    """
    blade = np.full((n, n), -1, np.int32)
    along = np.zeros((n, n), np.float32)
    across = np.zeros((n, n), np.float32)
    for m in range(root.shape[0]):
        ax, ay = root[m, 0], root[m, 1]
        ux, uy = tip[m, 0] - ax, tip[m, 1] - ay
        length = np.sqrt(ux * ux + uy * uy)
        if length <= 0:
            continue
        ux, uy = ux / length, uy / length
        reach = abs(bend[m]) + width[m]
        left, right = min(ax, tip[m, 0]) - reach, max(ax, tip[m, 0]) + reach
        top, bottom = min(ay, tip[m, 1]) - reach, max(ay, tip[m, 1]) + reach
        for i in range(int(np.floor(top * n)), int(np.ceil(bottom * n)) + 1):
            for j in range(int(np.floor(left * n)), int(np.ceil(right * n)) + 1):
                x, y = (j + 0.5) / n - ax, (i + 0.5) / n - ay
                t = (x * ux + y * uy) / length
                if t < 0 or t > 1:
                    continue
                side = -x * uy + y * ux - 4 * bend[m] * t * (1 - t)
                half = 0.5 * width[m] * (1 - t**taper)
                if abs(side) < half:
                    blade[i % n, j % n] = m
                    along[i % n, j % n] = t
                    across[i % n, j % n] = side / half
    return blade, along, across
