"""Splat weights on a GPU, by gsplat (Ye et al. 2024), behind `weft.geometry.splat_weights`.

gsplat projects, sorts, and lists which splats each pixel meets, front to back. The weights follow from that list here,
with this package's constants: releases of gsplat differ in the greatest alpha (0.999, then 0.99). A list made with
either is long enough, and cut where T would fall to 1e-4. Running products are taken in a fixed order, so that the
bytes do not change from run to run. Perspective cameras alone: gsplat sorts by the bits of the depth, which must be
positive.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from weft.geometry.camera import Camera
from weft.geometry.splat_kernels import LEAST_ALPHA, MOST_ALPHA, OPAQUE, TILE

__all__ = ["Composited", "composited", "view_weights_cuda"]

Composited = tuple[Tensor, Tensor, Tensor, Tensor]  # row starts i4 [P + 1], splats i4 [E], weights f4 [E], T f4 [P]
_ALL = 1 << 30  # more batches of splats than a tile can have


def view_weights_cuda(
    cloud: tuple[np.ndarray, np.ndarray, np.ndarray],  # means f4 [S, 3], covariances f4 [S, 6], opacities f4 [S]
    camera: Camera,
    least: float,
    device: str = "cuda",
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Row starts i4 [H·W + 1], splats i4 [E], weights f4 [E] and transmittance f4 [1, H, W] of one camera."""
    from gsplat.cuda._wrapper import (  # pyright: ignore[reportMissingImports]
        fully_fused_projection,
        isect_offset_encode,
        isect_tiles,
        rasterize_to_indices_in_range,
    )

    width, height = camera.width, camera.height
    means, covariances, opacities = (torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in cloud)
    world, lens = (torch.from_numpy(each).float().to(device)[None] for each in _opencv(camera))
    radii, centers, depths, conics, _ = fully_fused_projection(
        means, covariances, None, None, world, lens, width, height, near_plane=camera.near, opacities=opacities
    )
    across, down = -(-width // TILE), -(-height // TILE)
    _, crossings, order = isect_tiles(centers, radii, depths, TILE, across, down)
    starts = isect_offset_encode(crossings, 1, across, down)
    splats, pixels, _ = rasterize_to_indices_in_range(
        0, _ALL, torch.ones(1, height, width, device=device), centers, conics, opacities[None], width, height, TILE,
        starts, order,
    )  # fmt: skip
    alphas = _alphas(centers[0][splats], conics[0][splats], opacities[splats], pixels, width)
    found = composited(splats, pixels, alphas, width * height, least)
    rows, seen, weights, through = (part.cpu().numpy() for part in found)
    return rows, seen, weights, through.reshape(1, height, width)


def _opencv(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """World to (right, down, depth) [4, 4], and the lens [3, 3]."""
    world = np.eye(4)
    world[:3] = camera.view_matrix * np.array([[1.0], [-1.0], [1.0]])
    return world, np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])


def _alphas(centers: Tensor, conics: Tensor, opacities: Tensor, pixels: Tensor, width: int) -> Tensor:
    """f4 [E], what each splat hides of its pixel: min(0.999, o·exp(-σ)), 0 where it is skipped."""
    dx = pixels % width + 0.5 - centers[:, 0]
    dy = torch.div(pixels, width, rounding_mode="floor") + 0.5 - centers[:, 1]
    xx, xy, yy = conics.unbind(1)
    sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
    alphas = (opacities * torch.exp(-sigma)).clamp(max=float(MOST_ALPHA))
    return torch.where((sigma >= 0) & (alphas >= float(LEAST_ALPHA)), alphas, 0.0)


def composited(splats: Tensor, pixels: Tensor, alphas: Tensor, count: int, least: float) -> Composited:
    """Weights of `count` pixels from pairs [E] of splat and pixel: pixels ascending, each one's splats front to back.

    A pixel takes no splat that would leave T ≤ 1e-4, nor any behind it; weights below `least` are left out, and the
    rest of their row scaled to the same sum 1 - T.
    """
    starts = _starts(pixels, count)
    ranks = torch.arange(len(pixels), device=pixels.device) - starts[pixels]
    after = _running_products(1 - alphas.double(), ranks)
    open_ = after > float(OPAQUE)
    before = torch.where(ranks > 0, after.roll(1), 1.0)
    through = _lowest(torch.where(open_, after, 1.0), pixels, count)
    kept = open_ & (alphas > 0) & ((before * alphas).float() >= least)
    pixels, weights = pixels[kept], (before * alphas)[kept]
    rows = _starts(pixels, count)
    sums = torch.segment_reduce(weights[:, None], "sum", offsets=rows, axis=0, unsafe=True, initial=0)[:, 0]
    scale = torch.where(sums > 0, (1 - through) / sums.clamp(min=1e-30), 0.0)
    weights = (weights * scale[pixels]).float()
    return rows.int(), splats[kept].int(), weights, through.float()


def _starts(pixels: Tensor, count: int) -> Tensor:
    """i8 [count + 1], where each pixel's pairs begin; `pixels` ascending."""
    return torch.searchsorted(pixels, torch.arange(count + 1, device=pixels.device))


def _running_products(factors: Tensor, ranks: Tensor) -> Tensor:
    """Each row's products up to and including every entry, by doubling; `ranks` [E] count in the row from 0."""
    total, reach, longest = factors, 1, int(ranks.max()) if len(ranks) else 0
    while reach <= longest:
        total = torch.where(ranks >= reach, total * total.roll(reach), total)
        reach *= 2
    return total


def _lowest(values: Tensor, pixels: Tensor, count: int) -> Tensor:
    """The least value ≤ 1 of each pixel, 1 for none: T falls, so that is what is left at the end."""
    return torch.ones(count, dtype=values.dtype, device=values.device).scatter_reduce(0, pixels, values, "amin")
