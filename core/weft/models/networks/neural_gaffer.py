"""Neural Gaffer (Jin et al. 2024) as a denoiser: an object, put under the light of an environment map.

It is Zero123-XL, a Stable Diffusion 1 whose words are one embedded picture, with four times the channels: the noisy
latent, then modes of the object before white, of the light in high and in low range, turned to each camera
(`tasks.view_surroundings.turned_maps`). It was trained on square views of 256 px of objects on their own, and is guided
by everything together. Prompts are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from weft.errors import ModelMismatch
from weft.models.networks.batching import Batches
from weft.models.networks.components import Components
from weft.models.networks.extra_channels import on_white
from weft.models.networks.image_model import Conditioning
from weft.models.networks.text import Words
from weft.models.networks.unet_model import UNetModel

__all__ = ["NeuralGaffer"]


class NeuralGaffer(UNetModel):
    """An `ImageModel` that needs `image`, `mask` and `surroundings`. Raises ModelMismatch without an image encoder."""

    def __init__(self, components: Components, *, batches: Batches | None = None) -> None:
        super().__init__(components, batches=batches)
        if components.image_encoder is None:
            raise ModelMismatch(f"{components.card.name} has no image encoder", "fetch its base again")
        self._encoder: Any = components.image_encoder

    def _words(self, wanted: Conditioning) -> tuple[Words, Sequence[Words]]:
        """CLIP's embedding of each view's object, one token, and nothing at all."""
        shown = _as_clip(on_white(wanted), self._encoder.config.image_size)
        shown = shown.to(self._encoder.device, self._encoder.dtype)
        embedded = [
            self._encoder(own).image_embeds.to(self.dtype) for own in shown.split(1)
        ]  # one by one, as words are
        return Words(torch.zeros_like(embedded[0]), None), [Words(own, None) for own in embedded]


def _as_clip(images: Tensor, side: int) -> Tensor:
    """[N, 3, side, side] as it was trained: bicubic between the middles of the corners' pixels, no antialiasing."""
    size = (side, side)
    resized = functional.interpolate(images.float(), size=size, mode="bicubic", align_corners=True) / 2 + 0.5
    mean, deviation = (
        torch.tensor(values, device=images.device)[:, None, None] for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    )
    return (resized - mean) / deviation
