"""The surface that views of splats show: where each pixel's splats are on average, and which way it faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import binary_erosion, uniform_filter

from weft.geometry.camera import Camera
from weft.spaces.sparse import SparseMatrix

__all__ = ["Seen", "density_of", "see_surface", "surface_sample"]

_SMOOTHED = 5  # pixels across which positions are averaged before they are compared
_REACH = 2  # pixels to both sides over which they are
_LEAST_COSINE = 0.25  # of a pixel that says where the surface is
_SAMPLED = 1500  # pixels of a view


@dataclass(frozen=True, eq=False)
class Seen:
    """What N views of H x W pixels see. Values off the mask mean nothing."""

    mask: np.ndarray  # bool [N, H, W]
    depth: np.ndarray  # f4 [N, H, W], the weighted mean of the splats' depths
    position: np.ndarray  # f4 [N, H, W, 3], on the pixel's own ray
    normal: np.ndarray  # f4 [N, H, W, 3], towards the eye; 0 where unknown
    cosine: np.ndarray  # f4 [N, H, W] ≥ 0, between normal and ray


def see_surface(
    cameras: Sequence[Camera], projection: SparseMatrix, means: np.ndarray, shape: tuple[int, int, int]
) -> Seen:
    """`projection` [N·H·W, S]: the weights of the splats at `means` f4 [S, 3], rows that sum to 1 or have no entry."""
    centers = (projection @ torch.from_numpy(means)).numpy().reshape(*shape, 3)
    mask = (projection.row_counts > 0).reshape(shape)
    parts = [_seen_by(camera, at, covered) for camera, at, covered in zip(cameras, centers, mask, strict=True)]
    return Seen(mask, *(np.stack(part).astype(np.float32) for part in zip(*parts, strict=True)))


def _seen_by(camera: Camera, centers: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """depth, position, normal, cosine of one view; `centers` f4 [H, W, 3] are the means of each pixel's splats."""
    view = camera.view_matrix
    depth = centers @ view[2, :3] + view[2, 3]
    line, column = np.mgrid[: camera.height, : camera.width] + 0.5
    along = 1.0 if camera.orthographic else depth
    right, down = (column - camera.cx) / camera.fx * along, (line - camera.cy) / camera.fy * along
    position = np.stack([right, -down, -depth], -1) @ camera.pose[:3, :3].T + camera.center
    ray = np.broadcast_to(camera.pose[:3, 2], position.shape) if camera.orthographic else camera.center - position
    normal = _normals(position - camera.center, mask)
    length = np.maximum(np.linalg.norm(ray, axis=-1), 1e-12)
    cosine = (normal * ray).sum(-1) / length
    return depth, position, normal * np.sign(cosine)[..., None], np.abs(cosine)


def _normals(position: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """f8 [H, W, 3], unit, of either sign; 0 at the border."""
    share = np.maximum(uniform_filter(mask.astype(np.float64), _SMOOTHED), 1e-9)[..., None]
    smooth = uniform_filter(np.where(mask[..., None], position, 0), _SMOOTHED, axes=(0, 1)) / share
    near, far, middle = slice(None, -2 * _REACH), slice(2 * _REACH, None), slice(_REACH, -_REACH)
    across, down = smooth[middle, far] - smooth[middle, near], smooth[far, middle] - smooth[near, middle]
    normal = np.zeros_like(smooth)
    normal[middle, middle] = np.cross(across, down)
    return normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)


def surface_sample(cameras: Sequence[Camera], seen: Seen, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points and normals f4 [P, 3] of pixels away from silhouettes, as many of each view."""
    chosen = []
    for view in range(len(cameras)):
        clear = binary_erosion(seen.mask[view], iterations=_REACH) & (seen.cosine[view] > _LEAST_COSINE)
        some = random.permutation(np.flatnonzero(clear))[:_SAMPLED]
        chosen.append(some + view * clear.size)
    pixels = np.concatenate(chosen)
    return seen.position.reshape(-1, 3)[pixels], seen.normal.reshape(-1, 3)[pixels]


def density_of(cameras: Sequence[Camera], seen: Seen) -> float:
    """Pixels per world unit where the views see the surface: the median over covered pixels; not defined for none."""
    scales = [
        np.full(int(mask.sum()), camera.fx) if camera.orthographic else camera.fx / depth[mask]
        for camera, depth, mask in zip(cameras, seen.depth, seen.mask, strict=True)
    ]
    return float(np.median(np.concatenate(scales)))
