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
_BAND = 16  # rows that are drawn as one piece of work


@kernel
def _project(point, matrix, lens, near, out):
    """Write (x, y, w, depth) of a point. `lens` = (fx, fy, cx, cy, perspective). Before the near plane x and y stay
    multiplied by w, since they cannot be divided."""
    right = matrix[0, 0] * point[0] + matrix[0, 1] * point[1] + matrix[0, 2] * point[2] + matrix[0, 3]
    up = matrix[1, 0] * point[0] + matrix[1, 1] * point[1] + matrix[1, 2] * point[2] + matrix[1, 3]
    depth = matrix[2, 0] * point[0] + matrix[2, 1] * point[1] + matrix[2, 2] * point[2] + matrix[2, 3]
    w = depth if lens[4] > 0.0 else 1.0
    scale = 1.0 / w if w >= near else 1.0
    out[0] = (lens[0] * right + lens[2] * w) * scale
    out[1] = (lens[3] * w - lens[1] * up) * scale
    out[2] = w
    out[3] = depth


@kernel
def _grow(bounds, x, y):
    bounds[0] = min(bounds[0], x)
    bounds[1] = max(bounds[1], x)
    bounds[2] = min(bounds[2], y)
    bounds[3] = max(bounds[3], y)


@kernel
def _bound(a, b, c, near, bounds):
    """Write the screen bounds (x0, x1, y0, y1) of the triangle's part beyond the near plane; False if it has none."""
    bounds[0] = bounds[2] = np.inf
    bounds[1] = bounds[3] = -np.inf
    if a[2] >= near and b[2] >= near and c[2] >= near:
        _grow(bounds, a[0], a[1])
        _grow(bounds, b[0], b[1])
        _grow(bounds, c[0], c[1])
        return True
    seen = False
    for p, q in ((a, b), (b, c), (c, a)):
        if p[2] >= near:
            _grow(bounds, p[0], p[1])
            seen = True
        if (p[2] >= near) != (q[2] >= near):
            t = (near - p[2]) / (q[2] - p[2])
            px, py = (p[0] * p[2], p[1] * p[2]) if p[2] >= near else (p[0], p[1])
            qx, qy = (q[0] * q[2], q[1] * q[2]) if q[2] >= near else (q[0], q[1])
            _grow(bounds, (px + t * (qx - px)) / near, (py + t * (qy - py)) / near)
    return seen


@kernel
def _pixels(low, high, size):
    """First and last pixel, of `size`, whose centre lies in [low, high]; last < first if there is none."""
    limit = float(size)
    first = math.ceil(min(max(low, 0.0), limit) - 0.5)
    return first, math.floor(max(min(high, limit), -1.0) - 0.5)


@kernel
def _draw(index, a, b, c, near, reach, cull, columns, rows, triangle, barycentric, depth):
    """Draw one triangle into the given columns and rows (first, last) of the z-buffer arrays."""
    ax, ay = (a[0] * a[2], a[1] * a[2]) if a[2] >= near else (a[0], a[1])
    bx, by = (b[0] * b[2], b[1] * b[2]) if b[2] >= near else (b[0], b[1])
    cx, cy = (c[0] * c[2], c[1] * c[2]) if c[2] >= near else (c[0], c[1])
    x0, y0, s0 = by * c[2] - b[2] * cy, b[2] * cx - bx * c[2], bx * cy - by * cx
    x1, y1, s1 = cy * a[2] - c[2] * ay, c[2] * ax - cx * a[2], cx * ay - cy * ax
    x2, y2, s2 = ay * b[2] - a[2] * by, a[2] * bx - ax * b[2], ax * by - ay * bx
    volume = ax * x0 + ay * y0 + a[2] * s0
    # Rows count downwards, so a triangle that is counter-clockwise for the viewer has a negative volume.
    if volume == 0.0 or (cull and volume > 0.0):
        return
    if volume < 0.0:
        x0, y0, s0, x1, y1, s1, x2, y2, s2 = -x0, -y0, -s0, -x1, -y1, -s1, -x2, -y2, -s2
    for j in range(rows[0], rows[1] + 1):
        y = j + 0.5
        r0, r1, r2 = y0 * y + s0, y1 * y + s1, y2 * y + s2
        for i in range(columns[0], columns[1] + 1):
            x = i + 0.5
            e0, e1, e2 = x0 * x + r0, x1 * x + r1, x2 * x + r2
            if e0 < 0.0 or e1 < 0.0 or e2 < 0.0:
                continue
            total = e0 + e1 + e2
            if total <= 0.0:
                continue
            e0, e1, e2 = e0 / total, e1 / total, e2 / total
            z = np.float32(e0 * a[3] + e1 * b[3] + e2 * c[3])
            if z < reach[0] or z > reach[1] or z > depth[j, i] or (z == depth[j, i] and index > triangle[j, i]):
                continue
            triangle[j, i] = index
            depth[j, i] = z
            barycentric[j, i, 0] = e0
            barycentric[j, i, 1] = e1
            barycentric[j, i, 2] = e2


@parallel_kernel
def draw_view(
    vertices, faces, matrix, lens, near, reach, cull, projected, drawn, columns, rows, triangle, barycentric, depth
):
    """Draw a mesh into one view. `projected` f8 [V, 4], `drawn` i4 [F], `columns` and `rows` i4 [F, 2] are scratch;
    the last three, [H, W], are overwritten with the result."""
    height, width = triangle.shape
    for block in numba.prange((len(vertices) + _CHUNK - 1) // _CHUNK):
        for v in range(block * _CHUNK, min(len(vertices), (block + 1) * _CHUNK)):
            _project(vertices[v], matrix, lens, near, projected[v])
    # Most triangles of a dense mesh contain no pixel centre. The others are listed, block by block, in their order.
    blocks = (len(faces) + _CHUNK - 1) // _CHUNK
    counts = np.zeros(blocks, np.int64)
    for block in numba.prange(blocks):
        bounds = np.empty(4)
        n = block * _CHUNK
        for f in range(block * _CHUNK, min(len(faces), (block + 1) * _CHUNK)):
            a, b, c = projected[faces[f, 0]], projected[faces[f, 1]], projected[faces[f, 2]]
            if not _bound(a, b, c, near, bounds):
                continue
            i0, i1 = _pixels(bounds[0], bounds[1], width)
            j0, j1 = _pixels(bounds[2], bounds[3], height)
            if i0 <= i1 and j0 <= j1:
                drawn[n] = f
                columns[n, 0], columns[n, 1] = i0, i1
                rows[n, 0], rows[n, 1] = j0, j1
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
                if rows[n, 0] <= last and rows[n, 1] >= first:
                    f = drawn[n]
                    a, b, c = projected[faces[f, 0]], projected[faces[f, 1]], projected[faces[f, 2]]
                    clipped = (max(first, rows[n, 0]), min(last, rows[n, 1]))
                    _draw(f, a, b, c, near, reach, cull, columns[n], clipped, triangle, barycentric, depth)


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
    for m in numba.prange(len(matrices)):
        triangle[m] = -1
        barycentric[m] = 0.0
        depth[m] = np.inf
        matrix = matrices[m]
        corners = np.empty((3, 4))
        bounds = np.empty(4)
        for block in range(len(starts) - 1):
            if not _touches(lows[block], highs[block], matrix, half, reach):
                continue
            for n in range(starts[block], starts[block + 1]):
                f = order[n]
                for k in range(3):
                    _project(vertices[faces[f, k]], matrix, lens, 0.0, corners[k])
                a, b, c = corners[0], corners[1], corners[2]
                _bound(a, b, c, 0.0, bounds)
                columns, rows = _pixels(bounds[0], bounds[1], size), _pixels(bounds[2], bounds[3], size)
                if columns[0] <= columns[1] and rows[0] <= rows[1]:
                    _draw(f, a, b, c, 0.0, reach, True, columns, rows, triangle[m], barycentric[m], depth[m])


@kernel
def _touches(low, high, matrix, half, reach):
    """Whether an axis-aligned box may meet the patch's box: they overlap along each axis of the patch."""
    for axis in range(3):
        middle, extent = matrix[axis, 3], 0.0
        for k in range(3):
            middle += matrix[axis, k] * 0.5 * (low[k] + high[k])
            extent += abs(matrix[axis, k]) * 0.5 * (high[k] - low[k])
        extent += 1e-6 * (abs(middle) + extent)  # boxes are float32
        first, last = (-half, half) if axis < 2 else (reach[0], reach[1])
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
