"""nvdiffrast and gsplat as their documents describe them, slow and on the CPU: the same functions, tensors and
conventions. Put into sys.modules they stand for the packages where there is no GPU.
"""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

__all__ = ["gsplat", "nvdiffrast"]


def nvdiffrast() -> dict[str, ModuleType]:
    """By name, for sys.modules."""
    package, drawing = _module("nvdiffrast"), _module("nvdiffrast.torch")
    drawing.__dict__.update(RasterizeCudaContext=lambda device: device, rasterize=_rasterize)
    package.__dict__["torch"] = drawing
    return {"nvdiffrast": package, "nvdiffrast.torch": drawing}


def _rasterize(context: Any, pos: Tensor, tri: Tensor, resolution: tuple[int, int], grad_db: bool) -> Any:
    """(u, v, z/w, triangle + 1) at pixel centres, row 0 at y/w = -1, clipped at z/w = ±1."""
    assert pos.dtype == torch.float32
    assert tri.dtype == torch.int32
    assert pos.is_contiguous()
    assert tri.is_contiguous()
    height, width = resolution
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    screen = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1).double().reshape(-1, 1, 2)
    corner = pos[0].double()[tri.long()]  # [F, 3, 4]
    edges = corner[None, :, :, :2] - screen[:, :, None] * corner[None, :, :, 3:]  # [P, F, 3, 2]
    after, behind = edges.roll(-1, 2), edges.roll(-2, 2)
    area = after[..., 0] * behind[..., 1] - after[..., 1] * behind[..., 0]
    weights = area / area.sum(-1, keepdim=True)
    z, w = (weights * corner[..., 2]).sum(-1), (weights * corner[..., 3]).sum(-1)
    seen = (weights >= 0).all(-1) & (w > 0) & (z.abs() <= w)
    ratio = torch.where(seen, z / w, torch.inf)
    least, number = ratio.min(1)
    hit, at = torch.isfinite(least), torch.arange(len(number))
    out = torch.stack([weights[at, number, 0], weights[at, number, 1], least, number + 1.0], 1)
    out = torch.where(hit[:, None], out, 0.0).float()
    return out.reshape(1, height, width, 4), torch.zeros(0)


def gsplat(most_alpha: float) -> dict[str, ModuleType]:
    """By name, for sys.modules; `most_alpha` is 0.999 in gsplat 1.5, 0.99 in 1.6."""
    names = ("gsplat", "gsplat.cuda", "gsplat.cuda._wrapper")
    modules = {name: _module(name) for name in names}

    def indices(start: int, end: int, transmittances: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
        return _indices(most_alpha, *rest)

    modules["gsplat.cuda._wrapper"].__dict__.update(
        fully_fused_projection=_projection,
        isect_tiles=_tiles,
        isect_offset_encode=lambda crossings, images, across, down: torch.zeros(
            images, down, across, dtype=torch.int32
        ),
        rasterize_to_indices_in_range=indices,
    )
    return modules


def _module(name: str) -> ModuleType:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    return module


def _projection(
    means: Tensor, covars: Tensor, quats: None, scales: None, viewmats: Tensor, Ks: Tensor, width: int, height: int,
    *, near_plane: float, opacities: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:  # fmt: skip
    """One OpenCV camera: x right, y down, z along the view."""
    turn, shift = viewmats[0, :3, :3].double(), viewmats[0, :3, 3].double()
    (fx, cx), (fy, cy) = Ks[0, 0, [0, 2]].tolist(), Ks[0, 1, [1, 2]].tolist()
    x, y, z = (means.double() @ turn.T + shift).T
    rows = torch.tensor([[0, 1, 2], [1, 3, 4], [2, 4, 5]])
    sigma = turn @ covars.double()[:, rows] @ turn.T
    u = (x / z).clamp(-(cx + 0.15 * width) / fx, (width - cx + 0.15 * width) / fx)
    v = (y / z).clamp(-(cy + 0.15 * height) / fy, (height - cy + 0.15 * height) / fy)
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [torch.stack([fx / z, zero, -fx * u / z], 1), torch.stack([zero, fy / z, -fy * v / z], 1)], 1
    )
    flat = jacobian @ sigma @ jacobian.transpose(1, 2) + 0.3 * torch.eye(2)
    reach = (2 * torch.log(opacities.double() * 255)).clamp(min=0).sqrt().clamp(max=3.33)
    radii = (reach[:, None] * flat.diagonal(dim1=1, dim2=2).sqrt()).ceil()
    center = torch.stack([fx * x / z + cx, fy * y / z + cy], 1)
    size = torch.tensor([width, height])
    shown = (z >= near_plane) & (opacities >= 1 / 255) & ((center + radii > 0) & (center - radii < size)).all(1)
    inverse = torch.linalg.inv(flat)
    conics = torch.stack([inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]], 1)
    whole = torch.where(shown[:, None], radii, 0).int()
    return whole[None], center.float()[None], z.float()[None], conics.float()[None], None


def _tiles(centers: Tensor, radii: Tensor, depths: Tensor, *tiles: int) -> tuple[Tensor, Tensor, Tensor]:
    """All that shows, front to back, as if there were one tile."""
    order = torch.argsort(depths[0], stable=True)
    order = order[radii[0, order].amin(1) > 0].int()
    return radii[..., 0], order.long(), order


def _indices(
    most_alpha: float, centers: Tensor, conics: Tensor, opacities: Tensor, width: int, height: int, tile: int,
    starts: Tensor, order: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Which splats each pixel meets until T would fall to 1e-4."""
    splats, pixels = [], []
    for pixel in range(width * height):
        dx, dy = pixel % width + 0.5 - centers[0, order, 0], pixel // width + 0.5 - centers[0, order, 1]
        xx, xy, yy = conics[0, order].unbind(1)
        sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
        alpha = (opacities[0, order] * torch.exp(-sigma)).clamp(max=most_alpha)
        met = (sigma >= 0) & (alpha >= 1 / 255)
        through = torch.cumprod(torch.where(met, 1 - alpha, 1.0), 0)
        found = order[met & (through > 1e-4)]
        splats.append(found.long())
        pixels.append(torch.full((len(found),), pixel))
    return torch.cat(splats), torch.cat(pixels), torch.zeros(0)
