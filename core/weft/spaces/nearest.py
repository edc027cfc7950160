"""The nearest of very many points to each of some: only those that may be nearest are put into a tree.

A tree of two million points takes most of a second to build, for a few thousand hidden texels that each lie close to
one they can copy. A coarse choice of the points bounds how far away the nearest of all is; what is farther from every
target than that, by a grid of boxes as wide, cannot be it.
"""

from __future__ import annotations

import numba
import numpy as np
from scipy.spatial import KDTree

from weft.kernels import parallel_kernel

__all__ = ["nearest_of"]

_FEW = 50_000  # points of which a tree is quick to build
_EVERY = 64  # of the points are tried first
_MOST_BOXES = 1 << 23


def nearest_of(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """i8 [m], for each of `targets` f4 [m, 3] the number of the nearest of `points` f4 [n, 3], n > 0; of points that
    are equally near, any, but always the same."""
    if len(points) <= _FEW or not len(targets):
        return _in_tree(points, targets)
    near = np.flatnonzero(_near(points, targets))
    return near[_in_tree(points[near], targets)]


def _in_tree(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    # Targets may lie far from all points, where trees of this kind are four times as fast as the default.
    tree = KDTree(points, balanced_tree=False, compact_nodes=False)
    return np.asarray(tree.query(targets, workers=-1)[1])


def _near(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """bool [n]: points in a box with a target, or in one beside such a box. The nearest of each target are among them,
    because boxes are wider than that is far."""
    low = targets.min(0).astype(np.float64)
    extent = targets.max(0) - low
    bound = float(KDTree(points[::_EVERY]).query(targets, workers=-1)[0].max())
    side = max(1.001 * bound, 1e-6 * float(extent.max()), np.finfo(np.float32).tiny)
    while np.prod(np.floor(extent / side) + 3) > _MOST_BOXES:
        side *= 2
    own = np.floor((targets - low) / side).astype(np.int64) + 1
    boxes = np.zeros(own.max(0) + 2, bool)
    for step in np.ndindex(3, 3, 3):
        boxes[tuple((own + np.array(step) - 1).T)] = True
    near = np.empty(len(points), bool)
    _in_boxes(points, low, side, boxes, near)
    return near


@parallel_kernel
def _in_boxes(points, low, side, boxes, inside):  # f4 [n, 3], f8 [3], f8, bool [a, b, c], bool [n]
    for n in numba.prange(len(points)):
        # Far points are far beyond what an integer holds: they are sorted out before they become one.
        x = np.floor((points[n, 0] - low[0]) / side) + 1
        y = np.floor((points[n, 1] - low[1]) / side) + 1
        z = np.floor((points[n, 2] - low[2]) / side) + 1
        inside[n] = False
        if 0 <= x < boxes.shape[0] and 0 <= y < boxes.shape[1] and 0 <= z < boxes.shape[2]:
            inside[n] = boxes[int(x), int(y), int(z)]
