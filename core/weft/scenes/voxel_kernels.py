"""The loops of the voxel radiance field: looking along rays, and what of a loss goes back into the grid.

With densities σ_i at samples that stand for lengths δ_i of a ray (Mildenhall et al., "NeRF", 2020, Eq. 3; Max 1995),

    α_i = 1 - exp(-σ_i δ_i),   T_i = Π_{j<i} (1 - α_j),   C = Σ_i T_i α_i c_i + T_end · background
    dC/d(σ_i δ_i) = T_{i+1} c_i - (C - Σ_{j≤i} T_j α_j c_j),   dC/dc_i = T_i α_i

Rays write what they found into their own rows; planes of the grid then each collect what falls on them, in the order of
the rays. No two threads write the same number and no sum depends on how many there are.
"""

from __future__ import annotations

import numba
import numpy as np

from weft.kernels import kernel, parallel_kernel

__all__ = ["FIELDS", "by_plane", "collect", "look", "send_back"]

FIELDS = 8  # of a sample: where it lies in its cell (3), α, dσδ/draw, colour (3)
_BLOCK = 64  # rays that a thread takes at a time


@kernel(reassociate=True)
def _place(x, y, z, box, contracted):
    """Where a point lies in the grid, [0, 1) inside. `box` [2, 3]: middle and half of the extents. Contracted, that is
    the grid's inner half, and all that is farther away lies in the outer one (Barron et al., "Mip-NeRF 360", 2022,
    Eq. 10, in the maximum norm)."""
    one, half = box.dtype.type(1), box.dtype.type(0.5)
    x, y, z = (x - box[0, 0]) / box[1, 0], (y - box[0, 1]) / box[1, 1], (z - box[0, 2]) / box[1, 2]
    if contracted:
        far = max(abs(x), max(abs(y), max(abs(z), one)))
        shrink = (one + one - one / far) / far * half
        x, y, z = x * shrink, y * shrink, z * shrink
    return (x + one) * half, (y + one) * half, (z + one) * half


@kernel(reassociate=True)
def _corner_weights(x, y, z, one, weights):
    """Of a cell's corners, x fastest, then y."""
    low, high = (one - z) * (one - y), (one - z) * y
    weights[0], weights[1], weights[2], weights[3] = low * (one - x), low * x, high * (one - x), high * x
    low, high = z * (one - y), z * y
    weights[4], weights[5], weights[6], weights[7] = low * (one - x), low * x, high * (one - x), high * x


@kernel
def _corners(size):
    """i8 [8], where a cell's corners are behind its first."""
    return np.array([0, 1, size, size + 1, size * size, size * size + 1, size * size + size, size * size + size + 1])


@parallel_kernel(reassociate=True)
def look(
    density, color, occupied, box, contracted, edges, scale, limits, origins, directions, spans, basis, jitter,
    background, counts, cells, samples, image, opacity, distance,
):  # fmt: skip
    """Composite R rays. density [N, N, N] (z y x) before its softplus, color [N, N, N, 3 K] before its sigmoid,
    occupied bool [M, M, M]; edges [S + 1], the intervals' borders behind a ray's first distance; σ = scale · softplus;
    limits: (least α that counts, T at which a ray ends); basis [R, K]; jitter [R] in [0, 1), where in its interval a
    ray looks.

    Writes image [R, 3], opacity [R] and distance [R] (Σ T α t). Where `counts` i4 [R] is not empty, also every sample
    that counted: cells i4 [R, S], samples [R, S, 8].
    """
    size, side, bands = density.shape[0], occupied.shape[0], basis.shape[1]
    keeping = len(counts) > 0
    flat_density, flat_color = density.reshape(-1), color.reshape(-1, 3 * bands)
    real = density.dtype.type
    zero, one, most = real(0), real(1), real(30)
    last, cells_across = real(size - 1), real(side)
    for block in numba.prange((len(origins) + _BLOCK - 1) // _BLOCK):
        mixed, shade, weights = np.empty(3 * bands, real), np.empty(3, real), np.empty(8, real)
        corners = _corners(size)
        for r in range(block * _BLOCK, min((block + 1) * _BLOCK, len(origins))):
            through, far, found = one, zero, 0
            image[r, 0] = image[r, 1] = image[r, 2] = zero
            for s in range(len(edges) - 1):
                length = edges[s + 1] - edges[s]
                t = spans[r, 0] + edges[s] + length * jitter[r]
                if t > spans[r, 1]:
                    break
                x, y, z = _place(
                    origins[r, 0] + t * directions[r, 0], origins[r, 1] + t * directions[r, 1],
                    origins[r, 2] + t * directions[r, 2], box, contracted,
                )  # fmt: skip
                if min(x, min(y, z)) < zero or max(x, max(y, z)) >= one:
                    continue
                if not occupied[int(z * cells_across), int(y * cells_across), int(x * cells_across)]:
                    continue
                x, y, z = x * last, y * last, z * last
                i, j, k = min(int(x), size - 2), min(int(y), size - 2), min(int(z), size - 2)
                x, y, z = x - real(i), y - real(j), z - real(k)
                cell = (k * size + j) * size + i
                _corner_weights(x, y, z, one, weights)
                raw = zero
                for q in range(8):
                    raw += weights[q] * flat_density[cell + corners[q]]
                grown = np.exp(min(raw, most))
                depth = scale * length * max(np.log(one + grown), raw)  # optical
                alpha = one - np.exp(-depth)
                if alpha < limits[0]:
                    continue
                mixed[:] = zero
                for q in range(8):
                    row, weight = flat_color[cell + corners[q]], weights[q]
                    for c in range(3 * bands):
                        mixed[c] += weight * row[c]
                weight = through * alpha
                for c in range(3):
                    value = zero
                    for b in range(bands):
                        value += basis[r, b] * mixed[c * bands + b]
                    shade[c] = one / (one + np.exp(-value))
                    image[r, c] += weight * shade[c]
                far += weight * t
                through *= one - alpha
                if keeping:
                    cells[r, found] = cell
                    row = samples[r, found]
                    row[0], row[1], row[2], row[3] = x, y, z, alpha
                    row[4] = scale * length * grown / (one + grown)
                    row[5], row[6], row[7] = shade[0], shade[1], shade[2]
                found += 1
                if through < limits[1]:
                    break
            for c in range(3):
                image[r, c] += through * background[c]
            opacity[r], distance[r] = one - through, far
            if keeping:
                counts[r] = found


@parallel_kernel(reassociate=True)
def send_back(gradient, image, counts, samples):
    """Put the derivatives of a loss in the place of every sample's α, slope and colour: by raw density (field 3) and by
    the colour before its sigmoid (4 to 6). gradient [R, 3] is by `image` [R, 3], as `look` made it."""
    one = samples.dtype.type(1)
    for block in numba.prange((len(counts) + _BLOCK - 1) // _BLOCK):
        for r in range(block * _BLOCK, min((block + 1) * _BLOCK, len(counts))):
            through = one
            beyond0, beyond1, beyond2 = image[r, 0], image[r, 1], image[r, 2]  # the light from behind a sample
            g0, g1, g2 = gradient[r, 0], gradient[r, 1], gradient[r, 2]
            for s in range(counts[r]):
                row = samples[r, s]
                alpha, slope, c0, c1, c2 = row[3], row[4], row[5], row[6], row[7]
                weight, behind = through * alpha, through * (one - alpha)
                beyond0, beyond1, beyond2 = beyond0 - weight * c0, beyond1 - weight * c1, beyond2 - weight * c2
                by_depth = g0 * (behind * c0 - beyond0) + g1 * (behind * c1 - beyond1) + g2 * (behind * c2 - beyond2)
                row[3] = by_depth * slope
                row[4] = g0 * weight * c0 * (one - c0)
                row[5] = g1 * weight * c1 * (one - c1)
                row[6] = g2 * weight * c2 * (one - c2)
                through = behind


@kernel
def by_plane(counts, cells, size):
    """(order i4 [E], starts i8 [N]): all samples, as numbers in [R, S], sorted by the lower plane of their cells; in
    the order of the rays within a plane."""
    starts = np.zeros(size, np.int64)
    for r in range(len(counts)):
        for s in range(counts[r]):
            starts[cells[r, s] // (size * size) + 1] += 1
    for plane in range(1, size):
        starts[plane] += starts[plane - 1]
    cursor, order = starts.copy(), np.empty(starts[-1], np.int32)
    for r in range(len(counts)):
        for s in range(counts[r]):
            plane = cells[r, s] // (size * size)
            order[cursor[plane]] = r * cells.shape[1] + s
            cursor[plane] += 1
    return order, starts


@parallel_kernel(reassociate=True)
def collect(order, starts, cells, samples, basis, density_gradient, color_gradient, touched):
    """Add what `send_back` left in the samples to the gradients of the grid's vertices ([N³] and [N³, 3 K]), and note
    which those are: touched u1 [N³]."""
    size, bands, width = len(starts), basis.shape[1], cells.shape[1]
    flat_cells, flat_samples = cells.reshape(-1), samples.reshape(-1, samples.shape[2])
    one = samples.dtype.type(1)
    for plane in numba.prange(size):
        weights, by_color = np.empty(8, samples.dtype), np.empty(3 * bands, samples.dtype)
        corners = _corners(size)
        for upper in range(2):  # this plane is the upper one of the cells below it, and the lower one of its own
            below = plane - 1 + upper
            if below < 0 or below > size - 2:
                continue
            first = 4 * (1 - upper)
            for entry in range(starts[below], starts[below + 1]):
                cell, row = flat_cells[order[entry]], flat_samples[order[entry]]
                ray = order[entry] // width
                _corner_weights(row[0], row[1], row[2], one, weights)
                for c in range(3):
                    for b in range(bands):
                        by_color[c * bands + b] = row[4 + c] * basis[ray, b]
                for q in range(first, first + 4):
                    vertex = cell + corners[q]
                    touched[vertex] = 1
                    density_gradient[vertex] += weights[q] * row[3]
                    target, weight = color_gradient[vertex], weights[q]
                    for c in range(3 * bands):
                        target[c] += weight * by_color[c]
