"""The rasteriser on a GPU, by nvdiffrast (Laine et al., "Modular Primitives for High-Performance Differentiable
Rendering", 2020), behind `weft.geometry.rasterize`.

nvdiffrast takes clip coordinates and gives (u, v, z/w, triangle + 1) at pixel centres, row 0 at y/w = -1: with y that
counts downwards row 0 is the top. It clips at z/w = ±1, which are put at the depth range. u and v are the weights of a
triangle's first and second corner, perspective-correct and of the whole triangle. Depth is recomputed from them.

It moves corners to sixteenths of a pixel, so near edges it may see the neighbouring triangle; barycentrics are clamped
there. Views are otherwise those of the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.geometry.camera import Camera
from weft.geometry.rasterize import Fragments

__all__ = ["rasterize_many_cuda"]

_EXACT = 1 << 24  # numbers of triangles up to here are floats; …
_CODED = 0x4A800000  # … beyond, they are the bits of one, plus this
_CLEAR = 1e-3  # part of the depths between clip planes and the nearest and farthest corner


def rasterize_many_cuda(
    vertices: np.ndarray,  # f4 [V, 3]
    faces: np.ndarray,  # i4 [F, 3]
    cameras: Sequence[Camera],
    *,
    cull_backfaces: bool = False,
    depth_range: tuple[float, float] | None = None,
    device: str = "cuda",
) -> list[Fragments]:
    """As `rasterize_many`."""
    drawing, context = _nvdiffrast(device)
    corners = torch.from_numpy(np.ascontiguousarray(faces, np.int32)).to(device)
    places = torch.from_numpy(np.ascontiguousarray(vertices, np.float32)).to(device).double()
    views = []
    for camera in cameras:
        near, far = depth_range or (camera.near, np.inf)
        near = near if camera.orthographic else max(near, camera.near)
        seen = _seen(places, camera)
        kept = _front_faces(seen, corners, camera) if cull_backfaces else None
        drawn = corners if kept is None else corners[kept].contiguous()
        if not len(drawn):
            views.append(_nothing(camera))
            continue
        clip = _clip_coordinates(seen, camera, near, far).float().contiguous()
        found, _ = drawing.rasterize(context, clip[None], drawn, (camera.height, camera.width), grad_db=False)
        views.append(_fragments(found[0], drawn, kept, seen[:, 2]))
    return views


@cache
def _nvdiffrast(device: str) -> tuple[ModuleType, Any]:
    """The package, and a context that keeps its buffers from view to view."""
    import nvdiffrast.torch as drawing  # pyright: ignore[reportMissingImports]

    return drawing, drawing.RasterizeCudaContext(device=device)


def _seen(places: Tensor, camera: Camera) -> Tensor:
    """f8 [V, 3]: right, up, depth."""
    view = torch.from_numpy(camera.view_matrix).to(places.device)
    return places @ view[:, :3].T + view[:, 3]


def _clip_coordinates(seen: Tensor, camera: Camera, near: float, far: float) -> Tensor:
    """f8 [V, 4]: x/w and y/w from -1 to 1 across the image, y downwards; z/w from -1 at `near` to 1 at `far`.

    Where the corners begin later or end earlier than the range, the planes move there: z has 32 bits for all of it.
    """
    right, up, depth = seen.unbind(1)
    least, most = float(depth.min()), float(depth.max())
    room = _CLEAR * max(most - least, abs(most), 1e-9)
    if least > near and (camera.orthographic or least - room > 0):
        near = max(near, least - room)
    far = max(min(far, most + room), near + room)
    w = torch.ones_like(depth) if camera.orthographic else depth
    x = 2 * (camera.fx * right + camera.cx * w) / camera.width - w
    y = 2 * (camera.cy * w - camera.fy * up) / camera.height - w
    if camera.orthographic:
        return torch.stack([x, y, (2 * depth - near - far) / (far - near), w], 1)
    return torch.stack([x, y, ((far + near) * depth - 2 * far * near) / (far - near), w], 1)


def _front_faces(seen: Tensor, corners: Tensor, camera: Camera) -> Tensor:
    """i8 [n], the triangles that are counter-clockwise for the viewer."""
    a, b, c = (seen[corners[:, k].long()] for k in range(3))
    normal = torch.linalg.cross(b - a, c - a)
    # Right, up and depth are left-handed: the normal of a front face points away from the viewer here.
    away = normal[:, 2] if camera.orthographic else (normal * a).sum(1)
    return torch.nonzero(away > 0)[:, 0]


def _fragments(found: Tensor, drawn: Tensor, kept: Tensor | None, depth: Tensor) -> Fragments:
    """What `nvdiffrast` found, [H, W, 4], on the CPU."""
    triangle = _numbers(found[..., 3].contiguous()) - 1
    covered = triangle >= 0
    at = triangle.clamp(min=0).long()
    u, v = found[..., 0].double(), found[..., 1].double()
    weights = torch.stack([u, v, 1 - u - v], -1)
    deep = (weights * depth[drawn[at].long()]).sum(-1)
    number = at if kept is None else kept[at]
    return Fragments(
        torch.where(covered, number, -1).int().cpu().numpy(),
        (weights * covered[..., None]).float().cpu().numpy(),
        torch.where(covered, deep, torch.inf).float().cpu().numpy(),
    )


def _numbers(coded: Tensor) -> Tensor:
    """i4, what nvdiffrast writes as floats: the numbers themselves, or from 2^24 on by their bits."""
    return torch.where(coded <= _EXACT, coded.clamp(max=_EXACT).int(), coded.view(torch.int32) - _CODED)


def _nothing(camera: Camera) -> Fragments:
    shape = camera.height, camera.width
    return Fragments(
        np.full(shape, -1, np.int32), np.zeros((*shape, 3), np.float32), np.full(shape, np.inf, np.float32)
    )
