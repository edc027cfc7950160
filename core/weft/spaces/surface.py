"""The texels of a job: every chart texel of every object, where it lies in the world and which way it faces.

UVs are rasterised once. Everything after speaks of *cells* (chart texels, numbered through all objects) and comes back
to images only through `nearest`, which also fills the gutters between charts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from weft.errors import InvalidMesh
from weft.geometry.mesh import Mesh, concatenate, face_normals, vertex_normals
from weft.geometry.rasterize import interpolate, rasterize_uv

__all__ = ["Surface", "agreeing_normals", "build_surface"]

_UP = np.array([0, 0, 1], np.float32)
_LEAST_AGREEMENT = 0.1  # cosine between a smooth normal and its face's


@dataclass(frozen=True, eq=False)
class Surface:
    """Geometry and texel table of a job; world frame, lengths in world units."""

    meshes: tuple[Mesh, ...]
    size: int  # texture side T
    vertices: np.ndarray  # f4 [V, 3]
    normals: np.ndarray  # f4 [V, 3], unit, smooth
    faces: np.ndarray  # i4 [F, 3]
    corner_uv: np.ndarray  # f4 [F, 3, 2], shifted triangle by triangle into the unit square
    face_object: np.ndarray  # i4 [F]
    position: np.ndarray  # f4 [n, 3]
    normal: np.ndarray  # f4 [n, 3], unit
    object: np.ndarray  # i4 [n]
    triangle: np.ndarray  # i4 [n]
    nearest: np.ndarray  # i4 [objects, T, T]: the cell of every texel; outside charts the nearest chart's
    chart: np.ndarray  # bool [objects, T, T]: texels that belong to a chart

    @property
    def cells(self) -> int:
        return len(self.position)

    def image(self, z: np.ndarray, index: int) -> np.ndarray:
        """Cell values f4 [n, C] -> texture of object `index`, f4 [T, T, C], gutters filled."""
        return z[self.nearest[index]]

    def radius(self) -> float:
        """Half the diagonal of the bounding box."""
        return float(np.linalg.norm(np.ptp(self.vertices, axis=0))) / 2


def build_surface(meshes: Sequence[Mesh], size: int) -> Surface:
    """Rasterise the UVs of `meshes` (all with `corner_uv`) into `size` x `size` texels each.

    Raises InvalidMesh if an object's UVs hit no texel centre at all.
    """
    vertices, faces, face_object = concatenate(meshes)
    normals = np.concatenate([vertex_normals(mesh) for mesh in meshes]).astype(np.float32)
    corner_uv = np.concatenate([_into_unit_square(mesh) for mesh in meshes])
    positions, cell_normals, objects, triangles, nearest, charts = [], [], [], [], [], []
    first_face, first_cell = 0, 0
    for index, mesh in enumerate(meshes):
        own = slice(first_face, first_face + len(mesh.faces))
        texels = rasterize_uv(corner_uv[own], size)
        chart = texels.triangle >= 0
        if not chart.any():
            raise InvalidMesh(
                f"the UVs of {mesh.name!r} cover no texel of a {size} x {size} texture",
                "unwrap it again (Smart UV Project) or raise the texture size",
            )
        hit = texels.triangle[chart]
        positions.append(interpolate(texels, vertices, faces[own])[chart])
        smooth = interpolate(texels, normals, faces[own])[chart]
        cell_normals.append(agreeing_normals(smooth, face_normals(mesh)[hit]))
        objects.append(np.full(len(hit), index, np.int32))
        triangles.append((hit + first_face).astype(np.int32))
        nearest.append(_nearest_cell(chart, first_cell))
        charts.append(chart)
        first_face += len(mesh.faces)
        first_cell += len(hit)
    return Surface(
        meshes=tuple(meshes), size=size, vertices=vertices, normals=normals, faces=faces, corner_uv=corner_uv,
        face_object=face_object, position=np.concatenate(positions).astype(np.float32),
        normal=np.concatenate(cell_normals), object=np.concatenate(objects), triangle=np.concatenate(triangles),
        nearest=np.stack(nearest), chart=np.stack(charts),
    )  # fmt: skip


def _into_unit_square(mesh: Mesh) -> np.ndarray:
    """Whole-number shifts of each triangle, so that UDIM tiles and repeated UVs land in the one texture."""
    assert mesh.corner_uv is not None
    return (mesh.corner_uv - np.floor(mesh.corner_uv.mean(1, keepdims=True))).astype(np.float32)


def agreeing_normals(smooth: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Unit normals f4 [n, 3] from interpolated ones and those of the faces themselves.

    Where the two part (a sheet of two faces, back to back, whose smooth normals cancel), the face's own is right; where
    a face has no area and its neighbours have none either, straight up is as good as any.
    """
    length = np.linalg.norm(smooth, axis=1, keepdims=True)
    unit = smooth / np.maximum(length, 1e-9)
    misleading = ((unit * flat).sum(1) < _LEAST_AGREEMENT) & flat.any(1)
    unit = np.where(misleading[:, None], flat, unit)
    return np.where(unit.any(1, keepdims=True), unit, _UP).astype(np.float32)


def _nearest_cell(chart: np.ndarray, first_cell: int) -> np.ndarray:
    """i4 [T, T]: the cell number of each texel, outside charts of the nearest one in the texture."""
    number = np.cumsum(chart.ravel(), dtype=np.int64).reshape(chart.shape) - 1 + first_cell
    if not chart.all():
        nearest = distance_transform_edt(~chart, return_distances=False, return_indices=True)
        number = number[tuple(np.asarray(nearest))]
    return number.astype(np.int32)
