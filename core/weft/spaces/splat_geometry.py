"""What views of Gaussian splats show: the space of their colours, and depth, the mean over the splats of a pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse
import torch

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.depth_normals import depth_normals
from weft.geometry.splats import Splats
from weft.spaces.linear import LinearSpace
from weft.spaces.splat_colors import SplatColorSpace, build_splat_colors
from weft.spaces.view_geometry import ViewGeometry

__all__ = ["splat_view_geometry"]

PRUNE = 1e-3  # of a pixel: weights below are left out
_RESIDUAL = 1  # passes that give back what a mean over many splats smoothed


def splat_view_geometry(splats: Splats, cameras: Sequence[Camera]) -> ViewGeometry:
    """`cameras` share one image size and stand in the frame of the splats. Views own splats as `SplatColorSpace.owned`
    says. Depth is the mean over a pixel's splats, exact for a thin surface. Raises InvalidInput where no view shows
    any splat."""
    colors = build_splat_colors(splats, cameras, prune=PRUNE)
    if not colors.mask.any():
        raise InvalidInput("no view shows a splat", "give poses in the frame of the splats' file")
    depth = _mean_depth(colors)
    normal, _ = depth_normals(depth, cameras)

    def space(exponent: float) -> LinearSpace:
        return colors.owned(exponent, residual_passes=_RESIDUAL)

    towards = space(1.0).unproject(torch.from_numpy(normal.reshape(-1, 3))).numpy()
    length = np.linalg.norm(towards, axis=1, keepdims=True)
    unit = np.where(length > 1e-6, towards / np.maximum(length, 1e-6), np.array([0, 0, 1], np.float32))
    return ViewGeometry("splats", tuple(cameras), depth, normal, space, colors.means, unit.astype(np.float32))


def _mean_depth(colors: SplatColorSpace) -> np.ndarray:
    """f4 [N, H, W] along the viewing axis, infinite where a pixel sees nothing."""
    matrix = colors.projection
    weights = scipy.sparse.csr_matrix((matrix.values, matrix.indices, matrix.row_starts), shape=matrix.shape)
    pixels = colors.shape[1] * colors.shape[2]
    found = [
        weights[i * pixels : (i + 1) * pixels] @ camera.project(colors.means)[1]
        for i, camera in enumerate(colors.cameras)
    ]
    return np.where(colors.mask, np.stack(found).reshape(colors.shape), np.inf).astype(np.float32)
