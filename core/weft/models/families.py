"""What belongs together: every part of a model is held to the base it is to work with, by configs and headers alone.

Sizes are compared with those of the base itself, never with published numbers: a family has small and large members.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weft.errors import BadCheckpoint, ModelMismatch, ModelMissing
from weft.models.cards import CARDS, Card
from weft.models.checkpoint_files import Weights, read_json, read_weights, weights_in

__all__ = ["Base", "check_class", "check_configs", "examine_base", "reads_text"]

NAMES = {
    "sd15": "Stable Diffusion 1 or 2",
    "sdxl": "SDXL",
    "sd3": "Stable Diffusion 3",
    "flux2": "FLUX.2",
    "zero123": "Zero123",
}
PIPELINES = {  # the first pattern that a pipeline's name begins with
    "StableDiffusionXL": "sdxl",
    "StableDiffusion3": "sd3",
    "StableDiffusion": "sd15",
    "Flux2": "flux2",
    "Zero1to3StableDiffusion": "zero123",
}
# What a base consists of: {folder: the class that its config names}. Of transformers' models a beginning is enough.
_CLIP = {"tokenizer": "", "text_encoder": "CLIPText"}
_TWO_CLIPS = {**_CLIP, "tokenizer_2": "", "text_encoder_2": "CLIPTextModelWithProjection"}
_UNET = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL", "scheduler": ""}
COMPONENTS = {
    "sd15": {**_UNET, **_CLIP},
    "sdxl": {**_UNET, **_TWO_CLIPS},
    "zero123": {**_UNET, "image_encoder": "CLIPVisionModelWithProjection"},
    "sd3": {"transformer": "SD3Transformer2DModel", "vae": "AutoencoderKL", "scheduler": "", **_TWO_CLIPS},
    "flux2": {
        "transformer": "Flux2Transformer2DModel", "vae": "AutoencoderKLFlux2", "scheduler": "", "tokenizer": "",
        "text_encoder": "Qwen3",
    },
}  # fmt: skip
# {family: {folder whose absence is no loss: what then belongs together}}
OPTIONAL = {"sd3": {"text_encoder_3": {"text_encoder_3": "T5EncoderModel", "tokenizer_3": ""}}}
CONFIGS = {"scheduler": "scheduler_config.json", "tokenizer": "tokenizer_config.json"}
VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",))  # any of these is whole
# Channels of the network's input for each channel of the latent, and on top of them.
INPUTS = {
    "instruct-pix2pix": (2, 0),
    "sd15-inpainting": (2, 1),
    "neural-gaffer": (2, 0),  # of its base: its own weights take four
    "flux2-klein": (4, 0),
    "flux2-klein-edit": (4, 0),
}
SINGLE_FILES = {  # a weight whose name begins like this tells the family of a single file
    "model.diffusion_model.joint_blocks.": "sd3",
    "model.diffusion_model.double_blocks.": "flux",
    "conditioner.embedders.1.": "sdxl",
    "cond_stage_model.": "sd15",
}
FIRST = ("conv_in.weight", "model.diffusion_model.input_blocks.0.0.weight")
SCALES = {"sd15": 0.18215, "sdxl": 0.13025}  # of latents


@dataclass(frozen=True)
class Base:
    """What the other parts of a model are compared with."""

    name: str  # as it was asked for
    family: str
    weights: Weights  # all of them
    network: Mapping[str, tuple[int, ...]]  # shapes of the U-Net or transformer, by the names in the files
    context: int | None  # width of the text that the network attends to
    config: Mapping[str, Any] = field(default_factory=dict)  # of the network; {} for a single file
    latent: int | None = None  # channels


def examine_base(path: Path, card: Card, name: str) -> Base:
    """Hold a base to its card. Raises ModelMissing, BadCheckpoint, ModelMismatch."""
    base = _single_file(path, name) if path.is_file() else _folder(path, name, card)
    if base.family != card.family:
        fitting = NAMES.get(base.family, base.family)
        raise ModelMismatch(f"{name} is a model of {fitting}; {card.name} needs {NAMES[card.family]}", "choose another")
    _check_input(base, card)
    return base


def _folder(path: Path, name: str, card: Card) -> Base:
    index = read_json(path / "model_index.json")
    family = _family_of(str(index.get("_class_name")), path)
    if family != card.family:
        return Base(name, family, Weights({}, 0), {}, None)
    configs, weights = {}, {}
    for folder, wanted in COMPONENTS[family].items():
        configs[folder], weights[folder] = _component(path / folder, wanted)
    for present, together in OPTIONAL.get(family, {}).items():
        for folder, wanted in together.items() if (path / present).is_dir() else ():
            configs[folder], weights[folder] = _component(path / folder, wanted)
    network = "unet" if "unet" in configs else "transformer"
    config = configs[network]
    _check_latents(configs["vae"], family, name)
    context = config.get("cross_attention_dim", config.get("joint_attention_dim"))
    if isinstance(context, list):
        context = context[0] if context else None
    everything = Weights({}, 0).joined(
        Weights({f"{folder}.{key}": shape for key, shape in found.shapes.items()}, found.size)
        for folder, found in weights.items()
    )
    return Base(
        name, family, everything, weights[network].shapes, context, config, configs["vae"].get("latent_channels")
    )


def _family_of(pipeline: str, path: Path) -> str:
    for beginning, family in PIPELINES.items():
        if pipeline.startswith(beginning) and pipeline.endswith("Pipeline"):
            return family
    known = ", ".join(f"{beginning}…Pipeline" for beginning in PIPELINES)
    raise BadCheckpoint(f"model_index.json of {path} names the class {pipeline}", f"known classes: {known}")


def _component(folder: Path, wanted: str) -> tuple[dict[str, Any], Weights]:
    """The config and the weights of one folder; of a scheduler or a tokenizer only that it is there."""
    if not folder.is_dir():
        raise ModelMissing(f"there is no folder {folder.name} in {folder.parent}")
    config = read_json(folder / _config_name(folder.name))
    _check_vocabulary(folder)
    if not wanted:
        return config, Weights({}, 0)
    check_class(config, wanted, folder)
    return config, weights_in(folder)


def check_configs(path: Path, family: str) -> None:
    """Raise ModelMissing unless all configs and tokenizers of a base are there, which single files come without."""
    for folder in COMPONENTS[family]:
        read_json(path / folder / _config_name(folder))
        _check_vocabulary(path / folder)


def _check_vocabulary(folder: Path) -> None:
    if not folder.name.startswith("tokenizer"):
        return
    if not any(all((folder / name).is_file() for name in files) for files in VOCABULARIES):
        expected = ", or ".join(" and ".join(files) for files in VOCABULARIES)
        raise ModelMissing(f"there is no vocabulary in {folder}, expected {expected}")


def _config_name(folder: str) -> str:
    return CONFIGS.get(folder.rstrip("_23"), "config.json")


def check_class(config: Mapping[str, Any], wanted: str, folder: Path) -> None:
    """diffusers names the class of a config; transformers lists it, and of its names a beginning is enough."""
    named, listed = config.get("_class_name"), config.get("architectures")
    if named == wanted or (isinstance(listed, list) and any(str(name).startswith(wanted) for name in listed)):
        return
    told = f"is for the class {named or listed}" if named or listed else "names no class"
    raise BadCheckpoint(f"config.json of {folder} {told}, not {wanted}", "fetch the model that the card names")


def _single_file(path: Path, name: str) -> Base:
    weights = read_weights(path)
    shapes = weights.shapes
    if any("lora" in key for key in shapes):
        raise BadCheckpoint(f"{name} is a LoRA, not a model", "name it among the LoRAs")
    family = next((f for prefix, f in SINGLE_FILES.items() if any(key.startswith(prefix) for key in shapes)), None)
    if family is None:
        raise BadCheckpoint(f"{name} is no whole model in one file", "it needs network, VAE and text encoder")
    contexts = [shape[1] for key, shape in shapes.items() if "diffusion_model" in key and reads_text(key)]
    vae = shapes.get("first_stage_model.post_quant_conv.weight")
    network = {key: shape for key, shape in shapes.items() if key.startswith("model.diffusion_model.")}
    return Base(name, family, weights, network, contexts[0] if contexts else None, latent=vae[0] if vae else None)


def reads_text(key: str) -> bool:
    """Whether a weight makes keys out of the text."""
    return re.search(r"attn2[._]to_k\b", key) is not None and key.endswith("weight")


def _check_input(base: Base, card: Card) -> None:
    """The first layer must take what the card says, and the latents must be those of the VAE."""
    first = next((base.network[name] for name in FIRST if name in base.network), None)
    found = base.config.get("in_channels", first[1] if first else None)
    if first and found != first[1]:
        message = f"{base.name}: its config tells of {found} input channels, its weights of {first[1]}"
        raise BadCheckpoint(message, "fetch it again")
    if found is None or base.latent is None or found == _inputs(card.name, base.latent):
        return
    named = [other.name for other in CARDS.values() if other.family == card.family and other.part("offset") is None]
    fitting = next((name for name in named if found == _inputs(name, base.latent)), None)
    if fitting is None:
        message = f"the network of {base.name} takes {found} channels, which its VAE of {base.latent} does not fit"
        raise ModelMismatch(message, "they are of different models: fetch both from one place")
    message = f"{base.name} takes {found} channels, {card.name} {_inputs(card.name, base.latent)}"
    raise ModelMismatch(message, f"ask for it with the model {fitting}")


def _inputs(name: str, latent: int) -> int:
    """Channels that the network of a card takes, for latents of so many."""
    times, more = INPUTS.get(name, (1, 0))
    return times * latent + more


def _check_latents(vae: Mapping[str, Any], family: str, name: str) -> None:
    """VAEs of different families have the same shape; the scale of their latents tells them apart."""
    scale = vae.get("scaling_factor")
    foreign = next((f for f, known in SCALES.items() if f != family and scale == known), None)
    if foreign and family in SCALES:
        raise ModelMismatch(f"the VAE of {name} is that of {NAMES[foreign]}", f"take one of {NAMES[family]}")
