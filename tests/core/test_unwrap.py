"""Charts: every face gets texels of its own, with gutters; what is wrong with UVs is named."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from weft.errors import InvalidMesh
from weft.geometry.box_atlas import box_atlas
from weft.geometry.mesh import Mesh, face_crosses
from weft.geometry.rasterize import rasterize_uv
from weft.geometry.unwrap import unwrap
from weft.geometry.uv import overlapping_fraction, uv_problems
from weft.io.meshes import load_meshes

DATA = Path(os.environ.get("WEFT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="set WEFT_TEST_DATA to the folder of the real test inputs")


def ball(subdivisions: int = 3) -> Mesh:
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions)
    return Mesh("ball", mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32))


def staircase(turns: int = 5) -> Mesh:
    """A winding ramp: one connected surface that faces upwards everywhere and lies above itself."""
    t = np.linspace(0, 2 * np.pi * turns, 120 * turns)
    edges = [np.stack([r * np.cos(t), r * np.sin(t), 0.1 * t], 1) for r in (0.5, 1.0)]
    a = np.arange(len(t) - 1)
    b = a + len(t)
    faces = np.concatenate([np.stack([a, b, a + 1], 1), np.stack([b, b + 1, a + 1], 1)])
    return Mesh("staircase", np.concatenate(edges).astype(np.float32), faces.astype(np.int32))


def assert_charts(mesh: Mesh, size: int, gap: int) -> None:
    """All faces inside the unit square, in proportion to their area, without overlap, `gap` texels between charts."""
    uv = mesh.corner_uv
    assert uv is not None
    assert uv.shape == (len(mesh.faces), 3, 2)
    assert uv.dtype == np.float32
    assert uv.min() >= 0
    assert uv.max() <= 1
    assert uv_problems(mesh) is None
    assert overlapping_fraction(uv) < 0.005
    flat = np.abs(np.cross(uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]))
    area = np.linalg.norm(face_crosses(mesh), axis=1)
    scale = flat[area > 1e-9] / area[area > 1e-9]
    assert np.quantile(scale, 0.01) > 0.2 * np.median(scale)
    assert np.quantile(scale, 0.99) < 5 * np.median(scale)
    owner = rasterize_uv(uv, size).triangle
    assert (owner >= 0).mean() > 0.2
    # Growing each chart by half of the gap keeps them apart.
    chart = np.where(owner >= 0, chart_numbers(uv)[owner] + 1, 0)
    assert len(np.unique(chart)) > 2
    nearest = np.zeros((2, size, size), np.int32)
    distance = np.zeros((size, size))
    distance_transform_edt(chart == 0, return_indices=True, distances=distance, indices=nearest)
    grown = np.where(distance <= gap / 2, chart[nearest[0], nearest[1]], 0)
    for a, b in ((grown[1:], grown[:-1]), (grown[:, 1:], grown[:, :-1])):
        assert not ((a != b) & (a > 0) & (b > 0)).any()


def chart_numbers(uv: np.ndarray) -> np.ndarray:
    """[F]: faces that share a corner in UV are of one chart."""
    _, corner = np.unique(uv.reshape(-1, 2), axis=0, return_inverse=True)
    face = np.arange(len(uv)).repeat(3)
    shape = (len(uv), int(corner.max()) + 1)
    shares = csr_matrix((np.ones(len(face), np.int8), (face, corner.reshape(-1))), shape=shape)
    return connected_components(shares.astype(np.int32) @ shares.T.astype(np.int32), directed=False)[1]


@needs_data
@pytest.mark.parametrize("name", ["blub_no_uv.obj", "bunny_no_uv.ply"])
def test_real_meshes_get_charts(name: str) -> None:
    mesh = load_meshes(DATA / name)[0]
    charted = unwrap(mesh, 1024)
    assert charted.faces is mesh.faces
    assert_charts(charted, 1024, gap=2)


def test_unwrapping_is_repeatable_and_leaves_the_mesh_alone() -> None:
    mesh = ball()
    first, second = unwrap(mesh, 512), unwrap(mesh, 512)
    assert mesh.corner_uv is None
    np.testing.assert_array_equal(first.corner_uv, second.corner_uv)  # pyright: ignore[reportArgumentType]
    assert_charts(first, 512, gap=2)


@pytest.mark.parametrize("mesh", [ball(), ball(5), staircase()], ids=["ball", "dense ball", "staircase"])
def test_box_projection_gives_charts(mesh: Mesh) -> None:
    assert_charts(replace(mesh, corner_uv=box_atlas(mesh, 512)), 512, gap=2)


def test_box_projection_of_a_box_is_six_squares() -> None:
    box = trimesh.creation.box()
    mesh = Mesh("box", box.vertices.astype(np.float32), box.faces.astype(np.int32))
    uv = box_atlas(mesh, 256)
    assert len(np.unique(chart_numbers(uv))) == 6
    area = np.abs(np.cross(uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]))
    np.testing.assert_allclose(area, area[0], rtol=1e-4)


def test_meshes_too_dense_for_xatlas_are_charted_too() -> None:
    """xatlas ends the process on such a sphere."""
    mesh = ball(6)
    assert len(mesh.faces) > 60_000
    assert_charts(unwrap(mesh, 1024), 1024, gap=2)


def test_loose_triangles_are_charted() -> None:
    random = np.random.default_rng(0)
    corners = random.normal(size=(300, 1, 3)) + 0.1 * random.normal(size=(300, 3, 3))
    mesh = Mesh("soup", corners.reshape(-1, 3).astype(np.float32), np.arange(900, dtype=np.int32).reshape(-1, 3))
    for uv in (unwrap(mesh, 1024).corner_uv, box_atlas(mesh, 1024)):
        assert uv_problems(replace(mesh, corner_uv=uv)) is None


def test_a_mesh_without_faces_is_refused() -> None:
    with pytest.raises(InvalidMesh, match="no faces"):
        unwrap(replace(ball(), faces=np.zeros((0, 3), np.int32)), 512)


def test_what_is_wrong_with_uvs_is_named() -> None:
    mesh = unwrap(ball(), 512)
    good = mesh.corner_uv
    assert good is not None
    assert uv_problems(mesh) is None
    assert uv_problems(replace(mesh, corner_uv=good + np.array([2, -1], np.float32))) is None  # another tile is as good
    one = good.copy()
    one[0] = one[0, 0]
    assert uv_problems(replace(mesh, corner_uv=one)) is None  # one lost face is no problem
    for bad, message in (
        (None, "no UVs"),
        (np.where(np.arange(len(good))[:, None, None] < 3, np.float32(np.nan), good), "of 3 faces are NaN"),
        (np.zeros_like(good), "100% of the surface has no area"),
        (good * 8, "overlap|border"),
        (np.concatenate([good[::2], good[::2]]), "overlap"),
    ):
        problem = uv_problems(replace(mesh, corner_uv=bad))
        assert problem is not None
        assert any(part in problem for part in message.split("|")), problem


def test_charts_that_only_touch_do_not_overlap() -> None:
    """A grid whose diagonals pass through texel centres: the common edges are no overlap."""
    n = 32
    x, y = np.meshgrid(np.arange(n), np.arange(n))
    corner = np.stack([x, y], -1).reshape(-1, 1, 2)
    lower = corner + np.array([[0, 0], [1, 0], [1, 1]])
    upper = corner + np.array([[0, 0], [1, 1], [0, 1]])
    uv = (np.concatenate([lower, upper]) / n).astype(np.float32)
    assert overlapping_fraction(uv) == 0
    assert overlapping_fraction(np.concatenate([uv, uv[:512]])) == pytest.approx(0.25, abs=0.02)
