"""A torus with one chart: the mesh that benchmarks measure on when they are given none."""

from __future__ import annotations

import numpy as np

from weft.geometry.camera import frame_object
from weft.geometry.mesh import Mesh
from weft.spaces.mesh_texture import MeshTextureSpace, Trust, build_space, rasterize_views
from weft.spaces.surface import build_surface

__all__ = ["torus", "torus_space"]

TUBE = 0.45  # radius of the tube, the ring's is 1
ELEVATIONS = (25.0, -25.0)  # of the views, alternately, degrees


def torus(around: int = 96, across: int = 48) -> Mesh:
    """`around` × `across` quads in two triangles each, UVs over the whole unit square."""
    u, v = np.meshgrid(np.arange(around + 1), np.arange(across + 1), indexing="ij")
    uv = np.stack([u / around, v / across], -1).reshape(-1, 2)
    phi, theta = 2 * np.pi * uv.T
    ring = 1 + TUBE * np.cos(theta)
    vertices = np.stack([ring * np.cos(phi), ring * np.sin(phi), TUBE * np.sin(theta)], -1)
    corner = np.arange((around + 1) * (across + 1)).reshape(around + 1, across + 1)
    a, b, c, d = (part.ravel() for part in (corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]))
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).astype(np.int32)
    return Mesh("torus", vertices.astype(np.float32), faces, uv[faces].astype(np.float32))


def torus_space(views: int, size: int, texture_size: int) -> MeshTextureSpace:
    """The textures of a torus under `views` cameras of `size`² pixels around it."""
    surface = build_surface([torus()], texture_size)
    directions = [(360.0 * i / views, ELEVATIONS[i % 2]) for i in range(views)]
    cameras = frame_object(surface.vertices, directions, size)
    return build_space(surface, rasterize_views(surface, cameras, jump=0.08 * surface.radius()), Trust())
