"""The loops in which other views are asked whether they see what one view is thought to see."""

from __future__ import annotations

import numba
import numpy as np

from weft.kernels import parallel_kernel

__all__ = ["compare_colours", "compare_depths"]


@parallel_kernel
def compare_depths(depth, rays, shifts, others, back_rays, back_shifts, pixels, share, agree, contradicted, total):
    """What other views say to a view's depth f4 [H, W], infinite = unknown.

    rays f4 [K, 3, 3] and shifts f4 [K, 3] as in
    `stereo_kernels.sweep`, back_rays and back_shifts from the others; `others` f4
    [K, H, W] their depths. A depth agrees where what the other view sees in its place appears here within `pixels` and
    within the part `share` of the same depth; it is contradicted where it would hide what the other view sees.
    Writes the numbers agree and contradicted i4 [H, W], and total f4 [H, W], the sum of the depths that agree.
    """
    height, width = depth.shape
    for i in numba.prange(height):
        for j in range(width):
            agree[i, j], contradicted[i, j], total[i, j] = 0, 0, 0
            if not np.isfinite(depth[i, j]):
                continue
            x, y, near = np.float32(j + 0.5), np.float32(i + 0.5), np.float32(1) / depth[i, j]
            for k in range(len(others)):
                z = rays[k, 2, 0] * x + rays[k, 2, 1] * y + rays[k, 2, 2] + near * shifts[k, 2]
                if z <= 1e-6:
                    continue
                u = (rays[k, 0, 0] * x + rays[k, 0, 1] * y + rays[k, 0, 2] + near * shifts[k, 0]) / z
                v = (rays[k, 1, 0] * x + rays[k, 1, 1] * y + rays[k, 1, 2] + near * shifts[k, 1]) / z
                if not (u >= 0 and v >= 0 and u < width and v < height):
                    continue
                there, own = others[k, int(v), int(u)], z * depth[i, j]
                if not np.isfinite(there):
                    continue
                if own < there * (1 - share):
                    contradicted[i, j] += 1
                    continue
                back = back_rays[k]
                far = back[2, 0] * u + back[2, 1] * v + back[2, 2] + back_shifts[k, 2] / there
                if far <= 1e-6:
                    continue
                off_x = (back[0, 0] * u + back[0, 1] * v + back[0, 2] + back_shifts[k, 0] / there) / far - x
                off_y = (back[1, 0] * u + back[1, 1] * v + back[1, 2] + back_shifts[k, 1] / there) / far - y
                distance = far * there
                if off_x * off_x + off_y * off_y < pixels * pixels and abs(distance * near - 1) < share:
                    agree[i, j] += 1
                    total[i, j] += distance


@parallel_kernel
def compare_colours(depth, rays, shifts, others, image, pictures, share, off):
    """How far a view's colours are from those that other views have there on average: off f4 [H, W], sum over three
    channels; 0 where no other sees the place. depth, rays, shifts, others as in `compare_depths`; image f4 [H, W, 3]
    and pictures f4 [K, H, W, 3] the view's and theirs. Depths that differ by the part `share` are one."""
    height, width = depth.shape
    for i in numba.prange(height):
        for j in range(width):
            off[i, j] = 0
            if not np.isfinite(depth[i, j]):
                continue
            x, y, near = np.float32(j + 0.5), np.float32(i + 0.5), np.float32(1) / depth[i, j]
            red = green = blue = seen = np.float32(0)
            for k in range(len(others)):
                z = rays[k, 2, 0] * x + rays[k, 2, 1] * y + rays[k, 2, 2] + near * shifts[k, 2]
                if z <= 1e-6:
                    continue
                u = (rays[k, 0, 0] * x + rays[k, 0, 1] * y + rays[k, 0, 2] + near * shifts[k, 0]) / z - np.float32(0.5)
                v = (rays[k, 1, 0] * x + rays[k, 1, 1] * y + rays[k, 1, 2] + near * shifts[k, 1]) / z - np.float32(0.5)
                if not (u >= 0 and v >= 0 and u < width - 1 and v < height - 1):
                    continue
                if not abs(z * depth[i, j] - others[k, int(v + 0.5), int(u + 0.5)]) < share * depth[i, j]:
                    continue
                q, r = int(u), int(v)
                u, v = u - q, v - r
                one = pictures[k]
                for row, column, w in (
                    (r, q, (1 - u) * (1 - v)), (r, q + 1, u * (1 - v)), (r + 1, q, (1 - u) * v), (r + 1, q + 1, u * v)
                ):  # fmt: skip
                    red += w * one[row, column, 0]
                    green += w * one[row, column, 1]
                    blue += w * one[row, column, 2]
                seen += 1
            if seen > 0:
                off[i, j] = (
                    abs(red / seen - image[i, j, 0])
                    + abs(green / seen - image[i, j, 1])
                    + abs(blue / seen - image[i, j, 2])
                )
