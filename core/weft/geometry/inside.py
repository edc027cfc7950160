"""Which points lie inside a closed surface: those from which a line to infinity crosses it an odd number of times.

Three lines in unrelated directions vote, so that a small hole, or a line that grazes an edge, changes nothing.
"""

from __future__ import annotations

import numpy as np

from weft.geometry.mesh import Mesh, check_mesh
from weft.kernels import kernel

__all__ = ["inside_box", "inside_mesh"]

_DIRECTIONS = np.array([(0.5773, 0.2111, 0.7887), (-0.3141, 0.9265, -0.2071), (0.8414, -0.4161, -0.3437)])
_MOST_CELLS = 512  # along each side of the grid that points are sorted into


def inside_box(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """bool [P]: which points [P, 3] lie between two opposite corners, `box` [2, 3], given in any order."""
    low, high = box.min(0), box.max(0)
    return ((points >= low) & (points <= high)).all(1)


def inside_mesh(points: np.ndarray, mesh: Mesh) -> np.ndarray:
    """bool [P]: which points f4 [P, 3] the mesh encloses, whichever way its faces look. Points that are not finite lie
    outside. Raises InvalidMesh for what is no mesh."""
    check_mesh(mesh)
    near = np.isfinite(points).all(1)
    used = mesh.vertices[mesh.faces]
    near[near] = inside_box(points[near], np.stack([used.min((0, 1)), used.max((0, 1))]))
    candidates = points[near].astype(np.float64)
    inside = near.copy()
    inside[near] = sum(_odd(candidates, used.astype(np.float64), direction) for direction in _DIRECTIONS) >= 2
    return inside


def _odd(points: np.ndarray, corners: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """i4 [P], 1 where the ray from a point along `direction` crosses an odd number of the triangles f8 [F, 3, 3]."""
    if not len(points):
        return np.zeros(0, np.int32)
    along = direction / np.linalg.norm(direction)
    right = np.cross(along, (0, 0, 1))
    right /= np.linalg.norm(right)
    frame = np.stack([right, np.cross(along, right), along], 1)
    points, corners = points @ frame, corners @ frame
    low, extent = points[:, :2].min(0), np.ptp(points[:, :2], axis=0)
    side = int(np.clip(np.sqrt(len(points)), 1, _MOST_CELLS))
    size = np.maximum(extent / side, 1e-300)
    cell = np.minimum(((points[:, :2] - low) / size).astype(np.int64), side - 1)
    number = cell[:, 0] * side + cell[:, 1]
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(side * side + 1))
    odd = np.zeros(len(points), np.int32)
    _cross(points, order, starts, low, size, side, corners, odd)
    return odd


@kernel
def _cross(points, order, starts, low, size, side, corners, odd):
    """Flip odd i4 [P] for each triangle above a point. points f8 [P, 3]; those in cell c of side x side are
    order[starts[c] : starts[c + 1]]."""
    for f in range(len(corners)):
        ax, ay, az = corners[f, 0]
        bx, by, bz = corners[f, 1]
        cx, cy, cz = corners[f, 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0:
            continue
        first_x = (min(ax, bx, cx) - low[0]) / size[0]
        last_x = (max(ax, bx, cx) - low[0]) / size[0]
        first_y = (min(ay, by, cy) - low[1]) / size[1]
        last_y = (max(ay, by, cy) - low[1]) / size[1]
        if last_x < 0 or last_y < 0 or first_x > side or first_y > side:
            continue
        for i in range(max(0, int(first_x)), min(side - 1, int(last_x)) + 1):
            for j in range(max(0, int(first_y)), min(side - 1, int(last_y)) + 1):
                for k in range(starts[i * side + j], starts[i * side + j + 1]):
                    p = order[k]
                    x, y = points[p, 0], points[p, 1]
                    u = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
                    v = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
                    w = 1 - u - v
                    if u >= 0 and v >= 0 and w >= 0 and u * az + v * bz + w * cz > points[p, 2]:
                        odd[p] = 1 - odd[p]
