"""Splat colours as a canonical space: pixels are weighted means of splats, splats are fitted to the pixels.

The compositing weights W of fixed geometry (`geometry.splat_weights`) are the projection, their rows divided by their
sum 1 - T: a view is then the colour of the object alone, without the background that shines through its edges, and
constants survive exactly. Pixels that are more than half background see nothing.

Two ways back from views to colours:

- `shared`: the least-squares problem min_c ‖W c - views‖² + λ‖c - c_0‖², c_0 the back-projection of all views, by a few
  conjugate-gradient steps. Kim et al. 2024 (SyncTweedies) approach the same minimum by gradient descent. It recovers
  consistent views best; of views that disagree it makes a blurred mean.
- `owned`: every splat listens to the views that show it largest: z ← z + G (views - W z), beginning with G views, where
  G weighs view i by (presence / largest presence)^exponent. Presence is averaged over neighbouring splats, so that
  owners change between regions and not from splat to splat. Where views disagree, detail survives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import scipy.sparse
from scipy.spatial import KDTree

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.splat_weights import NEGLIGIBLE, SplatWeights, splat_weights
from weft.geometry.splats import Splats
from weft.spaces.linear import LinearSpace
from weft.spaces.sparse import SparseMatrix

__all__ = ["LEAST_OPACITY", "SplatColorSpace", "build_splat_colors", "covered", "start_of_rows"]

LEAST_OPACITY = 0.5  # a pixel with less of the object in it sees nothing
ITERATIONS, DAMPING = 2, 1.0  # of the shared solution
_MOST_PRESENCE = 400_000_000  # pairs of a splat and a view, 1.6 GB
_NEIGHBORS = 24  # splats over which presence is averaged
_NEGLIGIBLE_SHARE = np.float32(0.02)  # of a splat's best view: less is left out


@dataclass(frozen=True, eq=False)
class SplatColorSpace:
    """The colours of S splats under N views. Build with `build_splat_colors`."""

    cameras: tuple[Camera, ...]
    opacity: np.ndarray  # f4 [N, H, W], 1 - T: how much of a pixel the object covers
    projection: SparseMatrix  # [N·H·W, S], rows sum to 1 or have no entry
    means: np.ndarray  # f4 [S, 3], the splats' centres
    presence: np.ndarray  # f4 [S, N] ≥ 0, how much of each view a splat and its neighbours make up; 0: does not see it

    @property
    def shape(self) -> tuple[int, int, int]:
        """N, H, W."""
        return self.opacity.shape  # type: ignore[return-value]

    @property
    def mask(self) -> np.ndarray:
        """bool [N, H, W]: pixels that see the object."""
        return (self.projection.row_counts > 0).reshape(self.shape)

    @property
    def seen(self) -> np.ndarray:
        """bool [S]: splats in some view."""
        return self.presence.any(1)

    def shared(self, *, iterations: int = ITERATIONS, damping: float = DAMPING) -> LinearSpace:
        """The space in which all views count alike. All that are asked for share their matrices."""
        return self._back_projected.solving(iterations, damping)

    @cached_property
    def _back_projected(self) -> LinearSpace:
        return LinearSpace(self.projection, self.shape, fill=_nearest_seen(self.means, self.seen))

    def owned(self, exponent: float, *, residual_passes: int) -> LinearSpace:
        """The space in which a view counts (presence / largest presence)^exponent for a splat."""
        largest = self.presence.max(1, keepdims=True, initial=0)
        share = np.divide(self.presence, largest, out=np.zeros_like(self.presence), where=largest > 0)
        share **= np.float32(exponent)
        share[share < _NEGLIGIBLE_SHARE] = 0
        gather = _weighted(self.projection, share).transpose.rows_normalized()
        fill = _nearest_seen(self.means, gather.row_counts > 0)
        return LinearSpace(self.projection, self.shape, gather, fill, residual_passes)

    def weighted(self, weights: np.ndarray, *, iterations: int, damping: float) -> LinearSpace:
        """Least squares in which pixels count as much as `weights` f4 [N·H·W] ≥ 0 say. Its rows, and what it is given,
        are those of the views times √weights."""
        projection = self.projection.rows_kept(weights > 0).rows_scaled(np.sqrt(weights))
        reached = np.bincount(projection.indices, minlength=projection.columns) > 0
        fill = _nearest_seen(self.means, reached)
        return LinearSpace(projection, self.shape, fill=fill, iterations=iterations, damping=damping)

    def without(self, views: Sequence[int]) -> SplatColorSpace:
        """The same views, of which some show splats but none listens to them: held out of `owned`."""
        presence = self.presence.copy()
        presence[:, list(views)] = 0
        return replace(self, presence=presence)


def build_splat_colors(
    splats: Splats, cameras: Sequence[Camera], *, prune: float = NEGLIGIBLE, least_opacity: float = LEAST_OPACITY
) -> SplatColorSpace:
    """The space of `cameras`, which share one image size and stand in the frame of the splats.

    Splats that no view sees copy the nearest that one sees. `prune`: see `splat_weights`. `least_opacity` in (0, 1).
    Raises InvalidInput for more splats and cameras than memory should hold.
    """
    if splats.count * len(cameras) > _MOST_PRESENCE:
        raise InvalidInput(
            f"{splats.count:,} splats under {len(cameras)} cameras, expected at most {_MOST_PRESENCE:,} pairs",
            f"use at most {max(1, _MOST_PRESENCE // splats.count)} cameras",
        )
    weights = splat_weights(splats, cameras, prune=prune)
    projection = covered(weights, splats.count, least_opacity).rows_normalized()
    presence = _smoothed(_presence(projection, len(cameras)), splats.means)
    return SplatColorSpace(tuple(cameras), 1 - weights.transmittance, projection, splats.means, presence)


def covered(weights: SplatWeights, splats: int, least_opacity: float) -> SparseMatrix:
    """W without the rows of pixels whose opacity is below `least_opacity`."""
    whole = SparseMatrix(weights.row_starts, weights.splats, weights.weights, splats)
    return whole.rows_kept(weights.transmittance.ravel() <= 1 - least_opacity)


def start_of_rows(counts: np.ndarray) -> np.ndarray:
    """i4 [R + 1], where rows of so many entries begin."""
    starts = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=starts[1:])
    return starts


def _view_entries(projection: SparseMatrix, views: int) -> list[slice]:
    """The entries of each view."""
    ends = projection.row_starts[:: projection.shape[0] // views]
    return [slice(int(a), int(b)) for a, b in pairwise(ends)]


def _presence(projection: SparseMatrix, views: int) -> np.ndarray:
    """f4 [S, N], the sum of a splat's weights in each view."""
    columns = [
        np.bincount(projection.indices[entries], projection.values[entries], projection.columns)
        for entries in _view_entries(projection, views)
    ]
    return np.stack(columns, 1).astype(np.float32)


def _smoothed(presence: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Presence averaged over each splat's nearest seen ones; it stays 0 where the splat itself is not seen."""
    seen = np.flatnonzero(presence.any(1))
    if not len(seen):
        return presence
    count = min(_NEIGHBORS, len(seen))
    _, nearest = KDTree(means[seen]).query(means, k=count, workers=1)
    starts = np.arange(0, nearest.size + 1, count)
    mean = scipy.sparse.csr_array((np.full(nearest.size, 1 / count, np.float32), seen[nearest.ravel()], starts))
    mean.resize(len(means), len(means))
    return np.where(presence > 0, mean @ presence, np.float32(0))


def _weighted(projection: SparseMatrix, share: np.ndarray) -> SparseMatrix:
    """Each entry times the `share` f4 [S, N] of its splat in its view; without the zeros."""
    indices, values, counts = [], [], []
    pixels = projection.shape[0] // share.shape[1]
    for view, entries in enumerate(_view_entries(projection, share.shape[1])):
        splats = projection.indices[entries]
        weights = projection.values[entries] * share[splats, view]
        kept = weights > 0
        rows = projection.row_counts[view * pixels : (view + 1) * pixels]
        counts.append(np.bincount(np.repeat(np.arange(pixels), rows)[kept], minlength=pixels))
        indices.append(splats[kept])
        values.append(weights[kept])
    starts = start_of_rows(np.concatenate(counts))
    return SparseMatrix(starts, np.concatenate(indices), np.concatenate(values), projection.columns)


def _nearest_seen(means: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """i4 [S], for every splat the nearest seen one (itself, if seen); -1 if none is."""
    if not seen.any():
        return np.full(len(seen), -1, np.int32)
    fill = np.arange(len(seen), dtype=np.int32)
    sources = np.flatnonzero(seen)
    if not seen.all():
        _, nearest = KDTree(means[sources]).query(means[~seen], workers=1)
        fill[~seen] = sources[nearest]
    return fill
