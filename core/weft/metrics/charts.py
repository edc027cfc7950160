"""UV charts: which triangles hang together in the texture."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from weft.errors import InvalidMesh
from weft.geometry.mesh import Mesh

__all__ = ["chart_ids", "chart_map"]


def chart_ids(mesh: Mesh) -> np.ndarray:
    """i4 [F]: the chart of each triangle, numbered from 0.

    Triangles belong together when they share an edge whose two ends agree in position and in UV.
    """
    if mesh.corner_uv is None:
        raise InvalidMesh(f"{mesh.name!r} has no UVs", "unwrap it first")
    count = len(mesh.faces)
    position = _row_ids(mesh.vertices)[mesh.faces].reshape(-1)
    place = np.rint(mesh.corner_uv.reshape(-1, 2).astype(np.float64) * 2**20)
    corner = _row_ids(np.concatenate([position[:, None], place], 1)).reshape(-1, 3)
    edges = np.sort(np.stack([corner, np.roll(corner, -1, 1)], -1), -1).reshape(-1, 2)
    edge = _row_ids(edges)
    # Triangles and edges are the two kinds of node of one graph.
    owner = np.repeat(np.arange(count), 3)
    nodes = count + int(edge.max()) + 1
    graph = coo_array((np.ones(len(owner), bool), (owner, edge + count)), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    return np.unique(component[:count], return_inverse=True)[1].astype(np.int32)


def _row_ids(rows: np.ndarray) -> np.ndarray:
    """i8 [N]: equal rows of [N, C] get equal numbers. Column by column, which is far faster than sorting whole rows."""
    ids = np.zeros(len(rows), np.int64)
    for column in rows.T:
        _, value = np.unique(column, return_inverse=True)
        _, ids = np.unique(ids * (int(value.max()) + 1) + value, return_inverse=True)
    return ids


def chart_map(triangle: np.ndarray, charts: np.ndarray) -> np.ndarray:
    """i4 [T, T]: the chart of each texel (-1 outside) from its triangle (-1 outside) and the triangles' charts."""
    return np.where(triangle >= 0, charts[np.maximum(triangle, 0)], -1).astype(np.int32)
