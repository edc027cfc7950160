"""A panorama painted by a network: perspective views of the sphere, or windows of a wide image, in latents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.methods.cases import Case
from weft.noise import generator
from weft.spaces.linear import LinearSpace
from weft.spaces.panorama import PanoramaSpace
from weft.spaces.wide_image import WideImageSpace
from weft.tasks.events import Warning
from weft.tasks.guide import Guide, guide_of
from weft.tasks.network import Network
from weft.tasks.network_run import BAKE_EXPONENT, NetworkRun, RunStep, Spaces, begin
from weft.tasks.panorama_controls import panorama_controls
from weft.tasks.panorama_setting import Setting, fitted

__all__ = ["NetworkPanorama"]

_NOISE = 5  # noise stream of a seed


class NetworkPanorama:
    """A panorama to be painted; `estimate` [N, 3, h, w] in [-1, 1] are the decoded views at the end."""

    def __init__(
        self,
        setting: Setting,
        network: Network,
        prompt: str,
        style: np.ndarray | None,
        steps: int,
        seed: int,
    ) -> None:
        model = network.model
        for side in (setting.width, setting.height):
            if side % model.codec.factor:
                raise InvalidInput(
                    f"a side of {side} px is no multiple of {model.codec.factor}, the pixels of a latent",
                    "use another size",
                )
        self.setting, self.network, self.model, self.seed = setting, network, model, seed
        self.material: dict[str, Any] = network.material(prompt)
        self.schedule = model.levels_at(setting.window, setting.window).schedule(steps)
        self.prompts = (prompt,) * setting.space.view_shape[0]
        self.conditioning = network.conditioning(self.prompts, drawn=self._drawn(), style=style)
        self.denoiser = model.bind(self.conditioning)
        self.last_space: LinearSpace = setting.space.linear(BAKE_EXPONENT)
        self.estimate = torch.zeros(0)

    @property
    def guide(self) -> Guide:
        return guide_of(self.conditioning.controls)

    def warnings(self) -> Iterator[Warning]:
        return self.network.warnings(self.prompts)

    def steps(self, case: Case) -> Iterator[RunStep]:
        codec, schedule = self.model.codec, self.schedule
        pixels = self.setting.space.linear(1.0)
        spaces = Spaces(_in_latents(self.setting, codec.factor).linear(1.0), pixels, self.last_space)
        x = begin(codec, spaces, schedule, generator(self.seed, _NOISE)).to(self.model.device)
        run = NetworkRun(
            codec, self.denoiser, spaces, schedule, x, self.network.sync_until, self.network.in_pixels(), case
        )
        yield from run.steps()
        self.estimate = run.images

    def picture(self, z: Tensor, coarser: int = 1) -> np.ndarray:
        """f4 [h, w, 3] in [0, 1]: the panorama of z [cells, 3], every side divided by `coarser`."""
        setting = self.setting
        image = (z.numpy() * np.float32(0.5) + np.float32(0.5)).clip(0, 1).reshape(*setting.grid, 3)
        shape = (-(-setting.height * setting.fine // coarser), -(-setting.width * setting.fine // coarser))
        return fitted(image, (min(shape[0], setting.height), min(shape[1], setting.width)))

    def _drawn(self) -> Callable[[Sequence[str]], Mapping[str, Tensor]] | None:
        if self.setting.scene is None:
            return None
        return lambda kinds: panorama_controls(kinds, self.setting)


def _in_latents(setting: Setting, factor: int) -> PanoramaSpace | WideImageSpace:
    """The setting's views in latents. A sphere keeps its cells; those of a wide image are latents too."""
    space = setting.space
    if isinstance(space, PanoramaSpace):
        return PanoramaSpace(space.height, space.size // factor, space.fov)
    return WideImageSpace(
        space.height // factor, space.width // factor, space.window // factor, space.stride // factor, space.wrap
    )
