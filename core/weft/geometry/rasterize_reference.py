"""The rasteriser once more, by other means: polygons cut at the near plane, then a scatter-minimum over all fragments.

Slow and plain: tests hold `weft.geometry.rasterize` to it. Both give the same up to pixels whose centre lies on an edge
and up to triangles at equal depth.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from weft.geometry.camera import Camera
from weft.geometry.rasterize import Fragments

__all__ = ["rasterize_reference"]


def rasterize_reference(
    vertices: np.ndarray,  # f4 [V, 3]
    faces: np.ndarray,  # i4 [F, 3]
    camera: Camera,
    *,
    cull_backfaces: bool = False,
    depth_range: tuple[float, float] | None = None,
) -> Fragments:
    """As `rasterize`."""
    near, far = depth_range or (camera.near, np.inf)
    view = torch.from_numpy(camera.view_matrix)
    corners = torch.from_numpy(np.asarray(vertices, np.float64)[faces]) @ view[:, :3].T + view[:, 3]  # [F, 3, 3]
    weights = torch.eye(3, dtype=torch.float64).expand(len(faces), 3, 3)
    index = torch.arange(len(faces))
    if not camera.orthographic:
        near = max(near, camera.near)
        corners, weights, index = _cut(corners, weights, index, near)
    pixel, index, depth, barycentric = _fragments(corners, weights, index, camera, cull_backfaces)
    kept = (depth >= near) & (depth <= far)
    return _nearest(camera, pixel[kept], index[kept], depth[kept], barycentric[kept])


def _cut(corners: Tensor, weights: Tensor, index: Tensor, near: float) -> tuple[Tensor, Tensor, Tensor]:
    """The triangles' parts with depth ≥ near: corners [P, 3, 3], their barycentrics, the triangle of each part."""
    parts = [], [], []
    joined = torch.cat([corners, weights], 2)  # what is true of an edge's ends is interpolated along it
    for face, triangle in zip(index.tolist(), joined, strict=True):
        polygon = []
        for p, q in zip(triangle, triangle.roll(-1, 0), strict=True):
            if p[2] >= near:
                polygon.append(p)
            if (p[2] >= near) != (q[2] >= near):
                polygon.append(p + (near - p[2]) / (q[2] - p[2]) * (q - p))
        for k in range(1, len(polygon) - 1):
            part = torch.stack([polygon[0], polygon[k], polygon[k + 1]])
            for values, value in zip(parts, (part[:, :3], part[:, 3:], torch.tensor(face)), strict=True):
                values.append(value)
    if not parts[0]:
        return corners[:0], weights[:0], index[:0]
    return torch.stack(parts[0]), torch.stack(parts[1]), torch.stack(parts[2])


def _fragments(
    corners: Tensor, weights: Tensor, index: Tensor, camera: Camera, cull: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Every pixel centre in every triangle: pixel number, triangle, depth f4, barycentric f8 [N, 3]."""
    depth = corners[..., 2]
    divisor = torch.ones_like(depth) if camera.orthographic else depth
    x = camera.fx * corners[..., 0] / divisor + camera.cx
    y = camera.cy - camera.fy * corners[..., 1] / divisor
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    left, right = (x.amin(1) - 0.5).ceil().clamp(min=0), (x.amax(1) - 0.5).floor().clamp(max=camera.width - 1)
    top, bottom = (y.amin(1) - 0.5).ceil().clamp(min=0), (y.amax(1) - 0.5).floor().clamp(max=camera.height - 1)
    drawn = (left <= right) & (top <= bottom) & ((area < 0) if cull else (area != 0))
    columns = torch.where(drawn, right - left + 1, 0).long()
    count = columns * torch.where(drawn, bottom - top + 1, 0).long()
    t = torch.repeat_interleave(torch.arange(len(count)), count)
    place = torch.arange(len(t)) - (count.cumsum(0) - count)[t]  # number of the pixel inside its triangle's bounds
    i, j = left[t].long() + place % columns[t], top[t].long() + place // columns[t]
    u, v = i + 0.5, j + 0.5
    screen = []  # barycentrics in the image
    for a, b in ((1, 2), (2, 0), (0, 1)):
        screen.append(((x[t, a] - u) * (y[t, b] - v) - (x[t, b] - u) * (y[t, a] - v)) / area[t])
    linear = torch.stack(screen, 1)
    inside = (linear >= 0).all(1)
    t, linear = t[inside], linear[inside] / divisor[t[inside]]  # perspective: attributes over depth are linear
    linear = linear / linear.sum(1, keepdim=True)
    barycentric = torch.einsum("nk,nkc->nc", linear, weights[t])
    return (j * camera.width + i)[inside], index[t], (linear * depth[t]).sum(1).float(), barycentric


def _nearest(camera: Camera, pixel: Tensor, index: Tensor, depth: Tensor, barycentric: Tensor) -> Fragments:
    """Of each pixel's fragments the nearest, and of equally near ones the lowest index."""
    pixels = camera.width * camera.height
    least = torch.full((pixels,), torch.inf).scatter_reduce(0, pixel, depth, "amin")
    first = depth == least[pixel]
    pixel, index, barycentric = pixel[first], index[first], barycentric[first]
    none = torch.iinfo(torch.int64).max
    lowest = torch.full((pixels,), none).scatter_reduce(0, pixel, index, "amin")
    winner = index == lowest[pixel]
    weights = torch.zeros(pixels, 3, dtype=torch.float64)
    weights[pixel[winner]] = barycentric[winner]
    shape = camera.height, camera.width
    triangle = torch.where(lowest == none, -1, lowest).int()
    return Fragments(
        triangle.reshape(shape).numpy(), weights.float().reshape(*shape, 3).numpy(), least.reshape(shape).numpy()
    )
