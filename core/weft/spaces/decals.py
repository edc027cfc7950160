"""Decals: small orthographic views that look straight down onto the surface, all at one scale.

A view from afar sees most of an object at a slant, and stretches and blurs what is denoised in it. A decal sees its
piece of surface face-on and at the exemplar's own scale, so fine detail is denoised in decals.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from weft.geometry.camera import Camera
from weft.geometry.rasterize import rasterize_patches
from weft.spaces.mesh_texture import MeshTextureSpace, Trust, Views, build_space
from weft.spaces.surface import Surface

__all__ = ["build_decals", "place_decals"]

_DEPTH = 0.3  # half the slab that a decal shows, in half-sides: what stands higher does not hide the surface
_CORE = 0.80  # radius that a decal is responsible for, in half-sides
_FACING = 0.55  # cosine between a decal's axis and the normals it is responsible for
_TRUST = Trust(power=2.0, radial=2.0, ramp=3, kept=3)


def place_decals(
    surface: Surface, radius: float, most: int, random: np.random.Generator, wanted: np.ndarray | None = None
) -> np.ndarray:
    """Poses f8 [M, 4, 4] (camera to world, +Z along the surface normal), M ≤ `most`, whose cores cover the surface,
    or the `wanted` cells of it, bool [cells].

    Dart throwing: centres are drawn among texels not yet covered, so no two cores of one orientation share a centre.
    `radius` is half a decal's side in world units.
    """
    cells = np.arange(surface.cells) if wanted is None else np.flatnonzero(wanted)
    chosen = np.sort(random.permutation(cells)[:60_000])
    position, normal = surface.position[chosen], surface.normal[chosen]
    tree = KDTree(position)
    covered = np.zeros(len(chosen), bool)
    poses: list[np.ndarray] = []
    for start in random.permutation(len(chosen)):
        if covered[start]:
            continue
        if len(poses) == most:
            break
        near = np.array(tree.query_ball_point(position[start], _CORE * radius))
        alike = near[normal[near] @ normal[start] > 0.2]
        axis = normal[alike].mean(0)
        axis = axis / max(float(np.linalg.norm(axis)), 1e-9)
        covered[start] = True
        covered[near[normal[near] @ axis > _FACING]] = True
        poses.append(_face_on(position[start], axis))
    return np.stack(poses)


def _face_on(origin: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """A pose at `origin` whose +Z is `axis` and whose up is the world's, laid on the surface."""
    up = np.array([0.0, 0.0, 1.0])
    if abs(axis[2]) > 0.97:
        up = np.array([0.0, np.sign(axis[2]), 0.3])
    right = np.cross(up, axis)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(axis, right), axis, origin], 1)
    return pose


def build_decals(
    surface: Surface,
    *,
    size: int,
    pixels_per_unit: float,
    most: int,
    random: np.random.Generator,
    wanted: np.ndarray | None = None,
) -> MeshTextureSpace:
    """The space of up to `most` decals of `size`² pixels at `pixels_per_unit` over the whole surface, or the `wanted`
    cells of it, bool [cells]."""
    radius = size / 2 / pixels_per_unit
    poses = place_decals(surface, radius, most, random, wanted)
    fragments = rasterize_patches(surface.vertices, surface.faces, poses, size, pixels_per_unit, _DEPTH * radius)
    lens = {"width": size, "height": size, "fx": pixels_per_unit, "fy": pixels_per_unit, "cx": size / 2, "cy": size / 2}
    cameras = tuple(Camera(pose, **lens, near=-radius, orthographic=True) for pose in poses)
    views = Views(cameras, fragments.triangle, fragments.barycentric, fragments.depth, 6 / pixels_per_unit)
    # Only decals whose frame can hold a texel are tried for it.
    count = min(len(poses), 12)
    _, index = KDTree(poses[:, :3, 3]).query(surface.position, k=count, distance_upper_bound=1.6 * radius, workers=-1)
    index = np.reshape(index, (surface.cells, count))  # a single neighbour comes without its axis
    candidates = np.where(index < len(poses), index, -1).astype(np.int32)
    return build_space(surface, views, _TRUST, candidates, wanted)
