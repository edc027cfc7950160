"""An environment map as networks that relight are shown it: behind the object, or turned into the camera's frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.geometry.camera import Camera
from weft.geometry.colour import encoded
from weft.geometry.environment import Environment
from weft.geometry.equirectangular import cell_directions, place
from weft.geometry.rays import ray_grid

__all__ = ["radiance", "seen_behind", "turned_maps"]

_MOST = 512  # rows of maps that are turned: far more than networks see of them


def radiance(environment: Environment, directions: np.ndarray) -> np.ndarray:
    """f4 [..., 3]: the light from `directions` [..., 3] of any length, bilinear, round the map's seam."""
    height, width = environment.radiance.shape[:2]
    at = place(directions, height)
    row, column = (at[..., 0] + 1).astype(np.float32), (at[..., 1] + 1).astype(np.float32)
    padded = np.pad(np.pad(environment.radiance, ((0, 0), (1, 1), (0, 0)), "wrap"), ((1, 1), (0, 0), (0, 0)), "edge")
    # Centres of texels are half a texel inside the grid's corners at -1 and 1.
    grid = np.stack([(column + 0.5) / (width + 2), (row + 0.5) / (height + 2)], -1) * 2 - 1
    planes = torch.from_numpy(np.ascontiguousarray(padded, np.float32)).permute(2, 0, 1)[None]
    flat = torch.from_numpy(grid.reshape(1, 1, -1, 2).astype(np.float32))
    sampled = functional.grid_sample(planes, flat, mode="bilinear", align_corners=False)
    return sampled[0, :, 0].T.reshape(*directions.shape[:-1], 3).numpy()


def seen_behind(environment: Environment, cameras: Sequence[Camera]) -> Tensor:
    """[N, 3, H, W] in [-1, 1]: sRGB pictures of what each camera sees, as if at infinity.

    Light beyond 1 is white: expose the map before. An orthographic camera sees one place of it.
    """
    rays = [ray_grid(camera, camera.height, camera.width)[1] for camera in cameras]
    return _planes([encoded(radiance(environment, own)) for own in rays])


def turned_maps(environment: Environment, cameras: Sequence[Camera], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The map as each camera has it around itself, in two ranges, each [N, 3, H, W] in [-1, 1], stretched to `size`.

    Jin et al. 2024 (Neural Gaffer): in the middle lies what is right of the camera, a quarter left of it what it looks
    at, row 0 is up. Low range: clip(x)^(1/2.2); high range: log(1 + 10 x) over its largest value.
    """
    if environment.height > _MOST:
        environment = environment.downsampled(_MOST)
    x, y, z = np.moveaxis(cell_directions(environment.height), -1, 0)
    around = np.stack([x, z, -y], -1)  # in camera axes: right, up, back
    low, high = [], []
    for camera in cameras:
        turned = radiance(environment, around @ camera.pose[:3, :3].T)
        logarithm = np.log1p(10 * turned.clip(0))
        low.append(_stretched(_planes([turned.clip(0, 1) ** (1 / 2.2)]), size))
        high.append(_stretched(_planes([logarithm / max(logarithm.max(), 1e-9)]), size))
    return torch.cat(low), torch.cat(high)


def _planes(pictures: Sequence[np.ndarray]) -> Tensor:
    """Pictures [H, W, 3] in [0, 1] as [N, 3, H, W] in [-1, 1]."""
    stacked = np.stack(pictures).astype(np.float32)
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous() * 2 - 1


def _stretched(planes: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(planes, size=size, mode="bilinear", antialias=True, align_corners=False)
