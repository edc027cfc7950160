"""The reference among the scenes: a radiance field of planes and lines, trained by autograd and Adam.

Chen et al., "TensoRF: Tensorial Radiance Fields" (ECCV 2022). Grids begin coarse and grow; space without density is
not looked at; densities are kept sparse by an L1 norm (Eq. 11). Several times as slow as `Voxels` on a processor. The
number of threads may change roundings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch.nn import functional

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.scenes.grid_box import NEAR, GridBox, box_of
from weft.scenes.scene import Rendering, TrainingViews
from weft.scenes.tensorf_field import PARAMETERS, TensorField
from weft.scenes.training_rays import TrainingRays, rays_of

__all__ = ["TensoRF"]

_COARSE = 32  # vertices a side in the beginning
_GROWTH = (0.05, 0.15, 0.25, 0.35)  # shares of the steps after which grids grow, geometrically
_SURVEY = 100  # steps between looks at where something is, once grids grow
_RAYS, _WHOLE = 1024, 4096  # of a step; of whole pictures at a time
_RATES, _FALL = (0.03, 0.003), 0.1  # of grids and of B; from the first step to the last
_SPARSE = 1e-4  # weight of the L1 norm
_MEMORY = (0.9, 0.99)  # of Adam


class TensoRF:
    """See `scenes.scene.Scene`."""

    kind = "tensorf"

    def __init__(self, field: TensorField, resolution: int) -> None:
        """`resolution`: vertices a side in the end."""
        self.field, self.background, self.resolution = field, field.background, resolution
        self._geometry, self._rate = True, 1.0
        self._rays: TrainingRays | None = None
        self._begin_optimiser()

    @classmethod
    def begin(
        cls,
        views: TrainingViews,
        *,
        resolution: int = 128,
        degree: int = 2,
        seed: int = 0,
        bounded: bool = False,
        background: Sequence[float] = (0.5, 0.5, 0.5),
    ) -> Self:
        """A field of small random values; see `Voxels.begin` for the parameters."""
        if resolution < 8:
            raise InvalidInput(f"a grid of {resolution} vertices a side, expected 8 or more", "100 to 300 are usual")
        size, box = min(_COARSE, resolution), box_of(views.cameras, bounded)
        return cls(TensorField.random(size, degree, box, np.array(background), seed), resolution)

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Self:
        """What `arrays` told; the arrays may be changed afterwards."""
        parameters = {name: torch.from_numpy(arrays[name].copy()) for name in PARAMETERS}
        box = GridBox(arrays["box"].copy(), bool(arrays["contracted"]))
        rest = {"box": box, "background": arrays["background"].copy(), "occupied": arrays["occupied"].copy()}
        field = TensorField(**parameters, **rest)
        scene = cls(field, int(arrays["resolution"]))
        scene._geometry, scene._rate = bool(arrays["geometry"]), float(arrays["rate"])
        scene._begin_optimiser()
        for name, value in field.parameters.items():
            if f"{name}.mean" in arrays:
                mean, square = (torch.from_numpy(arrays[f"{name}.{kind}"].copy()) for kind in ("mean", "square"))
                steps = torch.tensor(float(arrays[f"{name}.steps"]))
                scene._adam.state[value] = {"step": steps, "exp_avg": mean, "exp_avg_sq": square}
        return scene

    def arrays(self) -> dict[str, np.ndarray]:
        told = {
            "box": self.field.box.extent,
            "contracted": np.array(self.field.box.contracted),
            "background": self.background,
            "occupied": self.field.occupied,
            "resolution": np.array(self.resolution),
            "geometry": np.array(self._geometry),
            "rate": np.array(self._rate),
        }
        for name, value in self.field.parameters.items():
            told[name] = value.detach().numpy()
            if state := self._adam.state.get(value):
                told[f"{name}.mean"], told[f"{name}.square"] = state["exp_avg"].numpy(), state["exp_avg_sq"].numpy()
                told[f"{name}.steps"] = np.array(float(state["step"]))
        return told

    def render(self, camera: Camera) -> Rendering:
        rays, slope = rays_of(camera, NEAR)
        with torch.no_grad():
            parts = [self.field.look(rays[k : k + _WHOLE]) for k in range(0, len(rays), _WHOLE)]
        image, opacity, distance = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
        solid = opacity >= 0.5
        depth = np.where(solid, distance / np.where(solid, opacity, 1) * slope, np.float32(np.inf))
        size = camera.height, camera.width
        return Rendering(image.reshape(*size, 3), opacity.clip(0, 1).reshape(size), depth.reshape(size))

    def fit(self, views: TrainingViews, step: int, total: int, seed: int) -> float:
        self._prepare(step, total)
        if self._rays is None or not self._rays.fits(views):
            self._rays = TrainingRays(views, NEAR)
        generator = np.random.default_rng((seed, step))
        pixels, rays = self._rays.draw(_RAYS, generator)
        image, _, _ = self.field.look(rays, generator.random(_RAYS, np.float32))
        loss = functional.mse_loss(image, torch.from_numpy(views.images.reshape(-1, 3)[pixels]))
        sparse = self.field.density_planes.abs().mean() + self.field.density_lines.abs().mean()
        (loss + _SPARSE * sparse).backward()
        self._step(step, total)
        return float(loss.detach())

    def descend(self, cameras: Sequence[Camera], gradients: np.ndarray, step: int, total: int, seed: int) -> None:
        self._prepare(step, total)
        for camera, gradient in zip(cameras, gradients.reshape(len(cameras), -1, 3), strict=True):
            rays, _ = rays_of(camera, NEAR)
            for k in range(0, len(rays), _WHOLE):
                image, _, _ = self.field.look(rays[k : k + _WHOLE])
                if image.requires_grad:
                    image.backward(torch.from_numpy(gradient[k : k + _WHOLE]))
        self._step(step, total)

    def places(self) -> np.ndarray:
        """Grids of planes and lines have none of their own: each parameter reaches through the whole scene."""
        return self.field.box.vertices(self.field.size)

    def restart(
        self, *, geometry: bool = True, rate: float = 1.0, trainable: np.ndarray | None = None, anchor: float = 0.0
    ) -> None:
        if anchor or trainable is not None:
            raise InvalidInput(
                "planes and lines reach through the whole scene: no part of it can be held", "use voxels"
            )
        self._geometry, self._rate = geometry, rate
        self._begin_optimiser()

    def _begin_optimiser(self) -> None:
        """Adam without memory, for the parameters that may change."""
        parameters = self.field.parameters
        for name, value in parameters.items():
            value.requires_grad_(self._geometry or not name.startswith("density"))
        grids, basis = [value for name, value in parameters.items() if name != "basis"], parameters["basis"]
        self._adam = torch.optim.Adam([{"params": grids}, {"params": [basis]}], betas=_MEMORY)

    def _step(self, step: int, total: int) -> None:
        for group, rate in zip(self._adam.param_groups, _RATES, strict=True):
            group["lr"] = rate * self._rate * _FALL ** (step / total)
        self._adam.step()
        self._adam.zero_grad()

    def _prepare(self, step: int, total: int) -> None:
        """Grow, and look where something is, when it is time."""
        grown = sum(step >= share * total for share in _GROWTH)
        if not self._geometry or not grown:
            return
        size = round(_COARSE * (self.resolution / _COARSE) ** (grown / len(_GROWTH)))
        if self.field.size < size:
            self.field.survey()
            self.field = self.field.resized(size)
            self._begin_optimiser()
        elif step % _SURVEY == 0:
            self.field.survey()
