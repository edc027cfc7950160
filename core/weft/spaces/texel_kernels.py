"""The loops between texels and pixels: what a pixel reads of the texture, and which views see a texel, and how well."""

from __future__ import annotations

import numba
import numpy as np

from weft.kernels import kernel, parallel_kernel

__all__ = ["count_taps", "fill_taps", "look_up", "see"]


@parallel_kernel
def look_up(triangle, barycentric, faces, corner_uv, face_object, normals, vertices, eyes, nearest, cell, tap, facing):
    """Bilinear texture reads of every pixel, and the cosine at which it sees the surface.

    triangle i4 [N, H, W] (-1 = none), barycentric f4 [N, H, W, 3]; eyes f4 [N, 4] = viewpoint and 1, or direction
    towards the viewer and 0; nearest i4 [objects, T, T]. Writes cell i4 [N·H·W, 4], tap f4 [N·H·W, 4] (zero where no
    surface is) and facing f4 [N, H, W].
    """
    images, height, width = triangle.shape
    size = nearest.shape[1]
    for line in numba.prange(images * height):
        n, i = line // height, line % height
        for j in range(width):
            row = (n * height + i) * width + j
            face = triangle[n, i, j]
            facing[n, i, j] = 0
            if face < 0:
                for k in range(4):
                    cell[row, k] = 0
                    tap[row, k] = 0
                continue
            u, v = np.float32(0), np.float32(0)
            nx, ny, nz = np.float32(0), np.float32(0), np.float32(0)
            px, py, pz = np.float32(0), np.float32(0), np.float32(0)
            for k in range(3):
                w = barycentric[n, i, j, k]
                corner = faces[face, k]
                u += w * corner_uv[face, k, 0]
                v += w * corner_uv[face, k, 1]
                nx += w * normals[corner, 0]
                ny += w * normals[corner, 1]
                nz += w * normals[corner, 2]
                px += w * vertices[corner, 0]
                py += w * vertices[corner, 1]
                pz += w * vertices[corner, 2]
            ex = eyes[n, 0] - eyes[n, 3] * px
            ey = eyes[n, 1] - eyes[n, 3] * py
            ez = eyes[n, 2] - eyes[n, 3] * pz
            length = np.sqrt((nx * nx + ny * ny + nz * nz) * (ex * ex + ey * ey + ez * ez)) + np.float32(1e-12)
            facing[n, i, j] = (nx * ex + ny * ey + nz * ez) / length
            x, y = u * size - np.float32(0.5), (np.float32(1) - v) * size - np.float32(0.5)
            x0, y0 = int(np.floor(x)), int(np.floor(y))
            fx, fy = x - x0, y - y0
            left, right = min(max(x0, 0), size - 1), min(max(x0 + 1, 0), size - 1)
            top, bottom = min(max(y0, 0), size - 1), min(max(y0 + 1, 0), size - 1)
            sheet = face_object[face]
            cell[row, 0] = nearest[sheet, top, left]
            cell[row, 1] = nearest[sheet, top, right]
            cell[row, 2] = nearest[sheet, bottom, left]
            cell[row, 3] = nearest[sheet, bottom, right]
            tap[row, 0] = (1 - fx) * (1 - fy)
            tap[row, 1] = fx * (1 - fy)
            tap[row, 2] = (1 - fx) * fy
            tap[row, 3] = fx * fy


@parallel_kernel
def see(
    position, normal, candidates, to_camera, eyes, intrinsics, far, edge, near, tolerance, least_cosine, power, radial,
    image, x, y, weight, best,
):  # fmt: skip
    """For every cell the views that see it, best first.

    candidates i4 [n or 1, c] (-1 = none): views to try; to_camera f4 [N, 3, 4] (x right, y down, depth forward);
    intrinsics f4 [N, 4] = fx fy cx cy; far f4 [N, H, W]: depth beyond which a point is hidden (-1: no surface);
    edge f4 [N, H, W] in [0, 1]: trust, falling towards silhouettes. weight = cos^power · trust · exp(-radial·r²), r the
    distance from the frame's centre in half-frames. Writes image i4 [n, R], x, y f4 [n, R] (pixel index coordinates:
    0 is the first pixel's centre), weight f4 [n, R] (0 = unused), best f4 [n]: the largest cosine of any view.
    """
    height, width = far.shape[1:]
    kept = image.shape[1]
    for n in numba.prange(len(position)):
        for k in range(kept):
            weight[n, k] = 0
            image[n, k] = 0
        best[n] = 0
        px, py, pz = position[n, 0], position[n, 1], position[n, 2]
        row = np.int64(n) if candidates.shape[0] > 1 else np.int64(0)
        for c in range(candidates.shape[1]):
            v = candidates[row, c]
            if v < 0:
                continue
            depth = to_camera[v, 2, 0] * px + to_camera[v, 2, 1] * py + to_camera[v, 2, 2] * pz + to_camera[v, 2, 3]
            perspective = eyes[v, 3] > 0
            if perspective and depth < near:
                continue
            scale = np.float32(1) / depth if perspective else np.float32(1)
            a = to_camera[v, 0, 0] * px + to_camera[v, 0, 1] * py + to_camera[v, 0, 2] * pz + to_camera[v, 0, 3]
            b = to_camera[v, 1, 0] * px + to_camera[v, 1, 1] * py + to_camera[v, 1, 2] * pz + to_camera[v, 1, 3]
            at_x = a * scale * intrinsics[v, 0] + intrinsics[v, 2] - np.float32(0.5)
            at_y = b * scale * intrinsics[v, 1] + intrinsics[v, 3] - np.float32(0.5)
            # A cell outside the frame is not seen; clamping it to the border would smear that border over the object.
            if at_x < 0 or at_y < 0 or at_x > width - 1 or at_y > height - 1:
                continue
            i, j = int(at_y + np.float32(0.5)), int(at_x + np.float32(0.5))
            if depth > far[v, i, j] + tolerance or far[v, i, j] < -1e29:
                continue
            ex, ey, ez = eyes[v, 0] - eyes[v, 3] * px, eyes[v, 1] - eyes[v, 3] * py, eyes[v, 2] - eyes[v, 3] * pz
            length = np.sqrt(ex * ex + ey * ey + ez * ez) + np.float32(1e-12)
            cosine = (normal[n, 0] * ex + normal[n, 1] * ey + normal[n, 2] * ez) / length
            if cosine < least_cosine:
                continue
            best[n] = max(best[n], cosine)
            off_x, off_y = (2 * at_x - width) / width, (2 * at_y - height) / height
            trust = cosine**power * edge[v, i, j] * np.exp(-radial * (off_x * off_x + off_y * off_y))
            _keep(image[n], x[n], y[n], weight[n], v, at_x, at_y, trust)


@kernel
def _keep(image, x, y, weight, v, at_x, at_y, trust):
    k = len(weight) - 1
    if trust <= weight[k]:
        return
    while k > 0 and weight[k - 1] < trust:
        image[k], x[k], y[k], weight[k] = image[k - 1], x[k - 1], y[k - 1], weight[k - 1]
        k -= 1
    image[k], x[k], y[k], weight[k] = v, at_x, at_y, trust


@parallel_kernel
def count_taps(weight, least_ratio, taps, counts):
    """Entries per cell of the gather matrix: views whose weight is at least `least_ratio` of the cell's best."""
    for n in numba.prange(len(weight)):
        used = 0
        if weight[n, 0] > 0:
            for k in range(weight.shape[1]):
                used += weight[n, k] >= least_ratio * weight[n, 0]
        counts[n] = used * taps * taps


@parallel_kernel
def fill_taps(image, x, y, weight, exponent, least_ratio, taps, height, width, starts, columns, values):
    """The gather matrix's entries: bilinear (taps = 2) or Catmull-Rom (taps = 4) reads of the chosen views, each with
    the share (weight / best weight)^exponent."""
    for n in numba.prange(len(weight)):
        total = np.float32(0)
        at = starts[n]
        if at == starts[n + 1]:
            continue
        for k in range(weight.shape[1]):
            if weight[n, k] < least_ratio * weight[n, 0]:
                break
            # A power costs more than all the rest of an entry, and most cells belong to one view.
            share = (weight[n, k] / weight[n, 0]) ** exponent if k > 0 else np.float32(1)
            total += share
            x0, y0 = int(np.floor(x[n, k])), int(np.floor(y[n, k]))
            fx, fy = x[n, k] - x0, y[n, k] - y0
            first = 0 if taps == 2 else -1
            for r in range(taps):
                i = min(max(y0 + first + r, 0), height - 1)
                wy = share * _tap(fy, r, taps)
                for q in range(taps):
                    j = min(max(x0 + first + q, 0), width - 1)
                    columns[at] = (image[n, k] * height + i) * width + j
                    values[at] = wy * _tap(fx, q, taps)
                    at += 1
        if total > 1:
            for entry in range(starts[n], at):
                values[entry] /= total


@kernel
def _tap(f, index, taps):
    """Weight of tap `index` at fraction f: linear, or Catmull-Rom (Keys 1981, a = -1/2)."""
    if taps == 2:
        return f if index == 1 else np.float32(1) - f
    if index == 0:
        return ((-np.float32(0.5) * f + np.float32(1)) * f - np.float32(0.5)) * f
    if index == 1:
        return (np.float32(1.5) * f - np.float32(2.5)) * f * f + np.float32(1)
    if index == 2:
        return ((-np.float32(1.5) * f + np.float32(2)) * f + np.float32(0.5)) * f
    return (np.float32(0.5) * f - np.float32(0.5)) * f * f
