"""Which decal owns a point of a surface."""

from __future__ import annotations

import math

import numba
import numpy as np

from weft.kernels import parallel_kernel

__all__ = ["find_owners"]


@parallel_kernel
def find_owners(points, normals, near, poses, depth, trust, density, jump, owner, x, y):
    """For points f8 [P, 3] with normals f8 [P, 3] the best of the decals `near` i4 [P, K], each with its pose
    f8 [4, 4], its depth f4 [H, W] (infinite off the object) and its trust f4 [H, W]. `density`: pixels per world unit.

    A decal shows a point whose depth differs by less than `jump`, and counts exp(-2 r²) · cos² · trust, r its distance
    from the decal's middle in half-sides. Fills `owner` i4 [P], -1 for none, and where it shows the point: x, y f4 [P],
    pixel indices.
    """
    height, width = depth.shape[1], depth.shape[2]
    half = 0.5 * width / density
    for n in numba.prange(len(points)):
        best = 0.0
        owner[n], x[n], y[n] = -1, np.float32(0), np.float32(0)
        for k in range(near.shape[1]):
            decal = near[n, k]
            pose = poses[decal]
            u, v, w = points[n, 0] - pose[0, 3], points[n, 1] - pose[1, 3], points[n, 2] - pose[2, 3]
            right = u * pose[0, 0] + v * pose[1, 0] + w * pose[2, 0]
            up = u * pose[0, 1] + v * pose[1, 1] + w * pose[2, 1]
            out = u * pose[0, 2] + v * pose[1, 2] + w * pose[2, 2]
            column, row = right * density + 0.5 * width - 0.5, 0.5 * height - up * density - 0.5
            if not (column >= 0 and column <= width - 1 and row >= 0 and row <= height - 1):
                continue
            cosine = normals[n, 0] * pose[0, 2] + normals[n, 1] * pose[1, 2] + normals[n, 2] * pose[2, 2]
            i, j = int(column + 0.5), int(row + 0.5)
            if cosine <= 0 or not abs(depth[decal, j, i] + out) < jump:
                continue
            value = math.exp(-2 * (right * right + up * up) / (half * half)) * cosine * cosine * trust[decal, j, i]
            if value > best:
                best = value
                owner[n], x[n], y[n] = decal, np.float32(column), np.float32(row)
