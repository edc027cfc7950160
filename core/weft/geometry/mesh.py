"""Triangle meshes as plain arrays: checks, normals, areas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weft.errors import InvalidInput, InvalidMesh
from weft.kernels import kernel

__all__ = [
    "Mesh",
    "bounding_sphere",
    "check_mesh",
    "concatenate",
    "face_crosses",
    "face_normals",
    "merge_positions",
    "surface_area",
    "vertex_normals",
]


@dataclass(frozen=True, eq=False)
class Mesh:
    """One object in world space. Faces are counter-clockwise seen from outside; (0, 0) in UV is the texture's bottom
    left. `check_mesh` tells whether the arrays make sense."""

    name: str
    vertices: np.ndarray  # f4 [V, 3]
    faces: np.ndarray  # i4 [F, 3], indices of vertices
    corner_uv: np.ndarray | None = None  # f4 [F, 3, 2], per face corner


def check_mesh(mesh: Mesh) -> None:
    """Raise `InvalidMesh` unless the mesh can be rasterised: it has faces, finite vertices, valid indices, an area."""
    for array, kind, tail, what in (
        (mesh.vertices, "f", (3,), "vertices: f4 [V, 3]"),
        (mesh.faces, "i", (3,), "faces: i4 [F, 3]"),
        (mesh.corner_uv, "f", (3, 2), "corner_uv: f4 [F, 3, 2]"),
    ):
        if array is not None and (array.dtype.kind != kind or array.shape[1:] != tail):
            raise InvalidMesh(f"{mesh.name!r} has {array.dtype} {list(array.shape)}, expected {what}")
    if len(mesh.vertices) == 0 or len(mesh.faces) == 0:
        raise InvalidMesh(f"{mesh.name!r} has no faces", "give it a surface: curves and loose edges cannot be textured")
    broken = int((~np.isfinite(mesh.vertices).all(1)).sum())
    if broken:
        raise InvalidMesh(f"{mesh.name!r} has {broken} vertices at NaN or infinity", "delete or repair these vertices")
    lowest, highest = int(mesh.faces.min()), int(mesh.faces.max())
    if lowest < 0 or highest >= len(mesh.vertices):
        raise InvalidMesh(
            f"{mesh.name!r} has faces with vertex indices {lowest} to {highest}, expected 0 to {len(mesh.vertices) - 1}"
        )
    if mesh.corner_uv is not None and len(mesh.corner_uv) != len(mesh.faces):
        raise InvalidMesh(f"{mesh.name!r} has {len(mesh.corner_uv)} triples of UVs for {len(mesh.faces)} faces")
    if not surface_area(mesh) > 0:
        raise InvalidMesh(f"{mesh.name!r} has only faces of zero area", "check the object's scale")


def face_crosses(mesh: Mesh) -> np.ndarray:
    """f8 [F, 3]: along each face's normal, as long as twice its area."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    return np.cross(b - a, c - a)


def face_normals(mesh: Mesh) -> np.ndarray:
    """f4 [F, 3] unit normals; zero for faces without area."""
    return _normalize(face_crosses(mesh))


def surface_area(mesh: Mesh) -> float:
    return float(np.linalg.norm(face_crosses(mesh), axis=1).sum() / 2)


def vertex_normals(mesh: Mesh) -> np.ndarray:
    """f4 [V, 3] unit normals, each the mean of its faces' normals weighted by area and by the angle at the vertex.

    Vertices at exactly the same position share one normal, so that duplicates along UV seams leave no crease. Zero
    where no face with an area touches the vertex.
    """
    position, count = merge_positions(mesh.vertices)
    total = np.zeros((count, 3))
    _add_corner_normals(
        np.ascontiguousarray(mesh.vertices, np.float32), np.ascontiguousarray(mesh.faces, np.int32), position, total
    )
    return _normalize(total)[position]


@kernel
def _add_corner_normals(vertices, faces, position, total):
    """Add to total f8 [P, 3], at each corner's position, the face's area vector times the corner's angle."""
    for f in range(len(faces)):
        for k in range(3):
            apex, left, right = faces[f, k], faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]
            ax = np.float64(vertices[left, 0]) - vertices[apex, 0]
            ay = np.float64(vertices[left, 1]) - vertices[apex, 1]
            az = np.float64(vertices[left, 2]) - vertices[apex, 2]
            bx = np.float64(vertices[right, 0]) - vertices[apex, 0]
            by = np.float64(vertices[right, 1]) - vertices[apex, 1]
            bz = np.float64(vertices[right, 2]) - vertices[apex, 2]
            nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
            angle = math.atan2(math.sqrt(nx * nx + ny * ny + nz * nz), ax * bx + ay * by + az * bz)
            p = position[apex]
            total[p, 0] += angle * nx
            total[p, 1] += angle * ny
            total[p, 2] += angle * nz


def merge_positions(vertices: np.ndarray) -> tuple[np.ndarray, int]:
    """A number [V] for each vertex, equal exactly where the positions are equal, and how many there are."""
    bits = np.ascontiguousarray(vertices + np.float32(0), np.float32).view(np.uint32).astype(np.uint64)  # -0 is 0
    keys = np.zeros(len(bits), np.uint64)
    for axis, odd in enumerate((0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)):
        keys = (keys ^ bits[:, axis]) * np.uint64(odd)
        keys ^= keys >> np.uint64(29)
    _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    if not np.array_equal(vertices[first[number]], vertices):  # two positions with one hash: once in 10⁷ large meshes
        _, first, number = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
    return number.reshape(-1), len(first)


def _normalize(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0).astype(np.float32)


def concatenate(meshes: Sequence[Mesh]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All meshes as one: vertices f4 [V, 3], faces i4 [F, 3], and which mesh each face came from, i4 [F]."""
    if not meshes:
        raise InvalidInput("no meshes given, expected at least one")
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    vertices = np.concatenate([mesh.vertices for mesh in meshes]).astype(np.float32)
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]).astype(np.int32)
    owner = np.repeat(np.arange(len(meshes), dtype=np.int32), [len(mesh.faces) for mesh in meshes])
    return vertices, faces, owner


def bounding_sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """The centre f8 [3] of the bounding box of `points` [N, 3] and the radius around it that holds all of them."""
    center = (points.min(0).astype(np.float64) + points.max(0)) / 2
    return center, float(np.linalg.norm(points - center, axis=1).max())
