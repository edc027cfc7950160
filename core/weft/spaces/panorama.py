"""A full sphere as an equirectangular image, seen through perspective views from its centre.

Directions are Blender's for a World texture (`weft.geometry.equirectangular`).

Views look cells up by nearest neighbour: noise stays white. The panorama's side is a gather, in which each cell reads
the views that see it: near the poles an equirectangular image has many more cells than the views have pixels there,
and the adjoint of a lookup would leave most of them untouched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.equirectangular import cell_directions, place
from weft.spaces.gathering import gathering
from weft.spaces.linear import LinearSpace
from weft.spaces.sparse import SparseMatrix
from weft.spaces.texel_kernels import see

__all__ = ["PanoramaSpace", "cell_directions", "look_along", "pixel_directions", "place", "ring_directions"]

FIELD_OF_VIEW = 72.0  # degrees, and
_AZIMUTH_STEP = 0.625  # of it between neighbours of the level ring: eight views 45° apart (Kim et al. 2024)
_ELEVATION_STEP = 0.75  # of it between rings
_KEPT = 4  # views that a cell reads, at most


def ring_directions(fov: float = FIELD_OF_VIEW) -> list[tuple[float, float]]:
    """Viewing directions (azimuth, elevation) in degrees with which square views of `fov` degrees cover the sphere.

    Eight level ones at 72°; then rings above and below, thinner towards the poles, and the poles. Azimuth 0 is the
    image's middle and grows to the right.
    """
    if not 20 <= fov <= 120:
        raise InvalidInput(f"a field of view of {fov:g}° was given, expected 20 to 120", "the paper's is 72°")
    level = math.ceil(360 / (_AZIMUTH_STEP * fov) - 1e-9)
    directions, elevation = [(360.0 * k / level, 0.0) for k in range(level)], 0.0
    while elevation < 90:
        elevation = min(elevation + _ELEVATION_STEP * fov, 90.0)
        count = max(1, math.ceil(level * math.cos(math.radians(elevation)) - 1e-9))
        directions += [(360.0 * k / count, side * elevation) for side in (1, -1) for k in range(count)]
    return directions


def look_along(azimuth: float, elevation: float, *, size: int, fov: float, center: np.ndarray | None = None) -> Camera:
    """A square camera at `center` (default: the origin) that looks along a direction as `ring_directions` gives it."""
    a, e = np.radians([azimuth, elevation])
    forward = np.array([np.cos(e) * np.cos(a), -np.cos(e) * np.sin(a), np.sin(e)])
    right = np.array([-np.sin(a), -np.cos(a), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(right, forward), -forward], 1)
    if center is not None:
        pose[:3, 3] = center
    focal = size / 2 / math.tan(math.radians(fov) / 2)
    return Camera(pose, size, size, focal, focal, size / 2, size / 2)


def pixel_directions(camera: Camera) -> np.ndarray:
    """f4 [H, W, 3]: the directions in which a perspective camera's pixels look, 1 along its axis (not unit)."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    local = np.stack([(columns - camera.cx) / camera.fx, (camera.cy - rows) / camera.fy, -np.ones_like(rows)], -1)
    return (local @ camera.pose[:3, :3].T).astype(np.float32)


@dataclass(frozen=True, eq=False)
class PanoramaSpace:
    """Views of `size`² pixels in the given directions over [height, 2·height] cells (row-major)."""

    height: int
    size: int
    fov: float = FIELD_OF_VIEW  # degrees

    @cached_property
    def cameras(self) -> tuple[Camera, ...]:
        return tuple(look_along(*direction, size=self.size, fov=self.fov) for direction in ring_directions(self.fov))

    @property
    def cells(self) -> int:
        return 2 * self.height**2

    @property
    def view_shape(self) -> tuple[int, int, int]:
        return len(self.cameras), self.size, self.size

    @cached_property
    def index(self) -> np.ndarray:
        """i4 [N·size·size]: the cell that each view pixel falls on."""
        rays = np.stack([pixel_directions(camera) for camera in self.cameras])
        row, column = np.moveaxis(np.floor(place(rays, self.height) + 0.5).astype(np.int32), -1, 0)
        row = np.clip(row, 0, self.height - 1)
        return (row * (2 * self.height) + column % (2 * self.height)).reshape(-1)

    @property
    def owner(self) -> np.ndarray:
        """i4 [cells]: the view that sees each cell nearest to its centre."""
        return self._sampling[0][:, 0]

    def linear(self, exponent: float = 1.0, *, taps: int = 2, residual_passes: int = 0) -> LinearSpace:
        """The space in which a view counts (weight / best weight)^exponent, weight = exp(-r²), r the distance from its
        centre in half frames. `taps` 2 reads views bilinearly, 4 by Catmull-Rom."""
        gather = gathering(*self._sampling, exponent, taps=taps, view_shape=self.view_shape)
        return LinearSpace(self._projection, self.view_shape, gather, residual_passes=residual_passes)

    @cached_property
    def _projection(self) -> SparseMatrix:
        return SparseMatrix.from_index(self.index, self.cells)

    @cached_property
    def _sampling(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(view i4, x f4, y f4, weight f4), each [cells, _KEPT]: the views that see each cell, best first."""
        directions = cell_directions(self.height).reshape(-1, 3)
        count, cells = len(self.cameras), self.cells
        image = np.empty((cells, _KEPT), np.int32)
        x, y, weight = (np.empty((cells, _KEPT), np.float32) for _ in range(3))
        to_camera = np.stack([c.view_matrix * np.array([[1.0], [-1.0], [1.0]]) for c in self.cameras])
        eyes = np.tile(np.array([0, 0, 0, 1], np.float32), (count, 1))
        lenses = np.array([(c.fx, c.fy, c.cx, c.cy) for c in self.cameras], np.float32)
        unhidden, trusted = np.full(self.view_shape, 1e9, np.float32), np.ones(self.view_shape, np.float32)
        see(
            directions, -directions, np.arange(count, dtype=np.int32)[None], to_camera.astype(np.float32), eyes,
            lenses, unhidden, trusted, np.float32(1e-3), np.float32(0), np.float32(0), np.float32(0), np.float32(1),
            image, x, y, weight, np.empty(cells, np.float32),
        )  # fmt: skip
        return image, x, y, weight
