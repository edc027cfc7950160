"""Sums over directions for many surface points: shading, and which directions are blocked."""

from __future__ import annotations

import numba
import numpy as np

from weft.kernels import parallel_kernel

__all__ = ["lambertian", "shadowed"]


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


@parallel_kernel
def shadowed(positions, normals, toward, moments, reflected, matrix, texel, depth, sent, arrived, bounced):
    """Add the light of one direction, [3], to what every point is sent and to what arrives there, and to the light
    that comes from what is in the way, all f4 [P, 3].

    `moments` f4 [4, 3]: of red, green, blue and of an even light; `reflected` f4 [3], the radiance of what may be in
    the way. `depth` f4 [S, S] is the shadow map of a camera `matrix` f4 [3, 4] whose pixels are `texel` world units
    wide. Points are lifted off the surface, by more where the light grazes it, and below a grazing angle shadows fade:
    there facets would shade their own smooth normals, and there is hardly any light.
    """
    size = depth.shape[0]
    half = np.float32(size) / 2 - np.float32(0.5)
    zero, one = np.float32(0), np.float32(1)
    for p in numba.prange(len(positions)):
        nx, ny, nz = normals[p, 0], normals[p, 1], normals[p, 2]
        cosine = nx * toward[0] + ny * toward[1] + nz * toward[2]
        even = nx * moments[3, 0] + ny * moments[3, 1] + nz * moments[3, 2]
        if even <= zero and cosine <= zero:
            continue
        hidden = zero
        if cosine > zero:
            lift = texel * (np.float32(1) + np.float32(1.5) * (one - cosine))
            x, y, z = positions[p, 0] + lift * nx, positions[p, 1] + lift * ny, positions[p, 2] + lift * nz
            u = half + (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]) / texel
            v = half - (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]) / texel
            at = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3] - texel
            i, j = int(np.floor(u)), int(np.floor(v))
            if i >= 0 and j >= 0 and i + 1 < size and j + 1 < size:
                fu, fv = u - i, v - j
                upper = (one - fu) * (depth[j, i] < at) + fu * (depth[j, i + 1] < at)
                lower = (one - fu) * (depth[j + 1, i] < at) + fu * (depth[j + 1, i + 1] < at)
                hidden = ((one - fv) * upper + fv * lower) * min(one, cosine * np.float32(10))
        for c in range(3):
            light = max(zero, nx * moments[c, 0] + ny * moments[c, 1] + nz * moments[c, 2])
            sent[p, c] += light
            arrived[p, c] += (one - hidden) * light
            bounced[p, c] += hidden * max(zero, even) * reflected[c]
