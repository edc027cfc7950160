"""Which way the surface of a depth map faces, and where the map jumps.

A plane that a perspective camera sees is affine in 1 / depth over the image (over depth itself for an orthographic
one). So each pixel's plane is a small least-squares fit over its window, of those neighbours that lie on the plane
that the gentler of the differences to both sides foretell: across a jump nothing is averaged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np

from weft.geometry.camera import Camera
from weft.kernels import parallel_kernel

__all__ = ["depth_normals"]

_REACH = 3  # pixels to each side
_LEAST_COSINE = 0.1  # normals are not taken to look farther away from the viewer than that


def depth_normals(
    depths: np.ndarray, cameras: Sequence[Camera], *, deviation: float = 0.02
) -> tuple[np.ndarray, np.ndarray]:
    """normal f4 [N, H, W, 3], world frame, unit, on the viewer's side (0 where `depths` f4 [N, H, W] is infinite), and
    solid bool [N, H, W]: all eight neighbours lie on the pixel's plane, but for `deviation` as a part of its depth."""
    normal = np.empty((*depths.shape, 3), np.float32)
    solid = np.empty(depths.shape, np.bool_)
    for i, (camera, depth) in enumerate(zip(cameras, depths, strict=True)):
        known = np.isfinite(depth)
        affine = depth if camera.orthographic else 1 / np.where(known, depth, 1)
        lens = np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float32)
        affine = np.where(known, affine, 0).astype(np.float32)
        scale = np.float32(camera.fx) if camera.orthographic else np.float32(0)
        _fit_planes(affine, known, lens, scale, np.float32(deviation), normal[i], solid[i])
        normal[i] = normal[i] @ camera.pose[:3, :3].T.astype(np.float32)
    return normal, solid


@parallel_kernel
def _fit_planes(affine, known, lens, pixels, deviation, normal, solid):
    """affine f4 [H, W], 1 / depth (depth where `pixels`, those of a world unit, is above 0), known bool [H, W],
    lens f4 [4] = fx fy cx cy. Writes normal f4 [H, W, 3] (camera's axes) and solid bool [H, W]."""
    height, width = affine.shape
    for i in numba.prange(height):
        for j in range(width):
            normal[i, j, :] = 0
            solid[i, j] = False
            if not known[i, j]:
                continue
            here = affine[i, j]
            slope = np.zeros(2, np.float32)
            for axis in range(2):
                best = np.float32(np.inf)
                for side in (-1, 1):
                    r, q = i + side * axis, j + side * (1 - axis)
                    if 0 <= r < height and 0 <= q < width and known[r, q]:
                        step = (affine[r, q] - here) * side
                        if abs(step) < best:
                            best, slope[axis] = abs(step), step
            # A tolerance as a part of the depth: d(1/z) / (1/z) = dz / z; in parallel projection a part of the frame.
            limit = deviation * (here if pixels == 0 else width / pixels)
            xx = xy = yy = x1 = y1 = n = xv = yv = v1 = 0.0
            whole = True
            for r in range(max(i - _REACH, 0), min(i + _REACH + 1, height)):
                for q in range(max(j - _REACH, 0), min(j + _REACH + 1, width)):
                    x, y = q - j, r - i
                    near = abs(x) <= 1 and abs(y) <= 1
                    if not known[r, q]:
                        whole = whole and not near
                        continue
                    off = abs(affine[r, q] - here - x * slope[0] - y * slope[1])
                    if off > limit:
                        whole = whole and not near
                        continue
                    w = 1 / (1 + 0.25 * (x * x + y * y))
                    value = affine[r, q] - here
                    xx += w * x * x
                    xy += w * x * y
                    yy += w * y * y
                    x1 += w * x
                    y1 += w * y
                    n += w
                    xv += w * x * value
                    yv += w * y * value
                    v1 += w * value
            solid[i, j] = whole
            a, b, c = xx - x1 * x1 / n, xy - x1 * y1 / n, yy - y1 * y1 / n
            d, e = xv - x1 * v1 / n, yv - y1 * v1 / n
            determinant = a * c - b * b
            p = q_ = 0.0
            if determinant > 1e-6:
                p, q_ = (d * c - e * b) / determinant, (e * a - d * b) / determinant
            if pixels > 0:  # depth = p x + q y + …: its gradient in the camera's axes
                nx, ny, nz = p * lens[0], -q_ * lens[1], 1.0
                tx, ty, tz = 0.0, 0.0, 1.0
            else:  # 1 / depth = -n · (point / depth): see the module
                rx, ry = (j + 0.5 - lens[2]) / lens[0], -(i + 0.5 - lens[3]) / lens[1]
                nx, ny = -p * lens[0], q_ * lens[1]
                nz = here - nx * -rx - ny * -ry
                length = np.sqrt(rx * rx + ry * ry + 1)
                tx, ty, tz = -rx / length, -ry / length, 1 / length
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-20
            nx, ny, nz = nx / length, ny / length, nz / length
            # Noise may turn a steep plane away from the viewer, who sees it all the same.
            lacking = _LEAST_COSINE - (nx * tx + ny * ty + nz * tz)
            if lacking > 0:
                nx, ny, nz = nx + lacking * tx, ny + lacking * ty, nz + lacking * tz
                length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-20
                nx, ny, nz = nx / length, ny / length, nz / length
            normal[i, j, 0], normal[i, j, 1], normal[i, j, 2] = nx, ny, nz
