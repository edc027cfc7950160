"""Shading normals that are smooth within a surface and break at its creases.

A mesh of triangles does not say which of its edges are meant to be sharp; the angle between faces does: a ball keeps
its roundness, a cube its flat sides.
"""

from __future__ import annotations

import numpy as np

from weft.geometry.mesh import merge_positions
from weft.kernels import kernel

__all__ = ["CREASE", "crease_normals"]

CREASE = 40.0  # degrees between faces: coarse round parts of real meshes bend by 30, prisms of eight sides by 45
_MOST_CORNERS = 512  # at one position: beyond, comparing all pairs would take long, and all of them are averaged


def crease_normals(vertices: np.ndarray, faces: np.ndarray, degrees: float = CREASE) -> np.ndarray:
    """f4 [F, 3, 3]: unit normals of the corners of `faces` i4 [F, 3] over `vertices` f4 [V, 3].

    Each is the mean, weighted by area and by the angle at the corner, of the normals of those faces around its position
    that lean at most `degrees` from its own face. Vertices at exactly one position count as one. 0 where the face and
    all others there have no area.
    """
    vertices, faces = np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(faces, np.int32)
    position, count = merge_positions(vertices)
    at = position[faces].reshape(-1)
    order = np.argsort(at, kind="stable")
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(at, minlength=count), out=starts[1:])
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    cross = np.cross(b - a, c - a)
    weighted = cross[:, None] * _angles(a, b, c)[..., None]
    unit = cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-300)
    result = np.empty((len(faces), 3, 3), np.float32)
    _gather(starts, order, weighted.reshape(-1, 3), unit, np.cos(np.radians(degrees)), result.reshape(-1, 3))
    return result


def _angles(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """f8 [F, 3]: of the triangles at their corners [F, 3], in radians; 0 where an edge has no length."""
    edges = np.stack([b - a, c - b, a - c], 1)
    out, back = edges, -np.roll(edges, 1, 1)
    return np.arctan2(np.linalg.norm(np.cross(out, back), axis=2), (out * back).sum(2))


@kernel
def _gather(starts, order, weighted, unit, least, result):
    """result[corner] = the unit sum of `weighted` over the corners of its position whose faces lean little from its."""
    anything = np.zeros(3)
    for p in range(len(starts) - 1):
        corners = order[starts[p] : starts[p + 1]]
        crowded = len(corners) > _MOST_CORNERS
        for m in range(len(corners)):
            if m == 0 or not crowded:
                own = anything if crowded else unit[corners[m] // 3]
                x, y, z = _mean(corners, weighted, unit, own, least)
            result[corners[m], 0], result[corners[m], 1], result[corners[m], 2] = x, y, z


@kernel
def _mean(corners, weighted, unit, own, least):
    """The unit sum over those that lean little from `own`; over all where that is 0."""
    anyhow = own[0] == 0 and own[1] == 0 and own[2] == 0
    x, y, z = 0.0, 0.0, 0.0
    for corner in corners:
        other = unit[corner // 3]
        if anyhow or own[0] * other[0] + own[1] * other[1] + own[2] * other[2] >= least:
            x, y, z = x + weighted[corner, 0], y + weighted[corner, 1], z + weighted[corner, 2]
    length = np.sqrt(x * x + y * y + z * z)
    scale = 1 / length if length > 0 else 0.0
    return x * scale, y * scale, z * scale
