"""Mesh textures as a sparse linear space: views read texels bilinearly, texels look back into the views that see them.

Visibility never changes during a run, so everything is built once; a step is two sparse products. The texel's side of
the map is a gather (each texel reads the pixels that show it, depth-tested): the adjoint of the views' reads would
leave almost half of a texture untouched that is finer than the views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.ndimage import distance_transform_cdt
from torch.nn import functional

from weft.geometry.camera import Camera
from weft.geometry.rasterize import rasterize_many
from weft.spaces.gathering import gathering
from weft.spaces.linear import LinearSpace
from weft.spaces.nearest import nearest_of
from weft.spaces.sparse import SparseMatrix
from weft.spaces.surface import Surface
from weft.spaces.texel_kernels import look_up, see

__all__ = [
    "LEAST_COSINE",
    "MeshTextureSpace",
    "Sampling",
    "Trust",
    "Views",
    "build_space",
    "rasterize_views",
    "sample_views",
]

LEAST_COSINE = 0.1  # a texel seen flatter than this does not count as seen


@dataclass(frozen=True, eq=False)
class Views:
    """Rasterised cameras of one size, and what the gather needs to know of each pixel."""

    cameras: tuple[Camera, ...]
    triangle: np.ndarray  # i4 [N, H, W], -1 = background
    barycentric: np.ndarray  # f4 [N, H, W, 3]
    depth: np.ndarray  # f4 [N, H, W], infinite = background
    jump: float  # depth difference between neighbouring pixels that makes a silhouette, world units

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.triangle.shape  # type: ignore[return-value]

    @cached_property
    def mask(self) -> np.ndarray:
        """bool [N, H, W]: pixels that show an object."""
        return self.triangle >= 0

    @cached_property
    def eyes(self) -> np.ndarray:
        """f4 [N, 4]: the viewpoint and 1, or the direction towards an orthographic viewer and 0."""
        rows = [(*-c.forward, 0.0) if c.orthographic else (*c.center, 1.0) for c in self.cameras]
        return np.array(rows, np.float32)

    def edge_trust(self, ramp: int) -> np.ndarray:
        """f4 [N, H, W] in [0, 1]: rises from 0 on silhouettes and depth jumps to 1 `ramp` pixels inside."""
        depth = torch.from_numpy(np.where(self.mask, self.depth, np.float32(1e9)))[:, None]
        spread = _widen(depth) + _widen(-depth)
        inside = self.mask & (spread[:, 0] < self.jump).numpy()
        return np.stack([_steps_inside(solid, ramp) for solid in inside]) / np.float32(ramp)

    def hidden_beyond(self) -> np.ndarray:
        """f4 [N, H, W]: the largest depth among a pixel and its neighbours; -1e30 on the background."""
        covered = torch.from_numpy(np.where(self.mask, self.depth, np.float32(-1e30)))[:, None]
        return np.where(self.mask, _widen(covered)[:, 0].numpy(), np.float32(-1e30)).astype(np.float32)


def _steps_inside(solid: np.ndarray, most: int) -> np.ndarray:
    """f4 [H, W]: how many pixels lie between each pixel and the nearest that is not `solid`, itself included, up to
    `most`; the image's border is none."""
    if solid.all():
        return np.full(solid.shape, most, np.float32)
    steps = np.asarray(distance_transform_cdt(solid, "chessboard"))
    return np.minimum(steps, most).astype(np.float32)


def _widen(planes: torch.Tensor) -> torch.Tensor:
    """Maximum over 3 x 3 neighbours; the border repeats. Rows, then columns: on one thread four times as fast as
    torch's pooling."""
    rows = functional.pad(planes, (1, 1, 1, 1), mode="replicate")
    rows = torch.maximum(torch.maximum(rows[..., :-2, :], rows[..., 1:-1, :]), rows[..., 2:, :])
    return torch.maximum(torch.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])


def rasterize_views(surface: Surface, cameras: Sequence[Camera], *, jump: float) -> Views:
    """All cameras of one size; see `Views`."""
    drawn = rasterize_many(surface.vertices, surface.faces, cameras)
    triangle, barycentric, depth = (np.stack(parts) for parts in zip(*drawn, strict=True))
    return Views(tuple(cameras), triangle, barycentric, depth, jump)


@dataclass(frozen=True, eq=False)
class Sampling:
    """The views that see each cell, best first."""

    image: np.ndarray  # i4 [n, R]
    x: np.ndarray  # f4 [n, R] pixel index coordinates
    y: np.ndarray  # f4 [n, R]
    weight: np.ndarray  # f4 [n, R] ≥ 0, falling; 0 = unused
    cosine: np.ndarray  # f4 [n]: the best view's


@dataclass(frozen=True, eq=False)
class Trust:
    """How much a view's pixel counts for a cell: cos^power · edge trust · exp(-radial · r²)."""

    power: float = 1.0
    radial: float = 0.0
    ramp: int = 4  # pixels from a silhouette to full trust
    kept: int = 4  # views remembered for a cell


def sample_views(surface: Surface, views: Views, trust: Trust, candidates: np.ndarray | None = None) -> Sampling:
    """Which views see each cell, and where. `candidates` i4 [n, c] limits the views tried per cell (-1 = none)."""
    if candidates is None:
        candidates = np.arange(len(views.cameras), dtype=np.int32)[None]
    n, kept = surface.cells, trust.kept
    to_camera = np.stack([c.view_matrix * np.array([[1.0], [-1.0], [1.0]]) for c in views.cameras]).astype(np.float32)
    lenses = np.array([(c.fx, c.fy, c.cx, c.cy) for c in views.cameras], np.float32)
    image = np.empty((n, kept), np.int32)
    x, y, weight = (np.empty((n, kept), np.float32) for _ in range(3))
    cosine = np.empty(n, np.float32)
    see(
        surface.position, surface.normal, candidates, to_camera, views.eyes, lenses, views.hidden_beyond(),
        np.maximum(views.edge_trust(trust.ramp), np.float32(0.02)), np.float32(min(c.near for c in views.cameras)),
        np.float32(views.jump / 2), np.float32(LEAST_COSINE), np.float32(trust.power), np.float32(trust.radial),
        image, x, y, weight, cosine,
    )  # fmt: skip
    return Sampling(image, x, y, weight, cosine)


@dataclass(frozen=True, eq=False)
class MeshTextureSpace:
    """The canonical space of a job's textures under one set of views. Build with `build_space`."""

    surface: Surface
    views: Views
    sampling: Sampling
    projection: SparseMatrix  # [N·H·W, cells]
    facing: np.ndarray  # f4 [N, H, W], cosine of the view angle; 0 on the background
    fill: np.ndarray  # i4 [cells], the seen cell that an unseen one copies, itself, or -1 where nothing is seen

    @property
    def coverage(self) -> float:
        """Fraction of the cells that some view sees with a cosine above 0.1."""
        return float((self.sampling.cosine > LEAST_COSINE).mean())

    def linear(self, exponent: float, *, taps: int = 2, residual_passes: int = 0) -> LinearSpace:
        """The space in which a view counts (weight / best weight)^exponent: high exponents let each texel belong to one
        view, which keeps detail that an average of slightly different views would lose. `taps` 2 reads pixels
        bilinearly, 4 by Catmull-Rom."""
        seen = self.sampling
        gather = gathering(
            seen.image, seen.x, seen.y, seen.weight, exponent, taps=taps, view_shape=self.views.shape
        )  # fmt: skip
        return LinearSpace(self.projection, self.views.shape, gather, self.fill, residual_passes)


def build_space(
    surface: Surface,
    views: Views,
    trust: Trust,
    candidates: np.ndarray | None = None,
    wanted: np.ndarray | None = None,
) -> MeshTextureSpace:
    """Projection, visibility and fill map of `views` over `surface`. Only `wanted` bool [cells] (default: all) are
    filled where no view sees them."""
    pixels = int(np.prod(views.shape))
    cell, tap = np.empty((pixels, 4), np.int32), np.empty((pixels, 4), np.float32)
    facing = np.empty(views.shape, np.float32)
    look_up(
        views.triangle, views.barycentric, surface.faces, surface.corner_uv, surface.face_object, surface.normals,
        surface.vertices, views.eyes, surface.nearest, cell, tap, facing,
    )  # fmt: skip
    covered = views.mask.reshape(-1)
    starts = np.zeros(pixels + 1, np.int32)
    np.cumsum(covered * 4, out=starts[1:])
    projection = SparseMatrix(starts, cell[covered].reshape(-1), tap[covered].reshape(-1), surface.cells)
    sampling = sample_views(surface, views, trust, candidates)
    return MeshTextureSpace(surface, views, sampling, projection, facing, _fill_map(surface, sampling, wanted))


def _fill_map(surface: Surface, sampling: Sampling, wanted: np.ndarray | None) -> np.ndarray:
    """For `wanted` cells that no view sees, the nearest seen one in 3D on the same object (or on any, if it has none;
    -1 if no view sees anything at all)."""
    seen = sampling.weight[:, 0] > 0
    fill = np.where(seen, np.arange(surface.cells, dtype=np.int32), np.int32(-1))
    for index in range(len(surface.meshes)):
        own = surface.object == index
        sources = np.flatnonzero(seen & own)
        sources = sources if len(sources) else np.flatnonzero(seen)
        targets = np.flatnonzero(~seen & own if wanted is None else ~seen & own & wanted)
        if len(targets) and len(sources):
            fill[targets] = sources[nearest_of(surface.position[sources], surface.position[targets])]
    return fill
