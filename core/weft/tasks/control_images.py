"""What views of meshes show, as control pictures: from the rasterised views themselves, nothing is drawn again.

`control_encoding` says what the colours mean. Where the object is, `views.mask` says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from torch import Tensor

from weft.geometry.creases import crease_normals
from weft.kernels import parallel_kernel
from weft.spaces.mesh_texture import Views
from weft.spaces.surface import Surface
from weft.tasks.control_encoding import Shown, check_kinds, control_pictures, nearness

__all__ = ["mesh_controls", "view_normals"]


def mesh_controls(kinds: Sequence[str], views: Views, surface: Surface) -> dict[str, Tensor]:
    """[N, 3, H, W] in [0, 1] for each of `kinds` ("depth", "normal", "canny"), at the pixels of `views`.

    Raises UnknownName for another kind.
    """
    check_kinds(kinds)
    near = nearness(views.depth, views.mask, views.cameras)
    return control_pictures(kinds, Shown(views.mask, near, lambda: view_normals(views, surface)))


def view_normals(views: Views, surface: Surface) -> np.ndarray:
    """f4 [N, 3, H, W]: unit normals in camera axes (right, up, towards the viewer), 0 on the background.

    Smooth but for creases. A face seen from behind shows its other side, so that it faces the viewer, too.
    """
    corners = crease_normals(surface.vertices, surface.faces)
    first, second, third = (surface.vertices[surface.faces[:, k]] for k in range(3))
    faces = np.cross(second - first, third - first).astype(np.float32)
    axes = np.stack([camera.pose[:3, :3].T for camera in views.cameras]).astype(np.float32, order="C")
    count, height, width = views.shape
    out = np.empty((count, 3, height * width), np.float32)
    triangle = views.triangle.reshape(count, -1)
    barycentric = views.barycentric.reshape(count, -1, 3)
    _shade(triangle, barycentric, corners, faces, np.ascontiguousarray(first), views.eyes, axes, out)
    return out.reshape(count, 3, height, width)


@parallel_kernel
def _shade(triangle, barycentric, corners, faces, first, eyes, axes, out):
    """out[n, :, p] = the normal at pixel p of view n.

    `corners` f4 [F, 3, 3] are unit normals, `faces` f4 [F, 3] along the faces' own, `first` f4 [F, 3] a point of each,
    `eyes` f4 [N, 4] as `Views.eyes`, `axes` f4 [N, 3, 3] the cameras' right, up and back.
    """
    pixels = triangle.shape[1]
    for task in numba.prange(len(triangle) * 16):
        n, part = task // 16, task % 16
        for p in range(pixels * part // 16, pixels * (part + 1) // 16):
            f = triangle[n, p]
            out[n, 0, p], out[n, 1, p], out[n, 2, p] = np.float32(0), np.float32(0), np.float32(0)
            if f < 0:
                continue
            x, y, z, facing = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for k in range(3):
                b = barycentric[n, p, k]
                x, y, z = x + b * corners[f, k, 0], y + b * corners[f, k, 1], z + b * corners[f, k, 2]
                facing += faces[f, k] * (eyes[n, k] - eyes[n, 3] * first[f, k])
            length = np.sqrt(x * x + y * y + z * z)
            scale = np.float32(1) / length if length > 0 else np.float32(0)
            scale = -scale if facing < 0 else scale
            for c in range(3):
                out[n, c, p] = scale * (x * axes[n, c, 0] + y * axes[n, c, 1] + z * axes[n, c, 2])
