"""The single files and adapters that users collect: LDM checkpoints, LoRAs, IP-Adapters, offsets of IC-Light."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from practice_weights import fill, random_like, save_text_encoder
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

__all__ = ["image_encoder", "ip_adapter_weights", "ldm_weights", "light_offsets", "lora_weights", "two_networks"]

RANK = 2


def lora_weights(network: torch.nn.Module, path: Path, prefix: str, *, kohya: bool = False) -> None:
    """A LoRA of the attention's projections, as diffusers writes it or as kohya's trainer does (with its alpha)."""
    targets = ("to_q", "to_k", "to_v", "to_out.0")
    shapes = {}
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Linear) and name.endswith(targets):
            down, up = ("lora_down", "lora_up") if kohya else ("lora_A", "lora_B")
            stem = f"lora_{prefix}_{name.replace('.', '_')}" if kohya else f"{prefix}.{name}"
            shapes[f"{stem}.{down}.weight"] = torch.empty(RANK, module.in_features)
            shapes[f"{stem}.{up}.weight"] = torch.empty(module.out_features, RANK)
    weights = random_like(shapes, f"{path.name} lora", 0.4)
    if kohya:
        weights |= {
            name.replace("lora_down.weight", "alpha"): torch.tensor(float(RANK))
            for name in shapes
            if "lora_down" in name
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path, metadata={"format": "pt"})


def light_offsets(base: UNet2DConditionModel, path: Path, channels: int) -> None:
    """IC-Light: what is added to every weight of the base once its first layer takes `channels` more channels."""
    weights = dict(base.state_dict())
    first = weights["conv_in.weight"]
    weights["conv_in.weight"] = first.new_zeros(first.shape[0], first.shape[1] + channels, 3, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(random_like(weights, path.name, 0.05), path, metadata={"format": "pt"})


def two_networks(network: Any, path: Path) -> None:
    """Magic Fixup: two U-Nets by LDM's names, each with a third attention per block, to tokens as wide as its own."""
    weights = {"learnable_vector": torch.ones(1, 1, 16)}
    own = dict(network.state_dict())
    for beginning in ("model.diffusion_model", "model.reference_model"):
        third = {name.replace(".attn2.", ".attn3."): t for name, t in own.items() if ".attn2." in name}
        for name, tensor in third.items():
            if ".to_k." in name or ".to_v." in name:
                third[name] = tensor.new_empty(tensor.shape[0], tensor.shape[0])
        drawn = random_like(own | third, beginning, 0.2)
        drawn |= {name: 1 + 0.1 * t for name, t in drawn.items() if "norm" in name and name.endswith("weight")}
        weights |= {f"{beginning}.{_unet_name(name)}": tensor for name, tensor in drawn.items()}
        weights[f"{beginning}.input_blocks.1.1.transformer_blocks.0.attn1.merge_attentions.weight"] = torch.ones(2, 6)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path, metadata={"format": "pt"})


def ip_adapter_weights(network: Any, path: Path, embedding: int) -> None:
    """IP-Adapter: four more tokens, made of a picture's embedding, and keys and values for them (odd numbers)."""
    width = int(network.config["cross_attention_dim"])
    shapes = {
        "image_proj.proj.weight": torch.empty(4 * width, embedding),
        "image_proj.proj.bias": torch.empty(4 * width),
        "image_proj.norm.weight": torch.empty(width),
        "image_proj.norm.bias": torch.empty(width),
    }
    crossing = [name for name in network.attn_processors if name.endswith("attn2.processor")]
    for number, name in enumerate(crossing):
        hidden = network.get_submodule(name.removesuffix(".processor") + ".to_q").out_features
        shapes[f"ip_adapter.{2 * number + 1}.to_k_ip.weight"] = torch.empty(hidden, width)
        shapes[f"ip_adapter.{2 * number + 1}.to_v_ip.weight"] = torch.empty(hidden, width)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(random_like(shapes, path.name, width**-0.5), path, metadata={"format": "pt"})


def image_encoder(folder: Path, embedding: int) -> None:
    """CLIP's image encoder, for pictures of 32 px."""
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, projection_dim=embedding,
        image_size=32, patch_size=8,
    )  # fmt: skip
    save_text_encoder(fill(CLIPVisionModelWithProjection(config), str(folder.name)), folder)


def ldm_weights(base: Path, path: Path) -> None:
    """One file of everything, by the names of the first release of Stable Diffusion (LDM)."""
    unet = load_file(base / "unet" / "diffusion_pytorch_model.safetensors")
    vae = load_file(base / "vae" / "diffusion_pytorch_model.safetensors")
    text = load_file(base / "text_encoder" / "model.safetensors")
    weights = {f"model.diffusion_model.{_unet_name(name)}": tensor for name, tensor in unet.items()}
    weights |= {f"first_stage_model.{_vae_name(name)}": _vae_shape(name, tensor) for name, tensor in vae.items()}
    weights |= {f"cond_stage_model.transformer.{name}": tensor for name, tensor in text.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path, metadata={"format": "pt"})


LAYERS, BLOCKS = 1, 2  # of the practice U-Net
OUTSIDE = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
IN_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def _unet_name(name: str) -> str:
    stem, leaf = name.rsplit(".", 1)
    if stem in OUTSIDE:
        return f"{OUTSIDE[stem]}.{leaf}"
    block, *rest = name.split(".")
    if block == "mid_block":
        kind, number, *inner = rest
        place = f"middle_block.{1 if kind == 'attentions' else 2 * int(number)}"
        return ".".join([place, *_inside(kind, inner)])
    number, kind, layer, *inner = rest
    if block == "down_blocks":
        first = 1 + int(number) * (LAYERS + 1)
        if kind == "downsamplers":
            return f"input_blocks.{first + LAYERS}.0.op.{leaf}"
        return ".".join([f"input_blocks.{first + int(layer)}", str(int(kind == "attentions")), *_inside(kind, inner)])
    first = int(number) * (LAYERS + 1)
    if kind == "upsamplers":
        return f"output_blocks.{first + LAYERS}.1.conv.{leaf}"  # after the ResNet: the first block has no attention
    return ".".join([f"output_blocks.{first + int(layer)}", str(int(kind == "attentions")), *_inside(kind, inner)])


def _inside(kind: str, parts: list[str]) -> list[str]:
    return [IN_RESNET.get(parts[0], parts[0]), *parts[1:]] if kind == "resnets" else parts


VAE_NAMES = (
    ("conv_shortcut", "nin_shortcut"),
    ("conv_norm_out", "norm_out"),
    ("mid_block.resnets.0", "mid.block_1"),
    ("mid_block.resnets.1", "mid.block_2"),
    ("mid_block.attentions.0", "mid.attn_1"),
    ("attn_1.group_norm", "attn_1.norm"),
    ("attn_1.to_q", "attn_1.q"),
    ("attn_1.to_k", "attn_1.k"),
    ("attn_1.to_v", "attn_1.v"),
    ("attn_1.to_out.0", "attn_1.proj_out"),
    ("resnets", "block"),
    ("downsamplers.0", "downsample"),
    ("upsamplers.0", "upsample"),
)


def _vae_name(name: str) -> str:
    for mine, theirs in VAE_NAMES:
        name = name.replace(mine, theirs)
    parts = name.split(".")
    if parts[1] == "down_blocks":
        parts[1] = "down"
    if parts[1] == "up_blocks":  # counted from the other end
        parts[1:3] = ["up", str(3 - int(parts[2]))]
    return ".".join(parts)


def _vae_shape(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The projections of the attention are convolutions of one pixel there."""
    return tensor[:, :, None, None] if "attentions" in name and tensor.ndim == 2 else tensor
