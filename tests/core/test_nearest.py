"""The nearest of many points: what a tree of all of them finds, without building it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import KDTree

from weft.spaces import nearest
from weft.spaces.nearest import nearest_of

RANDOM = np.random.default_rng(0)
CLOUD = RANDOM.random((60_000, 3), np.float32)
LINE = np.array([1000, 1e-4, 1e-4], np.float32)


def shell(count: int) -> np.ndarray:
    """f4 [count, 3] on a sphere of radius 1."""
    points = RANDOM.standard_normal((count, 3))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


CASES = {
    "few points": (CLOUD[:7], RANDOM.random((50, 3), np.float32)),
    "among the points": (CLOUD, RANDOM.random((300, 3), np.float32)),
    "in a corner": (CLOUD, RANDOM.random((300, 3), np.float32) * np.float32(0.02)),
    "far away": (CLOUD, RANDOM.random((20, 3), np.float32) + np.float32(50)),
    "inside a shell": (shell(60_000), RANDOM.random((100, 3), np.float32) * np.float32(0.2)),
    "near and far": (CLOUD, np.array([[0.5, 0.5, 0.5], [-9, 3, 0.1], [1e6, 0, 0]], np.float32)),
    "on a line": (CLOUD * LINE, RANDOM.random((200, 3), np.float32) * LINE),
    "the points themselves": (CLOUD, CLOUD[7::999]),
    "a single target": (CLOUD, CLOUD[:1] + np.float32(0.003)),
    "one place": (np.ones((60_000, 3), np.float32), np.ones((5, 3), np.float32)),
    "no target": (CLOUD, CLOUD[:0]),
}


@pytest.mark.parametrize(("points", "targets"), CASES.values(), ids=CASES.keys())
def test_it_is_what_a_tree_of_all_points_finds(points: np.ndarray, targets: np.ndarray):
    found = nearest_of(points, targets)
    assert found.shape == (len(targets),)
    distance = np.linalg.norm(points[found].astype(np.float64) - targets, axis=1)
    expected = KDTree(points).query(targets)[0] if len(targets) else np.zeros(0)
    np.testing.assert_allclose(distance, expected, rtol=1e-12, atol=0)


def test_most_points_are_left_out():
    points, targets = CASES["in a corner"]
    assert nearest._near(points, targets).mean() < 0.05
