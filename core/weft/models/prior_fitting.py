"""Whether the parts of a multi-view prior belong together, by headers and configs alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from weft.errors import BadCheckpoint, ModelMismatch
from weft.models.checkpoint_files import Weights, read_json, read_weights, weights_in
from weft.models.families import Base, check_class
from weft.models.seva_sizes import seva_sizes

__all__ = ["ASSEMBLIES", "Add", "fit_adapter"]

Add = Callable[[str, Callable[[Path], Weights]], Weights]
"""Finds a part by its role and checks it with what is given; returns its weights."""

NUMBERS = 6  # a pixel, that the encoder of an MV-Adapter reads
_LAYER = re.compile(r"(?P<layer>.+\.attn1)\.processor\.to_q_mv\.weight")


def fit_adapter(file: Path, base: Base) -> Weights:
    """An MV-Adapter has projections beside every self-attention layer of its base, as wide as the layer's."""
    weights = read_weights(file)
    layers = {match["layer"]: shape for key, shape in weights.shapes.items() if (match := _LAYER.fullmatch(key))}
    first = weights.shapes.get("adapter.conv_in.weight")
    if not layers or first is None or first[1] % NUMBERS:
        raise BadCheckpoint(f"{file} is no MV-Adapter", "fetch it again")
    own = _self_attention(base.network)
    if own and own != layers:
        differing = min(name for name in own.keys() | layers.keys() if own.get(name) != layers.get(name))
        message = f"the adapter {file.name} has {_told(layers, differing)}; {base.name} has {_told(own, differing)}"
        raise ModelMismatch(message, "it belongs to another base: leave the checkpoint empty, or change the prior")
    return weights


def _self_attention(network: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Shapes of the queries by layer; none for single files, whose weights have other names."""
    ending = ".attn1.to_q.weight"
    return {key.removesuffix(".to_q.weight"): shape for key, shape in network.items() if key.endswith(ending)}


def _told(layers: Mapping[str, tuple[int, ...]], name: str) -> str:
    return f"{name} of width {layers[name][0]}" if name in layers else f"no {name}"


def _fit_seva(add: Add) -> None:
    """Network, VAE and image encoder, which are published apart."""
    network = add("base", _with_sizes)
    sizes = seva_sizes(network.shapes, "it")
    add("vae", lambda folder: _fit_vae(folder, sizes.outputs))
    add("image_encoder", lambda folder: _fit_encoder(folder, sizes.context))


def _with_sizes(file: Path) -> Weights:
    weights = read_weights(file)
    seva_sizes(weights.shapes, str(file))
    return weights


def _fit_vae(folder: Path, channels: int) -> Weights:
    config = read_json(folder / "config.json")
    check_class(config, "AutoencoderKL", folder)
    if config.get("latent_channels") != channels:
        message = f"the VAE {folder} has latents of {config.get('latent_channels')} channels, the network of {channels}"
        raise ModelMismatch(message, "fetch the one that the card names")
    return weights_in(folder)


def _fit_encoder(folder: Path, context: int) -> Weights:
    config = read_json(folder / "config.json")
    check_class(config, "CLIPVisionModelWithProjection", folder)
    if config.get("projection_dim") != context:
        found = config.get("projection_dim")
        message = f"the image encoder {folder} makes embeddings of width {found}, the network reads {context}"
        raise ModelMismatch(message, "fetch the one that the card names")
    return weights_in(folder)


ASSEMBLIES: dict[str, Callable[[Add], None]] = {"seva": _fit_seva}
"""By family: those that have no base with everything in it."""
