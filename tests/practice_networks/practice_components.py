"""The tiny models as tests of networks take them: loaded by the ordinary path, and as diffusers' own pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from weft.models.cards import ModelRequest
from weft.models.library import Library
from weft.models.networks.components import Components
from weft.models.networks.loading import load
from weft.models.networks.quiet import quietly
from weft.noise import gaussian, generator

__all__ = ["components", "latents", "pictures", "piped"]


def components(
    folder: Path,
    name: str,
    *,
    controls: tuple[str, ...] = (),
    style: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Components:
    """The parts of the card `name`, on the CPU. Every call reads them anew."""
    request = ModelRequest(name, controls=controls, style=style)
    return load(Library([folder]).resolve(request), request, device=torch.device("cpu"), dtype=dtype)


def piped(pipeline: type, parts: Components, **settings: Any) -> torch.Tensor:
    """What a pipeline of diffusers with these parts and DDIM makes of `settings`: latents [N, C, h, w]."""
    names = ("", "_2")[: len(parts.text_encoders)]
    given: dict[str, Any] = {f"text_encoder{n}": encoder for n, encoder in zip(names, parts.text_encoders, strict=True)}
    given |= {f"tokenizer{n}": tokenizer for n, tokenizer in zip(names, parts.tokenizers, strict=True)}
    if len(names) == 1:
        given |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    nets = list(dict.fromkeys(parts.controlnets.values()))
    if nets:
        given["controlnet"] = nets if len(nets) > 1 else nets[0]
    with quietly():
        scheduler = DDIMScheduler.from_config(dict(parts.scheduler))
        pipe = pipeline(vae=parts.vae, unet=parts.network, scheduler=scheduler, **given)
        pipe.set_progress_bar_config(disable=True)
        return pipe(output_type="latent", return_dict=False, **settings)[0]


def latents(count: int, *, side: int = 8, channels: int = 4, seed: int = 0) -> torch.Tensor:
    """Noise, [count, channels, side, side]."""
    return gaussian((count, channels, side, side), generator(seed))


def pictures(count: int, *, channels: int = 3, side: int = 64, seed: int = 0) -> torch.Tensor:
    """Random colours in [0, 1], [count, channels, side, side]."""
    return torch.rand(count, channels, side, side, generator=generator(seed, 1))
