"""Magic Fixup (Alzayer et al. 2025): a coarse edit of a picture, made real by looking at the picture as it was.

Two U-Nets of Stable Diffusion 1. At every level the second reads the old picture under noise of its own; each of its
transformer blocks gives its normed tokens to the same block of the first, which attends to them where others attend to
words. No words are read. With b a block of the first and r the same of the second,

    x += attn1(norm1(x)),   x += attn3(norm2(x), tokens = norm1_r(x_r)),   x += ff(norm3(x))

Published weights have LDM's names, in one file: `model.diffusion_model.…` and `model.reference_model.…`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from weft.models.networks.noise_levels import DiffusionLevels
from weft.models.networks.reading import at_rest, every_key, read_tensors, translated

__all__ = ["MagicFixup", "read_magic_fixup"]

FIRST, SECOND = "model.diffusion_model.", "model.reference_model."
OWN = 9  # channels of each U-Net: noisy latent, picture, and where it is known


class MagicFixup(nn.Module):
    """Both U-Nets as one, which is called like one. Reads 17 channels: the noisy latent (4), the coarse edit (4), 1
    where it is known (1), the old picture (4), and the noise that it is seen under (4)."""

    def __init__(self, config: Mapping[str, Any], levels: DiffusionLevels) -> None:
        super().__init__()
        make: Any = UNet2DConditionModel.from_config
        self.first, self.second = (make(dict(config), in_channels=OWN) for _ in range(2))
        self.config = self.first.config
        self.conv_in = nn.Identity()
        self.conv_in.in_channels = OWN + 8  # type: ignore[assignment]  # what callers ask a U-Net for
        told = threading.local()  # parts of a batch may run in threads
        for number, (block, looks_back) in enumerate(zip(_blocks(self.first), _blocks(self.second), strict=True)):
            block.attn2 = _Told(block.attn1, told, number)  # type: ignore[assignment]
            looks_back.attn1.register_forward_pre_hook(_teller(told, number))
            looks_back.attn2 = _Silent()  # type: ignore[assignment]
        bars = torch.from_numpy(levels.alpha_bars).float()
        self._bars = {bars.device: bars}  # by device; no buffer, which would be rounded with the weights

    @property
    def attn_processors(self) -> dict[str, Any]:
        return self.first.attn_processors

    def forward(self, sample: Tensor, timestep: Tensor, **asked: Any) -> Any:
        """As the forward of diffusers' UNet2DConditionModel."""
        noisy, edit, known, before, noise = sample.split([4, 4, 1, 4, 4], dim=1)
        bar = self._bar(timestep)
        seen = bar.sqrt().to(sample) * before + (1 - bar).sqrt().to(sample) * noise
        words = {"encoder_hidden_states": asked["encoder_hidden_states"], "return_dict": False}
        self.second(torch.cat([seen, before, known], 1), timestep, **words)
        return self.first(torch.cat([noisy, edit, known], 1), timestep, **words)

    def _bar(self, timestep: Tensor) -> Tensor:
        """ᾱ [1] of the trained level nearest to `timestep` [1]."""
        if timestep.device not in self._bars:
            self._bars[timestep.device] = next(iter(self._bars.values())).to(timestep.device)
        bars = self._bars[timestep.device]
        return bars[timestep.round().long().clamp(0, len(bars) - 1)]


class _Told(nn.Module):
    """Attention to the second U-Net's tokens, in the place of that to words."""

    def __init__(self, like: Any, told: threading.local, number: int) -> None:
        super().__init__()
        width, inner = like.to_q.in_features, like.to_q.out_features
        self.attention = Attention(width, width, heads=like.heads, dim_head=inner // like.heads)
        self._told, self._number = told, number

    def forward(self, hidden_states: Tensor, **asked: Any) -> Tensor:
        return self.attention(hidden_states, encoder_hidden_states=getattr(self._told, f"block{self._number}"))


class _Silent(nn.Module):
    """What adds nothing."""

    def forward(self, hidden_states: Tensor, **asked: Any) -> Tensor:
        return torch.zeros_like(hidden_states)


def _teller(told: threading.local, number: int) -> Any:
    def tell(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        setattr(told, f"block{number}", given[0])

    return tell


def _blocks(network: nn.Module) -> list[BasicTransformerBlock]:
    return [module for module in network.modules() if isinstance(module, BasicTransformerBlock)]


def read_magic_fixup(file: Path, config: Mapping[str, Any], scheduler: Mapping[str, Any], dtype: torch.dtype) -> Any:
    """From a file of safetensors; `config` is that of a U-Net of the family. Raises BadCheckpoint."""
    tensors = read_tensors(file)
    with translated(file.name), torch.device("cpu"):
        network = MagicFixup(config, DiffusionLevels(scheduler))
        for unet, beginning in ((network.first, FIRST), (network.second, SECOND)):
            found = _converted(tensors, beginning, network.config)
            own = unet.state_dict()
            every_key(file.name, missing=own.keys() - found.keys(), unexpected=())
            unet.load_state_dict({name: found[name] for name in own})
    return at_rest(network.to(dtype))


def _converted(tensors: Mapping[str, Tensor], beginning: str, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """diffusers' names of one U-Net; its attention to words, which is never asked, makes room for `attn3`."""
    ldm = {
        FIRST + name.removeprefix(beginning).replace(".attn3.", ".attn2.attention."): tensor
        for name, tensor in tensors.items()
        if name.startswith(beginning) and ".attn2." not in name and ".merge_attentions" not in name
    }
    return convert_ldm_unet_checkpoint(ldm, config)
