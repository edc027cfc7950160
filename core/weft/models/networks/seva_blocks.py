"""What the network of SEVA is made of: residual blocks that rays modulate, and transformers over pixels and views.

Zhou et al. 2025, *Stable Virtual Camera: Generative View Synthesis with Diffusion Models*. Samples are branch-major,
sample = branch · N + view. Attributes are named as the published weights are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diffusers.models.attention import BasicTransformerBlock, FeedForward
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["GROUPS", "HEAD", "Down", "First", "Residual", "Told", "Up", "ViewTransformer"]

HEAD = 64  # channels of an attention head
GROUPS = 32  # of a normalisation


@dataclass(frozen=True, eq=False)
class Told:
    """What every block is told beside its input."""

    time: Tensor  # [branches · N, E]
    rays: Tensor  # [branches · N, 6, h, w]
    context: Tensor  # [branches, 1, C], the pictures' embedding
    views: int  # N


class First(nn.Conv2d):
    def forward(self, input: Tensor, told: Told) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().forward(input)


class Down(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, told: Told) -> Tensor:
        return self.op(x)


class Up(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, told: Told) -> Tensor:
        return self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))


class Residual(nn.Module):
    """Two convolutions around the timestep; the rays scale and shift what the first one reads."""

    def __init__(self, channels: int, out_channels: int, time: int, rays: int) -> None:
        super().__init__()
        self.in_layers = _normalised_conv(channels, out_channels)
        self.dense_emb_layers = nn.Sequential(nn.Conv2d(rays, 2 * channels, 1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time, out_channels))
        self.out_layers = _normalised_conv(out_channels, out_channels, dropout=True)
        same = out_channels == channels
        self.skip_connection = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, told: Told) -> Tensor:
        size = (x.shape[2], x.shape[3])
        rays = functional.interpolate(told.rays, size=size, mode="bilinear", align_corners=True)
        scale, shift = self.dense_emb_layers(rays).chunk(2, dim=1)
        normalised = self.in_layers[1](self.in_layers[0](x))
        inner = self.in_layers[2](normalised * (1 + scale) + shift)
        return self.skip_connection(x) + self.out_layers(inner + self.emb_layers(told.time)[:, :, None, None])


def _normalised_conv(channels: int, out_channels: int, *, dropout: bool = False) -> nn.Sequential:
    """Weights are counted by place: the published network drops out before its second convolution."""
    between = [nn.Dropout(0.0)] if dropout else []
    conv = nn.Conv2d(channels, out_channels, 3, padding=1)
    return nn.Sequential(nn.GroupNorm(GROUPS, channels), nn.SiLU(), *between, conv)


class ViewTransformer(nn.Module):
    """Attention over the pixels of a view, or of all views (`joint`), then over the views at every pixel."""

    def __init__(self, channels: int, context: int, *, joint: bool) -> None:
        super().__init__()
        self._joint = joint
        self.norm = nn.GroupNorm(GROUPS, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        heads = channels // HEAD
        self.transformer_blocks = nn.ModuleList(
            [BasicTransformerBlock(channels, heads, HEAD, cross_attention_dim=context)]
        )
        self.time_mix_blocks = nn.ModuleList([AcrossViews(channels, context)])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, told: Told) -> Tensor:
        samples, _, height, width = x.shape
        tokens = self.proj_in(self.norm(x).flatten(2).transpose(1, 2))  # [samples, h·w, C]
        branches = samples // told.views
        seen = told.context if self._joint else told.context.repeat_interleave(told.views, 0)
        together = tokens.reshape(branches if self._joint else samples, -1, tokens.shape[-1])
        (within,), (across,) = self.transformer_blocks, self.time_mix_blocks
        tokens = within(together, encoder_hidden_states=seen).reshape(tokens.shape)
        views_last = tokens.unflatten(0, (branches, told.views)).transpose(1, 2)  # [branches, h·w, N, C]
        mixed = across(views_last.flatten(0, 1), told.context.repeat_interleave(height * width, 0))
        tokens = tokens + mixed.reshape(views_last.shape).transpose(1, 2).reshape(tokens.shape)
        return x + self.proj_out(tokens).transpose(1, 2).unflatten(2, (height, width))


class AcrossViews(nn.Module):
    """Tokens of one place in all views [B, N, C] attend to each other, whatever their order; what it returns is added
    by the caller, so the last layer has no way around it."""

    def __init__(self, channels: int, context: int) -> None:
        super().__init__()
        heads: dict[str, Any] = {"heads": channels // HEAD, "dim_head": HEAD}
        self.norm_in, self.ff_in = nn.LayerNorm(channels), FeedForward(channels)
        self.norm1, self.attn1 = nn.LayerNorm(channels), Attention(channels, **heads)
        self.norm2, self.attn2 = nn.LayerNorm(channels), Attention(channels, context, **heads)
        self.norm3, self.ff = nn.LayerNorm(channels), FeedForward(channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = x + self.ff_in(self.norm_in(x))
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return self.ff(self.norm3(x))
