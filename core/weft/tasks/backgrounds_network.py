"""Surroundings painted by a network with trained weights: a `Setting` in latents.

The photograph is inverted without classifier-free guidance, under which the way there and the way back differ (Mokady
et al. 2023, "Null-text Inversion"). Models for inpainting are shown the photograph and what is to be painted anew;
models that edit by instruction are shown the photograph.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.denoiser import Denoiser
from weft.models.networks.image_model import as_planes
from weft.schedule import CLEAN, NoiseLevel, Schedule
from weft.tasks.backgrounds_outline import mask_share
from weft.tasks.full_size import fitted, working_size
from weft.tasks.network import Network
from weft.tasks.view_controls import view_controls

__all__ = ["NetworkSetting"]

STEPS = 30


@dataclass(eq=False)
class NetworkSetting:
    """The network is loaded before. photograph f4 [H, W, 3] sRGB in [0, 1], whole bool [H, W]; `style` f4 [h, w, 3] for
    models that see a reference image. `size`, px of the longer side, 0: the card's; `steps` 0: 30."""

    network: Network
    photograph: np.ndarray
    whole: np.ndarray
    prompt: str
    style: np.ndarray | None
    size: int
    steps: int

    @property
    def material(self) -> dict[str, Any]:
        return self.network.material(self.prompt)

    @cached_property
    def _small(self) -> np.ndarray:
        """f4 [1, h, w, 3]"""
        height, width = self.whole.shape
        height, width = working_size(height, width, self.network.view_size(self.size), self.network.model.unit)
        return fitted(self.photograph[None], height, width)

    @property
    def target(self) -> Tensor:
        return self._target

    @cached_property
    def _target(self) -> Tensor:
        model = self.network.model
        return model.codec.encode(as_planes(self._small).to(model.device)).float().cpu()[0]

    @property
    def mask(self) -> Tensor:
        return self._mask

    @cached_property
    def _mask(self) -> Tensor:
        factor, (height, width) = self.network.model.codec.factor, self._small.shape[1:3]
        return mask_share(self.whole, height // factor, width // factor) >= 0.5

    @property
    def schedule(self) -> Schedule:
        return self._schedule

    @cached_property
    def _schedule(self) -> Schedule:
        walk = self.network.model.levels_at(*self._small.shape[1:3]).schedule(self.steps or STEPS)
        # Some walks end a little above the clean level; what people look at is the last estimate.
        return Schedule(np.append(walk.alphas[:-1], CLEAN.alpha), np.append(walk.sigmas[:-1], CLEAN.sigma))

    def denoiser(self, count: int, *, inverting: bool = False) -> Denoiser:
        shown = self._small.repeat(count, 0)
        free = functional.interpolate((~self.mask).float()[None, None], size=shown.shape[1:3], mode="nearest")
        wanted = self.network.conditioning(
            (self.prompt,) * count,
            drawn=lambda kinds: view_controls(kinds, shown, None),
            image=as_planes(shown),
            mask=free.expand(count, -1, -1, -1),
            style=self.style,
        )
        model = self.network.model
        bound = model.bind(replace(wanted, guidance=1.0) if inverting else wanted)

        def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
            with torch.no_grad():
                return bound(x.to(model.device), level).float().cpu()

        return denoise

    def images(self, x: Tensor) -> np.ndarray:
        codec, device = self.network.model.codec, self.network.model.device
        return _shown(torch.cat([codec.decode(each.to(device)).float().cpu() for each in x.split(1)]))

    def preview(self, x: Tensor) -> np.ndarray:
        codec, device = self.network.model.codec, self.network.model.device
        return _shown(codec.preview(x.to(device)).float().cpu())

    def enlarged(self, x: Tensor) -> np.ndarray:
        height, width = self.whole.shape
        return fitted(self.images(x), height, width)[0]


def _shown(images: Tensor) -> np.ndarray:
    return (images.clamp(-1, 1) / 2 + 0.5).permute(0, 2, 3, 1).contiguous().numpy()
