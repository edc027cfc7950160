"""The file of an MV-Adapter as modules: its layers beside those of a U-Net, and its encoder of cameras or geometry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.models.adapter import T2IAdapter
from torch import Tensor, nn

from weft.errors import BadCheckpoint, ModelMismatch
from weft.models.networks.mv_adapter_layers import MultiViewLayers
from weft.models.networks.reading import AGAIN, at_rest, every_key, read_tensors

__all__ = ["NUMBERS", "MultiViewAdapter", "published_names", "read_adapter"]

NUMBERS = 6  # channels that the encoder reads
ENCODER = "adapter."
PROCESSOR = ".processor."


class MultiViewAdapter(nn.Module):
    """What an MV-Adapter adds to a U-Net."""

    def __init__(self, layers: MultiViewLayers, encoder: T2IAdapter) -> None:
        super().__init__()
        self.layers, self.encoder = layers, encoder


def published_names(adapter: MultiViewAdapter) -> dict[str, str]:
    """{name of a weight here: its name in the file}."""
    names = {}
    for key in adapter.state_dict():
        part, _, rest = key.partition(".")
        if part == "encoder":
            names[key] = rest
            continue
        _, number, rest = rest.split(".", 2)  # layers.<number>.<rest>
        names[key] = f"{adapter.layers.names[int(number)]}{PROCESSOR}{rest}"
    return names


def read_adapter(file: Path, network: nn.Module, dtype: torch.dtype) -> MultiViewAdapter:
    """The adapter in `file` for this U-Net, at rest. BadCheckpoint, ModelMismatch where it is of something else."""
    tensors = read_tensors(file)
    with torch.device("meta"):
        adapter = MultiViewAdapter(MultiViewLayers(network), _encoder(tensors, file.name))
    names = published_names(adapter)
    every_key(file.name, missing=set(names.values()) - tensors.keys(), unexpected=tensors.keys() - set(names.values()))
    for key, weight in adapter.state_dict().items():
        if weight.shape != tensors[names[key]].shape:
            found, own = (tuple(tensor.shape) for tensor in (tensors[names[key]], weight))
            message = f"{file.name} was made for another base: {names[key]} is {found}, this U-Net has {own}"
            raise ModelMismatch(message, "give the base that the card names, or one of its family")
    adapter.load_state_dict({key: tensors[name].to(dtype) for key, name in names.items()}, assign=True)
    at_rest(adapter)
    return adapter


def _encoder(tensors: Mapping[str, Tensor], name: str) -> T2IAdapter:
    """Of the sizes that its weights have; those that look at 16 px at once are of the kind for SDXL."""
    body = f"{ENCODER}body."
    blocks = {int(key.removeprefix(body).split(".")[0]) for key in tensors if key.startswith(body)}
    first = tensors.get(f"{ENCODER}conv_in.weight")
    if first is None or not blocks or first.shape[1] % NUMBERS:
        raise BadCheckpoint(f"{name} holds no encoder of {NUMBERS} numbers a pixel", AGAIN)
    factor = math.isqrt(first.shape[1] // NUMBERS)
    resnets = {int(key.split(".")[4]) for key in tensors if key.startswith(f"{body}0.resnets.")}
    settings: dict[str, Any] = {"adapter_type": "full_adapter_xl" if factor == 16 else "full_adapter"}
    channels = [tensors[f"{body}{block}.resnets.0.block1.weight"].shape[0] for block in sorted(blocks)]
    return T2IAdapter(NUMBERS, channels, len(resnets), factor, **settings)
