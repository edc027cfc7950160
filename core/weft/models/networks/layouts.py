"""Where each family of models keeps its parts in a folder of diffusers' format, and which classes read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diffusers.loaders.lora_pipeline import (
    Flux2LoraLoaderMixin,
    SD3LoraLoaderMixin,
    StableDiffusionLoraLoaderMixin,
    StableDiffusionXLLoraLoaderMixin,
)
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
    Qwen2TokenizerFast,  # pyright: ignore[reportAttributeAccessIssue]  # a name that is only made at run time
    Qwen3ForCausalLM,
    T5EncoderModel,
    T5TokenizerFast,  # pyright: ignore[reportAttributeAccessIssue]
)

from weft.errors import UnknownName

__all__ = ["LAYOUTS", "Layout", "Slot", "layout_of"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One subfolder of a model."""

    folder: str
    reader: Any  # a class with `from_pretrained`
    optional: bool = False  # the model works without it
    beside: str = ""  # the subfolder that it goes with: both are there, or neither counts


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
    image_encoder: Slot | None = None  # of networks that are told a picture in the place of words


UNET = Slot("unet", UNet2DConditionModel)
VAE = Slot("vae", AutoencoderKL)

LAYOUTS = {
    "sd15": Layout(
        network=UNET,
        vae=VAE,
        tokenizers=(Slot("tokenizer", CLIPTokenizer),),
        text_encoders=(Slot("text_encoder", CLIPTextModel),),
        lora=StableDiffusionLoraLoaderMixin,
        lora_encoders=1,
        single_file=True,
    ),
    "sdxl": Layout(
        network=UNET,
        vae=VAE,
        tokenizers=(Slot("tokenizer", CLIPTokenizer), Slot("tokenizer_2", CLIPTokenizer)),
        text_encoders=(
            Slot("text_encoder", CLIPTextModel),
            Slot("text_encoder_2", CLIPTextModelWithProjection),
        ),
        lora=StableDiffusionXLLoraLoaderMixin,
        lora_encoders=2,
        single_file=True,
    ),
    "zero123": Layout(
        network=UNET,
        vae=VAE,
        tokenizers=(),
        text_encoders=(),
        lora=StableDiffusionLoraLoaderMixin,
        lora_encoders=0,
        image_encoder=Slot("image_encoder", CLIPVisionModelWithProjection),
    ),
    "sd3": Layout(
        network=Slot("transformer", SD3Transformer2DModel),
        vae=VAE,
        tokenizers=(
            Slot("tokenizer", CLIPTokenizer),
            Slot("tokenizer_2", CLIPTokenizer),
            Slot("tokenizer_3", T5TokenizerFast, optional=True, beside="text_encoder_3"),
        ),
        text_encoders=(
            Slot("text_encoder", CLIPTextModelWithProjection),
            Slot("text_encoder_2", CLIPTextModelWithProjection),
            Slot("text_encoder_3", T5EncoderModel, optional=True),  # 9.5 GB; SD3 was trained to miss it
        ),
        lora=SD3LoraLoaderMixin,
        lora_encoders=2,
    ),
    "flux2": Layout(
        network=Slot("transformer", Flux2Transformer2DModel),
        vae=Slot("vae", AutoencoderKLFlux2),
        tokenizers=(Slot("tokenizer", Qwen2TokenizerFast),),
        text_encoders=(Slot("text_encoder", Qwen3ForCausalLM),),
        lora=Flux2LoraLoaderMixin,
        lora_encoders=0,
    ),
}


def layout_of(family: str) -> Layout:
    """UnknownName for a family that no loader knows."""
    if family not in LAYOUTS:
        raise UnknownName(f"there is no loader for models of the family {family!r}", f"known are {', '.join(LAYOUTS)}")
    return LAYOUTS[family]
