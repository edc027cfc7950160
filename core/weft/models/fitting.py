"""Whether ControlNets, LoRAs, offsets, style adapters and preview decoders belong to the base they are to work with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from weft.errors import BadCheckpoint, ModelMismatch
from weft.models.checkpoint_files import Weights, read_json, read_weights, weights_in
from weft.models.families import Base, check_class, reads_text

__all__ = [
    "fit_control",
    "fit_encoder",
    "fit_lora",
    "fit_network",
    "fit_offset",
    "fit_pair",
    "fit_preview",
    "fit_style",
]

CONTROLNETS = ("ControlNetModel", "ControlNetUnionModel", "ControlNetModel_Union")  # the last as xinsir published it
INWARD = ("lora_A", "lora_down", "lora.down")  # first halves of pairs, as diffusers, peft and kohya name them
_PAIR = re.compile(r"\.(?P<half>lora_A|lora_B|lora[_.]down|lora[_.]up)(?:\.[\w-]+)?\.weight$")
_PREFIX = re.compile(r"^(?:base_model\.model\.)?(?:(?:unet|transformer|diffusion_model)\.|lora_(?:unet|transformer)_)")
_UNET = re.compile(r"(?:down|up|input|output)_blocks[._]|mid(?:dle)?_block[._]")
_ENCODER = re.compile(r"^(?:text_encoder|lora_te)")


def fit_control(folder: Path, base: Base) -> Weights:
    """A ControlNet adds to the blocks of its base, so it has their widths and reads its text."""
    config = read_json(folder / "config.json")
    named = config.get("_class_name")
    if named not in CONTROLNETS:
        raise BadCheckpoint(f"config.json of {folder} names the class {named}", f"known are {', '.join(CONTROLNETS)}")
    weights = weights_in(folder)
    for key, what in (("cross_attention_dim", "text of width"), ("block_out_channels", "blocks of the widths")):
        mine, theirs = config.get(key), base.config.get(key, base.context if key.startswith("cross") else None)
        if theirs is not None and mine != theirs:
            raise _stranger(f"the ControlNet {_short(folder)} is for {what} {mine}", f"has {theirs}", base)
    return weights


def fit_lora(file: Path, base: Base) -> Weights:
    """Every pair of a LoRA goes around a layer of the base and has its sides."""
    weights = read_weights(file)
    pairs = {key: match for key in weights.shapes if (match := _PAIR.search(key)) and not _ENCODER.match(key)}
    if not pairs and not any(_ENCODER.match(key) for key in weights.shapes):
        raise BadCheckpoint(f"{file} is no LoRA: it holds no pairs lora_A, lora_B", "whole models go with checkpoint")
    if pairs and any(map(_UNET.search, pairs)) != any(map(_UNET.search, base.network)):
        raise _stranger(f"the LoRA {file.name} changes {next(iter(pairs))}", "has nothing like it", base)
    layers = _by_plain_name(base.network)
    for key, match in pairs.items():
        side = 1 if match["half"] in INWARD else 0
        stem = key[: match.start()]
        theirs = layers.get(_plain(_PREFIX.sub("", stem)), ())[side : side + 1]
        if not theirs and side and reads_text(f"{stem}.weight") and base.context:
            theirs = (base.context,)  # the other names of a dialect are known to the loader alone
        mine = weights.shapes[key][side]
        if theirs and mine != theirs[0]:
            raise _stranger(f"the LoRA {file.name} is for layers of width {mine}", f"has {theirs[0]} there", base)
    return weights


def fit_offset(file: Path, base: Base, channels: int) -> Weights:
    """IC-Light's offsets: of every weight of the base, with `channels` inputs in the first layer."""
    weights = read_weights(file)
    first = weights.shapes.get("conv_in.weight")
    if first is None:
        raise BadCheckpoint(f"{file} holds no offsets of a U-Net", "fetch it again")
    if first[1] != channels:
        raise BadCheckpoint(f"{file} takes {first[1]} channels, not {channels}", "fetch it again")
    if "conv_in.weight" not in base.network:
        return weights  # a single file names its weights otherwise
    for name, shape in weights.shapes.items():
        theirs = base.network.get(name)
        if theirs is None or (theirs != shape and name != "conv_in.weight"):
            raise _stranger(f"the offsets {file.name} change {name}", "has no such weight", base)
    return weights


def fit_network(file: Path, base: Base, channels: int) -> Weights:
    """A whole U-Net like the base's, but that its first layer takes `channels`."""
    weights = read_weights(file)
    first = weights.shapes.get("conv_in.weight")
    if first is None or first[1] != channels:
        told = "holds no U-Net" if first is None else f"takes {first[1]} channels, not {channels}"
        raise BadCheckpoint(f"{file} {told}", "fetch it again")
    differing = {name for name, shape in base.network.items() if weights.shapes.get(name) != shape} - {"conv_in.weight"}
    if differing:
        raise _stranger(f"the network {file.name} has another {min(differing)}", "has it otherwise", base)
    return weights


def fit_pair(file: Path, base: Base) -> Weights:
    """Magic Fixup: two U-Nets by LDM's names, both of nine channels."""
    weights = read_weights(file)
    for network in ("diffusion_model", "reference_model"):
        first = weights.shapes.get(f"model.{network}.input_blocks.0.0.weight")
        if first is None or first[1] != 9:
            raise BadCheckpoint(f"{file} holds no {network} of nine channels", "convert the publisher's file once more")
        if base.network.get("conv_in.weight", first)[0] != first[0]:
            width = base.network["conv_in.weight"][0]
            raise _stranger(f"the networks of {file.name} are {first[0]} wide", f"is {width} wide", base)
    return weights


def fit_style(file: Path, base: Base) -> Weights:
    """An IP-Adapter turns a picture into tokens as wide as the text."""
    weights = read_weights(file)
    widths = {shape[1] for name, shape in weights.shapes.items() if name.endswith("to_k_ip.weight")}
    if not widths or "image_proj.proj.weight" not in weights.shapes:
        raise BadCheckpoint(f"{file} is no IP-Adapter", "fetch it again")
    if base.context is not None and widths != {base.context}:
        message = f"the style adapter {file.name} is for text of width {max(widths)}"
        raise _stranger(message, f"has {base.context}", base)
    return weights


def fit_encoder(folder: Path, style: Weights) -> Weights:
    """The image encoder whose embeddings the style adapter takes."""
    config = read_json(folder / "config.json")
    check_class(config, "CLIPVisionModelWithProjection", folder)
    mine, theirs = config.get("projection_dim"), style.shapes["image_proj.proj.weight"][1]
    if mine != theirs:
        raise ModelMismatch(
            f"the image encoder {folder} makes embeddings of width {mine}, the style adapter takes {theirs}",
            "fetch both from one place",
        )
    return weights_in(folder)


def fit_preview(folder: Path, base: Base) -> Weights:
    """A tiny VAE decodes the latents of its base."""
    config = read_json(folder / "config.json")
    check_class(config, "AutoencoderTiny", folder)
    if base.latent is not None and config.get("latent_channels") != base.latent:
        raise _stranger(
            f"the preview decoder {_short(folder)} is for latents of {config.get('latent_channels')} channels",
            f"has {base.latent}", base,
        )  # fmt: skip
    return weights_in(folder)


def _by_plain_name(network: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {_plain(name.removesuffix(".weight")): shape for name, shape in network.items() if len(shape) >= 2}


def _plain(name: str) -> str:
    """Kohya's trainer writes underscores for dots; processors of old versions of diffusers stand in between."""
    return name.replace(".processor.", ".").replace("_lora", "").replace(".", "_")


def _short(folder: Path) -> str:
    return folder.name if folder.parent.name != "snapshots" else folder.parent.parent.name.removeprefix("models--")


def _stranger(what: str, other: str, base: Base) -> ModelMismatch:
    hint = "it belongs to another base: leave it out, or change the model"
    return ModelMismatch(f"{what}; {base.name} {other}", hint)
