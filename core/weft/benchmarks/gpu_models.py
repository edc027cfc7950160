"""Networks of published shapes with random weights: what speed and memory are measured on where no weights are.

Neither depends on the values of weights. The numbers are those of the publishers' config.json: Stable Diffusion 1.5
(Rombach et al. 2022) with a ControlNet (Zhang et al. 2023), Stable Diffusion XL (Podell et al. 2023) with the union
net of xinsir; the "tiny" ones have the same classes and run on any processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from weft.errors import UnknownName
from weft.models.cards import card_named
from weft.models.networks.components import Components
from weft.models.networks.loading import memory_format

__all__ = ["SHAPES", "Shape", "build", "network_and_control", "shape_named"]

VOCABULARY = 49408
_SCHEDULER = {
    "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
    "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1, "prediction_type": "epsilon",
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """A model's configuration. What U-Net and ControlNet share is said once."""

    card: str
    shared: Mapping[str, Any]  # of U-Net and ControlNet
    unet: Mapping[str, Any]
    control: Mapping[str, Any]
    union: bool
    vae: Mapping[str, Any]
    texts: tuple[Mapping[str, Any], ...]  # the second one with a projection
    vocabulary: int = VOCABULARY

    @property
    def unit(self) -> int:
        """px; sides of views are multiples of it: what the VAE and the U-Net halve."""
        halvings = len(self.vae["block_out_channels"]) + len(self.shared["block_out_channels"]) - 2
        return 2**halvings


def _blocks(*kinds: str) -> dict[str, tuple[str, ...]]:
    """From the finest level down, and back: "C" with cross-attention, "P" plain."""
    names = {"C": "CrossAttn", "P": ""}
    return {
        "down_block_types": tuple(f"{names[kind]}DownBlock2D" for kind in kinds),
        "up_block_types": tuple(f"{names[kind]}UpBlock2D" for kind in reversed(kinds)),
    }


def _shared(blocks: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    return {"down_block_types": blocks["down_block_types"], "layers_per_block": 2, **settings}


def _text(hidden: int, layers: int, heads: int, act: str) -> dict[str, Any]:
    return {
        "hidden_size": hidden, "intermediate_size": 4 * hidden, "num_hidden_layers": layers,
        "num_attention_heads": heads, "hidden_act": act, "projection_dim": hidden,
    }  # fmt: skip


def _vae(channels: tuple[int, ...], scaling: float, **settings: Any) -> dict[str, Any]:
    count = len(channels)
    return {
        "block_out_channels": channels, "down_block_types": ("DownEncoderBlock2D",) * count,
        "up_block_types": ("UpDecoderBlock2D",) * count, "layers_per_block": 2, "latent_channels": 4,
        "scaling_factor": scaling, **settings,
    }  # fmt: skip


_FOUR, _THREE, _TWO = _blocks("C", "C", "C", "P"), _blocks("P", "C", "C"), _blocks("C", "P")
_HINT = {"conditioning_embedding_out_channels": (16, 32, 96, 256)}
_CLIP_L, _BIG_G = _text(768, 12, 12, "quick_gelu"), _text(1280, 32, 20, "gelu")
_TIMES = {"addition_embed_type": "text_time", "use_linear_projection": True}

SHAPES: Mapping[str, Shape] = {
    "sd15": Shape(
        "sd15",
        _shared(_FOUR, block_out_channels=(320, 640, 1280, 1280), attention_head_dim=8, cross_attention_dim=768),
        {"sample_size": 64, "up_block_types": _FOUR["up_block_types"]},
        _HINT, False, _vae((128, 256, 512, 512), 0.18215), (_CLIP_L,),
    ),
    "sdxl": Shape(
        "sdxl",
        _shared(
            _THREE, block_out_channels=(320, 640, 1280), attention_head_dim=(5, 10, 20), cross_attention_dim=2048,
            transformer_layers_per_block=(1, 2, 10), addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816, **_TIMES,
        ),
        {"sample_size": 128, "up_block_types": _THREE["up_block_types"]},
        {**_HINT, "num_control_type": 8}, True, _vae((128, 256, 512, 512), 0.13025), (_CLIP_L, _BIG_G),
    ),
    "tiny-sd15": Shape(
        "sd15",
        _shared(_TWO, block_out_channels=(8, 16), attention_head_dim=2, cross_attention_dim=16, norm_num_groups=4),
        {"sample_size": 16, "up_block_types": _TWO["up_block_types"]},
        {"conditioning_embedding_out_channels": (4, 8, 8, 16)}, False, _vae((8, 8, 8, 8), 0.18215, norm_num_groups=4),
        (_text(16, 2, 2, "quick_gelu"),), vocabulary=1024,
    ),
    "tiny-sdxl": Shape(
        "sdxl",
        _shared(
            _blocks("P", "C"), block_out_channels=(8, 16), attention_head_dim=(1, 2), cross_attention_dim=32,
            transformer_layers_per_block=(1, 2), addition_time_embed_dim=4, norm_num_groups=4,
            projection_class_embeddings_input_dim=40, **_TIMES,
        ),
        {"sample_size": 16, "up_block_types": _blocks("P", "C")["up_block_types"]},
        {
            "conditioning_embedding_out_channels": (4, 8, 8, 16), "num_control_type": 8, "num_trans_channel": 8,
            "num_trans_head": 2, "num_proj_channel": 8,
        },
        True, _vae((8, 8, 8, 8), 0.13025, norm_num_groups=4), (_text(16, 2, 2, "quick_gelu"), _text(16, 2, 2, "gelu")),
        vocabulary=1024,
    ),
}  # fmt: skip


def shape_named(model: str, *, tiny: bool = False) -> Shape:
    name = f"tiny-{model}" if tiny else model
    if name not in SHAPES:
        known = ", ".join(name for name in SHAPES if not name.startswith("tiny-"))
        raise UnknownName(f"no model {model!r} is built from published shapes", f"choose one of {known}")
    return SHAPES[name]


def build(shape: Shape, device: torch.device, dtype: torch.dtype, seed: int = 0) -> Components:
    """The components of `shape` with weights drawn on the device itself; the global generators are left as they were.

    Convolutions that publishers begin at zero get values: a ControlNet that adds zeros might be optimised away.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        network, control = network_and_control(shape, device, dtype)
        vae = _placed(lambda: AutoencoderKL(**shape.vae), device, dtype)
        texts = [_placed(lambda i=i: _text_encoder(shape, i), device, dtype) for i in range(len(shape.texts))]
    return Components(
        card=card_named(shape.card),
        network=network,
        vae=vae,
        tokenizers=tuple(_tokenizer(shape.vocabulary) for _ in texts),
        text_encoders=tuple(texts),
        scheduler=_SCHEDULER,
        device=device,
        dtype=dtype,
        controlnets={"depth": control},
    )


def network_and_control(
    shape: Shape, device: torch.device, dtype: torch.dtype
) -> tuple[UNet2DConditionModel, torch.nn.Module]:
    """The U-Net and its ControlNet, ready to be evaluated; on "meta" they have shapes and no values."""
    kind = ControlNetUnionModel if shape.union else ControlNetModel
    network = _placed(lambda: UNet2DConditionModel(**shape.shared, **shape.unet), device, dtype)
    control = _placed(lambda: kind(**shape.shared, **shape.control), device, dtype)
    if device.type != "meta":
        for parameter in control.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=1e-3)
    return network, control


def _placed(make: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """A module made on the device, in evaluation mode, laid out as the loader lays it out."""
    with device:
        module = make()
    return module.to(dtype=dtype, memory_format=memory_format(device)).eval().requires_grad_(False)


def _text_encoder(shape: Shape, index: int) -> torch.nn.Module:
    config = CLIPTextConfig(
        **shape.texts[index], vocab_size=shape.vocabulary, bos_token_id=0, eos_token_id=2, pad_token_id=1
    )
    return CLIPTextModelWithProjection(config) if index else CLIPTextModel(config)


def _tokenizer(vocabulary: int) -> Any:
    """Single letters, and as many tokens as the encoder embeds; which words have tokens of their own costs nothing."""
    letters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += [f"unused {index}" for index in range(vocabulary - len(tokens) - 2)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: index for index, token in enumerate(tokens)}, merges=[], model_max_length=77)
