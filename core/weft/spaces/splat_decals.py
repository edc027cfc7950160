"""Decals on splats: small orthographic views that look straight down onto the surface, and own it among them.

Splats mix in every pixel, so a texture that passes through their colours at every step loses what they blur, and a
denoiser that sees a blurred texture answers with its smoothest patches. Fine detail is therefore denoised on decals
whose own pixels are the canonical cells: where decals overlap, all read the pixels of the one that shows the place
best (nearest to its middle, most face-on). Splats take part only in the end: every view looks up what the decals
painted where it sees the surface, and the colours are fitted to these views, which agree with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import KDTree

from weft.geometry.camera import Camera
from weft.geometry.splat_weights import splat_weights
from weft.geometry.splats import Splats
from weft.spaces.decal_kernels import find_owners
from weft.spaces.linear import LinearSpace
from weft.spaces.sparse import SparseMatrix
from weft.spaces.splat_colors import LEAST_OPACITY, SplatColorSpace, covered, start_of_rows
from weft.spaces.splat_surface import Seen, see_surface, surface_sample

__all__ = ["SplatDecals", "build_splat_decals"]

_SLAB = 0.5  # half the depth that a decal shows, in half-sides: what stands higher does not hide the surface
_CORE = 0.8  # radius that a decal is responsible for, in half-sides
_FACING = 0.55  # cosine between a decal's axis and the normals it is responsible for
_FEWEST = 8  # surface points that make a decal
_TRIED = 12  # decals that may own a point
_RAMP = 3  # pixels from a decal's silhouette to full trust
_JUMP = 8.0  # pixels of depth beyond which a decal shows another surface


@dataclass(frozen=True, eq=False)
class SplatDecals:
    """N decals of H = W pixels. Build with `build_splat_decals`."""

    cameras: tuple[Camera, ...]
    projection: SparseMatrix  # [N·H·W, S], rows sum to 1 or have no entry: how splats look in the decals
    seen: Seen  # the surface in each pixel
    trust: np.ndarray  # f4 [N, H, W] in [0, 1], falls towards silhouettes

    @property
    def mask(self) -> np.ndarray:
        """bool [N, H, W]: pixels that see the object."""
        return self.seen.mask

    @cached_property
    def linear(self) -> LinearSpace:
        """Its cells are the pixels in `mask`, in order; each pixel reads the decal that owns what it sees."""
        shape = self.mask.shape
        own = np.flatnonzero(self.mask)
        owner, x, y = self._owners(self.seen.position[self.mask], self.seen.normal[self.mask])
        here = own // (shape[1] * shape[2])
        alone = (owner < 0) | (owner == here)
        owner = np.where(alone, here, owner)
        x = np.where(alone, own % shape[2], x)
        y = np.where(alone, own // shape[2] % shape[1], y)
        reads = self._bilinear(own, owner, x, y, self.mask.size)
        return LinearSpace(reads, shape, SparseMatrix.from_index(own, self.mask.size))  # type: ignore[arg-type]

    def read_by(self, seen: Seen) -> SparseMatrix:
        """[N'·H'·W', cells]: what other views read where they see the surface; rows sum to 1 or have no entry."""
        rows = np.flatnonzero(seen.mask)
        owner, x, y = self._owners(seen.position[seen.mask], seen.normal[seen.mask])
        found = owner >= 0
        return self._bilinear(rows[found], owner[found], x[found], y[found], seen.mask.size)

    def _owners(self, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The decal i4 [P] that owns each point, -1 for none, and where it shows it: x, y f4 [P], pixel indices."""
        poses = np.stack([camera.pose for camera in self.cameras])
        tried = min(_TRIED, len(poses))
        _, near = KDTree(poses[:, :3, 3]).query(points, k=tried, workers=-1)
        near = near.reshape(len(points), tried).astype(np.int32)
        owner, x, y = (
            np.empty(len(points), np.int32),
            np.empty(len(points), np.float32),
            np.empty(len(points), np.float32),
        )
        density = self.cameras[0].fx
        depth = np.where(self.mask, self.seen.depth, np.float32(np.inf))
        find_owners(
            points.astype(np.float64), normals.astype(np.float64), near, poses, depth, self.trust, density,
            _JUMP / density, owner, x, y,
        )  # fmt: skip
        return owner, x, y

    def _bilinear(self, rows: np.ndarray, owner: np.ndarray, x: np.ndarray, y: np.ndarray, count: int) -> SparseMatrix:
        """`count` rows, of which `rows` read cells at x, y of the decal `owner`; pixels off the object do not count."""
        _, height, width = self.mask.shape
        cells = np.cumsum(self.mask.ravel(), dtype=np.int64) - 1
        column, line = (np.clip(np.floor(at), 0, side - 2).astype(int) for at, side in ((x, width), (y, height)))
        parts = []
        for right in (0, 1):
            for down in (0, 1):
                weight = np.abs(1 - right - (x - column)) * np.abs(1 - down - (y - line))
                pixel = (owner * height + line + down) * width + column + right
                kept = self.mask.ravel()[pixel] & (weight > 1e-4)
                parts.append((rows[kept], cells[pixel[kept]], weight[kept].astype(np.float32)))
        rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        return SparseMatrix.from_entries(rows, columns, values, (count, int(self.mask.sum()))).rows_normalized()


def build_splat_decals(
    splats: Splats,
    views: SplatColorSpace,
    seen: Seen,
    *,
    size: int,
    pixels_per_unit: float,
    most: int,
    up: np.ndarray,  # f8 [3], unit, in the frame of the splats
    random: np.random.Generator,
    prune: float,
) -> SplatDecals | None:
    """Up to `most` decals of `size`² pixels all over the surface that the `views` have `seen`; None where they see too
    little of it. `prune`: see `splat_weights`."""
    points, normals = surface_sample(views.cameras, seen, random)
    radius = size / 2 / pixels_per_unit
    poses = _place(points, normals, radius, most, up, random)
    if not poses:
        return None
    lens = {"width": size, "height": size, "fx": pixels_per_unit, "fy": pixels_per_unit, "cx": size / 2, "cy": size / 2}
    cameras = tuple(Camera(pose, **lens, near=-radius, orthographic=True) for pose in poses)
    projection = _projection(splats, cameras, radius, prune)
    surface = see_surface(cameras, projection, splats.means, (len(cameras), size, size))
    # The frame is no silhouette: decals are trusted up to it.
    inside = [
        np.asarray(distance_transform_edt(np.pad(mask, 1, constant_values=True)))[1:-1, 1:-1] for mask in surface.mask
    ]
    return SplatDecals(cameras, projection, surface, (np.minimum(inside, _RAMP) / _RAMP).astype(np.float32))


def _place(
    points: np.ndarray, normals: np.ndarray, radius: float, most: int, up: np.ndarray, random: np.random.Generator
) -> list[np.ndarray]:
    """Poses whose cores cover `points` by dart throwing, as `decals.place_decals` does for texels."""
    tree = KDTree(points) if len(points) else None
    done = np.zeros(len(points), bool)
    poses: list[np.ndarray] = []
    for start in random.permutation(len(points)):
        if done[start] or tree is None:
            continue
        if len(poses) == most:
            break
        near = np.array(tree.query_ball_point(points[start], _CORE * radius))
        alike = near[normals[near] @ normals[start] > 0.2]
        axis = normals[alike].mean(0)
        axis = axis / max(float(np.linalg.norm(axis)), 1e-9)
        done[start] = True
        done[near[normals[near] @ axis > _FACING]] = True
        if len(alike) >= _FEWEST:
            poses.append(_face_on(points[start], axis, up))
    return poses


def _face_on(origin: np.ndarray, axis: np.ndarray, up: np.ndarray) -> np.ndarray:
    """A pose at `origin` whose +Z is `axis` and whose +Y is as near to `up` as that allows."""
    upright = up if abs(axis @ up) < 0.97 else np.roll(up, 1)
    right = np.cross(upright, axis)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(axis, right), axis, origin], 1)
    return pose


def _projection(splats: Splats, cameras: Sequence[Camera], radius: float, prune: float) -> SparseMatrix:
    """How splats look in decals, each of which shows only those in its own slab."""
    counts, indices, values = [], [], []
    for camera in cameras:
        local = (splats.means - camera.center) @ camera.pose[:3, :3]
        near = np.flatnonzero((np.abs(local) < np.array([1.4, 1.4, _SLAB]) * radius).all(1))
        fields = ("means", "quaternions", "log_scales", "logits", "sh")
        part = replace(splats, **{name: getattr(splats, name)[near] for name in fields})
        kept = covered(splat_weights(part, [camera], prune=prune), len(near), LEAST_OPACITY)
        counts.append(kept.row_counts)
        indices.append(near[kept.indices].astype(np.int32))
        values.append(kept.values)
    starts = start_of_rows(np.concatenate(counts))
    return SparseMatrix(starts, np.concatenate(indices), np.concatenate(values), splats.count).rows_normalized()
