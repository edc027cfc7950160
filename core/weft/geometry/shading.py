"""Light on a surface that stands in its own way.

The light is gathered into a few dozen directions, the brighter and the wider spread the more of them (after Viriyothai
and Debevec 2009, "Variance minimization light probe sampling"). Each sees the object through a shadow map (Williams
1978, "Casting curved shadows on curved surfaces"; filtered after Reeves et al. 1987). Shadow maps answer only which
*share* of a point's light arrives:

    E(x, n)/π = E(n)/π · Σ_k V_k(x) max(0, n·m_k) / Σ_k max(0, n·m_k),    m_k the moments of direction k

so that nothing is lost to few directions where nothing is in the way. What is blocked shows the object itself, lit like
the rest of it: one bounce.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from weft.geometry.camera import Camera, look_at
from weft.geometry.environment import LUMINANCE, Environment
from weft.geometry.equirectangular import integrated
from weft.geometry.mesh import bounding_sphere
from weft.geometry.rasterize import rasterize_many
from weft.geometry.shading_kernels import shadowed

__all__ = ["Directions", "Visibility", "principal_directions", "shading", "visibility"]

DIRECTIONS = 128
_GRID = 64  # rows of cells that directions are gathered from
_FLOOR = 0.3  # of the mean radiance, added to every cell: dark skies want some directions, too
_MAP = 512  # pixels of a shadow map's side
_MARGIN = 1.02  # of the object's radius


@dataclass(frozen=True, eq=False)
class Directions:
    """A light as K directions."""

    toward: np.ndarray  # f4 [K, 3], unit, to the light
    moments: np.ndarray  # f4 [K, 4, 3]: ∫ L ω dω of red, green, blue, and of an even light


def principal_directions(environment: Environment, count: int = DIRECTIONS) -> Directions:
    """The light as at most `count` rectangles of cells, those split first whose light is strong and far apart."""
    power, moments = integrated(environment.radiance, _GRID)
    solid, even = integrated(np.ones((1, 1, 1)), _GRID)
    weight = power @ LUMINANCE
    weight = weight + _FLOOR * weight.sum() / (4 * np.pi) * solid[..., 0]
    heap = [_entry(weight, (0, _GRID, 0, 2 * _GRID))]
    while len(heap) < count and heap[0][0] < 0:
        _, box = heapq.heappop(heap)
        for half in _halves(weight, box):
            heapq.heappush(heap, _entry(weight, half))
    every = np.concatenate([moments, even], 2)
    inside = [(slice(top, bottom), slice(left, right)) for _, (top, bottom, left, right) in heap]
    gathered = np.stack([every[box].sum((0, 1)) for box in inside])
    toward = np.stack([(weight[box][..., None] * even[box][:, :, 0]).sum((0, 1)) for box in inside])
    toward /= np.linalg.norm(toward, axis=1, keepdims=True)
    return Directions(toward.astype(np.float32), gathered.astype(np.float32))


_Box = tuple[int, int, int, int]  # rows from, to; columns from, to


def _extent(box: _Box) -> tuple[float, float]:
    """Height and width in cells at the equator."""
    top, bottom, left, right = box
    zenith = np.pi * (top + bottom) / 2 / _GRID
    return bottom - top, (right - left) * np.sin(zenith)


def _entry(weight: np.ndarray, box: _Box) -> tuple[float, _Box]:
    top, bottom, left, right = box
    height, width = _extent(box)
    if bottom - top == 1 and right - left == 1:
        return 0.0, box
    return -float(weight[top:bottom, left:right].sum()) * (height**2 + width**2), box


def _halves(weight: np.ndarray, box: _Box) -> tuple[_Box, _Box]:
    """Both sides of the median of the light across the longer side."""
    top, bottom, left, right = box
    height, width = _extent(box)
    across = right - left == 1 or (height >= width and bottom - top > 1)
    profile = weight[top:bottom, left:right].sum(1 if across else 0)
    below = np.cumsum(profile) - profile / 2
    cut = int(np.clip(np.searchsorted(below, profile.sum() / 2), 1, len(profile) - 1))
    if across:
        return (top, top + cut, left, right), (top + cut, bottom, left, right)
    return (top, bottom, left, left + cut), (top, bottom, left + cut, right)


@dataclass(frozen=True, eq=False)
class Visibility:
    """What a mesh leaves of a light at M points: shading = free · share + albedo · bounce."""

    share: np.ndarray  # f4 [M, 3] in [0, 1]: which part of the light of the point's side of the world arrives
    bounce: np.ndarray  # f4 [M, 3]: the shading by what is in the way, were it white


def visibility(
    environment: Environment,
    positions: np.ndarray,  # f4 [M, 3]
    normals: np.ndarray,  # f4 [M, 3], unit
    occluders: tuple[np.ndarray, np.ndarray],  # vertices f4 [V, 3], faces i4 [F, 3]
    *,
    count: int = DIRECTIONS,
) -> Visibility:
    """What the occluders, closed or not, leave of the light on their own surface.

    What is in the way in the direction ω faces it, more or less, and is as bright as the normal -ω unhindered.
    """
    positions, normals = (np.ascontiguousarray(rows, np.float32) for rows in (positions, normals))
    directions = principal_directions(environment, count)
    sent, arrived, bounced = (np.zeros((len(positions), 3), np.float32) for _ in range(3))
    vertices, faces = occluders
    center, radius = bounding_sphere(vertices[np.unique(faces)])
    texel = np.float32(2 * _MARGIN * radius / _MAP)
    reflected = environment.irradiance(-directions.toward) / np.float32(np.pi)
    for toward, moments, behind in zip(directions.toward, directions.moments, reflected, strict=True):
        camera = _shadow_camera(center, radius, toward)
        depth = rasterize_many(vertices, faces, [camera])[0].depth
        matrix = camera.view_matrix.astype(np.float32)
        shadowed(positions, normals, toward, moments, behind, matrix, texel, depth, sent, arrived, bounced)
    return Visibility(np.divide(arrived, sent, out=np.ones_like(sent), where=sent > 1e-12), bounced)


def _shadow_camera(center: np.ndarray, radius: float, toward: np.ndarray) -> Camera:
    eye = center + 2 * radius * toward.astype(np.float64)
    scale = _MAP / (2 * _MARGIN * radius)
    return Camera(
        look_at(eye.tolist(), center.tolist()),
        _MAP,
        _MAP,
        scale,
        scale,
        _MAP / 2,
        _MAP / 2,
        near=0.0,
        orthographic=True,
    )


def shading(
    environment: Environment,
    positions: np.ndarray,  # f4 [M, 3]
    normals: np.ndarray,  # f4 [M, 3], unit
    occluders: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    albedo: np.ndarray | float = 0.0,  # [3] or one number, in [0, 1): of the occluders, for one bounce
) -> np.ndarray:
    """E/π f4 [M, 3] at points of a surface; of a mesh's points, what of the light the mesh lets through."""
    free = environment.irradiance(normals)
    if occluders is None:
        return free
    seen = visibility(environment, positions, normals, occluders)
    return free * seen.share + np.asarray(albedo, np.float32) * seen.bounce
