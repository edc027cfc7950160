"""Density and colour on a grid of vertices, seen along rays; and how what is seen depends on them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from weft.geometry.harmonics import sh_basis
from weft.scenes.grid_box import GridBox
from weft.scenes.training_rays import Rays
from weft.scenes.voxel_kernels import FIELDS, by_plane, collect, look, send_back
from weft.scenes.voxel_update_kernels import occupy

__all__ = ["FieldGradient", "Seen", "VoxelField"]

_DENSITY = 7.5  # σ where softplus(density) is 1, per half of the box
_OCCUPIED = -3.0  # least density that counts: there σ is 0.36 per half of the box
_CELLS = 64  # of the occupancy, a side
_AT_ONCE = 16384  # rays


@dataclass(eq=False)
class Seen:
    """R rays looked along: image [R, 3] sRGB, opacity [R], distance [R] (Σ T α t), and every sample that counted."""

    image: np.ndarray
    opacity: np.ndarray
    distance: np.ndarray
    basis: np.ndarray  # [R, K], harmonics
    counts: np.ndarray  # i4 [R]
    cells: np.ndarray  # i4 [R, S]
    samples: np.ndarray  # [R, S, FIELDS]


@dataclass(eq=False)
class FieldGradient:
    """A loss's derivatives by density [N, N, N] and color [N, N, N, 3 K], 0 where a vertex is not touched."""

    density: np.ndarray
    color: np.ndarray
    touched: np.ndarray  # u1 [N, N, N]


@dataclass(eq=False)
class VoxelField:
    """N³ vertices in a box. σ = 7.5 softplus(density) per half of the box, colour = sigmoid(harmonics · color).

    All of one kind of float: f4, or f8 where derivatives are checked.
    """

    density: np.ndarray  # [N, N, N] (z y x)
    color: np.ndarray  # [N, N, N, 3 K]
    box: GridBox
    background: np.ndarray  # [3] sRGB
    occupied: np.ndarray  # bool [M, M, M] (z y x): where there may be something
    limits: tuple[float, float] = (1e-3, 3e-3)  # the least α that counts, the transmittance at which a ray ends

    @classmethod
    def empty(cls, size: int, degree: int, density: float, box: GridBox, background: np.ndarray) -> VoxelField:
        """A grey field of `density` everywhere."""
        return cls(
            np.full((size,) * 3, density, np.float32),
            np.zeros((size, size, size, 3 * (degree + 1) ** 2), np.float32),
            box,
            background.astype(np.float32),
            np.ones((_CELLS,) * 3, bool),
        )

    @property
    def size(self) -> int:
        """Vertices a side."""
        return len(self.density)

    @property
    def degree(self) -> int:
        """Of the harmonics."""
        return round((self.color.shape[3] / 3) ** 0.5) - 1

    def places(self) -> np.ndarray:
        """f4 [N³, 3], the vertices in the scene's frame, x fastest; those around a contracted grid are not finite."""
        return self.box.vertices(self.size)

    def look(self, rays: Rays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image [R, 3], opacity [R] and distance [R] along rays, at the middles of their intervals."""
        parts = [self._looked(rays[k : k + _AT_ONCE], None, False) for k in range(0, len(rays), _AT_ONCE)]
        image, opacity, distance = zip(*((part.image, part.opacity, part.distance) for part in parts), strict=True)
        return np.concatenate(image), np.concatenate(opacity), np.concatenate(distance)

    def record(self, rays: Rays, jitter: np.ndarray | None = None) -> Seen:
        """The same with what `send_back` needs; `jitter` [R] in [0, 1) is where in its intervals a ray looks."""
        return self._looked(rays, jitter, True)

    def _looked(self, rays: Rays, jitter: np.ndarray | None, keeping: bool) -> Seen:
        real = self.density.dtype
        count, edges = len(rays), self.box.edges(self.size).astype(real)
        kept = count if keeping else 0
        seen = Seen(
            np.empty((count, 3), real),
            np.empty(count, real),
            np.empty(count, real),
            sh_basis(rays.directions, self.degree).astype(real, order="C"),  # else the kernels are compiled twice
            np.zeros(kept, np.int32),
            np.empty((kept, len(edges) - 1), np.int32),
            np.empty((kept, len(edges) - 1, FIELDS), real),
        )
        look(
            self.density, self.color, self.occupied, self.box.extent.astype(real), self.box.contracted, edges,
            real.type(_DENSITY / self.box.half),
            np.array(self.limits, real), rays.origins.astype(real), rays.directions.astype(real),
            self.box.spans(rays).astype(real), seen.basis,
            np.full(count, 0.5, real) if jitter is None else jitter.astype(real), self.background, seen.counts,
            seen.cells, seen.samples, seen.image, seen.opacity, seen.distance,
        )  # fmt: skip
        return seen

    def send_back(self, seen: Seen, by_image: np.ndarray, gradient: FieldGradient) -> None:
        """Add to `gradient` that of a loss whose derivatives are `by_image` [R, 3]. Uses up `seen`."""
        send_back(by_image.astype(self.density.dtype), seen.image, seen.counts, seen.samples)
        order, starts = by_plane(seen.counts, seen.cells, self.size)
        collect(
            order, starts, seen.cells, seen.samples, seen.basis, gradient.density.reshape(-1),
            gradient.color.reshape(-1, self.color.shape[3]), gradient.touched.reshape(-1),
        )  # fmt: skip

    def no_gradient(self) -> FieldGradient:
        return FieldGradient(
            np.zeros_like(self.density), np.zeros_like(self.color), np.zeros(self.density.shape, np.uint8)
        )

    def survey(self) -> None:
        """Look where there is something; only there, and next to it, rays look from now on."""
        occupy(self.density, self.density.dtype.type(_OCCUPIED), self.occupied)

    def resized(self, size: int) -> VoxelField:
        """The same field on `size`³ vertices, in a box drawn closer around what is occupied."""
        box = self.box.drawn_closer(self.occupied)
        (middle, half), (old_middle, old_half) = box.extent[..., None], self.box.extent[..., None]
        places = ((middle + half * np.linspace(-1, 1, size) - old_middle) / old_half + 1) / 2 * (self.size - 1)
        density, color = self.density, self.color
        for axis in range(3):  # z y x
            density, color = (_between(one, places[2 - axis], axis) for one in (density, color))
        field = replace(self, density=density, color=color, box=box, occupied=np.empty_like(self.occupied))
        field.survey()
        return field


def _between(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Linear interpolation at `places` [M] along one axis of vertices; beyond its ends the outermost go on."""
    first = np.clip(places.astype(int), 0, values.shape[axis] - 2)
    share = np.clip(places - first, 0, 1).astype(values.dtype)
    share = share.reshape([-1 if k == axis else 1 for k in range(values.ndim)])
    return values.take(first, axis) * (1 - share) + values.take(first + 1, axis) * share
