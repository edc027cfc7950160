"""Tiny models of the real classes, saved in diffusers' format as `<folder>/<owner>/<name>/…`, the same every time.

Only sizes differ from what is published: the classes, files, schedulers, channels of latents and the factor 8 of the
VAEs are those of the real models, and so are the 77 tokens. The U-Nets halve their latents once, so views are multiples
of 16 px. Values are random: pictures look like nothing, but they depend on every input.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from practice_single_file import image_encoder, ip_adapter_weights, ldm_weights, light_offsets, lora_weights
from practice_tokenizers import (
    CLIP_VOCABULARY,
    QWEN_VOCABULARY,
    T5_VOCABULARY,
    clip_tokenizer,
    qwen_tokenizer,
    t5_tokenizer,
)
from practice_weights import fill, save_model, save_text_encoder, write_json
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
)

__all__ = [
    "build_all",
    "controlnet",
    "flux2_klein",
    "ic_light",
    "inpainting",
    "instruct",
    "ip_adapter",
    "lora",
    "sd3",
    "sd15",
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
    """Everything that a card can name, two LoRAs of SD1.5, one of each other family, and a single file."""
    for build in (sd15, sdxl, union, instruct, inpainting, ic_light, ip_adapter, taesd, single_file, sd3, flux2_klein):
        build(folder)
    for kind in CONTROLS:
        controlnet(folder, kind)
    for family in ("sd15", "sdxl", "sd3", "flux2"):
        lora(folder, family)


def sd15(folder: Path) -> Path:
    return _diffusion(folder / "stable-diffusion-v1-5/stable-diffusion-v1-5", "StableDiffusionPipeline", channels=4)


def instruct(folder: Path) -> Path:
    """InstructPix2Pix: latents of the picture beside the noisy ones."""
    model = _diffusion(
        folder / "timbrooks/instruct-pix2pix", "StableDiffusionInstructPix2PixPipeline", channels=8,
        scheduler="EulerAncestralDiscreteScheduler",
    )  # fmt: skip
    return model


def inpainting(folder: Path) -> Path:
    """Noisy latents, mask, latents of the masked picture."""
    path = folder / "stable-diffusion-v1-5/stable-diffusion-inpainting"
    return _diffusion(path, "StableDiffusionInpaintPipeline", channels=9)


def _diffusion(path: Path, pipeline: str, *, channels: int, scheduler: str = "PNDMScheduler") -> Path:
    """A model of the family SD1.5."""
    save_model(_unet15(channels), path / "unet")
    save_model(_vae("sd15", 0.18215), path / "vae")
    save_text_encoder(_clip(path.name, "quick_gelu", projected=False), path / "text_encoder")
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
    save_model(_unetxl(), path / "unet")
    save_model(_vae("sdxl", 0.13025, force_upcast=True), path / "vae")
    save_text_encoder(_clip("sdxl 1", "quick_gelu", projected=False), path / "text_encoder")
    save_text_encoder(_clip("sdxl 2", "gelu", projected=True), path / "text_encoder_2")
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
    save_model(_transformer3(), path / "transformer")
    vae = _vae("sd3", 1.5305, latent_channels=16, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False)
    save_model(vae, path / "vae")
    save_text_encoder(_clip("sd3 1", "quick_gelu", projected=True), path / "text_encoder")
    save_text_encoder(_clip("sd3 2", "gelu", projected=True), path / "text_encoder_2")
    t5 = T5Config(
        vocab_size=T5_VOCABULARY, d_model=32, d_ff=32, d_kv=8, num_layers=1, num_heads=2,
        feed_forward_proj="gated-gelu", decoder_start_token_id=0,
    )  # fmt: skip
    save_text_encoder(fill(T5EncoderModel(t5), "sd3 3"), path / "text_encoder_3")
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
    """The pipeline reads hidden states 9, 18 and 27 of the text encoder, which therefore keeps 28 layers."""
    path = folder / "black-forest-labs/FLUX.2-klein-4B"
    save_model(_transformer_klein(), path / "transformer")
    vae = AutoencoderKLFlux2(
        block_out_channels=(8, 8, 8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=4, sample_size=64
    )
    save_model(fill(vae, "flux2 vae"), path / "vae")
    qwen = Qwen3Config(
        vocab_size=QWEN_VOCABULARY, hidden_size=8, intermediate_size=16, num_hidden_layers=28, num_attention_heads=2,
        num_key_value_heads=1, head_dim=4, max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    save_text_encoder(fill(Qwen3ForCausalLM(qwen), "flux2 text"), path / "text_encoder")
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
    net = ControlNetModel.from_unet(_unet15(4), conditioning_embedding_out_channels=(4, 8, 8, 8))
    save_model(fill(net, f"control {kind}"), path)
    return path


def union(folder: Path) -> Path:
    """Two files, as published: six kinds of control, and eight in `…_promax` with a config of its own."""
    path = folder / "xinsir/controlnet-union-sdxl-1.0"
    for kinds, name in ((8, "_promax"), (6, "")):
        net = ControlNetUnionModel.from_unet(_unetxl())
        config = {**dict(net.config), "num_control_type": kinds, "conditioning_embedding_out_channels": (4, 8, 8, 8)}
        config |= {"num_trans_channel": 8, "num_trans_head": 2, "num_proj_channel": 8}
        net = fill(ControlNetUnionModel.from_config(config), f"union {kinds}")
        save_model(net, path, f"diffusion_pytorch_model{name}.safetensors")
        if name:
            (path / "config.json").rename(path / f"config{name}.json")
    return path


def ic_light(folder: Path) -> Path:
    path = folder / "lllyasviel/ic-light"
    light_offsets(_unet15(4), path / "iclight_sd15_fc.safetensors", 4)
    light_offsets(_unet15(4), path / "iclight_sd15_fbc.safetensors", 8)
    return path


def ip_adapter(folder: Path) -> Path:
    path = folder / "h94/IP-Adapter"
    image_encoder(path / "models" / "image_encoder", embedding=16)
    ip_adapter_weights(_unet15(4), path / "models" / "ip-adapter_sd15.safetensors", 16)
    ip_adapter_weights(_unetxl(), path / "sdxl_models" / "ip-adapter_sdxl_vit-h.safetensors", 16)
    return path


def taesd(folder: Path) -> Path:
    for name in ("taesd", "taesdxl"):
        one, width = (1, 1, 1, 1), (8, 8, 8, 8)
        net = AutoencoderTiny(
            encoder_block_out_channels=width, decoder_block_out_channels=width,
            num_encoder_blocks=one, num_decoder_blocks=one,
        )  # fmt: skip
        save_model(fill(net, name), folder / "madebyollin" / name)
    return folder / "madebyollin/taesd"


def lora(folder: Path, family: str) -> Path:
    """`practice-lora-<family>.safetensors`; for SD1.5 also `practice-kohya-sd15.safetensors`, other names inside."""
    path = folder / f"practice-lora-{family}.safetensors"
    network, prefix = {
        "sd15": (lambda: _unet15(4), "unet"),
        "sdxl": (_unetxl, "unet"),
        "sd3": (_transformer3, "transformer"),
        "flux2": (_transformer_klein, "transformer"),
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


def _unet15(channels: int) -> UNet2DConditionModel:
    net = UNet2DConditionModel(
        sample_size=16, in_channels=channels, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16, attention_head_dim=2,
    )  # fmt: skip
    return _filled(net, f"unet {channels}")


def _unetxl() -> UNet2DConditionModel:
    net = UNet2DConditionModel(
        sample_size=16, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32, attention_head_dim=(1, 2), transformer_layers_per_block=(1, 2),
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=40,
    )  # fmt: skip
    return _filled(net, "unet xl")


def _filled(net: UNet2DConditionModel, seed: str) -> UNet2DConditionModel:
    fill(net, seed)
    return net


def _transformer3() -> torch.nn.Module:
    net = SD3Transformer2DModel(
        sample_size=16, num_layers=2, attention_head_dim=8, num_attention_heads=2, joint_attention_dim=32,
        caption_projection_dim=16, pooled_projection_dim=32, pos_embed_max_size=24, dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )  # fmt: skip
    return fill(net, "transformer 3")


def _transformer_klein() -> torch.nn.Module:
    net = Flux2Transformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=24, timestep_guidance_channels=8, axes_dims_rope=(2, 2, 2, 2), guidance_embeds=False,
    )  # fmt: skip
    return fill(net, "transformer klein")


def _vae(seed: str, scaling: float, **settings: Any) -> torch.nn.Module:
    """Four blocks, so that the factor is 8."""
    net = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4, sample_size=64, scaling_factor=scaling,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        **settings,
    )  # fmt: skip
    return fill(net, f"vae {seed}")


def _clip(seed: str, activation: str, *, projected: bool) -> torch.nn.Module:
    config = CLIPTextConfig(
        vocab_size=CLIP_VOCABULARY, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=16, hidden_act=activation, bos_token_id=0, eos_token_id=2, pad_token_id=1,
    )  # fmt: skip
    return fill((CLIPTextModelWithProjection if projected else CLIPTextModel)(config), f"clip {seed}")
