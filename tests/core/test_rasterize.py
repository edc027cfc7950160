"""The z-buffer: against its plain reference, against analytic planes, and by its own laws."""

from __future__ import annotations

import os
from pathlib import Path

import numba
import numpy as np
import pytest
import trimesh

from weft.errors import InvalidInput
from weft.geometry.camera import Camera, frame_object, look_at, orbit, standard_ring
from weft.geometry.mesh import Mesh, vertex_normals
from weft.geometry.rasterize import (
    Fragments,
    interpolate,
    rasterize,
    rasterize_many,
    rasterize_patches,
    rasterize_uv,
)
from weft.geometry.rasterize_reference import rasterize_reference
from weft.io.meshes import load_meshes

DATA = Path(os.environ.get("WEFT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="set WEFT_TEST_DATA to the folder of the real test inputs")

CAMERAS = {
    "perspective": Camera(look_at((0, -6, 1), (0, 0, 0)), 90, 70, 85.0, 80.0, 44.0, 36.0),
    "inside, cut by the near plane": Camera(
        look_at((0, 0, 0), (0.2, 1, 0.1)), 90, 70, 40.0, 45.0, 40.0, 30.0, near=0.3
    ),
    "inside, very near": Camera(look_at((0, 0, 0), (0.2, 1, 0.1)), 90, 70, 40.0, 45.0, 40.0, 30.0, near=1e-3),
    "orthographic": Camera(look_at((0, -6, 1), (0, 0, 0)), 90, 70, 18.0, 16.0, 44.0, 36.0, orthographic=True),
    "orthographic, from inside": Camera(orbit(20, 5, 0.0), 90, 70, 18.0, 16.0, 44.0, 36.0, -0.4, orthographic=True),
}


def soup(seed: int, faces: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of all sizes and orientations, a few of them degenerate, two of them twice."""
    random = np.random.default_rng(seed)
    vertices = random.normal(size=(100, 3)).astype(np.float32)
    small = vertices[:50] + random.normal(size=(50, 3)).astype(np.float32) * np.float32(0.05)
    index = random.integers(0, 150, (faces, 3)).astype(np.int32)
    index[5, 1] = index[5, 0]
    return np.concatenate([vertices, small]), np.concatenate([index, index[:2]])


def ball(subdivisions: int = 4) -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions)
    return mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32)


def assert_same(fast: Fragments, plain: Fragments, edges: float = 1e-3) -> None:
    """Equal, but for a share `edges` of the pixels, which must lie on an edge or at equal depth."""
    different = fast.triangle != plain.triangle
    assert different.mean() <= edges
    both = different & (fast.triangle >= 0) & (plain.triangle >= 0)
    np.testing.assert_allclose(fast.depth[both], plain.depth[both], rtol=1e-5)
    for fragments, other in ((fast, plain), (plain, fast)):
        alone = different & (other.triangle < 0)
        assert (fragments.barycentric[alone].min(-1) < 1e-4).all()
    same = ~different
    np.testing.assert_allclose(fast.barycentric[same], plain.barycentric[same], atol=2e-5)
    np.testing.assert_allclose(fast.depth[same], plain.depth[same], rtol=1e-5)


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
@pytest.mark.parametrize("cull", [False, True])
def test_soups_match_the_reference(camera: Camera, cull: bool) -> None:
    for seed in range(3):
        mesh = soup(seed)
        fast = rasterize(*mesh, camera, cull_backfaces=cull)
        assert (fast.triangle >= 0).mean() > 0.05
        assert_same(fast, rasterize_reference(*mesh, camera, cull_backfaces=cull))


@pytest.mark.parametrize("camera", [CAMERAS["perspective"], CAMERAS["orthographic"]])
def test_a_depth_range_matches_the_reference(camera: Camera) -> None:
    mesh = soup(7)
    fast = rasterize(*mesh, camera, depth_range=(5.8, 6.3))
    assert_same(fast, rasterize_reference(*mesh, camera, depth_range=(5.8, 6.3)))
    seen = fast.depth[fast.triangle >= 0]
    assert len(seen) > 100
    assert seen.min() >= np.float32(5.8)
    assert seen.max() <= np.float32(6.3)


@needs_data
@pytest.mark.parametrize("name", ["spot.obj", "clutch_bag.obj", "bunny_no_uv.ply"])
def test_real_meshes_match_the_reference(name: str) -> None:
    mesh = load_meshes(DATA / name)[0]
    for camera in frame_object(mesh.vertices, [(0, 0), (140, 35)], 96):
        fast = rasterize(mesh.vertices, mesh.faces, camera)
        assert_same(fast, rasterize_reference(mesh.vertices, mesh.faces, camera), edges=2e-3)


def test_a_tilted_plane_has_its_analytic_depth() -> None:
    square = np.array([[-9, 0, -9], [9, 0, -9], [9, 4, 9], [-9, 4, 9]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    camera = Camera(look_at((0, -3, 0), (0, 0, 0)), 33, 25, 30.0, 30.0, 16.0, 12.0)
    fragments = rasterize(square, faces, camera)
    assert (fragments.triangle >= 0).all()
    # y = 2 + 2z/9 on the plane, depth = y + 3, z = depth · (cy - row) / fy
    slope = 2 / 9 * (12.0 - (np.arange(25) + 0.5)) / 30.0
    expected = np.repeat(5 / (1 - slope)[:, None], 33, 1)
    np.testing.assert_allclose(fragments.depth, expected, rtol=1e-6)
    # The interpolated position is where the pixel's ray meets the plane, although the triangle is seen in perspective.
    points = interpolate(fragments, square, faces)
    xy, depth = camera.project(points.reshape(-1, 3))
    rows, columns = np.mgrid[:25, :33]
    np.testing.assert_allclose(xy, np.stack([columns.ravel(), rows.ravel()], 1) + 0.5, atol=1e-4)
    np.testing.assert_allclose(depth, expected.ravel(), rtol=1e-6)


def test_a_floor_under_the_camera_reaches_to_the_images_bottom() -> None:
    """Both triangles of the floor pass behind the eye."""
    floor = np.array([[-50, -50, -1], [50, -50, -1], [50, 50, -1], [-50, 50, -1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    camera = Camera(look_at((0, 0, 0), (0, 1, 0)), 40, 40, 20.0, 20.0, 20.0, 20.0)
    fragments = rasterize(floor, faces, camera)
    assert (fragments.triangle[21:] >= 0).all()
    assert (fragments.triangle[:20] < 0).all()
    points = interpolate(fragments, floor, faces)[21:].reshape(-1, 3)
    np.testing.assert_allclose(points[:, 2], -1, atol=1e-5)
    np.testing.assert_allclose(
        fragments.depth[21:], np.repeat(20 / (np.arange(21, 40) - 19.5)[:, None], 40, 1), rtol=1e-5
    )


@pytest.mark.parametrize("orthographic", [False, True])
def test_a_closed_surface_has_no_holes(orthographic: bool) -> None:
    vertices, faces = ball(5)
    focal = 110.0 if orthographic else 300.0
    for azimuth in (0.0, 31.0):  # at 0 many edges pass exactly through pixel centres
        camera = Camera(
            orbit(azimuth, azimuth / 2, 3.0), 256, 256, focal, focal, 128.0, 128.0, orthographic=orthographic
        )
        fragments = rasterize(vertices, faces, camera)
        rows, columns = np.mgrid[:256, :256] + 0.5
        radius = 110.0 if orthographic else 300.0 / np.sqrt(8.0)
        inside = np.hypot(rows - 128, columns - 128) < radius - 1
        assert (fragments.triangle[inside] >= 0).all()
        assert (fragments.depth[inside] < 3.0).all()  # never the far side
        culled = rasterize(vertices, faces, camera, cull_backfaces=True)
        np.testing.assert_array_equal(culled.triangle[inside], fragments.triangle[inside])


def test_positions_project_back_to_their_pixels() -> None:
    vertices, faces = ball()
    for camera in frame_object(vertices, standard_ring(5), 64):
        fragments = rasterize(vertices, faces, camera)
        seen = fragments.triangle >= 0
        assert 0.5 < seen.mean() < 0.75
        assert not seen[[0, -1]].any()
        assert not seen[:, [0, -1]].any()
        xy, depth = camera.project(interpolate(fragments, vertices, faces)[seen])
        rows, columns = np.nonzero(seen)
        np.testing.assert_allclose(xy, np.stack([columns, rows], 1) + 0.5, atol=1e-3)
        np.testing.assert_allclose(depth, fragments.depth[seen], rtol=1e-6)
        np.testing.assert_allclose(fragments.barycentric[seen].sum(1), 1, atol=1e-6)


def test_of_coinciding_triangles_the_first_is_seen() -> None:
    vertices, faces = ball(2)
    camera = frame_object(vertices, [(10, 10)], 64)[0]
    once = rasterize(vertices, faces, camera)
    for repeated in (np.concatenate([faces, faces]), np.concatenate([faces, faces[::-1]])):
        twice = rasterize(vertices, repeated, camera)
        for a, b in zip(once, twice, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_number_of_threads_changes_nothing() -> None:
    vertices, faces = soup(11, 40_000)  # several blocks of triangles
    camera = CAMERAS["perspective"]
    poses = np.stack([orbit(40.0 * k, 10.0 * k, 1.0) for k in range(7)])
    results = []
    threads = numba.get_num_threads()
    try:
        for count in {1, threads}:
            numba.set_num_threads(count)
            view, patches = rasterize(vertices, faces, camera), rasterize_patches(vertices, faces, poses, 32, 20.0, 0.8)
            results.append([*view, *patches, interpolate(view, vertices, faces)])
    finally:
        numba.set_num_threads(threads)
    for a, b in zip(results[0], results[-1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_many_views_are_the_single_views() -> None:
    vertices, faces = soup(1)
    drawn = rasterize_many(vertices, faces, list(CAMERAS.values()))
    for camera, view in zip(CAMERAS.values(), drawn, strict=True):
        assert view.triangle.shape == view.depth.shape == (camera.height, camera.width)
        for a, b in zip(view, rasterize(vertices, faces, camera), strict=True):
            np.testing.assert_array_equal(a, b)


def test_patches_are_orthographic_views() -> None:
    vertices, faces = ball(4)
    vertices = vertices * (1 + 0.2 * np.sin(4 * vertices[:, [1, 2, 0]]))
    random = np.random.default_rng(0)
    poses = np.stack([orbit(*random.uniform(-80, 80, 2), distance=random.uniform(0.3, 1.3)) for _ in range(12)])
    size, scale, half = 40, 25.0, 0.3
    patches = rasterize_patches(vertices, faces, poses, size, scale, half)
    assert patches.triangle.shape == (12, size, size)
    for m, pose in enumerate(poses):
        camera = Camera(pose, size, size, scale, scale, size / 2, size / 2, -half, orthographic=True)
        single = rasterize(vertices, faces, camera, cull_backfaces=True, depth_range=(-half, half))
        for a, b in zip(patches, single, strict=True):
            np.testing.assert_array_equal(a[m], b)
    assert 0.1 < (patches.triangle >= 0).mean() < 1
    assert np.abs(patches.depth[patches.triangle >= 0]).max() <= np.float32(half)


def test_a_patch_on_a_sphere_is_centred_on_its_point() -> None:
    vertices, faces = ball(5)
    pose = look_at(tuple(2 * vertices[100]), tuple(vertices[100]))
    pose[:3, 3] = vertices[100]
    patch = rasterize_patches(vertices, faces, pose[None], 33, 60.0, 0.2)
    points = interpolate(patch, vertices, faces)[0]
    np.testing.assert_allclose(points[16, 16], vertices[100], atol=1e-3)
    np.testing.assert_allclose((points[16, 26] - points[16, 6]) @ pose[:3, 0], 20 / 60, atol=1e-4)
    with pytest.raises(InvalidInput, match="above 0"):
        rasterize_patches(vertices, faces, pose[None], 33, 0.0, 0.2)


def test_texels_of_a_square_are_where_their_uv_is() -> None:
    corner_uv = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], np.float32)
    texels = rasterize_uv(corner_uv, 16)
    assert (texels.triangle >= 0).all()
    uv = interpolate(texels, corner_uv)
    rows, columns = np.mgrid[:16, :16]
    np.testing.assert_allclose(uv[..., 0], (columns + 0.5) / 16, atol=1e-6)
    np.testing.assert_allclose(uv[..., 1], 1 - (rows + 0.5) / 16, atol=1e-6)
    assert texels.triangle[0, 0] == 1  # v = 1 is the top row, u = 0 the left column
    np.testing.assert_array_equal(rasterize_uv(corner_uv + np.array([3, -2], np.float32), 16).triangle, texels.triangle)


def test_texels_outside_charts_belong_to_none_and_lower_faces_win() -> None:
    half = np.array([[[0, 0], [0.5, 0], [0, 0.5]]], np.float32)
    texels = rasterize_uv(np.concatenate([half, half]), 32)
    assert set(np.unique(texels.triangle)) == {-1, 0}
    assert (texels.triangle == 0).mean() == pytest.approx(1 / 8, abs=0.02)
    np.testing.assert_array_equal(texels.barycentric[texels.triangle < 0], 0)


def test_interpolation_of_corners_and_of_vertices_agree() -> None:
    vertices, faces = ball(3)
    normals = vertex_normals(Mesh("ball", vertices, faces))
    fragments = rasterize(vertices, faces, frame_object(vertices, [(0, 0)], 48)[0])
    by_vertex = interpolate(fragments, normals, faces)
    np.testing.assert_array_equal(by_vertex, interpolate(fragments, normals[faces]))
    np.testing.assert_array_equal(by_vertex[fragments.triangle < 0], 0)
    with pytest.raises(InvalidInput, match="need faces"):
        interpolate(fragments, normals)


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
def test_broken_vertices_and_astronomic_ones_harm_nobody(camera: Camera) -> None:
    vertices, faces = soup(5)
    broken = np.array([[np.nan] * 3, [0, np.nan, 0], [np.inf, 0, 0]], np.float32)
    n = len(vertices)
    bad = np.array([[n, 0, 1], [n + 1, 1, 2], [n + 2, 3, 4]], np.int32)
    view = rasterize(np.concatenate([vertices, broken]), np.concatenate([faces, bad]), camera)
    for a, b in zip(view, rasterize(vertices, faces, camera), strict=True):
        np.testing.assert_array_equal(a, b)
    far = np.array([[-3e37, 9, -3e37], [3e37, 9, -3e37], [0, 9, 3e37]], np.float32)
    behind = rasterize(np.concatenate([vertices, far]), np.concatenate([faces, [[n, n + 1, n + 2]]]), camera)
    seen = rasterize(vertices, faces, camera).triangle >= 0
    assert (behind.triangle[seen] < len(faces)).mean() > 0.99


def test_nothing_in_front_draws_nothing() -> None:
    vertices, faces = ball(2)
    away = Camera(look_at((0, -6, 0), (0, -9, 0)), 20, 20, 20.0, 20.0, 10.0, 10.0)
    fragments = rasterize(vertices, faces, away)
    assert (fragments.triangle == -1).all()
    assert np.isinf(fragments.depth).all()
    assert not fragments.barycentric.any()
