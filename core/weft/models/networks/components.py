"""The parts of a loaded model, before anything is computed with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from weft.models.cards import Card

__all__ = ["Components"]


@dataclass(eq=False)
class Components:
    """diffusers' and transformers' own modules, in evaluation mode, on one device."""

    card: Card
    network: torch.nn.Module  # the U-Net or the transformer
    vae: torch.nn.Module
    tokenizers: tuple[Any, ...]
    text_encoders: tuple[torch.nn.Module, ...]  # beside their tokenizers
    scheduler: Mapping[str, Any]  # the configuration of the publisher's scheduler
    device: torch.device
    dtype: torch.dtype
    controlnets: Mapping[str, torch.nn.Module] = field(default_factory=dict)  # by kind; a union net stands for all
    image_encoder: torch.nn.Module | None = None  # of the style adapter, which is loaded into the network
    tiny_vae: torch.nn.Module | None = None  # for previews
    adapter: torch.nn.Module | None = None  # that makes many views of a painting network, beside its own weights
    distilled: bool = False  # guidance is in the network's weights: it takes none

    @property
    def modules(self) -> tuple[torch.nn.Module, ...]:
        """Each once."""
        needed = (self.network, self.vae, *self.text_encoders, *dict.fromkeys(self.controlnets.values()))
        more = (self.image_encoder, self.tiny_vae, self.adapter)
        return (*needed, *(module for module in more if module is not None))

    @property
    def bytes(self) -> int:
        """That the weights take on the device."""
        return sum(t.numel() * t.element_size() for m in self.modules for t in (*m.parameters(), *m.buffers()))
