"""What lies inside a closed surface, against the solid angle that it fills."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from practice_shapes import box, tetrahedron

from weft.errors import InvalidMesh
from weft.geometry.inside import inside_box, inside_mesh
from weft.geometry.mesh import Mesh


def winding(points: np.ndarray, mesh: Mesh) -> np.ndarray:
    """The solid angle of the surface seen from each point over 4π (van Oosterom & Strackee 1983)."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]][None].astype(np.float64) - points[:, None] for k in range(3))
    la, lb, lc = (np.linalg.norm(v, axis=2) for v in (a, b, c))
    triple = (a * np.cross(b, c)).sum(2)
    dots = (a * b).sum(2) * lc + (b * c).sum(2) * la + (c * a).sum(2) * lb
    return 2 * np.arctan2(triple, la * lb * lc + dots).sum(1) / (4 * np.pi)


@pytest.mark.parametrize("mesh", [tetrahedron(), box(3), box(5, sphere=True, radius=0.7)])
def test_inside_is_where_the_surface_fills_the_whole_view(mesh: Mesh) -> None:
    points = np.random.default_rng(0).uniform(-1.2, 1.2, (1000, 3)).astype(np.float32)
    inside = inside_mesh(points, mesh)
    assert 0 < inside.sum() < len(points)
    np.testing.assert_array_equal(inside, np.abs(winding(points, mesh)) > 0.5)


def test_neither_the_side_of_the_faces_nor_a_small_hole_changes_what_is_inside() -> None:
    mesh = box(8, sphere=True)
    points = np.random.default_rng(1).uniform(-1, 1, (2000, 3)).astype(np.float32)
    whole = inside_mesh(points, mesh)
    turned = replace(mesh, faces=mesh.faces[:, ::-1].copy())
    np.testing.assert_array_equal(inside_mesh(points, turned), whole)
    holed = replace(mesh, faces=mesh.faces[1:], corner_uv=None)
    assert (inside_mesh(points, holed) != whole).mean() < 0.002


def test_a_surface_inside_another_hollows_it() -> None:
    outer, inner = box(4, sphere=True), box(4, sphere=True, radius=0.5)
    both = Mesh("shell", np.concatenate([outer.vertices, inner.vertices]),
                np.concatenate([outer.faces, inner.faces + len(outer.vertices)]))  # fmt: skip
    points = np.array([[0, 0, 0], [0.7, 0, 0.1], [2, 0, 0], [np.nan, 0, 0]], np.float32)
    np.testing.assert_array_equal(inside_mesh(points, both), [False, True, False, False])


def test_boxes_are_given_by_any_two_opposite_corners() -> None:
    points = np.array([[0.5, 0.5, 0.5], [1.5, 0.5, 0.5]], np.float32)
    corners = np.array([[1, 0, 1], [0, 1, 0]], np.float32)
    np.testing.assert_array_equal(inside_box(points, corners), [True, False])


def test_what_is_no_mesh_is_refused() -> None:
    with pytest.raises(InvalidMesh):
        inside_mesh(np.zeros((1, 3), np.float32), Mesh("x", np.zeros((3, 3), np.float32), np.zeros((0, 3), np.int32)))
