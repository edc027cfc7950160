"""What lies around a viewpoint: distances from meshes or a map, and the light and air that they imply.

A distance map says where things are, not how they are lit, so a plain day is assumed: a sky dome, a sun behind the left
shoulder of who looks at the panorama's middle, shadows where the way to the sun is blocked by something visible,
creases darkened by the unsharp mask of the depths (Luft et al. 2006, "Image enhancement by unsharp masking the depth
buffer") and haze that grows with the distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy import ndimage

from weft.geometry.mesh import Mesh, concatenate
from weft.geometry.rasterize import rasterize_many
from weft.spaces.panorama import cell_directions, look_along, pixel_directions, place

__all__ = ["SUN", "Scene", "blurred", "light_scene", "scene_distances", "scene_normals"]

SUN = np.array([-0.55, 0.45, 0.70]) / np.linalg.norm([-0.55, 0.45, 0.70])  # towards it
_FACES = [(0.0, 0.0), (90.0, 0.0), (180.0, 0.0), (270.0, 0.0), (0.0, 90.0), (0.0, -90.0)]
_FACE_FOV = 92.0  # degrees: a little more than a cube's face, so that its border is never read
_DOME, _SUNLIGHT = 0.5, 0.75  # light on a white surface that looks straight at them
_CREASE = 2.2  # darkening per unit of log distance
_CREASE_SIZES = (0.006, 0.02)  # of the height
_HAZE = 10.0  # median distances after which a third of the light is left
_SHADOW_STEPS = 24
_SHADOW_REACH = 1.5  # of a point's own distance: how far towards the sun an occluder is looked for
_THICKNESS = 0.35  # of its distance: how thick a visible thing is taken to be


@dataclass(frozen=True, eq=False)
class Scene:
    """What each pixel sees, [H, W]."""

    sky: np.ndarray  # bool: nothing
    elevation: np.ndarray  # f4 in [-π/2, π/2]: of its direction
    distance: np.ndarray  # f4 > 0, any unit; of the sky as of the farthest thing
    light: np.ndarray  # f4 ≥ 0: brightness of a white surface there
    crease: np.ndarray  # f4: log distance of the neighbourhood minus its own; < 0 in a hollow
    haze: np.ndarray  # f4 in [0, 1]: share of the air in what is seen

    def thinned(self, step: int) -> Scene:
        """Every `step`-th row and column."""
        return Scene(*(getattr(self, field.name)[::step, ::step] for field in fields(self)))

    def rows(self, first: int, count: int) -> Scene:
        """A band of it."""
        return Scene(*(getattr(self, field.name)[first : first + count] for field in fields(self)))


def scene_distances(meshes: Sequence[Mesh], viewpoint: np.ndarray, height: int) -> np.ndarray:
    """f4 [H, 2H]: how far from `viewpoint` [3] each cell of a panorama sees the meshes; infinite where it sees none.

    Six perspective views are rasterised, as fine as the panorama, and read at the cells' directions.
    """
    vertices, faces, _ = concatenate(meshes)
    local = (vertices.astype(np.float64) - viewpoint).astype(np.float32)  # small numbers keep their precision
    near = max(1e-5 * float(np.abs(local).max()), 1e-12)
    cameras = [look_along(*face, size=height, fov=_FACE_FOV) for face in _FACES]
    drawn = rasterize_many(local, faces, cameras, depth_range=(near, np.inf))
    directions = cell_directions(height).reshape(-1, 3)
    best = np.stack([directions @ camera.forward for camera in cameras]).argmax(0)
    distance = np.empty(len(directions), np.float32)
    for k, (camera, fragments) in enumerate(zip(cameras, drawn, strict=True)):
        own = np.flatnonzero(best == k)
        column, row = np.floor(camera.project(directions[own])[0]).astype(np.int32).clip(0, height - 1).T
        reach = fragments.depth[row, column] * np.linalg.norm(pixel_directions(camera)[row, column], axis=1)
        distance[own] = _on_plane(local, faces, fragments.triangle[row, column], directions[own], reach)
    return distance.reshape(height, 2 * height)


def _on_plane(
    vertices: np.ndarray, faces: np.ndarray, triangle: np.ndarray, directions: np.ndarray, reach: np.ndarray
) -> np.ndarray:
    """Where the rays meet the planes of their triangles [N]: a pixel's own depth, `reach`, is that of a ray beside
    them, and its steps would show in the normals. Never off by more than a factor of 2."""
    a, b, c = (vertices[faces[np.maximum(triangle, 0), k]].astype(np.float64) for k in range(3))
    normal = np.cross(b - a, c - a)
    slope = (normal * directions).sum(1)
    exact = np.divide((normal * a).sum(1), slope, out=np.full(len(slope), np.nan), where=slope != 0)
    usable = (triangle >= 0) & (exact > reach / 2) & (exact < reach * 2)
    return np.where(usable, exact, reach).astype(np.float32)


def light_scene(distance: np.ndarray, directions: np.ndarray, *, sphere: bool, wrap: bool) -> Scene:
    """The scene of `distance` f4 [H, W] > 0 (infinite = sky) along `directions` f4 [H, W, 3]. `sphere`: they are those
    of a whole panorama's cells, so that shadows can be looked for; `wrap`: the left border meets the right one."""
    sky = ~np.isfinite(distance)
    solid = np.where(sky, distance[~sky].max(), distance).astype(np.float32)
    position = solid[..., None] * directions
    normal = scene_normals(position, directions, wrap)
    sun = (normal @ SUN).clip(0)
    if sphere:
        sun = sun * _sunlit(distance, position, normal)
    depth = np.log(solid)
    crease = sum(blurred(depth, part * len(depth), wrap) for part in _CREASE_SIZES) / len(_CREASE_SIZES) - depth
    light = _DOME * (0.65 + 0.35 * normal[..., 2]) + _SUNLIGHT * sun
    light = ndimage.median_filter(light.astype(np.float32), 3, mode="nearest")  # normals on outlines are anyone's guess
    light = light * np.exp(_CREASE * crease.clip(-0.35, 0.1))
    haze = 1 - np.exp(-solid / (_HAZE * np.median(solid[~sky])))
    elevation = np.arctan2(directions[..., 2], np.hypot(directions[..., 0], directions[..., 1]))
    return Scene(sky, *(field.astype(np.float32) for field in (elevation, solid, light, crease, haze)))


def blurred(image: np.ndarray, sigma: float, wrap: bool) -> np.ndarray:
    """[H, W] after a Gaussian of `sigma` pixels; `wrap`: the left border meets the right one."""
    down = ndimage.gaussian_filter1d(image, sigma, 0, mode="nearest")
    return ndimage.gaussian_filter1d(down, sigma, 1, mode="wrap" if wrap else "nearest")


def scene_normals(position: np.ndarray, directions: np.ndarray, wrap: bool) -> np.ndarray:
    """f8 [H, W, 3], unit and towards the viewer, from the nearer of both neighbours along each axis."""
    normal = np.cross(_steps(position, 0, False), _steps(position, 1, wrap))
    normal *= -np.sign((normal * directions).sum(-1, keepdims=True))
    return normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-30)


def _steps(position: np.ndarray, axis: int, wrap: bool) -> np.ndarray:
    """f8 [H, W, 3]: the shorter of the steps from the previous and to the next pixel, which stays on one surface."""
    padding = [(1, 1) if k == axis else (0, 0) for k in range(3)]
    padded = np.pad(position.astype(np.float64), padding, "wrap" if wrap else "reflect")
    steps = np.diff(padded, axis=axis)
    before, after = (np.take(steps, range(first, first + position.shape[axis]), axis) for first in (0, 1))
    if not wrap:  # a reflected step points back
        np.moveaxis(before, axis, 0)[0] *= -1
        np.moveaxis(after, axis, 0)[-1] *= -1
    shorter = (before**2).sum(-1, keepdims=True) < (after**2).sum(-1, keepdims=True)
    return np.where(shorter, before, after)


def _sunlit(distance: np.ndarray, position: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """[H, W] in [0, 1], 0 in shadow: whether the way from each point towards the sun passes behind something seen."""
    height = len(distance)
    step = 2 if height >= 256 else 1  # shadows are soft: every second row and column is enough
    own = distance[::step, ::step]
    solid = np.isfinite(own)
    reach = own[solid, None]
    start = position[::step, ::step][solid] + 0.01 * reach * normal[::step, ::step][solid]
    hidden = np.zeros(len(start), bool)
    for part in np.geomspace(0.02, 1, _SHADOW_STEPS):
        point = start + part * _SHADOW_REACH * reach * SUN
        row, column = np.floor(place(point, height) + 0.5).astype(np.int32).T
        seen = distance[row.clip(0, height - 1), column % (2 * height)]
        gap = np.linalg.norm(point, axis=1) - seen
        hidden |= (gap > 0.01 * seen) & (gap < _THICKNESS * seen)
    lit = np.ones(own.shape, np.float32)
    lit[solid] = ~hidden
    lit = blurred(lit, 0.002 * height, wrap=True)
    return np.repeat(np.repeat(lit, step, 0), step, 1)[:height, : 2 * height]
