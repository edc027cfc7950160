"""SEVA as a multi-view prior: views of a scene from one or more that are known, told of cameras alone.

Zhou et al. 2025, *Stable Virtual Camera: Generative View Synthesis with Diffusion Models*. It was trained on x0 + s ε
(variance exploding) and divides by √(1 + s²) before it looks, which is the variance-preserving form of the level:

    x0 = (x - σ ε̂(x, known?, rays, picture))/α         α = 1/√(1 + s²), σ = s α

| it reads        | told                                        | not told (guidance)          |
|---|---|---|
| 4 noisy latents | α times the clean ones where a view is known | noisy everywhere             |
| 1 known or not  | 1 where it is known                         | 0                            |
| 6 rays          | in the frame of the first known camera      | the same                     |
| the picture     | mean CLIP embedding of the known ones       | 0                            |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from weft.denoiser import Denoiser
from weft.geometry.camera import Camera
from weft.geometry.rays import FROM_OPENCV, plucker_rays
from weft.models.networks.batching import Batches
from weft.models.networks.codec import LatentCodec
from weft.models.networks.components import Components
from weft.models.networks.conditions import check_latents
from weft.models.networks.multi_view import MultiViewConditioning, check_multi_view
from weft.models.networks.noise_levels import variance_preserving
from weft.models.networks.seva_levels import SevaLevels
from weft.schedule import NoiseLevel

__all__ = ["SevaModel", "scene_rays"]

REACH = 2.0  # of the first known camera from the middle of all, in the lengths that it was trained with
LEAST_GUIDANCE = 1.2  # of known views, which are not to be exaggerated


class SevaModel:
    """A `MultiViewModel`. Prompts and geometry say nothing to it."""

    def __init__(self, components: Components, *, batches: Batches | None = None) -> None:
        network: Any = components.network
        self.card = components.card
        self.device, self.dtype = components.device, components.dtype
        self.batches = batches or Batches()
        self.network = network
        self.codec = LatentCodec(components.vae, components.tiny_vae, batches=self.batches)
        self.levels = SevaLevels()
        self.unit = self.codec.factor * network.factor
        self._encoder: Any = components.image_encoder

    @torch.no_grad()
    def bind(self, wanted: MultiViewConditioning) -> Denoiser:
        """A denoiser of latents [N, C, h, w]. InvalidInput, in one line, for what this model cannot do."""
        check_multi_view(wanted, name=self.card.name, unit=self.unit)
        height, width = (side // self.codec.factor for side in wanted.images.shape[-2:])
        rays = scene_rays(wanted.cameras, wanted.references[0], height, width)
        guidance = self.card.guidance if wanted.guidance is None else wanted.guidance
        own = torch.full((len(wanted.cameras), 1, 1, 1), guidance)
        own[list(wanted.references)] = min(guidance, LEAST_GUIDANCE)
        known = torch.zeros(len(wanted.cameras), 1, height, width)
        known[list(wanted.references)] = 1
        clean = torch.zeros(len(wanted.cameras), self.codec.channels, height, width)
        clean[list(wanted.references)] = self.codec.encode(wanted.images).cpu()
        return _Bound(
            self,
            _Scene(
                clean.to(self.device),
                known.to(self.device),
                torch.from_numpy(rays).to(self.device, self.dtype),
                self._embedded(wanted.images).to(self.device, self.dtype),
                own.to(self.device) if guidance != 1 else None,
            ),
        )

    def _embedded(self, images: Tensor) -> Tensor:
        """[R, 3, H, W] in [-1, 1] to [C]: whole pictures, squeezed into a square, not cut."""
        side = self._encoder.config.image_size
        square = functional.interpolate(images.float(), size=(side, side), mode="bicubic", antialias=True) / 2 + 0.5
        mean, deviation = (torch.tensor(v)[:, None, None] for v in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
        prepared = ((square.cpu() - mean) / deviation).to(self._encoder.device, self._encoder.dtype)
        return self._encoder(prepared).image_embeds.mean(0)


@dataclass(frozen=True, eq=False)
class _Scene:
    """What does not change from step to step."""

    clean: Tensor  # [N, C, h, w], 0 where nothing is known
    known: Tensor  # [N, 1, h, w], 1 where it is
    rays: Tensor  # [N, 6, h, w]
    picture: Tensor  # [E]
    guidance: Tensor | None  # [N, 1, 1, 1]; None is none


class _Bound:
    """The denoiser of one `MultiViewConditioning`."""

    def __init__(self, model: SevaModel, scene: _Scene) -> None:
        self._model, self._scene = model, scene

    @torch.no_grad()
    def __call__(self, x: Tensor, level: NoiseLevel, /) -> Tensor:
        """See `Denoiser`; x is float32, on any device, and so is the result."""
        model, scene = self._model, self._scene
        views, height, width = len(scene.clean), *scene.clean.shape[-2:]
        pixels = (height * model.codec.factor, width * model.codec.factor)
        check_latents(x, views, model.codec, unit=model.unit, pixels=pixels)
        noisy, level = variance_preserving(x.to(model.device, torch.float32), level)
        shown = torch.where(scene.known > 0, level.alpha * scene.clean, noisy)
        rows = [shown] if scene.guidance is None else [noisy, shown]
        timestep = torch.full((1,), model.levels.timestep(level), device=model.device)
        predictions = model.batches.run(
            lambda part: self._predict(rows, timestep, part), len(rows), kind=("SEVA", views, height, width)
        )
        x0 = [model.levels.x0(row, own, level) for row, own in zip(rows, predictions, strict=True)]
        return (x0[0] if scene.guidance is None else x0[0] + scene.guidance * (x0[1] - x0[0])).to(x)

    def _predict(self, rows: Sequence[Tensor], timestep: Tensor, part: slice) -> Tensor:
        """The noise in some rows of guidance, the last of which is told: float32 [part, N, C, h, w]."""
        scene, model = self._scene, self._model
        told = [1.0 if row == len(rows) - 1 else 0.0 for row in range(len(rows))][part]
        samples = [
            torch.cat([noisy.to(model.dtype), (known * scene.known).to(model.dtype), scene.rays], 1)
            for noisy, known in zip(rows[part], told, strict=True)
        ]
        context = torch.stack([known * scene.picture for known in told])[:, None]
        rays = scene.rays.repeat(len(told), 1, 1, 1)
        predicted = model.network(torch.cat(samples), timestep, context, rays, len(scene.clean))
        return predicted.float().unflatten(0, (len(told), -1))


def scene_rays(cameras: Sequence[Camera], reference: int, height: int, width: int) -> np.ndarray:
    """Rays f4 [N, 6, height, width] as it was trained with them: in the frame of the camera `reference` with axes of
    OpenCV, in lengths that put it `REACH` from the middle of all. Where the world lies, and how large, is lost."""
    centers = np.stack([camera.center for camera in cameras])
    away = np.linalg.norm(centers - centers.mean(0), axis=1)
    reach = away[reference] if away[reference] > 1e-5 * away.max() else away.max()
    scale = REACH / reach if reach > 0 else 1.0
    return plucker_rays(cameras, height, width, frame=cameras[reference].pose @ FROM_OPENCV, scale=scale)
