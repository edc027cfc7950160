"""A picture in the place of words: image embeddings through an IP-Adapter in the U-Net (Ye et al. 2023)."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.embeddings import ImageProjection, MultiIPAdapterImageProjection
from torch import Tensor
from torch.nn import functional
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

__all__ = ["Style"]


class Style:
    """The adapter of one loaded model, if it has one. Without a picture it is off: its scale is 0."""

    def __init__(self, network: Any, encoder: torch.nn.Module | None) -> None:
        projection = getattr(network, "encoder_hid_proj", None)
        self.loaded = encoder is not None and isinstance(projection, MultiIPAdapterImageProjection)
        self._encoder: Any = encoder
        if self.loaded:
            assert isinstance(projection, MultiIPAdapterImageProjection)
            self._pooled = isinstance(projection.image_projection_layers[0], ImageProjection)
            self._scaled = [
                own for own in network.attn_processors.values() if isinstance(getattr(own, "scale", 0), list)
            ]

    @torch.no_grad()
    def encode(self, picture: Tensor | None) -> tuple[Tensor, Tensor]:
        """[3, h, w] in [-1, 1] to embeddings (with it, without it), each [1, …] as the adapter takes them.

        Adapters that read the encoder's tokens are told "without" by the tokens of an empty picture, not by zeros.
        """
        side = self._encoder.config.image_size
        prepared = torch.zeros(1, 3, side, side) if picture is None else _prepared(picture, side)
        prepared = prepared.to(self._encoder.device, self._encoder.dtype)
        if self._pooled:
            embedded = self._encoder(prepared).image_embeds
            return embedded, torch.zeros_like(embedded)
        both = self._encoder(torch.cat([prepared, torch.zeros_like(prepared)]), output_hidden_states=True)
        shown, empty = both.hidden_states[-2].split(1)
        return shown, empty

    def set_scale(self, scale: float) -> None:
        """How much the picture counts in all evaluations from here on: the network holds it, not its inputs."""
        for processor in self._scaled:
            processor.scale = [scale] * len(processor.scale)


def _prepared(picture: Tensor, side: int) -> Tensor:
    """As CLIP was trained: the shorter side resized, the middle cut out, colours normalised. [1, 3, side, side]."""
    height, width = picture.shape[1:]
    size = [int(side * length / min(height, width)) for length in (height, width)]  # rounded down, as it was there
    image = functional.interpolate(picture[None].float(), size=size, mode="bicubic", antialias=True) / 2 + 0.5
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    image = image[:, :, top : top + side, left : left + side].clamp(0, 1)
    mean, deviation = (
        torch.tensor(values, device=image.device)[:, None, None] for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    )
    return (image - mean) / deviation
