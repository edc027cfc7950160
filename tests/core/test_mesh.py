"""Meshes: what is refused, and the laws of normals, areas and merging."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from weft.errors import InvalidInput, InvalidMesh
from weft.geometry.mesh import (
    Mesh,
    bounding_sphere,
    check_mesh,
    concatenate,
    face_normals,
    merge_positions,
    surface_area,
    vertex_normals,
)


def sphere(subdivisions: int = 3) -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions=subdivisions)
    return Mesh("ball", ball.vertices.astype(np.float32), ball.faces.astype(np.int32))


def exploded(mesh: Mesh) -> Mesh:
    """Every face with three vertices of its own."""
    return Mesh(
        mesh.name, mesh.vertices[mesh.faces].reshape(-1, 3), np.arange(mesh.faces.size, dtype=np.int32).reshape(-1, 3)
    )


def test_a_spheres_normals_are_its_positions() -> None:
    mesh = sphere(4)
    np.testing.assert_allclose(vertex_normals(mesh), mesh.vertices, atol=0.006)
    centers = mesh.vertices[mesh.faces].mean(1)
    np.testing.assert_allclose(face_normals(mesh), centers / np.linalg.norm(centers, axis=1, keepdims=True), atol=0.01)
    assert surface_area(mesh) == pytest.approx(4 * np.pi, rel=0.01)


def test_normals_do_not_see_how_a_surface_is_cut() -> None:
    mesh = sphere()
    split = exploded(mesh)
    np.testing.assert_allclose(vertex_normals(split), vertex_normals(mesh)[mesh.faces].reshape(-1, 3), atol=1e-6)


def test_a_cubes_corner_is_symmetric_whatever_its_triangles() -> None:
    box = trimesh.creation.box()
    normals = vertex_normals(Mesh("box", box.vertices.astype(np.float32), box.faces.astype(np.int32)))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    assert (normals * box.vertices > 0.15).all()


def test_faces_without_area_change_nothing() -> None:
    mesh = sphere()
    flat = np.array([[0, 0, 1], [5, 6, 5], [7, 7, 7]], np.int32)
    worse = replace(mesh, faces=np.concatenate([mesh.faces, flat]))
    np.testing.assert_array_equal(vertex_normals(worse), vertex_normals(mesh))
    np.testing.assert_array_equal(face_normals(worse)[-3:], 0)


def test_loose_vertices_have_no_normal() -> None:
    mesh = sphere(1)
    loose = replace(mesh, vertices=np.concatenate([mesh.vertices, [[9, 9, 9]]]).astype(np.float32))
    np.testing.assert_array_equal(vertex_normals(loose)[-1], 0)


@given(st.integers(0, 2**32 - 1))
def test_merging_is_exact_equality(seed: int) -> None:
    random = np.random.default_rng(seed)
    points = random.choice(np.array([0.0, -0.0, 1.0, np.nextafter(np.float32(1), 2), -3e7], np.float32), (60, 3))
    number, count = merge_positions(points)
    equal = (points[:, None] == points[None]).all(2)
    np.testing.assert_array_equal(number[:, None] == number[None], equal)
    assert count == len(np.unique(number)) == number.max() + 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"faces": np.zeros((0, 3), np.int32)}, "no faces"),
        ({"vertices": np.zeros((0, 3), np.float32)}, "no faces"),
        ({"faces": np.array([[0, 1, 3]], np.int32)}, "0 to 3, expected 0 to 2"),
        ({"faces": np.array([[0, 1, -1]], np.int32)}, "-1 to 1"),
        ({"vertices": np.array([[0, 0, np.nan], [np.inf, 0, 0], [0, 1, 0]], np.float32)}, "2 vertices at NaN"),
        ({"vertices": np.zeros((3, 3), np.float32)}, "zero area"),
        ({"vertices": np.zeros((3, 2), np.float32)}, r"float32 \[3, 2\], expected vertices"),
        ({"faces": np.zeros((1, 4), np.int32)}, "expected faces"),
        ({"faces": np.zeros((1, 3), np.float32)}, "expected faces"),
        ({"corner_uv": np.zeros((2, 3, 2), np.float32)}, "2 triples of UVs for 1 faces"),
    ],
)
def test_broken_meshes_are_refused_by_name(changes: dict, message: str) -> None:
    mesh = Mesh("cow", np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32))
    check_mesh(mesh)
    with pytest.raises(InvalidMesh, match=message) as error:
        check_mesh(replace(mesh, **changes))
    assert "'cow'" in error.value.message


def test_concatenating_keeps_every_triangle_and_its_owner() -> None:
    first, second = sphere(1), sphere(0)
    vertices, faces, owner = concatenate([first, second, first])
    corners = [mesh.vertices[mesh.faces] for mesh in (first, second, first)]
    np.testing.assert_array_equal(vertices[faces], np.concatenate(corners))
    np.testing.assert_array_equal(np.bincount(owner), [len(c) for c in corners])
    assert (vertices.dtype, faces.dtype, owner.dtype) == (np.float32, np.int32, np.int32)
    with pytest.raises(InvalidInput, match="at least one"):
        concatenate([])


def test_bounding_sphere_holds_all_points() -> None:
    points = np.random.default_rng(3).normal(size=(100, 3)).astype(np.float32)
    center, radius = bounding_sphere(points)
    assert np.linalg.norm(points - center, axis=1).max() == pytest.approx(radius)
    np.testing.assert_allclose(center, (points.min(0) + points.max(0)) / 2, rtol=1e-6)
