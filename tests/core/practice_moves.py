"""A ball before a wall, seen by a few cameras, and what becomes of the views when the ball moves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from practice_shapes import box, quad
from scipy.ndimage import binary_dilation, binary_erosion

from weft.geometry.camera import Camera, look_at
from weft.geometry.rigid import Rigid
from weft.spaces.carried import CoarseEdit, coarse_edit
from weft.spaces.depth_points import depth_geometry
from weft.spaces.mesh_texture import MeshTextureSpace, Trust, build_space, rasterize_views
from weft.spaces.moved import Moved, members_named, moved_mesh
from weft.spaces.surface import Surface, build_surface
from weft.spaces.view_geometry import ViewGeometry
from weft.tasks.rendering import render_surface

__all__ = ["RIGID", "beside", "cameras", "from_depth", "painted", "psnr", "rendered", "scene", "stage"]

SIDE, VIEWS, TEXTURE = 80, 5, 128
RIGID = Rigid.of((-0.9, 0.1, 0.15), (0, 0, 20))


def cameras(spread: float = 45.0) -> list[Camera]:
    """Looking at the front from left to right."""
    turns = np.radians(np.linspace(-spread, spread, VIEWS))
    eyes = [(5.5 * np.sin(a), -5.5 * np.cos(a), 1.2 * (i % 2)) for i, a in enumerate(turns)]
    return [Camera(look_at(eye, (0, 0.5, 0)), SIDE, SIDE, 1.1 * SIDE, 1.1 * SIDE, SIDE / 2, SIDE / 2) for eye in eyes]


def painted(surface: Surface) -> list[np.ndarray]:
    """Textures f4 [T, T, 3] of soft waves in space, which know nothing of charts."""
    random = np.random.default_rng(0)
    colours = 0.5 + 0.25 * np.sin(surface.position @ random.normal(0, 4, (3, 3)) + random.uniform(0, 6, 3))
    spots = 0.2 * (np.sin(surface.position * 12).prod(1, keepdims=True) > 0.2)
    return [surface.image((colours + spots).astype(np.float32), i) for i in range(len(surface.meshes))]


def scene(wall: bool = True) -> MeshTextureSpace:
    """A ball before a wall, or before nothing."""
    meshes = [box(6, sphere=True, radius=0.7, name="ball"), *([quad("wall", half=4, y=1.8)] if wall else [])]
    surface = build_surface(meshes, TEXTURE)
    views = rasterize_views(surface, cameras(), jump=0.08 * surface.radius())
    return build_space(surface, views, Trust())


def rendered(space: MeshTextureSpace, textures: list[np.ndarray]) -> np.ndarray:
    """Views [N, H, W, 3], unlit."""
    return np.stack([render_surface(space.surface, textures, camera)[0] for camera in space.views.cameras])


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a - b)[where] ** 2) + 1e-12))


@dataclass(frozen=True, eq=False)
class Stage:
    """A scene, its views, and what becomes of them when the ball moves."""

    space: MeshTextureSpace
    paint: list[np.ndarray]
    images: np.ndarray
    ball: np.ndarray
    moved: Moved
    coarse: CoarseEdit
    truth: np.ndarray


@cache
def stage() -> Stage:
    torch.set_num_threads(1)  # as in the tasks
    space = scene()
    paint = painted(space.surface)
    images = rendered(space, paint)
    own = members_named(space.surface, "ball")
    moved = moved_mesh(space, own, RIGID)
    assert isinstance(moved.scene, MeshTextureSpace)
    return Stage(space, paint, images, own, moved, coarse_edit(moved, images), rendered(moved.scene, paint))


@cache
def from_depth() -> ViewGeometry:
    views = stage().space.views
    return depth_geometry(views.depth, views.cameras)


def beside(mask: np.ndarray) -> np.ndarray:
    """bool [N, H, W]: pixels with a neighbour on the other side of an outline."""
    near = np.ones((1, 3, 3), bool)
    inside = np.asarray(binary_erosion(mask, near, border_value=1), bool)
    return np.asarray(binary_dilation(mask, near), bool) & ~inside
