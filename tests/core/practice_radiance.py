"""Radiance fields to compare with: a ball whose pictures are known, and a volume renderer without any haste."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from weft.geometry.camera import Camera, orbit
from weft.geometry.harmonics import sh_basis
from weft.geometry.rays import ray_grid
from weft.scenes.scene import TrainingViews

RADIUS = 0.25  # of the ball around 0


def cameras_around(count: int, size: int, distance: float = 1.0) -> tuple[Camera, ...]:
    """Pinholes on a sphere around 0 that look at it, spread by the golden angle."""
    places = [(137.5 * k, 60 * (2 * k + 1) / count - 60) for k in range(count)]
    focal = 1.5 * size
    return tuple(
        Camera(orbit(azimuth, elevation, distance), size, size, focal, focal, size / 2, size / 2)
        for azimuth, elevation in places
    )


def ball_seen(camera: Camera, background: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """The ball coloured by its normals: image f4 [H, W, 3] and depth f4 [H, W], infinite beside it."""
    origins, directions = ray_grid(camera, camera.height, camera.width)
    middle = -(origins * directions).sum(-1)
    inside = RADIUS**2 - (origins**2).sum(-1) + middle**2
    hit = inside > 0
    t = middle - np.sqrt(np.where(hit, inside, 0))
    normal = (origins + t[..., None] * directions) / RADIUS
    image = np.where(hit[..., None], 0.5 + 0.4 * normal, background)
    depth = np.where(hit, t * (directions @ camera.forward), np.inf)
    return image.astype(np.float32), depth.astype(np.float32)


def ball_views(count: int = 12, size: int = 24) -> TrainingViews:
    cameras = cameras_around(count, size)
    return TrainingViews(np.stack([ball_seen(camera)[0] for camera in cameras]), cameras)


def composited(
    density: Tensor,  # f8 [N, N, N], before its softplus
    color: Tensor,  # f8 [N, N, N, 3 K], before its sigmoid
    points: Tensor,  # f8 [R, S, 3] (x y z) in [-1, 1] of the grid
    lengths: np.ndarray,  # [S] or [R, S], of the intervals, times σ of softplus 1
    directions: np.ndarray,  # [R, 3]
    background: Tensor,  # [3]
) -> tuple[Tensor, Tensor]:
    """Image [R, 3] and weights [R, S] (Mildenhall et al. 2020, Eq. 3), all samples, in double precision."""
    grid = torch.cat([density[..., None], color], -1).permute(3, 0, 1, 2)[None]
    at = points[None, :, :, None]
    values = torch.nn.functional.grid_sample(grid, at, align_corners=True)[0, ..., 0].permute(1, 2, 0)  # [R, S, 1 + 3K]
    depths = torch.nn.functional.softplus(values[..., 0]) * torch.from_numpy(lengths)
    alpha = 1 - torch.exp(-depths)
    through = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha], 1), 1)
    weights = alpha * through[:, :-1]
    degree = round((color.shape[-1] / 3) ** 0.5) - 1
    basis = torch.from_numpy(sh_basis(directions, degree))
    shade = torch.sigmoid((values[..., 1:].unflatten(-1, (3, -1)) * basis[:, None, None]).sum(-1))
    image = (weights[..., None] * shade).sum(1) + through[:, -1:] * background
    return image, weights
