"""From files on this machine to the parts of a model, ready on a device. Never asks the hub, never reads a pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
from torch import nn
from transformers import CLIPVisionModelWithProjection

from weft.errors import OutOfMemory
from weft.models.cards import ModelRequest
from weft.models.library import Resolved
from weft.models.networks.adapters import add_offset, add_style, fuse_lora, replace_weights
from weft.models.networks.components import Components
from weft.models.networks.layouts import Layout, Slot, layout_of
from weft.models.networks.magic_fixup import read_magic_fixup
from weft.models.networks.mv_adapter_weights import read_adapter
from weft.models.networks.quiet import quietly
from weft.models.networks.reading import at_rest, read_json, read_network, read_tokenizer
from weft.models.networks.seva_loading import seva_components
from weft.models.networks.single_file import SingleFile

__all__ = ["load", "memory_format"]

CONTROL, LORA = "control:", "lora:"
_ASSEMBLED = {"seva": seva_components}  # families without a base that holds everything


class Source(Protocol):
    """What holds the weights of a base: a folder in diffusers' format or a single file."""

    def read(self, slot: Slot, dtype: torch.dtype) -> nn.Module: ...


def load(resolved: Resolved, request: ModelRequest, *, device: torch.device, dtype: torch.dtype) -> Components:
    """The components that `request` names, from the files that `resolved` found, in `dtype` on `device`.

    The same files give the same bytes. Raises BadCheckpoint for files that are damaged or of another class,
    ModelMismatch for parts that do not fit together, OutOfMemory when the device cannot hold them.
    """
    paths = resolved.paths
    if resolved.card.family in _ASSEMBLED:
        return _placed(_ASSEMBLED[resolved.card.family](resolved.card, paths, device, dtype))
    layout = layout_of(resolved.card.family)
    source, configs = _base(paths, layout)
    network, encoders = _painter(source, configs, paths, request, layout, dtype)
    tokenizers = [read_tokenizer(slot.reader, configs / slot.folder) for slot in _present(layout.tokenizers, configs)]
    image_encoder: Any = None if layout.image_encoder is None else source.read(layout.image_encoder, dtype)
    if "style" in paths:
        image_encoder = read_network(CLIPVisionModelWithProjection, paths["image_encoder"], dtype)
        add_style(network, paths["style"], image_encoder.config.projection_dim)
    return _placed(
        Components(
            card=resolved.card,
            network=at_rest(network),
            vae=source.read(layout.vae, dtype),
            tokenizers=tuple(tokenizers),
            text_encoders=encoders,
            scheduler=read_json(configs / "scheduler" / "scheduler_config.json"),
            device=device,
            dtype=dtype,
            controlnets=_controlnets(paths, dtype),
            image_encoder=image_encoder,
            tiny_vae=read_network(AutoencoderTiny, paths["preview"], dtype) if "preview" in paths else None,
            adapter=read_adapter(paths["adapter"], network, dtype) if "adapter" in paths else None,
            distilled=_distilled(configs),
        )
    )


def _distilled(configs: Path) -> bool:
    """What the base says of itself; beside single files there may be no index."""
    index = configs / "model_index.json"
    return index.is_file() and bool(read_json(index).get("is_distilled"))


@dataclass(frozen=True, slots=True)
class Folder:
    """A base in diffusers' format: one subfolder a part."""

    path: Path

    def read(self, slot: Slot, dtype: torch.dtype) -> nn.Module:
        return read_network(slot.reader, self.path / slot.folder, dtype)


def _base(paths: Mapping[str, Path], layout: Layout) -> tuple[Source, Path]:
    """The weights, and the folder of configurations and tokenizers, which a single file has elsewhere."""
    base = paths["base"]
    if base.is_file():
        return SingleFile(base, paths["config"], layout), paths["config"]
    return Folder(base), base


def _painter(
    source: Source, configs: Path, paths: Mapping[str, Path], request: ModelRequest, layout: Layout, dtype: torch.dtype
) -> tuple[Any, tuple[nn.Module, ...]]:
    """The network and its text encoders with everything added that changes their weights.

    What is added to is read in single precision and rounded to `dtype` once, after the sum.
    """
    slots = _present(layout.text_encoders, configs)
    exact = torch.float32 if request.loras else dtype
    network: Any = source.read(layout.network, torch.float32 if "offset" in paths else exact)
    encoders = [source.read(slot, exact if i < layout.lora_encoders else dtype) for i, slot in enumerate(slots)]
    if "offset" in paths:
        add_offset(network, paths["offset"])
    if "network" in paths:
        replace_weights(network, paths["network"])
    if "pair" in paths:
        config = read_json(configs / "scheduler" / "scheduler_config.json")
        network = read_magic_fixup(paths["pair"], network.config, config, exact)
    for i, (_, scale) in enumerate(request.loras):
        fuse_lora(paths[f"{LORA}{i}"], scale, network, encoders, layout)
    return _rounded(network, dtype), tuple(at_rest(_rounded(encoder, dtype)) for encoder in encoders)


def _rounded(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    if next(module.parameters()).dtype == dtype:
        return module
    with quietly():  # diffusers warns of modules that must not be rounded, and that there are none
        return module.to(dtype)


def _present(slots: Sequence[Slot], configs: Path) -> list[Slot]:
    """Optional parts are there where their weights are: a tokenizer is of no use without its encoder."""
    return [slot for slot in slots if not slot.optional or (configs / (slot.beside or slot.folder)).is_dir()]


def _controlnets(paths: Mapping[str, Path], dtype: torch.dtype) -> dict[str, nn.Module]:
    """By kind. Kinds of one folder share one module: a union net that is told the kind at every call."""
    folders = {role.removeprefix(CONTROL): path for role, path in paths.items() if role.startswith(CONTROL)}
    nets = {path: _controlnet(path, dtype) for path in dict.fromkeys(folders.values())}
    return {kind: nets[path] for kind, path in folders.items()}


def _controlnet(folder: Path, dtype: torch.dtype) -> nn.Module:
    """Union nets are published under several class names; what they count tells them."""
    union = "num_control_type" in read_json(folder / "config.json")
    return read_network(ControlNetUnionModel if union else ControlNetModel, folder, dtype)


def _placed(components: Components) -> Components:
    """On its device, convolutions in the layout that its cores are fastest with."""
    try:
        for module in components.modules:
            module.to(components.device).to(memory_format=memory_format(components.device))  # type: ignore[call-overload]
    except torch.OutOfMemoryError:
        raise OutOfMemory(
            f"{components.card.name} needs {components.bytes / 1e9:.1f} GB of {components.device}, which has less left",
            "unload other models, or take a smaller one (weft models lists them with what they need)",
        ) from None
    return components


def memory_format(device: torch.device) -> torch.memory_format:
    """Channels last on CUDA: its tensor cores convolve without reordering."""
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format
