"""gsplat 1.5 as its documents describe it, slow, differentiable and on the CPU: for where there is no GPU."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

__all__ = ["gsplat"]


def gsplat(placed: list[dict[str, Any]]) -> ModuleType:
    """The module; its strategy changes nothing and notes in `placed` how it was called."""

    class MCMCStrategy:
        def __init__(self, **settings: Any) -> None:
            self.settings = settings

        def initialize_state(self) -> dict[str, Any]:
            return {}

        def step_post_backward(self, params: Any, optimizers: Any, state: Any, step: int, info: Any, lr: float) -> None:
            assert params.keys() == optimizers.keys()
            assert {"means", "scales", "quats", "opacities"} <= params.keys()
            placed.append({"step": step, "lr": lr, "draw": float(torch.rand(())), **self.settings})

    module = ModuleType("gsplat")
    module.__dict__.update(rasterization=_rasterization, MCMCStrategy=MCMCStrategy)
    return module


def _rasterization(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor, viewmats: Tensor, Ks: Tensor,
    width: int, height: int, near_plane: float, eps2d: float, sh_degree: int, packed: bool, render_mode: str,
) -> tuple[Tensor, Tensor, dict[str, Any]]:  # fmt: skip
    """Every splat at every pixel, front to back; for splats inside the frame, and harmonics of degree 0 and 1."""
    assert not packed
    assert render_mode == "RGB+D"
    assert colors.shape[1] == (sh_degree + 1) ** 2 <= 4
    view, lens = viewmats[0], Ks[0]
    place = means @ view[:3, :3].T + view[:3, 3]
    x, y, z = place.unbind(1)
    w, a, b, c = torch.nn.functional.normalize(quats, dim=1).unbind(1)
    rows = [
        1 - 2 * (b * b + c * c), 2 * (a * b - w * c), 2 * (a * c + w * b),
        2 * (a * b + w * c), 1 - 2 * (a * a + c * c), 2 * (b * c - w * a),
        2 * (a * c - w * b), 2 * (b * c + w * a), 1 - 2 * (a * a + b * b),
    ]  # fmt: skip
    axes = torch.stack(rows, 1).reshape(-1, 3, 3) * scales[:, None]
    nought = torch.zeros_like(x)
    jacobian = torch.stack([lens[0, 0] / z, nought, -lens[0, 0] * x / z**2, nought, lens[1, 1] / z], 1)
    jacobian = torch.cat([jacobian, (-lens[1, 1] * y / z**2)[:, None]], 1).reshape(-1, 2, 3)
    spread = jacobian @ view[:3, :3] @ axes
    inverse = torch.linalg.inv(spread @ spread.transpose(1, 2) + eps2d * torch.eye(2))
    middle = torch.stack([lens[0, 0] * x / z + lens[0, 2], lens[1, 1] * y / z + lens[1, 2]], 1)
    directions = torch.nn.functional.normalize(means - torch.linalg.inv(view)[:3, 3], dim=1)
    basis = torch.full((len(means), 1), 0.28209479)
    if sh_degree:
        basis = torch.cat([basis, 0.48860252 * directions[:, [1, 2, 0]] * torch.tensor([-1.0, 1, -1])], 1)
    values = torch.cat([(0.5 + torch.einsum("nk,nkc->nc", basis, colors)).clamp(min=0), z[:, None]], 1)
    down, across = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    image, light = torch.zeros(height, width, 4), torch.ones(height, width)
    going = torch.ones(height, width, dtype=torch.bool)
    for n in torch.argsort(z.detach(), stable=True):
        if z[n] < near_plane:
            continue
        away = torch.stack([across, down], -1) - middle[n]
        alpha = (opacities[n] * torch.exp(-0.5 * ((away @ inverse[n]) * away).sum(-1))).clamp(max=0.999)
        alpha = torch.where(alpha >= 1 / 255, alpha, 0.0)
        going = going & (light * (1 - alpha) > 1e-4)
        alpha = torch.where(going, alpha, 0.0)
        image = image + (alpha * light)[..., None] * values[n]
        light = light * (1 - alpha)
    return image[None], (1 - light)[None, ..., None], {}
