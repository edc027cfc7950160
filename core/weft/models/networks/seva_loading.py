"""The parts of SEVA from files: its network by the names of its weights, a VAE and an image encoder published apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import nn
from transformers import CLIPVisionModelWithProjection

from weft.models.cards import Card
from weft.models.networks.components import Components
from weft.models.networks.reading import at_rest, every_key, read_network, read_tensors, translated
from weft.models.networks.seva_network import SevaNetwork
from weft.models.seva_sizes import seva_sizes

__all__ = ["seva_components"]


def seva_components(card: Card, paths: Mapping[str, Path], device: torch.device, dtype: torch.dtype) -> Components:
    """Not yet on the device. Raises BadCheckpoint."""
    return Components(
        card=card,
        network=_network(paths["base"], dtype),
        vae=read_network(AutoencoderKL, paths["vae"], dtype),
        tokenizers=(),
        text_encoders=(),
        scheduler={},
        device=device,
        dtype=dtype,
        image_encoder=read_network(CLIPVisionModelWithProjection, paths["image_encoder"], dtype),
    )


def _network(file: Path, dtype: torch.dtype) -> nn.Module:
    tensors = read_tensors(file)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    with torch.device("meta"):
        network = SevaNetwork(seva_sizes(shapes, file.name))
    own = network.state_dict()
    every_key(file.name, missing=own.keys() - tensors.keys(), unexpected=tensors.keys() - own.keys())
    with translated(file.name):
        network.load_state_dict({name: tensor.to(dtype) for name, tensor in tensors.items()}, assign=True)
    return at_rest(network)
