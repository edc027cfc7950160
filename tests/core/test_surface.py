"""Texels know where they lie, which object they belong to, and what fills the gutters between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from practice_shapes import box, needs_data, quad, real_mesh
from scipy.spatial import KDTree

from weft.errors import InvalidMesh
from weft.geometry.mesh import Mesh
from weft.spaces.surface import Surface, build_surface


def texels(surface: Surface, index: int) -> np.ndarray:
    """UVs f8 [n, 2] of the centres of an object's chart texels, in the order of its cells."""
    rows, columns = np.nonzero(surface.chart[index])
    return np.stack([(columns + 0.5) / surface.size, 1 - (rows + 0.5) / surface.size], 1)


def distance_to_triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Of points [n, 3] to the plane of triangles [n, 3, 3], and how far outside they lie, whichever is larger."""
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    plane = np.stack([ab, ac, np.cross(ab, ac)], -1)
    u, v, w = np.linalg.solve(plane, (points - a)[..., None])[..., 0].T
    height = np.abs(w) * np.linalg.norm(np.cross(ab, ac), axis=1)
    outside = np.maximum(np.maximum(-u, -v), u + v - 1).clip(0) * np.linalg.norm(ab, axis=1)
    return np.maximum(height, outside)


def assert_on_surface(surface: Surface) -> None:
    corners = surface.vertices[surface.faces[surface.triangle]].astype(np.float64)
    assert distance_to_triangles(surface.position.astype(np.float64), corners).max() < 1e-5 * surface.radius()
    assert np.array_equal(surface.face_object[surface.triangle], surface.object)
    assert np.abs(np.linalg.norm(surface.normal, axis=1) - 1).max() < 1e-5


def test_a_square_is_its_own_map():
    """UVs (0, 0) are the lower left, so the first row of texels lies at the top of the square."""
    surface = build_surface([quad(half=2.0)], 16)
    assert surface.cells == 256
    uv = texels(surface, 0)
    expected = np.stack([4 * uv[:, 0] - 2, np.zeros(256), 4 * uv[:, 1] - 2], 1)
    assert np.abs(surface.position - expected).max() < 1e-5
    assert surface.position[0, 2] > 1.8
    assert np.abs(surface.normal - [0, -1, 0]).max() < 1e-6
    assert np.array_equal(surface.nearest[0].ravel(), np.arange(256))
    assert surface.radius() == pytest.approx(np.sqrt(8))


@needs_data
@pytest.mark.parametrize("name", ["spot.obj", "clutch_bag.obj"])
def test_every_texel_lies_on_its_triangle(name):
    surface = build_surface([real_mesh(name)], 128)
    assert surface.cells > 3000
    assert surface.cells == surface.chart.sum()
    assert_on_surface(surface)


def test_normals_of_a_ball_point_outwards():
    surface = build_surface([box(12, sphere=True)], 96)
    assert_on_surface(surface)
    outward = surface.position / np.linalg.norm(surface.position, axis=1, keepdims=True)
    assert (surface.normal * outward).sum(1).min() > 0.99


def test_objects_are_numbered_through():
    meshes = [box(3), quad(y=3.0, margin=0.1), replace(box(4, sphere=True), name="ball")]
    surface = build_surface(meshes, 64)
    assert_on_surface(surface)
    for index, mesh in enumerate(meshes):
        own = np.flatnonzero(surface.object == index)
        assert np.array_equal(np.sort(np.unique(surface.nearest[index])), own)
        assert np.array_equal(surface.nearest[index][surface.chart[index]], own)
        alone = build_surface([mesh], 64)
        assert np.array_equal(surface.position[own], alone.position)
        assert np.array_equal(surface.chart[index], alone.chart[0])


def test_gutters_copy_the_nearest_chart_texel():
    surface = build_surface([quad(margin=0.1), box(2, margin=0.12)], 48)
    for index in range(2):
        inside = np.argwhere(surface.chart[index])
        gutter = np.argwhere(~surface.chart[index])
        distance, _ = KDTree(inside).query(gutter)
        named = inside[surface.nearest[index][tuple(gutter.T)] - surface.nearest[index][tuple(inside[0])]]
        assert len(gutter) > 100
        assert np.abs(np.linalg.norm(gutter - named, axis=1) - distance).max() < 1e-9


def test_image_puts_values_where_their_texels_are():
    surface = build_surface([quad(margin=0.2)], 32)
    z = np.stack([surface.position[:, 0], surface.position[:, 2], np.ones(surface.cells)], 1).astype(np.float32)
    image = surface.image(z, 0)
    assert image.shape == (32, 32, 3)
    assert np.array_equal(image[surface.chart[0]], z)
    assert (image[..., 2] == 1).all()
    assert image[16, 20, 0] > image[16, 12, 0]
    assert image[12, 16, 1] > image[20, 16, 1]


def test_whole_tiles_in_the_uvs_make_no_difference():
    """UDIM tiles and repeated UVs: every triangle is moved back by itself."""
    plain = box(3)
    assert plain.corner_uv is not None
    tiles = np.random.default_rng(0).integers(-3, 4, (len(plain.faces), 1, 2)).astype(np.float32)
    a, b = build_surface([plain], 64), build_surface([replace(plain, corner_uv=plain.corner_uv + tiles)], 64)
    assert np.array_equal(a.chart, b.chart)
    assert np.abs(a.position - b.position).max() < 1e-4
    assert np.abs(a.corner_uv - b.corner_uv).max() < 1e-5


def test_uvs_between_texel_centres_are_refused():
    tiny = quad("speck")
    assert tiny.corner_uv is not None
    speck = replace(tiny, corner_uv=tiny.corner_uv * np.float32(0.002) + np.float32(0.5))
    with pytest.raises(InvalidMesh, match="'speck' cover no texel of a 64 x 64 texture") as refusal:
        build_surface([quad(), speck], 64)
    assert refusal.value.hint
    with pytest.raises(InvalidMesh, match="speck"):
        build_surface([replace(tiny, name="speck", corner_uv=np.zeros((2, 3, 2), np.float32))], 64)


def test_both_sides_of_a_sheet_have_a_normal_of_their_own():
    """A leaf made of two faces, back to back: the smooth normals of its corners cancel, those of its texels do not."""
    front = quad(margin=0.1)
    assert front.corner_uv is not None
    faces = np.concatenate([front.faces, front.faces[:, ::-1]])
    uv = np.concatenate([front.corner_uv, front.corner_uv[:, ::-1]]) * np.array([0.5, 1], np.float32)
    uv[2:] += np.array([0.5, 0], np.float32)
    surface = build_surface([Mesh("leaf", front.vertices, faces, uv)], 32)
    toward = np.where(surface.triangle < 2, -1, 1)
    assert np.abs(surface.normal - toward[:, None] * [0, 1, 0]).max() < 1e-5


def test_texels_of_a_face_without_area_have_a_unit_normal_too():
    plain = quad(margin=0.2)
    assert plain.corner_uv is not None
    vertices = np.concatenate([plain.vertices, np.full((3, 3), 0.5, np.float32)])
    uv = np.concatenate([plain.corner_uv, np.array([[[0.85, 0], [1, 0], [1, 1]]], np.float32)])
    surface = build_surface(
        [Mesh("point", vertices, np.concatenate([plain.faces, [[4, 5, 6]]]).astype(np.int32), uv)], 32
    )
    assert (surface.triangle == 2).sum() > 30
    assert np.abs(np.linalg.norm(surface.normal, axis=1) - 1).max() < 1e-6
