"""Shading normals: round things stay round, sharp ones sharp."""

from __future__ import annotations

import numpy as np
from practice_shapes import box, quad

from weft.geometry.creases import crease_normals
from weft.geometry.mesh import face_normals, vertex_normals


def test_a_cube_has_flat_sides():
    mesh = box(3)
    flat = np.repeat(face_normals(mesh)[:, None], 3, 1)
    np.testing.assert_allclose(crease_normals(mesh.vertices, mesh.faces), flat, atol=1e-6)


def test_a_ball_is_round_across_duplicate_vertices():
    mesh = box(8, sphere=True)
    np.testing.assert_allclose(crease_normals(mesh.vertices, mesh.faces), vertex_normals(mesh)[mesh.faces], atol=1e-6)


def test_the_angle_decides():
    corners = np.array([(0, 0, 0), (0, 1, 0), (1, 0, 0), (-1, 0, 0.5)], np.float32)  # a fold of atan ½ = 26.6°
    faces = np.array([(0, 2, 1), (0, 1, 3)], np.int32)
    sharp, soft = (crease_normals(corners, faces, degrees) for degrees in (26, 27))
    assert np.allclose(sharp[0], (0, 0, 1))
    assert np.allclose(soft[0, 0], soft[1, 0])
    assert np.allclose(soft[0, 1], (0, 0, 1))  # a corner that belongs to one face alone


def test_two_sides_of_a_sheet_do_not_cancel():
    mesh = quad()
    faces = np.concatenate([mesh.faces, mesh.faces[:, ::-1]])
    normals = crease_normals(mesh.vertices, faces)
    assert np.allclose(normals[:2], (0, -1, 0))
    assert np.allclose(normals[2:], (0, 1, 0))


def test_faces_without_area_take_their_neighbours_normals_or_none():
    mesh = quad()
    faces = np.concatenate([mesh.faces, [(0, 0, 1)]]).astype(np.int32)
    assert np.allclose(crease_normals(mesh.vertices, faces), (0, -1, 0))
    assert not crease_normals(mesh.vertices, faces[2:]).any()


def test_the_tip_of_a_fan_of_very_many_faces_has_their_mean():
    count = 2000
    angle = 2 * np.pi * np.arange(count) / count
    rim = np.stack([np.cos(angle), np.sin(angle), np.full(count, -2)], 1)
    vertices = np.concatenate([[(0, 0, 0)], rim]).astype(np.float32)
    faces = np.stack([np.zeros(count), 1 + np.arange(count), 1 + np.roll(np.arange(count), -1)], 1).astype(np.int32)
    assert np.allclose(crease_normals(vertices, faces)[:, 0], (0, 0, 1), atol=1e-3)
