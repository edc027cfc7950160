"""Which triangle each pixel sees: views, texture charts and batches of small face-on patches.

All return the index of the triangle (-1: none) and the barycentric coordinates of the pixel's centre in it, from which
`interpolate` makes positions, normals or UVs. Results do not depend on the number of threads.
`weft.geometry.rasterize_reference` is the same by other means, for tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.accelerators import usable
from weft.geometry.camera import Camera
from weft.geometry.zbuffer import draw_patches, draw_view, interpolate_rows

__all__ = [
    "Fragments",
    "Texels",
    "interpolate",
    "rasterize",
    "rasterize_many",
    "rasterize_patches",
    "rasterize_uv",
]

_BLOCK = 64  # triangles that share one bounding box when patches look for theirs


class Fragments(NamedTuple):
    """What the pixels of a view, [H, W], or of patches, [M, D, D], see."""

    triangle: np.ndarray  # i4, -1 where there is nothing
    barycentric: np.ndarray  # f4 [..., 3], perspective-correct, of the whole triangle; 0 where there is nothing
    depth: np.ndarray  # f4, along the viewing axis; infinite where there is nothing


class Texels(NamedTuple):
    """Which triangle owns the centre of each texel, [T, T]; row 0 is the top, v = 1."""

    triangle: np.ndarray  # i4, -1 outside all charts
    barycentric: np.ndarray  # f4 [T, T, 3]


def rasterize(
    vertices: np.ndarray,  # f4 [V, 3]
    faces: np.ndarray,  # i4 [F, 3]
    camera: Camera,
    *,
    cull_backfaces: bool = False,
    depth_range: tuple[float, float] | None = None,
) -> Fragments:
    """What the camera sees of a mesh: fragments inside `depth_range`, by default from the near plane on."""
    return rasterize_many(vertices, faces, [camera], cull_backfaces=cull_backfaces, depth_range=depth_range)[0]


def rasterize_many(
    vertices: np.ndarray,
    faces: np.ndarray,
    cameras: Sequence[Camera],
    *,
    cull_backfaces: bool = False,
    depth_range: tuple[float, float] | None = None,
) -> list[Fragments]:
    """`rasterize` for several cameras; the working memory is shared. A GPU draws where it can (`rasterize_cuda`)."""
    if usable("nvdiffrast") and np.isfinite(vertices).all():
        from weft.geometry.rasterize_cuda import rasterize_many_cuda

        return rasterize_many_cuda(vertices, faces, cameras, cull_backfaces=cull_backfaces, depth_range=depth_range)
    draw = _Canvas(vertices, faces)
    views = []
    for camera in cameras:
        lens = np.array([camera.fx, camera.fy, camera.cx, camera.cy, 0.0 if camera.orthographic else 1.0])
        near, far = depth_range or (camera.near, np.inf)
        if not camera.orthographic:
            near = max(near, camera.near)
        views.append(draw(camera.view_matrix, lens, camera.height, camera.width, (near, far), cull_backfaces))
    return views


class _Canvas:
    """A mesh with the working memory to draw it again and again."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self.vertices = np.ascontiguousarray(vertices, np.float32)
        self.faces = np.ascontiguousarray(faces, np.int32)
        self.screen = np.empty((len(vertices), 2), np.float32)
        self.drawn = np.empty(len(faces), np.int32)
        self.columns = np.empty((len(faces), 2), np.int32)
        self.rows = np.empty((len(faces), 2), np.int32)

    def __call__(
        self, matrix: np.ndarray, lens: np.ndarray, height: int, width: int, reach: tuple[float, float], cull: bool
    ) -> Fragments:
        result = _empty((height, width))
        near = reach[0] if lens[4] > 0 else 0.0  # of w, which is 1 in an orthographic view
        scratch = (self.screen, self.drawn, self.columns, self.rows)
        draw_view(
            self.vertices, self.faces, matrix, lens, float(near), np.array(reach, np.float32), cull, *scratch, *result
        )
        return result


def _empty(shape: tuple[int, ...]) -> Fragments:
    return Fragments(np.empty(shape, np.int32), np.empty((*shape, 3), np.float32), np.empty(shape, np.float32))


def rasterize_uv(corner_uv: np.ndarray, size: int) -> Texels:
    """Which triangle covers the centre of each texel of a `size`² texture, from UVs f4 [F, 3, 2].

    A triangle outside the unit square is moved into it by whole tiles (the tile of its centroid), as a repeating
    texture would; what then still reaches beyond the border is not drawn. Where triangles overlap the lowest index
    wins.
    """
    uv = np.asarray(corner_uv, np.float32)
    flat = np.zeros((len(uv) * 3, 3), np.float32)
    flat[:, :2] = (uv - np.floor(uv.mean(1, keepdims=True))).reshape(-1, 2)
    faces = np.arange(len(flat), dtype=np.int32).reshape(-1, 3)
    view = np.eye(3, 4)
    lens = np.array([size, size, 0.0, size, 0.0], np.float64)
    drawn = _Canvas(flat, faces)(view, lens, size, size, (-1.0, 1.0), False)
    return Texels(drawn.triangle, drawn.barycentric)


def rasterize_patches(
    vertices: np.ndarray,  # f4 [V, 3]
    faces: np.ndarray,  # i4 [F, 3]
    poses: np.ndarray,  # [M, 4, 4], camera to world
    size: int,
    pixels_per_unit: float,
    depth_half: float,
) -> Fragments:
    """M orthographic views of `size`² pixels [M, D, D], each centred on its pose's origin and looking along its -Z.

    Only front faces within ± `depth_half` (world units) of the origin's plane are drawn; depth counts from that plane
    along the viewing direction, and the nearest fragment (least depth) wins. Vertices must be finite.
    """
    if not (pixels_per_unit > 0 and depth_half > 0 and size > 0):
        raise InvalidInput(f"size {size}, scale {pixels_per_unit} and depth {depth_half} must all be above 0")
    vertices = np.ascontiguousarray(vertices, np.float32)
    faces = np.ascontiguousarray(faces, np.int32)
    lens = np.array([pixels_per_unit, pixels_per_unit, size / 2, size / 2, 0.0])
    reach = np.array([-depth_half, depth_half], np.float32)
    matrices = np.stack([Camera(pose, 1, 1, 1.0, 1.0, 0.0, 0.0).view_matrix for pose in poses])
    result = _empty((len(poses), size, size))
    draw_patches(vertices, faces, *_blocks(vertices, faces), matrices, lens, reach, *result)
    return result


def _blocks(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Triangles in blocks of neighbours: order i4 [F], starts i8 [B + 1], box corners f4 [B, 3] and [B, 3]."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    middle = (low + high) / 2
    origin = middle.min(0)
    extent = max(float((middle.max(0) - origin).max()), 1e-30)
    cells = max(1, round((len(faces) / _BLOCK) ** (1 / 2)))  # a surface fills about this square of a grid's cells
    cell = np.minimum((middle - origin) * np.float32(cells / extent), cells - 1).astype(np.int32)
    order = np.argsort((cell[:, 0] * cells + cell[:, 1]) * cells + cell[:, 2]).astype(np.int32)
    starts = np.append(np.arange(0, len(faces), _BLOCK), len(faces))
    lows = np.minimum.reduceat(low[order], starts[:-1])
    highs = np.maximum.reduceat(high[order], starts[:-1])
    return order, starts, lows, highs


def interpolate(fragments: Fragments | Texels, attributes: np.ndarray, faces: np.ndarray | None = None) -> np.ndarray:
    """Attributes at the pixels, f4 [..., C]; 0 where there is no triangle.

    `attributes` are per vertex, [V, C], with the `faces` [F, 3] that index them, or per face corner, [F, 3, C].
    """
    values = np.asarray(attributes, np.float32)
    if values.ndim == 3:
        faces = np.arange(len(values) * 3, dtype=np.int32).reshape(-1, 3)
        values = values.reshape(-1, values.shape[2])
    if faces is None or values.ndim != 2:
        raise InvalidInput(f"attributes {list(values.shape)} need faces, expected [V, C] with faces or [F, 3, C]")
    triangle = np.ascontiguousarray(fragments.triangle.reshape(-1))
    out = np.empty((len(triangle), values.shape[1]), np.float32)
    barycentric = np.ascontiguousarray(fragments.barycentric.reshape(-1, 3))
    interpolate_rows(triangle, barycentric, np.ascontiguousarray(faces, np.int32), np.ascontiguousarray(values), out)
    return out.reshape(*fragments.triangle.shape, values.shape[1])
