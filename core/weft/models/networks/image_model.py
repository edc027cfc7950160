"""What tasks ask of a network, whatever it is: a codec, noise levels, and denoisers bound to what is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.models.cards import Card
from weft.models.networks.batching import Batches
from weft.schedule import NoiseLevel, Schedule

__all__ = ["Codec", "Conditioning", "Control", "ImageModel", "NoiseLevels", "ViewNeighbours", "as_planes"]


@dataclass(frozen=True, eq=False)
class Control:
    """Pictures that the network must follow, one a view."""

    kind: str  # "depth", "normal" or "canny"
    images: Tensor  # [N, 3, H, W] in [0, 1], pixels
    scale: float = 1.0
    start: float = 0.0  # part of the way, in [0, 1], from which on …
    end: float = 1.0  # … and up to which they count


@dataclass(frozen=True)
class ViewNeighbours:
    """Whose keys and values each view attends to (Kim et al. 2024; Liu et al. 2023, SyncMVD)."""

    keys: tuple[tuple[int, ...], ...]  # [N] of views, the view itself among them
    front: tuple[int, ...]  # [N] the view that each one also looks at while t > 800, for half of the result


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What N views should show. A model takes what it can use and refuses what it lacks (InvalidInput)."""

    prompts: tuple[str, ...]  # N of them
    negative: str = ""
    guidance: float = 7.5  # of the words; 1 is none
    image_guidance: float = 1.5  # of the image, where a model edits by instruction
    controls: tuple[Control, ...] = ()
    image: Tensor | None = None  # [N, 3, H, W] in [-1, 1], the views as they are: what is edited, relit, inpainted
    mask: Tensor | None = None  # [N, 1, H, W], 1 where the object is (relighting) or where is repainted (inpainting)
    background: Tensor | None = None  # [N, 3, H, W] in [-1, 1], what a relit object stands before and is lit by
    before: Tensor | None = None  # [N, 3, H, W] in [-1, 1], the views before the coarse edit that `image` is
    surroundings: Tensor | None = None  # [N, 6, H, W] in [-1, 1], the light around each camera: high, then low range
    style: Tensor | None = None  # [3, h, w] in [-1, 1], a picture in the place of words
    style_scale: float = 1.0
    neighbours: ViewNeighbours | None = None


class Codec(Protocol):
    """Between pixels and what the network denoises. Deterministic."""

    @property
    def factor(self) -> int:
        """Pixels per latent, along each axis; image sides are multiples of it (see `unit` of the model)."""
        ...

    @property
    def channels(self) -> int:
        """Of a latent."""
        ...

    def encode(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] in [-1, 1] to [N, C, H/f, W/f], scaled as the network takes them."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """[N, C, h, w] to [N, 3, h·f, w·f], about [-1, 1]."""
        ...

    def colors(self, cells: Tensor) -> Tensor:
        """[M, C] single latents to [M, 3] in [-1, 1]: the best linear guess, for previews."""
        ...

    def preview(self, latents: Tensor) -> Tensor:
        """`decode`, quickly and roughly: [N, 3, h', w'], of any size with the same aspect."""
        ...


class NoiseLevels(Protocol):
    """The levels at which a network was trained, and the walk that its publisher samples it with."""

    def schedule(self, steps: int) -> Schedule:
        """`steps` steps from pure noise to clean."""
        ...

    def timestep(self, level: NoiseLevel) -> float:
        """The network's name for a level; fractional between two that it was trained at."""
        ...

    def from_strength(self, schedule: Schedule, strength: float) -> Schedule:
        """The part of a schedule that SDEdit walks: the last `strength` in (0, 1] of the way."""
        ...


class ImageModel(Protocol):
    """A loaded model. `bind` gives a denoiser for latents; its calls are deterministic."""

    @property
    def card(self) -> Card: ...
    @property
    def codec(self) -> Codec: ...
    @property
    def levels(self) -> NoiseLevels: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def unit(self) -> int:
        """px; sides of views are multiples of it."""
        ...

    @property
    def batches(self) -> Batches:
        """Its `notices` tell what people should know about how it ran."""
        ...

    @property
    def controls(self) -> frozenset[str]:
        """The kinds of pictures that it can follow."""
        ...

    @property
    def styled(self) -> bool:
        """Whether it is loaded with an adapter that takes a picture for a prompt."""
        ...

    def levels_at(self, height: int, width: int) -> NoiseLevels:
        """The levels for images of this size in pixels: some networks walk others for larger ones."""
        ...

    def bind(self, wanted: Conditioning) -> Denoiser: ...

    def cut(self, prompt: str) -> str:
        """The end of a prompt that is beyond what the text encoder reads; "" where all of it is read."""
        ...


def as_planes(images: np.ndarray) -> Tensor:
    """f4 [N, H, W, C] in [0, 1] to [N, C, H, W] in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images, np.float32)).permute(0, 3, 1, 2) * 2 - 1
