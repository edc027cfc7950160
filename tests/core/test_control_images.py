"""Control pictures of meshes: what the colours say, what must not change them, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from practice_shapes import box, quad

from weft.errors import UnknownName
from weft.geometry.camera import Camera, frame_object, orbit
from weft.geometry.mesh import Mesh
from weft.spaces.mesh_texture import Views, rasterize_views
from weft.spaces.surface import Surface, build_surface
from weft.tasks.control_encoding import FARTHEST, nearness
from weft.tasks.control_images import mesh_controls, view_normals

KINDS = ("depth", "normal", "canny")
SIZE = 96


def scene(meshes: list[Mesh], cameras: list[Camera]) -> tuple[Views, Surface]:
    surface = build_surface(meshes, 16)
    return rasterize_views(surface, cameras, jump=0.1), surface


def framed(mesh: Mesh, directions: list[tuple[float, float]]) -> tuple[Views, Surface]:
    return scene([mesh], frame_object(mesh.vertices, directions, SIZE))


def placed(mesh: Mesh, pose: np.ndarray, scale: float = 1.0) -> Mesh:
    vertices = scale * mesh.vertices @ pose[:3, :3].T + pose[:3, 3]
    return replace(mesh, vertices=vertices.astype(np.float32))


def vectors(picture: torch.Tensor) -> np.ndarray:
    """f8 [H, W, 3] in camera axes of the colours of a normal picture [3, H, W]: red is left, green up, blue front."""
    return (picture.double().permute(1, 2, 0).numpy() * 2 - 1) * (-1, 1, 1)


# Depth


def test_depth_is_inverse_and_stretched_view_by_view():
    views, surface = framed(box(10, sphere=True), [(0, 0), (130, 40)])
    depth = mesh_controls(["depth"], views, surface)["depth"]
    assert depth.shape == (2, 3, SIZE, SIZE)
    assert torch.equal(depth[:, 0], depth[:, 1])
    for plane, mask, away in zip(depth[:, 0].numpy(), views.mask, views.depth, strict=True):
        assert not plane[~mask].any()
        assert plane.max() == 1
        assert plane[mask].min() == pytest.approx(FARTHEST)
        assert plane[mask].argmax() == away[mask].argmin()
        line = np.polyfit(1 / away[mask].astype(np.float64), plane[mask], 1)
        np.testing.assert_allclose(np.polyval(line, 1 / away[mask]), plane[mask], atol=1e-5)


def test_no_pixel_of_an_object_is_background_in_eight_bits():
    views, surface = framed(box(3), [(35, 20), (0, -90)])
    depth = mesh_controls(["depth"], views, surface)["depth"][:, 0].numpy()
    assert np.array_equal((depth * 255).astype(np.uint8) > 40, views.mask)


def test_a_flat_face_is_not_stretched_into_its_rounding():
    views, surface = framed(quad(), [(0, 0)])
    plane = mesh_controls(["depth"], views, surface)["depth"][0, 0].numpy()
    assert plane[views.mask[0]].min() > 0.999


def test_an_orthographic_views_depth_is_straight():
    scale, middle = SIZE / 2.5, SIZE / 2
    camera = Camera(orbit(0, 0, 0.5), SIZE, SIZE, scale, scale, middle, middle, near=-9.0, orthographic=True)
    views, _ = scene([box(8, sphere=True)], [camera])
    mask, away = views.mask[0], views.depth[0]
    assert away[mask].min() < 0  # in front of the eye of a camera that has none
    near = nearness(views.depth, views.mask, views.cameras)[0][mask]
    expected = 1 - (1 - FARTHEST) * (away[mask] - away[mask].min()) / np.ptp(away[mask])
    np.testing.assert_allclose(near, expected, atol=1e-5)


# Normals


def test_red_is_left_green_is_up_blue_is_front():
    views, surface = framed(box(2), [(45, 0), (0, 60)])
    corner, top = mesh_controls(["normal"], views, surface)["normal"]
    half = 0.5 + 0.5**1.5  # of a face at 45°
    left, right = corner[:, SIZE // 2, SIZE // 2 - 20], corner[:, SIZE // 2, SIZE // 2 + 20]
    np.testing.assert_allclose(left, (half, 0.5, half), atol=1e-5)
    np.testing.assert_allclose(right, (1 - half, 0.5, half), atol=1e-5)
    up = top[:, views.mask[1].any(1).argmax() + 10, SIZE // 2]
    np.testing.assert_allclose(up, (0.5, 0.5 + 0.5 * 0.5, 0.5 + 0.25 * 3**0.5), atol=1e-5)


def test_a_balls_normals_are_its_own():
    views, surface = framed(box(24, sphere=True), [(0, 0), (77, 35)])
    pictures = mesh_controls(["normal"], views, surface)["normal"]
    places = np.stack([surface.vertices[surface.faces[:, k]] for k in range(3)], 1)
    for view, camera in enumerate(views.cameras):
        mask = views.mask[view]
        corners = places[views.triangle[view][mask]]
        points = (corners * views.barycentric[view][mask][..., None]).sum(1)
        truth = points / np.linalg.norm(points, axis=1, keepdims=True) @ camera.pose[:3, :3]
        assert np.abs(vectors(pictures[view])[mask] - truth).max() < 0.02


def test_the_background_faces_the_viewer():
    views, surface = framed(box(4, sphere=True), [(0, 0)])
    outside = mesh_controls(["normal"], views, surface)["normal"][0][:, torch.from_numpy(~views.mask[0])]
    assert torch.equal(outside, torch.tensor([0.5, 0.5, 1.0])[:, None].expand_as(outside))


def test_a_face_from_behind_faces_the_viewer_too():
    front, surface = framed(quad(), [(0, 0)])
    back, _ = framed(quad(), [(180, 0)])
    assert np.allclose(view_normals(front, surface)[0][:, front.mask[0]], [[0], [0], [1]], atol=1e-6)
    assert np.allclose(view_normals(back, surface)[0][:, back.mask[0]], [[0], [0], [1]], atol=1e-6)


# Edges


def test_edges_are_outlines_creases_and_what_stands_before_something():
    far, near = quad("far", 1.0, y=0.5), quad("near", 0.4, y=-0.5)
    views, surface = scene([far, near], [Camera(orbit(0, 0, 4), SIZE, SIZE, 150, 150, SIZE / 2, SIZE / 2)])
    edges = mesh_controls(["canny"], views, surface)["canny"][0]
    assert set(edges.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(edges[0], edges[2])
    owner = np.where(views.mask[0], surface.face_object[views.triangle[0]], -1)
    steps = np.flatnonzero(np.diff(owner[SIZE // 2]))
    found = np.flatnonzero(edges[0, SIZE // 2].numpy())
    assert len(steps) == len(found) == 4
    assert np.abs(found - steps).max() <= 1

    views, surface = framed(box(2), [(45, 0)])
    crease = mesh_controls(["canny"], views, surface)["canny"][0, 0, 30:-30, SIZE // 2 - 1 : SIZE // 2 + 1]
    assert crease.amax(1).all()


def test_smooth_shading_has_no_edges():
    views, surface = framed(box(24, sphere=True), [(0, 0)])
    i, j = np.mgrid[:SIZE, :SIZE] + 0.5 - SIZE / 2
    inner = torch.from_numpy(np.hypot(i, j) < 0.4 * SIZE)
    assert not mesh_controls(["canny"], views, surface)["canny"][0, 0][inner].any()


# All of them


def test_only_what_is_asked_for_is_made():
    views, surface = framed(box(2), [(0, 0)])
    assert mesh_controls([], views, surface) == {}
    made = mesh_controls(["canny", "depth"], views, surface)
    assert list(made) == ["canny", "depth"]
    everything = mesh_controls(KINDS, views, surface)
    for kind, picture in made.items():
        assert torch.equal(picture, everything[kind])
    for picture in everything.values():
        assert picture.dtype == torch.float32
        assert picture.shape == (1, 3, SIZE, SIZE)
        assert 0 <= picture.min() <= picture.max() <= 1


def test_where_the_world_lies_and_how_large_it_is_changes_nothing():
    mesh, directions = box(6), [(30.0, 25.0)]
    plain = mesh_controls(KINDS, *framed(mesh, directions))
    pose = orbit(70, 50, 3, (5, -2, 1))
    camera = frame_object(mesh.vertices, directions, SIZE)[0]
    there = pose @ camera.pose
    there[:3, 3] = 20 * pose[:3, :3] @ camera.pose[:3, 3] + pose[:3, 3]
    moved = mesh_controls(KINDS, *scene([placed(mesh, pose, 20.0)], [replace(camera, pose=there)]))
    for kind in ("depth", "normal"):
        same = (plain[kind] - moved[kind]).abs().amax(1) < 1e-3
        assert same.float().mean() > 0.999  # but for pixels on the very outline
    assert (plain["canny"] != moved["canny"]).float().mean() < 0.005


def test_a_view_that_shows_nothing_is_all_background():
    surface = build_surface([quad()], 16)
    away = Camera(orbit(180, 0, 3, (0, 9, 0)), 32, 32, 32.0, 32.0, 16.0, 16.0)
    away = replace(away, pose=away.pose @ np.diag([-1.0, 1, -1, 1]))
    made = mesh_controls(KINDS, rasterize_views(surface, [away], jump=0.1), surface)
    assert not made["depth"].any()
    assert not made["canny"].any()
    assert (made["normal"][0, 2] == 1).all()


def test_unknown_pictures_are_refused():
    views, surface = framed(quad(), [(0, 0)])
    with pytest.raises(UnknownName, match="'scribble'") as refused:
        mesh_controls(["depth", "scribble"], views, surface)
    assert "depth, normal, canny" in refused.value.hint
