"""Multi-view priors, very small: MV-Adapters beside tiny U-Nets, and a network of the kind of SEVA with its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.models.adapter import T2IAdapter
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from practice_modules import unet, unetxl, vae
from practice_single_file import image_encoder
from practice_weights import fill, save_model
from safetensors.torch import save_file

from weft.models.networks.mv_adapter_layers import MultiViewLayers
from weft.models.networks.mv_adapter_weights import NUMBERS, MultiViewAdapter, published_names
from weft.models.networks.seva_network import SevaNetwork
from weft.models.prior_cards import PRIORS
from weft.models.seva_sizes import SevaSizes

__all__ = ["SEVA_SIZES", "mv_adapters", "seva", "unet21"]

SEVA_SIZES = SevaSizes(width=64, multipliers=(1, 1), blocks=1, attended=(True, False), context=16)


def unet21() -> UNet2DConditionModel:
    return unet(
        "unet 2.1", cross_attention_dim=16, attention_head_dim=(1, 2), use_linear_projection=True,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip


def mv_adapters(folder: Path) -> Path:
    """Of cameras and of geometry, for both bases: `<folder>/huanngzh/mv-adapter/….safetensors`."""
    for card in PRIORS.values():
        if (part := card.part("adapter")) is not None:
            path = folder / part.source / part.files[0]
            _adapter(unetxl() if card.family == "sdxl" else unet21(), path, large=card.family == "sdxl")
    return folder / "huanngzh/mv-adapter"


def _adapter(network: UNet2DConditionModel, path: Path, *, large: bool) -> None:
    settings: dict[str, Any] = {"adapter_type": "full_adapter_xl" if large else "full_adapter"}
    encoder = T2IAdapter(NUMBERS, [8, 16], 1, 16 if large else 8, **settings)
    adapter = MultiViewAdapter(MultiViewLayers(network), encoder)
    fill(adapter, path.name)
    weights = adapter.state_dict()
    path.parent.mkdir(parents=True, exist_ok=True)
    named = {name: weights[key].contiguous() for key, name in published_names(adapter).items()}
    save_file(named, path, metadata={"format": "pt"})


def seva(folder: Path) -> Path:
    """The network as one file; its VAE has a folder of its own, the image encoder is one that embeds as it reads."""
    (base, coder, encoder) = PRIORS["seva"].parts
    path = folder / base.source / base.files[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    network = fill(SevaNetwork(SEVA_SIZES), "seva")
    save_file(network.state_dict(), path, metadata={"format": "pt"})
    save_model(vae("sd15", 0.18215), folder / coder.source)
    if not (folder / encoder.source).exists():
        image_encoder(folder / encoder.source / "models" / "image_encoder", embedding=SEVA_SIZES.context)
    assert not any(torch.isnan(weight).any() for weight in network.state_dict().values())
    return path
