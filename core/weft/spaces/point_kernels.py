"""The loops between points and pixels: where points land in a view that knows its depth, and what a pixel reads."""

from __future__ import annotations

import numba
import numpy as np

from weft.kernels import kernel, parallel_kernel

__all__ = ["count_in_pixels", "land", "read_nearest"]


@parallel_kernel
def land(position, view, perspective, near, lens, depth, slack, at, pixel):
    """Where the points f4 [n, 3] appear in a view whose surface they belong to.

    view f4 [3, 4]: world to (right, up, depth); lens f4 [4] = fx fy cx cy; depth f4 [H, W], infinite = unknown; slack
    f4 [H, W]: how far off its depth a point may be. Writes at f4 [n, 3] = (x, y in pixel index coordinates, depth) and
    pixel i4 [n], -1 for points out of the frame, hidden, or in front of what the view sees.
    """
    height, width = depth.shape
    for n in numba.prange(len(position)):
        x, y, z = position[n, 0], position[n, 1], position[n, 2]
        along = view[2, 0] * x + view[2, 1] * y + view[2, 2] * z + view[2, 3]
        pixel[n] = -1
        if perspective and along < near:
            continue
        scale = np.float32(1) / along if perspective else np.float32(1)
        right = view[0, 0] * x + view[0, 1] * y + view[0, 2] * z + view[0, 3]
        up = view[1, 0] * x + view[1, 1] * y + view[1, 2] * z + view[1, 3]
        at[n, 0] = lens[2] + lens[0] * right * scale - np.float32(0.5)
        at[n, 1] = lens[3] - lens[1] * up * scale - np.float32(0.5)
        at[n, 2] = along
        if not (at[n, 0] > -0.5 and at[n, 1] > -0.5 and at[n, 0] < width - 0.5 and at[n, 1] < height - 0.5):
            continue
        j, i = int(at[n, 0] + np.float32(0.5)), int(at[n, 1] + np.float32(0.5))
        if abs(along - depth[i, j]) <= slack[i, j]:
            pixel[n] = i * width + j


@kernel
def count_in_pixels(pixel, starts, order):
    """Points by pixel: those of pixel r are order[starts[r] : starts[r + 1]], in their own order. pixel i4 [n] (-1 =
    none), starts i4 [pixels + 1], order i4 [points that land]."""
    starts[:] = 0
    for p in pixel:
        if p >= 0:
            starts[p + 1] += 1
    for r in range(1, len(starts)):
        starts[r] += starts[r - 1]
    filled = starts[:-1].copy()
    for n in range(len(pixel)):
        if pixel[n] >= 0:
            order[filled[pixel[n]]] = n
            filled[pixel[n]] += 1


@parallel_kernel
def read_nearest(at, starts, order, depth, slack, reach, softening, cell, tap):
    """The points nearest to every pixel's centre, on its own surface, and how much it reads of each.

    at, depth and slack as in `land`, starts and order as in `count_in_pixels`; `reach` ≤ 1.5 pixels. A point at the
    distance d counts (1 - d² / reach²)² / (d² + softening²): one in the very centre alone. Writes cell i4 [H·W, K] and
    tap f4 [H·W, K], which sums to 1 or, where no point is near, is 0.
    """
    height, width = depth.shape
    kept = cell.shape[1]
    for i in numba.prange(height):
        for j in range(width):
            row = i * width + j
            for k in range(kept):
                cell[row, k] = 0
                tap[row, k] = 0
            for r in range(max(i - 1, 0), min(i + 2, height)):
                for q in range(max(j - 1, 0), min(j + 2, width)):
                    for entry in range(starts[r * width + q], starts[r * width + q + 1]):
                        n = order[entry]
                        x, y = at[n, 0] - j, at[n, 1] - i
                        d = x * x + y * y
                        if d >= reach * reach or abs(at[n, 2] - depth[i, j]) > slack[i, j]:
                            continue
                        fade = np.float32(1) - d / (reach * reach)
                        _keep(cell[row], tap[row], n, fade * fade / (d + softening * softening))
            total = np.float32(0)
            for k in range(kept):
                total += tap[row, k]
            if total > 0:
                for k in range(kept):
                    tap[row, k] /= total


@kernel
def _keep(cell, tap, n, weight):
    k = len(tap) - 1
    if weight <= tap[k]:
        return
    while k > 0 and tap[k - 1] < weight:
        cell[k], tap[k] = cell[k - 1], tap[k - 1]
        k -= 1
    cell[k], tap[k] = n, weight
