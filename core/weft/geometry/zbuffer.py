"""The z-buffer's kernels: one way to draw a triangle, used for views, for texture charts and for batches of patches.

Triangles are drawn in homogeneous screen coordinates (Olano and Greer, "Triangle Scan Conversion using 2D Homogeneous
Coordinates", 1997). With the vertices V_i = (x·w, y·w, w), w the depth (1 if orthographic), the pixel p = (x, y, 1) has

    e_i(p) = p · (V_j × V_k),    barycentric_i = e_i / (e_0 + e_1 + e_2),

perspective-correct, with respect to the whole triangle even where the near plane cuts it: clipping only narrows the
rows and columns that are visited. The e of an edge shared by two triangles differ in sign alone, to the last bit
(products commute, nothing is fused), so that with the rule "all e ≥ 0" no pixel falls between them. A pixel centre
exactly on the edge is hit by both: the nearer depth wins, and at equal depth the lower index, whatever the order.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from weft.kernels import kernel, parallel_kernel

__all__ = ["draw_patches", "draw_view", "interpolate_rows"]

_CHUNK = 16384  # triangles that are culled as one piece of work
_BAND = 32  # rows that are drawn as one piece of work
_MARGIN = 1e-2  # pixels, for bounds taken from rounded coordinates


@kernel
def _project(points, index, matrix, lens):
    """(x·w, y·w, w, depth) of a point. `lens` = (fx, fy, cx, cy, perspective)."""
    x, y, z = points[index, 0], points[index, 1], points[index, 2]
    right = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
    up = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
    depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
    w = depth if lens[4] > 0.0 else 1.0
    return lens[0] * right + lens[2] * w, lens[3] * w - lens[1] * up, w, depth


@kernel
def _pixels(low, high, size):
    """First and last pixel, of `size`, whose centre lies in [low, high]; last < first if there is none."""
    if not low <= high:  # NaN included
        return 1, 0
    limit = float(size)
    first = math.ceil(min(max(low, 0.0), limit) - 0.5)
    return first, math.floor(max(min(high, limit), -1.0) - 0.5)


@kernel
def _clipped_bounds(a, b, c, near):
    """The screen bounds x0, x1, y0, y1 of the triangle's part beyond the near plane; x0 > x1 if it has none."""
    x0, x1, y0, y1 = np.inf, -np.inf, np.inf, -np.inf
    for p, q in ((a, b), (b, c), (c, a)):
        if p[2] >= near:
            x, y = p[0] / p[2], p[1] / p[2]
            x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
        if (p[2] >= near) != (q[2] >= near):
            t = (near - p[2]) / (q[2] - p[2])
            x, y = (p[0] + t * (q[0] - p[0])) / near, (p[1] + t * (q[1] - p[1])) / near
            x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
    return x0, x1, y0, y1


@kernel
def _draw(index, a, b, c, nearest, farthest, cull, i0, i1, j0, j1, triangle, barycentric, depth):
    """Draw one triangle into the columns i0 to i1 and the rows j0 to j1 of the z-buffer arrays."""
    x0, y0, s0 = b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0]
    x1, y1, s1 = c[1] * a[2] - c[2] * a[1], c[2] * a[0] - c[0] * a[2], c[0] * a[1] - c[1] * a[0]
    x2, y2, s2 = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    volume = a[0] * x0 + a[1] * y0 + a[2] * s0
    # Rows count downwards, so a triangle that is counter-clockwise for the viewer has a negative volume.
    if not abs(volume) > 0.0 or (cull and volume > 0.0):  # flat, or NaN
        return
    if volume < 0.0:
        x0, y0, s0, x1, y1, s1, x2, y2, s2 = -x0, -y0, -s0, -x1, -y1, -s1, -x2, -y2, -s2
    for j in range(j0, j1 + 1):
        y = j + 0.5
        r0, r1, r2 = y0 * y + s0, y1 * y + s1, y2 * y + s2
        for i in range(i0, i1 + 1):
            x = i + 0.5
            e0, e1, e2 = x0 * x + r0, x1 * x + r1, x2 * x + r2
            total = e0 + e1 + e2
            if min(e0, e1, e2) < 0.0 or total <= 0.0:
                continue
            e0, e1, e2 = e0 / total, e1 / total, e2 / total
            z = np.float32(e0 * a[3] + e1 * b[3] + e2 * c[3])
            if z < nearest or z > farthest or z > depth[j, i] or (z == depth[j, i] and index > triangle[j, i]):
                continue
            triangle[j, i] = index
            depth[j, i] = z
            barycentric[j, i, 0] = e0
            barycentric[j, i, 1] = e1
            barycentric[j, i, 2] = e2


@parallel_kernel
def draw_view(
    vertices, faces, matrix, lens, near, reach, cull, screen, drawn, columns, rows, triangle, barycentric, depth
):
    """Draw a mesh into one view. `screen` f4 [V, 2], `drawn` i4 [F], `columns` and `rows` i4 [F, 2] are scratch;
    the last three, [H, W], are overwritten with the result."""
    height, width = triangle.shape
    nearest, farthest = reach[0], reach[1]
    for block in numba.prange((len(vertices) + _CHUNK - 1) // _CHUNK):
        for v in range(block * _CHUNK, min(len(vertices), (block + 1) * _CHUNK)):
            x, y, w, _ = _project(vertices, v, matrix, lens)
            screen[v, 0] = x / w if w >= near else np.nan
            screen[v, 1] = y / w if w >= near else np.nan
    # Most triangles of a dense mesh contain no pixel centre. The others are listed, block by block, in their order.
    blocks = (len(faces) + _CHUNK - 1) // _CHUNK
    counts = np.zeros(blocks, np.int64)
    for block in numba.prange(blocks):
        n = block * _CHUNK
        for f in range(block * _CHUNK, min(len(faces), (block + 1) * _CHUNK)):
            va, vb, vc = faces[f, 0], faces[f, 1], faces[f, 2]
            x0, x1 = _least_greatest(screen[va, 0], screen[vb, 0], screen[vc, 0])
            y0, y1 = _least_greatest(screen[va, 1], screen[vb, 1], screen[vc, 1])
            if math.isnan(x0):
                a = _project(vertices, va, matrix, lens)
                b = _project(vertices, vb, matrix, lens)
                x0, x1, y0, y1 = _clipped_bounds(a, b, _project(vertices, vc, matrix, lens), near)
            i0, i1 = _pixels(x0 - _MARGIN, x1 + _MARGIN, width)
            j0, j1 = _pixels(y0 - _MARGIN, y1 + _MARGIN, height)
            if i0 <= i1 and j0 <= j1:
                drawn[n] = f
                columns[n, 0], columns[n, 1], rows[n, 0], rows[n, 1] = i0, i1, j0, j1
                n += 1
        counts[block] = n - block * _CHUNK
    bands = (height + _BAND - 1) // _BAND
    stride = _spread(bands)
    for k in numba.prange(bands):
        # Neighbouring pieces of work go to one thread: spread them over the image, or one gets all of the object.
        first = (k * stride) % bands * _BAND
        last = min(height, first + _BAND) - 1
        triangle[first : last + 1] = -1
        barycentric[first : last + 1] = 0.0
        depth[first : last + 1] = np.inf
        for block in range(blocks):
            for n in range(block * _CHUNK, block * _CHUNK + counts[block]):
                j0, j1 = max(first, rows[n, 0]), min(last, rows[n, 1])
                if j0 <= j1:
                    f, i0, i1 = drawn[n], columns[n, 0], columns[n, 1]
                    a = _project(vertices, faces[f, 0], matrix, lens)
                    b = _project(vertices, faces[f, 1], matrix, lens)
                    c = _project(vertices, faces[f, 2], matrix, lens)
                    _draw(f, a, b, c, nearest, farthest, cull, i0, i1, j0, j1, triangle, barycentric, depth)


@kernel
def _least_greatest(a, b, c):
    """Minimum and maximum; both NaN if any is."""
    if math.isnan(a + b + c):
        return np.nan, np.nan
    return min(a, b, c), max(a, b, c)


@kernel
def _spread(n):
    """A step near the golden section that visits all of n places before it repeats."""
    step = max(1, int(n * 0.618))
    while math.gcd(step, n) != 1:
        step += 1
    return step


@parallel_kernel
def draw_patches(vertices, faces, order, starts, lows, highs, matrices, lens, reach, triangle, barycentric, depth):
    """Draw orthographic front-facing views, [M, D, D], each from the blocks of triangles that its box touches.

    Block n holds the triangles `order[starts[n] : starts[n + 1]]` inside the box `lows[n]` to `highs[n]`, f4 [3].
    """
    size = triangle.shape[1]
    half = 0.5 * size / lens[0]
    nearest, farthest = reach[0], reach[1]
    for m in numba.prange(len(matrices)):
        triangle[m] = -1
        barycentric[m] = 0.0
        depth[m] = np.inf
        matrix = matrices[m]
        for block in range(len(starts) - 1):
            if not _touches(lows[block], highs[block], matrix, half, nearest, farthest):
                continue
            for n in range(starts[block], starts[block + 1]):
                f = order[n]
                a = _project(vertices, faces[f, 0], matrix, lens)
                b = _project(vertices, faces[f, 1], matrix, lens)
                c = _project(vertices, faces[f, 2], matrix, lens)
                i0, i1 = _pixels(min(a[0], b[0], c[0]), max(a[0], b[0], c[0]), size)
                j0, j1 = _pixels(min(a[1], b[1], c[1]), max(a[1], b[1], c[1]), size)
                if i0 <= i1 and j0 <= j1:
                    _draw(f, a, b, c, nearest, farthest, True, i0, i1, j0, j1, triangle[m], barycentric[m], depth[m])


@kernel
def _touches(low, high, matrix, half, nearest, farthest):
    """Whether an axis-aligned box may meet the patch's box: they overlap along each axis of the patch."""
    for axis in range(3):
        middle, extent = matrix[axis, 3], 0.0
        for k in range(3):
            middle += matrix[axis, k] * 0.5 * (low[k] + high[k])
            extent += abs(matrix[axis, k]) * 0.5 * (high[k] - low[k])
        extent += 1e-6 * (abs(middle) + extent)  # boxes are float32
        first, last = (-half, half) if axis < 2 else (nearest, farthest)
        if middle + extent < first or middle - extent > last:
            return False
    return True


@parallel_kernel
def interpolate_rows(triangle, barycentric, faces, values, out):
    """out[p] = Σ_k barycentric[p, k] · values[faces[triangle[p], k]] for each pixel p; 0 where there is no triangle."""
    channels = values.shape[1]
    for p in numba.prange(len(triangle)):
        f = triangle[p]
        for c in range(channels):
            total = np.float32(0.0)
            if f >= 0:
                for k in range(3):
                    total += barycentric[p, k] * values[faces[f, k], c]
            out[p, c] = total
