"""The networks themselves, of the real classes and very small, their weights from a seed."""

from __future__ import annotations

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
from practice_tokenizers import CLIP_VOCABULARY, QWEN_VOCABULARY, T5_VOCABULARY
from practice_weights import fill
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
    "clip",
    "control_net",
    "qwen",
    "t5",
    "tiny_vae",
    "transformer3",
    "transformer_klein",
    "unet15",
    "unetxl",
    "union_net",
    "vae",
    "vae_klein",
]

SHARED_WITH_UNION = (
    "block_out_channels",
    "layers_per_block",
    "norm_num_groups",
    "down_block_types",
    "cross_attention_dim",
    "attention_head_dim",
    "transformer_layers_per_block",
    "use_linear_projection",
    "addition_embed_type",
    "addition_time_embed_dim",
    "projection_class_embeddings_input_dim",
)


def unet15(channels: int) -> UNet2DConditionModel:
    return unet(
        f"unet {channels}", in_channels=channels, cross_attention_dim=16, attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip


def unetxl() -> UNet2DConditionModel:
    return unet(
        "unet xl", cross_attention_dim=32, attention_head_dim=(1, 2), transformer_layers_per_block=(1, 2),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=40,
    )  # fmt: skip


def unet(seed: str, **settings: Any) -> UNet2DConditionModel:
    net = UNet2DConditionModel(
        sample_size=16, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, **settings
    )
    fill(net, seed)
    return net


def transformer3() -> torch.nn.Module:
    net = SD3Transformer2DModel(
        sample_size=16, num_layers=2, attention_head_dim=8, num_attention_heads=2, joint_attention_dim=32,
        caption_projection_dim=16, pooled_projection_dim=32, pos_embed_max_size=24, dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )  # fmt: skip
    return fill(net, "transformer 3")


def transformer_klein() -> torch.nn.Module:
    net = Flux2Transformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=24, timestep_guidance_channels=8, axes_dims_rope=(2, 2, 2, 2), guidance_embeds=False,
    )  # fmt: skip
    return fill(net, "transformer klein")


def vae(seed: str, scaling: float, **settings: Any) -> torch.nn.Module:
    """Four blocks, so that the factor is 8."""
    settings |= {
        "block_out_channels": (8, 8, 8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
    }
    net = AutoencoderKL(layers_per_block=1, norm_num_groups=4, sample_size=64, scaling_factor=scaling, **settings)
    return fill(net, f"vae {seed}")


def clip(seed: str, activation: str, *, projected: bool) -> torch.nn.Module:
    config = CLIPTextConfig(
        vocab_size=CLIP_VOCABULARY, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=16, hidden_act=activation, bos_token_id=0, eos_token_id=2, pad_token_id=1,
    )  # fmt: skip
    return fill((CLIPTextModelWithProjection if projected else CLIPTextModel)(config), f"clip {seed}")


def t5() -> torch.nn.Module:
    config = T5Config(
        vocab_size=T5_VOCABULARY, d_model=32, d_ff=32, d_kv=8, num_layers=1, num_heads=2, feed_forward_proj="gated-gelu"
    )
    return fill(T5EncoderModel(config), "t5")


def qwen() -> torch.nn.Module:
    """The pipeline reads hidden states 9, 18 and 27, hence 28 layers."""
    config = Qwen3Config(
        vocab_size=QWEN_VOCABULARY, hidden_size=8, intermediate_size=16, num_hidden_layers=28, num_attention_heads=2,
        num_key_value_heads=1, head_dim=4, max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    return fill(Qwen3ForCausalLM(config), "qwen")


def vae_klein() -> torch.nn.Module:
    net = AutoencoderKLFlux2(
        block_out_channels=(8, 8, 8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=4, sample_size=64
    )
    return fill(net, "vae klein")


def tiny_vae(seed: str, channels: int) -> torch.nn.Module:
    one, width = (1, 1, 1, 1), (8, 8, 8, 8)
    net = AutoencoderTiny(
        encoder_block_out_channels=width, decoder_block_out_channels=width, num_encoder_blocks=one,
        num_decoder_blocks=one, latent_channels=channels,
    )  # fmt: skip
    return fill(net, seed)


def control_net(seed: str) -> torch.nn.Module:
    net = ControlNetModel.from_unet(unet15(4), conditioning_embedding_out_channels=(4, 8, 8, 8))
    return fill(net, f"control {seed}")


def union_net(kinds: int) -> torch.nn.Module:
    like_base = {name: value for name, value in unetxl().config.items() if name in SHARED_WITH_UNION}
    net = ControlNetUnionModel(
        **like_base, conditioning_embedding_out_channels=(4, 8, 8, 8), num_control_type=kinds, num_trans_channel=8,
        num_trans_head=2, num_proj_channel=8,
    )  # fmt: skip
    return fill(net, f"union {kinds}")
