"""Weights for tiny networks: random, from a seed, and such that every input makes a difference to the output."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

__all__ = ["fill", "random_like", "save_model", "save_text_encoder", "write_json"]


def fill(module: torch.nn.Module, seed: str) -> torch.nn.Module:
    """Every parameter is drawn anew, those that start as zero too (the last layers of ControlNets do)."""
    generator = torch.Generator().manual_seed(zlib.crc32(seed.encode()))
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(_drawn(name, tuple(parameter.shape), generator))
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):  # of a batch normalisation that scales latents
                buffer.copy_(0.3 * torch.randn(buffer.shape, generator=generator))
            if name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return module.eval()


def _drawn(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(shape, generator=generator)
    if len(shape) < 2:
        return 0.1 * noise if name.endswith("bias") else 1 + 0.1 * noise
    inputs = noise[0].numel()  # keeps the variance from layer to layer …
    gain = 1.8 if "cond_embedding" in name else 1.0  # … and where nothing normalises, so that the picture counts
    return gain * noise * inputs**-0.5


def random_like(weights: Mapping[str, torch.Tensor], seed: str, scale: float) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(zlib.crc32(seed.encode()))
    return {name: scale * torch.randn(tensor.shape, generator=generator) for name, tensor in weights.items()}


def save_model(module: Any, folder: Path, name: str = "diffusion_pytorch_model.safetensors") -> None:
    """A network of diffusers: config.json and one file of safetensors."""
    module.save_config(folder)
    save_file(_contiguous(module.state_dict()), folder / name, metadata={"format": "pt"})


def save_text_encoder(module: Any, folder: Path) -> None:
    """A network of transformers, its keys as they are published: those of CLIP begin with `text_model.`."""
    module.config.architectures = [type(module).__name__]
    module.config.save_pretrained(folder)
    weights = _contiguous(module.state_dict())
    if type(module).__name__ == "CLIPTextModel":
        weights = {name if name.startswith("text_model.") else f"text_model.{name}": t for name, t in weights.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _contiguous(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each tensor once: tied weights are saved under their first name, as publishers do."""
    seen: set[int] = set()
    kept = {}
    for name, tensor in weights.items():
        if tensor.data_ptr() in seen and tensor.numel():
            continue
        seen.add(tensor.data_ptr())
        kept[name] = tensor.contiguous()
    return kept


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False), "utf-8")
