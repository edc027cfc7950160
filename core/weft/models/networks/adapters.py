"""What changes the weights of a network that is loaded: relighting offsets, LoRAs, and the adapter for pictures.

All of it happens once, while loading; afterwards a network with adapters costs what it costs without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.utils.peft_utils import recurse_remove_peft_layers
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from weft.errors import BadCheckpoint, ModelMismatch
from weft.models.networks.layouts import Layout
from weft.models.networks.reading import AGAIN, every_key, read_tensors, translated

__all__ = ["add_offset", "add_style", "fuse_lora", "replace_weights"]

ALPHA = ".alpha"
ADAPTER = "weft"  # the name of a LoRA between its loading and its fusing


def add_offset(unet: UNet2DConditionModel, file: Path) -> None:
    """IC-Light: its first layer takes more channels, and every weight is the base's plus the file's, in place.

    The base's own channels come first; the added ones start at zero, so an offset of zeros changes nothing.
    """
    offset = read_tensors(file)
    if "conv_in.weight" not in offset:
        raise BadCheckpoint(f"{file.name} holds no offset for a U-Net's first layer", AGAIN)
    _widen(unet, offset["conv_in.weight"].shape[1], file.name)
    weights = unet.state_dict()
    every_key(file.name, missing=weights.keys() - offset.keys(), unexpected=offset.keys() - weights.keys())
    for key, weight in weights.items():
        if weight.shape != offset[key].shape:
            raise ModelMismatch(
                f"{file.name} does not fit this base: {key} is {_size(offset[key])} there and {_size(weight)} here",
                "it was trained on Stable Diffusion 1.5: leave the checkpoint empty, or give one of that family",
            )
        weight += offset[key].to(weight.dtype)


def replace_weights(unet: UNet2DConditionModel, file: Path) -> None:
    """Neural Gaffer: all weights are the file's, whose first layer may take more channels, in place."""
    tensors = read_tensors(file)
    first: Any = unet.conv_in
    channels = tensors["conv_in.weight"].shape[1] if "conv_in.weight" in tensors else first.in_channels
    wide: Any = nn.Conv2d(
        channels, first.out_channels, first.kernel_size, first.stride, first.padding,
        device=first.weight.device, dtype=first.weight.dtype,
    )  # fmt: skip
    unet.conv_in = wide.requires_grad_(False)
    unet.register_to_config(in_channels=channels)
    own = unet.state_dict()
    every_key(file.name, missing=own.keys() - tensors.keys(), unexpected=tensors.keys() - own.keys())
    with translated(file.name):
        unet.load_state_dict(tensors)


def _widen(unet: UNet2DConditionModel, channels: int, name: str) -> None:
    first: Any = unet.conv_in
    if first.in_channels != 4 or channels <= 4:
        raise ModelMismatch(
            f"{name} adds to a first layer of 4 channels and makes it {channels}; this base has {first.in_channels}",
            "give a base that paints from words, not one for inpainting or instructions",
        )
    wide: Any = nn.Conv2d(
        channels, first.out_channels, first.kernel_size, first.stride, first.padding,
        device=first.weight.device, dtype=first.weight.dtype,
    )  # fmt: skip
    with torch.no_grad():
        wide.weight.zero_()
        wide.weight[:, :4] = first.weight
        wide.bias.copy_(first.bias)
    unet.conv_in = wide.requires_grad_(False)
    unet.register_to_config(in_channels=channels)


def add_style(unet: UNet2DConditionModel, file: Path, embedding: int) -> None:
    """IP-Adapter (Ye et al. 2023): keys and values of their own for a picture, of whose `embedding` tokens are made."""
    tensors = read_tensors(file)
    parts = {part: _below(tensors, part) for part in ("image_proj", "ip_adapter")}
    if not all(parts.values()):
        raise BadCheckpoint(f"{file.name} is no IP-Adapter: it lacks image_proj or ip_adapter", AGAIN)
    wanted = _key_shapes(unet)
    found = {key: tuple(tensor.shape) for key, tensor in parts["ip_adapter"].items()}
    if found != wanted:
        wrong = min(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
        raise ModelMismatch(
            f"{file.name} was made for another base: {wrong} is {found.get(wrong)}, this U-Net has {wanted.get(wrong)}",
            "give the base that the card names or one of its family, or no style picture",
        )
    projection = parts["image_proj"].get("proj.weight")
    if projection is not None and projection.shape[1] != embedding:
        raise ModelMismatch(
            f"{file.name} takes embeddings of {projection.shape[1]} numbers, the image encoder gives {embedding}",
            "fetch the image encoder that was published beside the adapter",
        )
    with translated(file.name):
        unet._load_ip_adapter_weights([parts])  # what every pipeline of diffusers calls


def _key_shapes(unet: UNet2DConditionModel) -> dict[str, tuple[int, ...]]:
    """Of the adapter's keys and values: those of words have the same; they have the odd numbers."""
    crossing = [name.removesuffix(".processor") for name in unet.attn_processors if name.endswith("attn2.processor")]
    shapes = [tuple(unet.get_submodule(name).to_k.weight.shape) for name in crossing]  # type: ignore[union-attr]
    return {f"{2 * i + 1}.to_{kv}_ip.weight": shape for i, shape in enumerate(shapes) for kv in "kv"}


def fuse_lora(file: Path, scale: float, network: nn.Module, encoders: Sequence[nn.Module], layout: Layout) -> None:
    """W + scale · (alpha/rank) · B A for every layer that the LoRA names, in place (Hu et al. 2022, Eq. 3).

    ModelMismatch unless every tensor of the file finds its layer. A `scale` of 0 leaves every bit as it was.
    """
    raw = read_tensors(file)  # whether it is whole is another question than whether it fits
    remedy = "give a LoRA that was trained on this base's family"
    with translated(f"{file.name} as a LoRA of this base", remedy, ModelMismatch):
        tensors, metadata = _convert(file, raw, network, layout)
        folders = [layout.network.folder, *(slot.folder for slot in layout.text_encoders[: layout.lora_encoders])]
        named = dict(zip(folders, (network, *encoders), strict=False))  # later encoders are not theirs to change
        prefixes = {prefix: len(_below(tensors, prefix)) for prefix in named}
        unfitting = len(tensors) - sum(prefixes.values())
        for prefix in (prefix for prefix, count in prefixes.items() if count):
            _inject(layout, prefix, named[prefix], tensors, metadata)
            unfitting += prefixes[prefix] - _fuse(named[prefix], scale)
    if unfitting:
        raise ModelMismatch(f"{unfitting} of {len(tensors)} tensors of {file.name} match nothing in this base", remedy)


def _convert(file: Path, tensors: Mapping[str, Tensor], network: Any, layout: Layout) -> tuple[dict[str, Tensor], Any]:
    """(tensors by diffusers' names, metadata): trainers have their own names, and diffusers knows them."""
    options: dict[str, Any] = {"return_lora_metadata": True}
    if layout.network.folder == "unet":
        options["unet_config"] = network.config
    if any(key.endswith(ALPHA) for key in tensors):
        source = _scaled(tensors)
    else:  # what else there is to know is in the file's metadata
        source = str(file.parent)
        options |= {"weight_name": file.name, "use_safetensors": True, "local_files_only": True}
    found, *_, metadata = layout.lora.lora_state_dict(source, **options)
    return found, metadata


def _scaled(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """kohya's alphas as part of the weights: diffusers takes one alpha for all layers of a text encoder."""
    scaled = {key: tensor for key, tensor in tensors.items() if not key.endswith(ALPHA)}
    for key in tensors.keys() - scaled.keys():
        down, up = (f"{key.removesuffix(ALPHA)}.lora_{end}.weight" for end in ("down", "up"))
        scaled[up] = tensors[up].float() * (tensors[key].item() / tensors[down].shape[0])
    return scaled


def _inject(layout: Layout, prefix: str, module: Any, tensors: Any, metadata: Any) -> None:
    """peft's layers around those that the LoRA names."""
    options = {"prefix": prefix, "network_alphas": None, "metadata": metadata, "adapter_name": ADAPTER}
    if prefix == layout.network.folder:
        module.load_lora_adapter(tensors, **options)
    else:
        layout.lora.load_lora_into_text_encoder(tensors, text_encoder=module, **options)


def _fuse(module: Any, scale: float) -> int:
    """Adds the LoRA to the weights, takes peft's layers off again; how many of its tensors were loaded."""
    layers: list[Any] = [layer for layer in module.modules() if isinstance(layer, BaseTunerLayer)]
    loaded = sum(f".{ADAPTER}." in f".{name}." for layer in layers for name, _ in layer.named_parameters())
    if scale != 0:
        for layer in layers:
            layer.scale_layer(scale)
            layer.merge(adapter_names=[ADAPTER])
    recurse_remove_peft_layers(module)
    del module.peft_config
    module._hf_peft_config_loaded = False  # as unload_lora of both libraries leaves it
    return loaded


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{prefix}."): t for key, t in tensors.items() if key.startswith(f"{prefix}.")}


def _size(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape))
