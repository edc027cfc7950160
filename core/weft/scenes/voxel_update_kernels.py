"""The loops over the vertices of the voxel radiance field: smoothness, the optimiser's step, and where something is."""

from __future__ import annotations

import numba
import numpy as np

from weft.kernels import parallel_kernel

__all__ = ["occupy", "smooth", "step_down"]


@parallel_kernel(reassociate=True)
def smooth(values, touched, weight, gradient):
    """Add to `gradient` [N, N, N, C] that of weight / 2 · Σ |difference|² between touched vertices and their six
    neighbours in `values` [N, N, N, C]."""
    size, width = values.shape[0], values.shape[3]
    steps = np.array([(0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0)])
    for k in numba.prange(size):
        for j in range(size):
            for i in range(size):
                if not touched[k, j, i]:
                    continue
                target, own = gradient[k, j, i], values[k, j, i]
                for side in range(6):
                    z, y, x = np.int64(k) + steps[side, 0], j + steps[side, 1], i + steps[side, 2]
                    if min(x, min(y, z)) < 0 or max(x, max(y, z)) >= size:
                        continue
                    other = values[z, y, x]
                    for c in range(width):
                        target[c] += weight * (own[c] - other[c])


@parallel_kernel(reassociate=True)
def step_down(values, gradient, moments, touched, rate, decay):
    """RMSprop (Tieleman and Hinton 2012) of the touched rows of values [N, M, C]; clears their gradient. `moments`, the
    running means of squares, begin with the first square that is not 0."""
    tiny = values.dtype.type(1e-12)
    one = values.dtype.type(1)
    for plane in numba.prange(values.shape[0]):
        for vertex in range(values.shape[1]):
            if not touched[plane, vertex, 0]:
                continue
            for c in range(values.shape[2]):
                g, mean = gradient[plane, vertex, c], moments[plane, vertex, c]
                mean = decay * mean + (one - decay) * g * g if mean > 0 else g * g
                moments[plane, vertex, c] = mean
                values[plane, vertex, c] -= rate * g / (np.sqrt(mean) + tiny)
                gradient[plane, vertex, c] = 0


@parallel_kernel
def occupy(density, least, occupied):
    """Note in `occupied` bool [M, M, M] in which of its cells, or next to which, density [N, N, N] reaches `least`
    anywhere."""
    size, side = density.shape[0], occupied.shape[0]
    for k in numba.prange(side):
        at = np.int64(k)
        z0, z1 = max(0, (at - 1) * (size - 1) // side), min(size, ((at + 2) * (size - 1) + side - 1) // side + 1)
        for j in range(side):
            y0, y1 = max(0, (j - 1) * (size - 1) // side), min(size, ((j + 2) * (size - 1) + side - 1) // side + 1)
            for i in range(side):
                x0, x1 = max(0, (i - 1) * (size - 1) // side), min(size, ((i + 2) * (size - 1) + side - 1) // side + 1)
                found = False
                for z in range(z0, z1):
                    for y in range(y0, y1):
                        for x in range(x0, x1):
                            found |= density[z, y, x] >= least
                        if found:
                            break
                    if found:
                        break
                occupied[k, j, i] = found
