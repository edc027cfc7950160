"""The cube of space that a grid stands for, and where rays look in it: a box around an object, or all of space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weft.geometry.camera import Camera
from weft.scenes.training_rays import Rays

__all__ = ["NEAR", "GridBox", "box_of"]

NEAR = 0.1  # scene units: nothing nearer to an eye is looked at
_INNER = 0.75  # scene units, half of the box that a contracted grid's inner half holds
_MIDDLE, _FAR = 2.0, 12.0  # samples of unbounded scenes grow scarce behind the first, and end at the second
_DENSE = 0.65  # of the samples lie before the first
_SAMPLES = 1.6  # per vertex of a side, along a ray
_STRIDE = 0.6  # of a cell's side, between the samples in a box


@dataclass(frozen=True, eq=False)
class GridBox:
    """`extent` [2, 3] in the scene's frame (x y z): middle, and half of the sides. `contracted`: that is the inner half
    of the grid, and everything beyond it lies in the outer one (Barron et al., "Mip-NeRF 360", 2022, Eq. 10, in the
    maximum norm)."""

    extent: np.ndarray
    contracted: bool

    @property
    def half(self) -> float:
        """Half of the mean side, scene units: lengths that densities are told for."""
        return float(self.extent[1].mean())

    def edges(self, size: int) -> np.ndarray:
        """f8 [S + 1], the borders of the intervals in which a ray looks once at a grid of `size` vertices a side, from
        its span's first distance on."""
        if not self.contracted:
            stride = _STRIDE * 2 * float(self.extent[1].min()) / (size - 1)
            return np.arange(int(np.ceil(2 * np.linalg.norm(self.extent[1]) / stride)) + 1) * stride
        share = np.linspace(0, 1, int(_SAMPLES * size) + 1)
        beyond = np.maximum(share - _DENSE, 0) / (1 - _DENSE)
        return np.where(share < _DENSE, _MIDDLE * share / _DENSE, 1 / (1 / _MIDDLE + (1 / _FAR - 1 / _MIDDLE) * beyond))

    def spans(self, rays: Rays) -> np.ndarray:
        """[R, 2], the rays' spans as far as they lie in the grid."""
        if self.contracted:
            return rays.spans
        sides = self.extent[0] + np.array([[[-1.0]], [[1.0]]]) * self.extent[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            crossings = (sides - rays.origins) / rays.directions
        first, last = np.fmin(*crossings).max(1), np.fmax(*crossings).min(1)
        return np.stack([np.maximum(rays.spans[:, 0], first), np.minimum(rays.spans[:, 1], last)], 1)

    def vertices(self, size: int) -> np.ndarray:
        """f4 [size³, 3], a grid's vertices in the scene's frame, x fastest; those around a contracted one are not
        finite."""
        side = np.linspace(-1, 1, size)
        z, y, x = np.meshgrid(side, side, side, indexing="ij")
        at = np.stack([x, y, z], -1).reshape(-1, 3)
        if self.contracted:
            far = np.abs(at).max(1, keepdims=True)  # in the outer half 1 - 1 / (2 distance)
            with np.errstate(divide="ignore", invalid="ignore"):
                at = at * np.where(far <= 0.5, 2.0, 1 / (2 * (1 - far)) / far)
        return (self.extent[0] + self.extent[1] * at).astype(np.float32)

    def drawn_closer(self, occupied: np.ndarray) -> GridBox:
        """Around what is `occupied` bool [M, M, M] (z y x), if anything is; all of space stays what it is."""
        if self.contracted or not occupied.any():
            return self
        some = [np.flatnonzero(occupied.any(axes)) for axes in ((0, 1), (0, 2), (1, 2))]  # x y z
        low, high = np.array([(cells[0], cells[-1] + 1) for cells in some]).T / len(occupied) * 2 - 1
        middle, half = self.extent
        drawn = np.stack([middle + (low + high) / 2 * half, (high - low) / 2 * half])
        return GridBox(drawn.astype(self.extent.dtype), False)


def box_of(cameras: Sequence[Camera], bounded: bool) -> GridBox:
    """What `cameras` of a scene's frame look at: of an object (`bounded`) what they usually show around 0 along the
    pictures' longer side."""
    if not bounded:
        return GridBox(np.array([(0, 0, 0), (_INNER,) * 3], np.float32), True)
    halves = []
    for camera in cameras:
        depth = 1.0 if camera.orthographic else max(float(-camera.center @ camera.forward), NEAR)
        halves.append(depth * max(camera.width / camera.fx, camera.height / camera.fy) / 2)
    return GridBox(np.array([(0, 0, 0), (np.median(halves),) * 3], np.float32), False)
