"""Gaussian splats as a scene on a GPU: gsplat (Ye et al. 2024) draws them and its MCMC strategy places them.

Kheradmand et al., "3D Gaussian Splatting as Markov Chain Monte Carlo" (NeurIPS 2024), with gsplat's own copies and
noise. Loss, rates, the order of views and what files hold are those of `SplatScene`: a scene that began on one goes on
on the other. A GPU adds in no fixed order, so that bytes differ from run to run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.errors import InvalidCamera
from weft.geometry.camera import Camera
from weft.geometry.splats import Splats
from weft.scenes.picture_loss import C1, C2, SIMILARITY, WINDOW
from weft.scenes.scene import Rendering, TrainingViews
from weft.scenes.splat_optimiser import BETAS, EDITING, EPSILON, FORMING, NEARBY, SplatOptimiser, learning_rates
from weft.scenes.splat_projection import BLUR, LOGIT, MEAN, QUATERNION, SCALE, SH
from weft.scenes.splats import EVERY, REGULAR, UNTIL, SplatScene

__all__ = ["CudaSplatScene", "picture_loss_of"]

# gsplat's names of the parameters, their columns in rows of `splat_projection`, and their shapes without [N].
_COLUMNS = {
    "means": (MEAN, SCALE, (3,)), "scales": (SCALE, QUATERNION, (3,)), "quats": (QUATERNION, LOGIT, (4,)),
    "opacities": (LOGIT, SH, ()), "sh0": (SH, SH + 3, (1, 3)), "shN": (SH + 3, None, (-1, 3)),
}  # fmt: skip
_COLORS = ("sh0", "shN")
_NOISE = 1e5  # times the positions' rate: gsplat's 5e5 is meant for rates a fifth of ours


class CudaSplatScene(SplatScene):
    """`SplatScene` with its rows and their moments on `device`; both are downloaded when somebody asks for them."""

    def __init__(
        self, splats: Splats, background: np.ndarray, *, capacity: int = 0, near: float = 0.0, device: str = "cuda"
    ) -> None:
        self._device = torch.device(device)
        self._tensors: dict[str, torch.nn.Parameter] = {}
        super().__init__(splats, background, capacity=capacity, near=near)
        self._background = torch.from_numpy(self.background).to(self._device)
        self._strategy_state: dict[str, Any] | None = None

    @property
    def parameters(self) -> np.ndarray:
        return _rows(self._tensors)

    @parameters.setter
    def parameters(self, rows: np.ndarray) -> None:
        parts = self._parts(rows)
        if self._tensors and len(self._tensors["means"]) == len(rows):  # the optimiser knows them
            for name, part in parts.items():
                self._tensors[name].data.copy_(part)
        else:
            self._tensors = {name: torch.nn.Parameter(part) for name, part in parts.items()}

    @property
    def optimiser(self) -> SplatOptimiser:
        states = {name: adam.state[self._tensors[name]] for name, adam in self._adams.items()}
        self._optimiser.first = _rows({name: state["exp_avg"] for name, state in states.items()})
        self._optimiser.second = _rows({name: state["exp_avg_sq"] for name, state in states.items()})
        return self._optimiser

    @optimiser.setter
    def optimiser(self, optimiser: SplatOptimiser) -> None:
        self._optimiser = optimiser
        self._adams = {
            name: torch.optim.Adam([tensor], betas=BETAS, eps=float(EPSILON)) for name, tensor in self._tensors.items()
        }
        first, second = self._parts(optimiser.first), self._parts(optimiser.second)
        for name, adam in self._adams.items():
            step = torch.tensor(float(optimiser.updates))
            adam.state[self._tensors[name]] = {"step": step, "exp_avg": first[name], "exp_avg_sq": second[name]}
        self._anchors = self._parts(optimiser.anchors) if len(optimiser.anchors) else {}
        held = optimiser.held.trainable
        self._held = None if held is None else torch.from_numpy(~held).to(self._device)

    def render(self, camera: Camera) -> Rendering:
        with torch.no_grad():
            image, opacity, depth, _ = self._drawn(camera)
        depth = torch.where(opacity >= 0.5, depth / opacity.clamp(min=1e-6), torch.inf)
        return Rendering(image.cpu().numpy(), opacity.cpu().numpy(), depth.cpu().numpy())

    def fit(self, views: TrainingViews, step: int, total: int, seed: int) -> float:
        look = self._look(views, step, total, seed)
        image, _, _, info = self._drawn(look.camera, look.blur)
        picture = torch.from_numpy(np.ascontiguousarray(look.picture)).to(self._device)
        mask = None if look.mask is None else torch.from_numpy(look.mask).to(self._device)
        loss = picture_loss_of(image, picture, mask)
        loss.backward()
        self._advance(info, step, total, seed)
        return float(loss.detach())

    def descend(self, cameras: Sequence[Camera], gradients: np.ndarray, step: int, total: int, seed: int) -> None:
        info: dict[str, Any] = {}
        for camera, wanted in zip(cameras, gradients, strict=True):
            image, _, _, info = self._drawn(camera)
            image.backward(torch.from_numpy(np.ascontiguousarray(wanted, np.float32)).to(self._device))
        self._advance(info, step, total, seed)

    def _parts(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Rows f4 [N, 11 + 3 K] as gsplat's tensors."""
        found = torch.from_numpy(rows).to(self._device)
        return {
            name: found[:, start:end].reshape(len(rows), *shape).clone() if found[:, start:end].numel()
            else found.new_empty(len(rows), 0, 3)
            for name, (start, end, shape) in _COLUMNS.items()
        }  # fmt: skip

    def _drawn(self, camera: Camera, blur: float = BLUR) -> tuple[Tensor, Tensor, Tensor, dict[str, Any]]:
        """The image [H, W, 3], opacity [H, W], Σ w·depth [H, W], and what gsplat tells of them."""
        from gsplat import rasterization  # pyright: ignore[reportMissingImports]

        if camera.orthographic:
            raise InvalidCamera("the camera is orthographic, expected a perspective one", "scenes are seen by pinholes")
        world, lens = np.eye(4), np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
        world[:3] = camera.view_matrix * np.array([[1.0], [-1.0], [1.0]])
        seen, alpha, info = rasterization(
            self._tensors["means"],
            self._tensors["quats"],
            self._tensors["scales"].exp(),
            self._tensors["opacities"].sigmoid(),
            torch.cat([self._tensors[name] for name in _COLORS], 1),
            *(torch.from_numpy(matrix).float().to(self._device)[None] for matrix in (world, lens)),
            camera.width,
            camera.height,
            near_plane=max(self.near, camera.near),
            eps2d=blur,
            sh_degree=int(np.sqrt(1 + self._tensors["shN"].shape[1])) - 1,
            packed=False,
            render_mode="RGB+D",
        )
        image = seen[0, ..., :3] + (1 - alpha[0]) * self._background
        return image, alpha[0, ..., 0], seen[0, ..., 3], info

    def _advance(self, info: dict[str, Any], step: int, total: int, seed: int) -> None:
        """One step of Adam along the gradients that were left behind, then of the strategy while the scene forms."""
        if self.capacity:
            faint, small = self._tensors["opacities"].sigmoid().mean(), self._tensors["scales"].exp().mean()
            (REGULAR * (faint + small)).backward()
        forming, optimiser = self.capacity > 0, self._optimiser
        columns = SH + 3 * (1 + self._tensors["shN"].shape[1])
        rates = learning_rates(columns, step / total, FORMING if forming else EDITING) * optimiser.rate
        optimiser.updates += 1
        for name, adam in self._adams.items():
            tensor, start = self._tensors[name], _COLUMNS[name][0]
            if tensor.numel() and (optimiser.geometry or name in _COLORS):
                adam.param_groups[0]["lr"] = float(rates[start])
                self._change(name, tensor, adam)
            tensor.grad = None
        if forming:
            self._place(info, step, total, seed, float(rates[MEAN]))

    @torch.no_grad()
    def _change(self, name: str, tensor: torch.nn.Parameter, adam: torch.optim.Adam) -> None:
        if self._anchors:
            unit = 1 / NEARBY**2 if name == "means" else 1.0
            pull = torch.nan_to_num(tensor - self._anchors[name]) * (self._optimiser.held.anchor * unit / len(tensor))
            tensor.grad = pull if tensor.grad is None else tensor.grad + pull
        before = tensor.detach().clone() if self._held is not None else None
        adam.step()
        if before is not None:
            tensor[self._held] = before[self._held]

    def _place(self, info: dict[str, Any], step: int, total: int, seed: int, rate: float) -> None:
        from gsplat import MCMCStrategy  # pyright: ignore[reportMissingImports]

        strategy = MCMCStrategy(
            cap_max=self.capacity, noise_lr=_NOISE, refine_start_iter=EVERY - 1, refine_stop_iter=int(UNTIL * total),
            refine_every=EVERY,
        )  # fmt: skip
        if self._strategy_state is None:
            self._strategy_state = strategy.initialize_state()
        with torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(int(np.random.default_rng([seed, step]).integers(2**62)))
            strategy.step_post_backward(self._tensors, self._adams, self._strategy_state, step, info, rate)


def picture_loss_of(image: Tensor, picture: Tensor, mask: Tensor | None = None) -> Tensor:
    """`picture_loss` of tensors [H, W, 3], and of a mask bool [H, W], differentiable."""
    if mask is not None:
        picture = torch.where(mask[..., None], picture, image.detach())
    values = image.numel() if mask is None else 3 * max(int(mask.sum()), 1)
    x, y = (one.permute(2, 0, 1)[:, None] for one in (image, picture))
    window = torch.from_numpy(np.outer(WINDOW, WINDOW)).to(image)[None, None]
    m, n, xx, xy, yy = functional.conv2d(torch.cat([x, y, x * x, x * y, y * y]), window, padding="same").split(3)
    similar = (2 * m * n + float(C1)) * (2 * (xy - m * n) + float(C2))
    similar = similar / ((m * m + n * n + float(C1)) * (xx - m * m + yy - n * n + float(C2)))
    return (SIMILARITY * (1 - similar).sum() + (1 - SIMILARITY) * (x - y).abs().sum()) / values


def _rows(parts: Mapping[str, Tensor]) -> np.ndarray:
    """f4 [N, 11 + 3 K] of gsplat's tensors."""
    count = len(parts["means"])
    return torch.cat([parts[name].detach().reshape(count, -1) for name in _COLUMNS], 1).cpu().numpy()
