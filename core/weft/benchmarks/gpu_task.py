"""The product's own mesh-texture task around a network, from submit to the final texture: where the rest of it goes.

The network and its codec run under a clock of the device, everything else under the task's own. With `Instant` in the
place of a network, which answers zeros at once, the task can be measured at full size where there is no GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from weft.benchmarks.device_clock import DeviceClock
from weft.benchmarks.gpu_job import MESH, PROMPT, Setting
from weft.benchmarks.torus import torus
from weft.denoiser import Denoiser
from weft.models.cards import Card
from weft.models.networks.batching import Batches
from weft.models.networks.image_model import Codec, Conditioning, ImageModel
from weft.models.requests import ControlWish
from weft.schedule import NoiseLevel, Schedule, stable_diffusion
from weft.tasks.events import Result
from weft.tasks.network import Network
from weft.tasks.texture import texture

__all__ = ["CODEC", "NETWORK", "WHOLE", "Instant", "do_task"]

NETWORK, CODEC, WHOLE = "network", "codec", "submit to final"
_LATENT_CHANNELS, _FACTOR = 4, 8

Given = TypeVar("Given", bound=Callable[..., Tensor])


def do_task(model: ImageModel, setting: Setting) -> dict[str, float]:
    """Seconds of the phases of `weft texture` with depth control, one after the other, and of WHOLE, their sum.

    Cameras are those that the task plans: `setting.views` of the ring, and more where these leave texels unseen.
    """
    clock = DeviceClock(model.device)
    network = Network(
        model.card, lambda: cast(ImageModel, _Timed(model, clock)), guidance=setting.guidance,
        controls=(ControlWish("depth"),), view_attention=setting.attention,
    )  # fmt: skip
    begin = time.perf_counter()
    *_, last = texture(
        [torus(*MESH)], exemplar=None, cameras=[], prompt=PROMPT, size=setting.size, steps=setting.steps,
        seed=setting.seed, texture_size=setting.texture, views=setting.views, cameras_from="automatic",
        pattern_scale=1.0, decals=False, report=False, network=network,
    )  # fmt: skip
    whole = time.perf_counter() - begin
    assert isinstance(last, Result)
    seconds: dict[str, float] = {name: s for name, s in last.info["seconds"].items() if name != "total"}
    timed = {NETWORK: 0.0, CODEC: 0.0} | clock.seconds()
    seconds["views tied and shown"] = seconds.pop("views") - sum(timed.values())
    seconds["previews and textures"] = whole - sum(seconds.values()) - sum(timed.values())
    return seconds | timed | {WHOLE: whole}


class _Timed:
    """A model as it is, but for its clock."""

    def __init__(self, model: ImageModel, clock: DeviceClock) -> None:
        self._model, self._clock = model, clock
        self.codec = _TimedCodec(model.codec, clock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def bind(self, wanted: Conditioning) -> Denoiser:
        return _under(self._clock, NETWORK, self._model.bind(wanted))


class _TimedCodec:
    def __init__(self, codec: Codec, clock: DeviceClock) -> None:
        self.factor, self.channels, self.colors = codec.factor, codec.channels, codec.colors
        self.encode, self.decode = _under(clock, CODEC, codec.encode), _under(clock, CODEC, codec.decode)
        self.preview = _under(clock, CODEC, codec.preview)


def _under(clock: DeviceClock, phase: str, function: Given) -> Given:
    def timed(*given: Any) -> Tensor:
        with clock.phase(phase):
            return function(*given)

    return cast(Given, timed)


class Instant:
    """An `ImageModel` that takes no time: every x0, latent and picture is zero."""

    unit, factor, channels = _FACTOR, _FACTOR, _LATENT_CHANNELS
    controls, styled = frozenset({"depth"}), False

    def __init__(self, card: Card, device: torch.device) -> None:
        self.card, self.device, self.batches = card, device, Batches()
        self.codec = self.levels = self

    def levels_at(self, height: int, width: int) -> Instant:
        return self

    def schedule(self, steps: int) -> Schedule:
        return stable_diffusion(steps)

    def timestep(self, level: NoiseLevel) -> float:
        return 0.0

    def from_strength(self, schedule: Schedule, strength: float) -> Schedule:
        return schedule

    def cut(self, prompt: str) -> str:
        return ""

    def bind(self, wanted: Conditioning) -> Denoiser:
        return lambda x, level: torch.zeros_like(x)

    def encode(self, images: Tensor) -> Tensor:
        count, _, height, width = images.shape
        return torch.zeros(count, self.channels, height // self.factor, width // self.factor, device=self.device)

    def decode(self, latents: Tensor) -> Tensor:
        count, _, height, width = latents.shape
        return torch.zeros(count, 3, height * self.factor, width * self.factor, device=self.device)

    def colors(self, cells: Tensor) -> Tensor:
        return cells[:, :3]

    def preview(self, latents: Tensor) -> Tensor:
        return latents[:, :3]
