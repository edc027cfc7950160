"""Where splats begin: on surfaces that depth maps tell of, or on points that structure from motion found."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from weft.errors import InvalidInput
from weft.geometry.splats import Splats, f_dc_of
from weft.scenes.scene import TrainingViews

__all__ = ["splats_at", "unprojected"]

_OPACITY = 0.1  # of every splat at first
_JITTER = 0.02  # of the depth: what depth maps hold is not exact, and splats at one place do not part
_SIZES = 1e-3, 0.3  # scene units
_NEIGHBOURS = 3


def unprojected(views: TrainingViews, depths: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points f4 [P, 3] and their colours f4 [P, 3] at random pixels of all views, P ≤ `count`, from `depths`
    f4 [N, H, W] along the viewing axes. Pixels outside of masks, and those whose depth is not finite, have no points.

    Raises InvalidInput where no pixel is left.
    """
    number, height, width = views.images.shape[:3]
    if depths.shape != (number, height, width):
        raise InvalidInput(
            f"depths are {list(depths.shape)}, expected {[number, height, width]}", "one for each picture"
        )
    usable = np.isfinite(depths) & (depths > 0)
    if views.masks is not None:
        usable &= views.masks
    points, colors = [], []
    source = np.random.default_rng([seed, 1])
    for k, camera in enumerate(views.cameras):
        pixels = np.flatnonzero(usable[k])
        share = (k + 1) * count // number - k * count // number
        chosen = source.choice(pixels, min(share, len(pixels)), replace=False) if len(pixels) else pixels
        row, column = np.divmod(chosen, width)
        depth = depths[k].reshape(-1)[chosen] * source.normal(1, _JITTER, len(chosen))
        right, up = (column + 0.5 - camera.cx) / camera.fx, (camera.cy - row - 0.5) / camera.fy
        seen = np.stack([right, up, -np.ones_like(right)], 1) * depth[:, None]
        points.append(seen @ camera.pose[:3, :3].T + camera.center)
        colors.append(views.images[k].reshape(-1, 3)[chosen])
    found = np.concatenate(points).astype(np.float32)
    if not len(found):
        raise InvalidInput("no pixel of any view has a depth", "check the masks, and that the poses fit the pictures")
    return found, np.concatenate(colors)


def splats_at(points: np.ndarray, colors: np.ndarray, degree: int, count: int, seed: int) -> Splats:
    """Faint balls at `points` f4 [P, 3] of `colors` f4 [P, 3], as large as the way to the three nearest; at most
    `count`, of more a random choice."""
    if not len(points) or not np.isfinite(points).all():
        raise InvalidInput(f"{len(points)} points, expected at least one, all finite", "give points of the scene")
    if len(points) > count:
        chosen = np.sort(np.random.default_rng([seed, 2]).choice(len(points), count, replace=False))
        points, colors = points[chosen], colors[chosen]
    number = len(points)
    sizes = np.full(number, _SIZES[1])
    if number > 1:
        away, _ = KDTree(points).query(points, min(_NEIGHBOURS + 1, number))
        sizes = np.sqrt((away[:, 1:] ** 2).mean(1)).clip(*_SIZES)
    sh = np.zeros((number, (degree + 1) ** 2, 3), np.float32)
    sh[:, 0] = f_dc_of(colors)
    quaternions = np.tile(np.array([1, 0, 0, 0], np.float32), (number, 1))
    log_scales = np.repeat(np.log(sizes)[:, None], 3, 1).astype(np.float32)
    logits = np.full(number, np.log(_OPACITY / (1 - _OPACITY)), np.float32)
    return Splats(np.ascontiguousarray(points, np.float32), quaternions, log_scales, logits, sh)
