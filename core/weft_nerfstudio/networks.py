"""The network that edits the views, out of its name: the models of `weft models`, in the folders of WEFT_MODELS."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

from weft.models.cards import ModelRequest, card_named
from weft.models.requests import EMBEDDED
from weft.tasks.network import Network

if TYPE_CHECKING:
    from weft.models.networks.image_model import ImageModel

__all__ = ["network_named"]


def network_named(name: str) -> Network | None:
    """None for the embedded model. Nothing is loaded before the network is looked at. Raises UnknownName."""
    if name == EMBEDDED:
        return None
    card = card_named(name)

    @functools.cache
    def opened() -> ImageModel:
        from weft.models.library import Library
        from weft.models.networks.cache import ModelCache, memory_for_models  # seconds

        where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = torch.bfloat16 if where.type == "cuda" else torch.float32
        return ModelCache(Library.from_environment(), where, dtype, memory_for_models(where)).get(
            ModelRequest(card.name)
        )

    return Network(card, opened)
