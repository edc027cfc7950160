"""The network of SEVA (Zhou et al. 2025): a U-Net over all views, told of cameras by the rays of their pixels.

    down     residual blocks, with transformers that attend within a view, and over the views at every pixel
    middle   a transformer over all pixels of all views, and over the views
    up       the same, over all pixels of all views but at the finest level

There is no code of a view's number anywhere: views and cameras that are permuted together permute the result.
"""

from __future__ import annotations

import torch
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

from weft.models.networks.seva_blocks import GROUPS, Down, First, Residual, Told, Up, ViewTransformer
from weft.models.seva_sizes import SevaSizes

__all__ = ["SevaNetwork"]


class SevaNetwork(nn.Module):
    """Predicts the noise. Its weights have the published names."""

    def __init__(self, sizes: SevaSizes) -> None:
        super().__init__()
        self.sizes = sizes
        time = 4 * sizes.width
        widths = [sizes.width * multiplier for multiplier in sizes.multipliers]
        self.time_embed = nn.Sequential(nn.Linear(sizes.width, time), nn.SiLU(), nn.Linear(time, time))
        self.input_blocks = nn.ModuleList([nn.ModuleList([First(sizes.inputs, sizes.width, 3, padding=1)])])
        skipped, channels = [sizes.width], sizes.width
        for level, width in enumerate(widths):
            for _ in range(sizes.blocks):
                self.input_blocks.append(self._block(channels, width, level, joint=False))
                channels = width
                skipped.append(channels)
            if level + 1 < len(widths):
                self.input_blocks.append(nn.ModuleList([Down(channels)]))
                skipped.append(channels)
        self.middle_block = nn.ModuleList(
            [
                Residual(channels, channels, time, sizes.rays),
                ViewTransformer(channels, sizes.context, joint=True),
                Residual(channels, channels, time, sizes.rays),
            ]
        )
        self.output_blocks = nn.ModuleList()
        for level, width in reversed(list(enumerate(widths))):
            for place in range(sizes.blocks + 1):
                block = self._block(channels + skipped.pop(), width, level, joint=level > 0)
                channels = width
                if level and place == sizes.blocks:
                    block.append(Up(channels))
                self.output_blocks.append(block)
        out = nn.Conv2d(channels, sizes.outputs, 3, padding=1)
        self.out = nn.Sequential(nn.GroupNorm(GROUPS, channels), nn.SiLU(), out)

    def _block(self, channels: int, width: int, level: int, *, joint: bool) -> nn.ModuleList:
        sizes = self.sizes
        block = nn.ModuleList([Residual(channels, width, 4 * sizes.width, sizes.rays)])
        if sizes.attended[level]:
            block.append(ViewTransformer(width, sizes.context, joint=joint))
        return block

    @property
    def factor(self) -> int:
        """Latents per cell of the coarsest level."""
        return 2 ** (len(self.sizes.multipliers) - 1)

    def forward(self, x: Tensor, timestep: Tensor, context: Tensor, rays: Tensor, views: int) -> Tensor:
        """x [branches · views, inputs, h, w], timestep [1], context [branches, 1, C], rays [branches · views, 6, h, w]
        to [branches · views, outputs, h, w], all of one dtype."""
        waves = get_timestep_embedding(timestep, self.sizes.width, flip_sin_to_cos=True, downscale_freq_shift=0)
        time = self.time_embed(waves.to(x.dtype)).expand(len(x), -1)
        told = Told(time, rays, context, views)
        kept = []
        for block in self.input_blocks:
            x = _through(block, x, told)
            kept.append(x)
        x = _through(self.middle_block, x, told)
        for block in self.output_blocks:
            x = _through(block, torch.cat([x, kept.pop()], dim=1), told)
        return self.out(x)


def _through(block: nn.Module, x: Tensor, told: Told) -> Tensor:
    for layer in block.children():
        x = layer(x, told)
    return x
