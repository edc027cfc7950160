"""Sums over directions for many surface points: shading, and which directions are blocked."""

from __future__ import annotations

import numba
import numpy as np

from weft.kernels import parallel_kernel

__all__ = ["lambertian"]


@parallel_kernel(reassociate=True)
def lambertian(normals, moments, out):
    """out[p, c] = Σ_k max(0, n_p · moments[c, :, k]) for normals f4 [P, 3], moments f4 [C, 3, K], out f4 [P, C]."""
    channels, count = moments.shape[0], moments.shape[2]
    for p in numba.prange(len(normals)):
        x, y, z = normals[p, 0], normals[p, 1], normals[p, 2]
        for c in range(channels):
            total = np.float32(0.0)
            for k in range(count):
                one = x * moments[c, 0, k] + y * moments[c, 1, k] + z * moments[c, 2, k]
                total += max(one, np.float32(0.0))
            out[p, c] = total
