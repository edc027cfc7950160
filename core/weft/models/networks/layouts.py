"""Where each family of models keeps its parts in a folder of diffusers' format, and which classes read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import diffusers
import transformers
from diffusers import loaders

from weft.errors import UnknownName

__all__ = ["LAYOUTS", "Layout", "Slot", "layout_of"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One subfolder of a model."""

    folder: str
    reader: Any  # a class with `from_pretrained`
    optional: bool = False  # the model works without it


@dataclass(frozen=True, slots=True)
class Layout:
    """What a family's models consist of. `text_encoders` lie beside their `tokenizers`."""

    network: Slot
    vae: Slot
    tokenizers: tuple[Slot, ...]
    text_encoders: tuple[Slot, ...]
    lora: Any  # diffusers' mixin that knows the names in this family's LoRAs
    lora_encoders: int  # how many text encoders, from the first, LoRAs of this family may change
    single_file: bool = False  # its checkpoints are also told as one file


UNET = Slot("unet", diffusers.UNet2DConditionModel)
VAE = Slot("vae", diffusers.AutoencoderKL)

LAYOUTS = {
    "sd15": Layout(
        network=UNET,
        vae=VAE,
        tokenizers=(Slot("tokenizer", transformers.CLIPTokenizer),),
        text_encoders=(Slot("text_encoder", transformers.CLIPTextModel),),
        lora=loaders.StableDiffusionLoraLoaderMixin,
        lora_encoders=1,
        single_file=True,
    ),
    "sdxl": Layout(
        network=UNET,
        vae=VAE,
        tokenizers=(Slot("tokenizer", transformers.CLIPTokenizer), Slot("tokenizer_2", transformers.CLIPTokenizer)),
        text_encoders=(
            Slot("text_encoder", transformers.CLIPTextModel),
            Slot("text_encoder_2", transformers.CLIPTextModelWithProjection),
        ),
        lora=loaders.StableDiffusionXLLoraLoaderMixin,
        lora_encoders=2,
        single_file=True,
    ),
    "sd3": Layout(
        network=Slot("transformer", diffusers.SD3Transformer2DModel),
        vae=VAE,
        tokenizers=(
            Slot("tokenizer", transformers.CLIPTokenizer),
            Slot("tokenizer_2", transformers.CLIPTokenizer),
            Slot("tokenizer_3", transformers.T5TokenizerFast, optional=True),
        ),
        text_encoders=(
            Slot("text_encoder", transformers.CLIPTextModelWithProjection),
            Slot("text_encoder_2", transformers.CLIPTextModelWithProjection),
            Slot("text_encoder_3", transformers.T5EncoderModel, optional=True),  # 9.5 GB; SD3 was trained to miss it
        ),
        lora=loaders.SD3LoraLoaderMixin,
        lora_encoders=2,
    ),
    "flux2": Layout(
        network=Slot("transformer", diffusers.Flux2Transformer2DModel),
        vae=Slot("vae", diffusers.AutoencoderKLFlux2),
        tokenizers=(Slot("tokenizer", transformers.Qwen2TokenizerFast),),
        text_encoders=(Slot("text_encoder", transformers.Qwen3ForCausalLM),),
        lora=loaders.Flux2LoraLoaderMixin,
        lora_encoders=0,
    ),
}


def layout_of(family: str) -> Layout:
    """UnknownName for a family that no loader knows."""
    if family not in LAYOUTS:
        raise UnknownName(f"there is no loader for models of the family {family!r}", f"known are {', '.join(LAYOUTS)}")
    return LAYOUTS[family]
