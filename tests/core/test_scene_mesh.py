"""From depth maps to a mesh, and from a scene to one with a texture: a ball comes out as a ball."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from practice_radiance import RADIUS, ball_seen, ball_views

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.depth_fusion import fused_depths, largest_parts, surface_of
from weft.geometry.mesh import Mesh, face_crosses
from weft.scenes.frame import SceneFrame
from weft.scenes.scene import Rendering
from weft.tasks.scene_mesh import scene_mesh

VIEWS = ball_views(count=12, size=48)
LOW, VOXEL, SHAPE = (-0.4, -0.4, -0.4), 0.04, (21, 21, 21)


class Ball:
    """What a scene that knows the ball would render."""

    def render(self, camera: Camera) -> Rendering:
        image, depth = ball_seen(camera)
        return Rendering(image, np.isfinite(depth).astype(np.float32), depth)


class Fog(Ball):
    """Nothing, but not for sure."""

    def render(self, camera: Camera) -> Rendering:
        nothing = np.full((camera.height, camera.width), np.inf, np.float32)
        return Rendering(np.zeros((*nothing.shape, 3), np.float32), np.full_like(nothing, 0.3), nothing)


def depths_of(cameras: Sequence[Camera]) -> np.ndarray:
    return np.stack([ball_seen(camera)[1] for camera in cameras])


def facing_out(mesh: Mesh) -> np.ndarray:
    """Of every face, whether it looks away from 0."""
    return (face_crosses(mesh) * mesh.vertices[mesh.faces].mean(1)).sum(1) > 0


def test_depth_maps_of_a_ball_meet_in_its_surface() -> None:
    distance = fused_depths(depths_of(VIEWS.cameras), VIEWS.cameras, np.array(LOW), VOXEL, SHAPE)
    at = np.stack(np.meshgrid(*[LOW[0] + VOXEL * np.arange(SHAPE[0])] * 3, indexing="ij"), -1)
    outside = np.linalg.norm(at, axis=-1) - RADIUS
    known = np.isfinite(distance)
    assert (distance[known & (outside > VOXEL)] > 0).all()
    assert (distance[known & (outside < -VOXEL)] < 0).all()
    mesh = surface_of(distance, np.array(LOW), VOXEL, "ball")
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - RADIUS).max() < 0.6 * VOXEL
    assert facing_out(mesh).mean() > 0.99


def test_where_no_view_looks_there_is_no_surface() -> None:
    camera = VIEWS.cameras[5]
    distance = fused_depths(depths_of([camera]), [camera], np.array(LOW), VOXEL, SHAPE)
    mesh = surface_of(distance, np.array(LOW), VOXEL, "half a ball")
    toward = mesh.vertices @ camera.pose[:3, 2]
    assert toward.min() > -VOXEL  # the far side is open
    unknown = np.full_like(depths_of([camera]), np.nan)
    with pytest.raises(InvalidInput, match="no surface"):
        surface_of(fused_depths(unknown, [camera], np.array(LOW), VOXEL, SHAPE), np.array(LOW), VOXEL, "nothing")


def test_small_parts_are_left_out() -> None:
    vertices = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)], np.float32)
    faces = np.array([(0, 1, 2), (1, 3, 2)], np.int32)
    both = Mesh("two", np.concatenate([0.1 * vertices + 5, vertices]), np.concatenate([faces, faces + 4]))
    kept = largest_parts(both, 0.05)
    np.testing.assert_array_equal(kept.vertices[kept.faces], both.vertices[both.faces[2:]])
    assert len(largest_parts(both, 0.005).faces) == 4


def test_a_scene_becomes_a_textured_mesh_in_the_file_s_world() -> None:
    frame = SceneFrame(np.array([(0.5, 0, 0, -1), (0, 0.5, 0, 2), (0, 0, 0.5, 0), (0, 0, 0, 1.0)]))
    middle = np.array([2.0, -4.0, 0.0])
    result = scene_mesh(Ball(), VIEWS, frame, texture_size=128, voxels=20)  # pyright: ignore[reportArgumentType]
    vertices, faces = result["mesh.0.vertices"], result["mesh.0.faces"]
    away = vertices - middle
    assert np.abs(np.linalg.norm(away, axis=1) / (2 * RADIUS) - 1).max() < 0.12
    assert facing_out(Mesh("ball", away, faces)).mean() > 0.99
    uv, texture = result["mesh.0.uv"], result["texture.0"]
    assert uv.shape == (len(faces), 3, 2)
    column, up = (uv.mean(1) * 128).astype(int).T
    direction = away[faces].mean(1)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    assert np.abs(texture[127 - up, column] - (0.5 + 0.4 * direction)).mean() < 0.05


def test_fog_is_no_surface() -> None:
    with pytest.raises(InvalidInput, match="no surface"):
        scene_mesh(Fog(), VIEWS, SceneFrame(np.eye(4)), texture_size=64)  # pyright: ignore[reportArgumentType]
