"""Small meshes whose surface is known by heart, and the real ones where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from weft.geometry.mesh import Mesh
from weft.io.meshes import load_meshes

__all__ = ["DATA", "box", "needs_data", "quad", "real_mesh", "tetrahedron"]

DATA = Path(os.environ.get("WEFT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="set WEFT_TEST_DATA to the folder of the real test inputs")

_AXES = np.array([(0, -1, 0), (1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, 0, 1), (0, 0, -1)], np.float64)
_RIGHT = np.array([(1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0), (1, 0, 0), (1, 0, 0)], np.float64)


def real_mesh(name: str) -> Mesh:
    """The first object of a file among the real inputs, Z up."""
    return load_meshes(DATA / name)[0]


def tetrahedron(name: str = "tetrahedron", shift: tuple[float, float, float] = (0, 0, 0)) -> Mesh:
    """Without UVs."""
    corners = np.array([(1, 1, 1), (-1, -1, 1), (-1, 1, -1), (1, -1, -1)], np.float32)
    return Mesh(
        name, corners + np.array(shift, np.float32), np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)], np.int32)
    )


def quad(name: str = "quad", half: float = 1.0, y: float = 0.0, margin: float = 0.0) -> Mesh:
    """A square of side 2 · half that faces -Y; its UVs fill the texture but for `margin` on all sides."""
    corners = np.array([(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1)], np.float32)
    faces = np.array([(0, 1, 2), (0, 2, 3)], np.int32)
    uv = (corners[:, [0, 2]] + 1) / 2 * (1 - 2 * margin) + margin
    return Mesh(name, corners * np.float32(half) + np.array((0, y, 0), np.float32), faces, uv[faces].astype(np.float32))


def box(n: int = 6, *, sphere: bool = False, radius: float = 1.0, name: str = "box", margin: float = 0.06) -> Mesh:
    """A cube of side 2 · radius, or its projection onto the sphere, of n x n squares a side; six charts, 3 x 2."""
    steps = np.linspace(-1, 1, n + 1)
    a, b = np.meshgrid(steps, steps, indexing="ij")
    i, j = (index.ravel() for index in np.mgrid[:n, :n])
    corner = i * (n + 1) + j
    quads = np.stack([corner, corner + n + 1, corner + n + 2, corner + 1], 1)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    vertices, faces, corner_uv = [], [], []
    for k, (axis, right) in enumerate(zip(_AXES, _RIGHT, strict=True)):
        up = np.cross(axis, right)
        points = axis + a.reshape(-1, 1) * right + b.reshape(-1, 1) * up
        vertices.append(points / np.linalg.norm(points, axis=1, keepdims=True) if sphere else points)
        local = (np.stack([a.ravel(), b.ravel()], 1) + 1) / 2 * (1 - 2 * margin) + margin
        corner_uv.append(((local + np.array((k % 3, k // 3))) / (3, 2))[triangles])
        faces.append(triangles + k * (n + 1) ** 2)
    stacked = (np.concatenate(vertices) * radius).astype(np.float32)
    return Mesh(name, stacked, np.concatenate(faces).astype(np.int32), np.concatenate(corner_uv).astype(np.float32))
