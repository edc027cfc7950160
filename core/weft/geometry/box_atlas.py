"""UVs by box projection: faces go to the axis that they face most, connected ones form a chart, charts go on shelves.

Fast and robust on any size and quality of mesh, at the price of more charts and less used texture than a true unwrap.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from weft.geometry.mesh import Mesh, face_normals, merge_positions
from weft.geometry.rasterize import rasterize_uv
from weft.kernels import kernel

__all__ = ["box_atlas"]

_GAP = 4  # texels between charts
_SMOOTHING = 8  # rounds of averaging normals over neighbours
_VOTES = 4  # rounds of letting neighbours outvote a face
_HALVINGS = 8  # rounds of cutting charts that overlap themselves


def box_atlas(mesh: Mesh, texture_size: int) -> np.ndarray:
    """UVs f4 [F, 3, 2] inside the unit square, for a mesh that `check_mesh` accepts."""
    normals, pairs = face_normals(mesh), _neighbours(mesh)
    side = _sides(normals, pairs)
    plane, height = _projected(mesh, side)
    chart = _components(side, pairs)
    for _ in range(_HALVINGS):
        uv = _pack(plane, chart, texture_size)
        bad = _overlapping_charts(uv, chart, texture_size)
        if not bad.any():
            break
        chart = _components(_halved(chart, height, bad), pairs)
    return uv


def _neighbours(mesh: Mesh) -> np.ndarray:
    """Pairs of faces [E, 2] that share an edge, by position; of an edge with more than two faces, consecutive ones."""
    position, count = merge_positions(mesh.vertices)
    corners = position[mesh.faces]
    edges = np.sort(corners[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), 1)
    key = edges[:, 0].astype(np.int64) * count + edges[:, 1]
    order = np.argsort(key, kind="stable")
    same = key[order[1:]] == key[order[:-1]]
    return np.stack([order[:-1][same], order[1:][same]], 1) // 3


def _sides(normals: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Which of the six axis directions (axis, or axis + 3 if negative) each face [F] is projected along.

    Every speckle would become a chart. So a dense mesh's normals are smoothed first, which takes a scan's noise away,
    and then neighbours outvote a face, unless its new side would see it at more than about 75°.
    """
    faces = len(normals)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    links = coo_matrix((np.ones(len(both), np.float32), both.T), shape=(faces, faces)).tocsr()
    for _ in range(min(_SMOOTHING, faces // 10_000)):
        normals = normals + links @ normals
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), np.float32(1e-20))
    toward = np.concatenate([normals, -normals], 1)
    side = toward.argmax(1)
    for _ in range(_VOTES):
        votes = links @ np.eye(6, dtype=np.float32)[side]
        side = np.where(toward > 0.25, toward + votes, toward - 10).argmax(1)
    return side


def _projected(mesh: Mesh, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners on the face's plane of projection, f8 [F, 3, 2], and the face's height above it, f8 [F]."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    axis = side % 3
    across = np.array([[1, 2], [2, 0], [0, 1]])[axis]
    plane = np.take_along_axis(corners, across[:, None, :], 2)
    return plane, np.take_along_axis(corners.mean(1), axis[:, None], 1)[:, 0]


def _components(label: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The number of each face's [F] connected region of one label."""
    a, b = pairs[label[pairs[:, 0]] == label[pairs[:, 1]]].T
    links = coo_matrix((np.ones(len(a), np.int8), (a, b)), shape=(len(label), len(label)))
    return connected_components(links, directed=False)[1]


def _halved(chart: np.ndarray, height: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Labels [F] where the bad charts are cut in two at half of their height, as a winding staircase must be."""
    low, high = np.full(len(bad), np.inf), np.full(len(bad), -np.inf)
    np.minimum.at(low, chart, height)
    np.maximum.at(high, chart, height)
    return 2 * chart + (bad[chart] & (height > ((low + high) / 2)[chart]))


def _overlapping_charts(uv: np.ndarray, chart: np.ndarray, texture_size: int) -> np.ndarray:
    """bool [charts]: over 15 % of the chart's texels, and more than four, lie in two faces.

    Less is a scan's noise, folded over by a face or two, which no cut would cure.
    """
    first, last = rasterize_uv(uv, texture_size).triangle, rasterize_uv(uv[::-1], texture_size)
    covered = first >= 0
    owner = chart[first[covered]]
    inside = last.barycentric[covered].min(1) > 1e-3
    twice = inside & (first[covered] != len(uv) - 1 - last.triangle[covered])
    count = np.bincount(owner, minlength=int(chart.max()) + 1)
    shared = np.bincount(owner[twice], minlength=len(count))
    return shared > np.maximum(count * 0.15, 4)


def _pack(plane: np.ndarray, chart: np.ndarray, texture_size: int) -> np.ndarray:
    """UVs f4 [F, 3, 2]: the charts, all at the largest scale at which they fit on shelves."""
    charts = int(chart.max()) + 1
    low, high = np.full((charts, 2), np.inf), np.full((charts, 2), -np.inf)
    np.minimum.at(low, chart, plane.min(1))
    np.maximum.at(high, chart, plane.max(1))
    extent = high - low
    turned = extent[:, 0] < extent[:, 1]  # lying charts fill shelves better
    lying = np.where(turned[:, None], extent[:, ::-1], extent)
    order = np.argsort(-lying[:, 1], kind="stable")
    gap = min(_GAP, 0.5 * texture_size / np.sqrt(charts))  # as much as fits
    corner = np.empty_like(lying)
    none, some = 0.0, texture_size / max(float(lying.max()), 1e-30)  # texels per unit that fit, that may not
    for _ in range(24):
        scale = (none + some) / 2
        fits = _shelve(lying[order] * scale + gap, texture_size, corner)
        none, some = (scale, some) if fits else (none, scale)
    _shelve(lying[order] * none + gap, texture_size, corner)
    place = np.empty_like(corner)
    place[order] = corner + gap / 2
    local = (plane - low[chart][:, None]) * none
    local = np.where(turned[chart][:, None, None], local[..., ::-1], local)
    return ((local + place[chart][:, None]) / texture_size).astype(np.float32)


@kernel
def _shelve(sizes, side, corner):
    """Place rectangles f8 [N, 2], tallest first, from left to right on shelves; False if they do not fit the square."""
    x = y = shelf = 0.0
    for n in range(len(sizes)):
        if x + sizes[n, 0] > side:
            x, y, shelf = 0.0, y + shelf, 0.0
        shelf = max(shelf, sizes[n, 1])
        if sizes[n, 0] > side or y + shelf > side:
            return False
        corner[n, 0], corner[n, 1] = x, y
        x += sizes[n, 0]
    return True
