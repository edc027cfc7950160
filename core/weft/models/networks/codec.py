"""Pixels to latents and back: variational autoencoders with a Gaussian latent (Kingma & Welling; Rombach et al. 2022).

`encode` takes the mode of the distribution, never a draw. Latents are (mode - shift) · scaling, of unit variance about,
as the networks take them. Images are coded as many at a time as memory holds; large ones in overlapping tiles.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.models.networks.batching import Batches, split
from weft.noise import generator

__all__ = ["LatentCodec", "fitted_colors", "procedural_pictures"]

AT_ONCE = 2**22  # pixels that are coded together: what the VAE of Stable Diffusion holds in 6 GB of bf16
TILED_ABOVE = 1536  # px: images with a longer side are coded in tiles of …
TILE = 1024  # … this side
OVERLAP = 0.25  # of a tile, blended with the one before it
_PICTURES, _PICTURE_CELLS = 4, 16  # that the colour map is fitted to, and cells along their sides


class LatentCodec:
    """A `Codec` of diffusers' AutoencoderKL, with AutoencoderTiny for previews where there is one."""

    def __init__(
        self, vae: torch.nn.Module, tiny: torch.nn.Module | None = None, *, batches: Batches | None = None
    ) -> None:
        config: Any = vae.config
        self._vae: Any = vae
        self._tiny: Any = tiny
        self._batches = batches or Batches()
        self._scaling = float(getattr(config, "scaling_factor", 1.0))
        self._shift = float(getattr(config, "shift_factor", None) or 0.0)
        self.channels = int(config.latent_channels)
        self.factor = 2 ** (len(config.block_out_channels) - 1)
        if vae.dtype == torch.float16 and getattr(config, "force_upcast", False):
            self._vae.to(torch.float32)  # activations of SDXL's decoder are beyond the range of fp16

    def encode(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] in [-1, 1] to float32 [N, C, H/f, W/f]."""
        return self.scaled(self.modes(images))

    def scaled(self, modes: Tensor) -> Tensor:
        """Modes as the network takes them."""
        return (modes - self._shift) * self._scaling

    def unscaled(self, latents: Tensor) -> Tensor:
        """The modes again."""
        return latents / self._scaling + self._shift

    @torch.no_grad()
    def modes(self, images: Tensor) -> Tensor:
        """`encode` without scaling and shift: what some networks take beside their noisy latents."""
        images = images.to(self._vae.device, self._vae.dtype)
        return self._in_parts(lambda part: self._vae.encode(part).latent_dist.mode(), images, 1, "encode")

    def pulled_back(self, images: Tensor, gradient: Tensor) -> Tensor:
        """∂⟨encode(images), gradient⟩ / ∂images, float32 [N, 3, H, W], one image at a time: what score distillation
        sends back through the encoder to who drew the images. `gradient` [N, C, h, w]."""
        self._set_tiles(tiled=max(images.shape[-2:]) > TILED_ABOVE)
        parts = []
        for image, wanted in zip(images.split(1), gradient.split(1), strict=True):
            with torch.enable_grad():
                moving = image.detach().to(self._vae.device, self._vae.dtype).requires_grad_()
                latents = self.scaled(self._vae.encode(moving).latent_dist.mode().float())
                (back,) = torch.autograd.grad(latents, moving, wanted.to(latents))
            parts.append(back.float())
        return torch.cat(parts)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """[N, C, h, w] to float32 [N, 3, h·f, w·f]."""
        modes = self.unscaled(latents.float()).to(self._vae.device, self._vae.dtype)
        return self._in_parts(lambda part: self._vae.decode(part).sample, modes, self.factor, "decode")

    def colors(self, cells: Tensor) -> Tensor:
        """[M, C] to [M, 3]: an affine map, fitted to this very VAE when it is first needed."""
        weights = self._color_map.to(cells)
        return (cells @ weights[:-1] + weights[-1]).clamp(-1, 1)

    @torch.no_grad()
    def preview(self, latents: Tensor) -> Tensor:
        """float32 [N, 3, h·f, w·f] by the tiny decoder, or [N, 3, h, w] by `colors`."""
        if self._tiny is None:
            rows = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
            return self.colors(rows).reshape(len(latents), *latents.shape[2:], 3).permute(0, 3, 1, 2)
        inside = latents.to(self._tiny.device, self._tiny.dtype) / self._tiny.config.scaling_factor
        return self._in_parts(lambda part: self._tiny.decode(part).sample, inside, self.factor, "preview")

    @cached_property
    def _color_map(self) -> Tensor:
        """[C + 1, 3], on the CPU."""
        pictures = procedural_pictures(_PICTURES, _PICTURE_CELLS, self.factor)
        return fitted_colors(self.encode(pictures).cpu(), pictures)

    def _in_parts(self, function: Callable[[Tensor], Tensor], values: Tensor, factor: int, what: str) -> Tensor:
        """float32 results for images, or for latents of `factor` px each, as many at a time as fit."""
        height, width = (side * factor for side in values.shape[-2:])
        self._set_tiles(tiled=max(height, width) > TILED_ABOVE)

        def run(images: Tensor) -> Tensor:
            kind = (what, height, width)
            return self._batches.run(lambda part: function(images[part]).float(), len(images), kind=kind)

        most = max(1, AT_ONCE // (height * width))
        return torch.cat([run(values[part]) for part in split(len(values), most)])

    def _set_tiles(self, *, tiled: bool) -> None:
        """diffusers tiles whatever is larger than a tile; here the threshold is higher than the tiles are large."""
        self._vae.use_tiling = tiled
        self._vae.tile_sample_min_size = TILE
        self._vae.tile_latent_min_size = TILE // self.factor
        self._vae.tile_overlap_factor = OVERLAP


def fitted_colors(latents: Tensor, pictures: Tensor) -> Tensor:
    """The affine map from latents [N, C, h, w] to the mean colours of their pixels, pictures [N, 3, h·f, w·f]: least
    squares, [C + 1, 3] with the offset last. An autoencoder that averages and mixes channels is inverted exactly."""
    cells = functional.adaptive_avg_pool2d(pictures.double(), (latents.shape[2], latents.shape[3]))
    targets = cells.permute(0, 2, 3, 1).reshape(-1, 3)
    rows = latents.double().permute(0, 2, 3, 1).reshape(len(targets), -1)
    middle, mean = rows.mean(0), targets.mean(0)
    rows, targets = rows - middle, targets - mean
    # Of all best maps the smallest: channels that no picture moves get no say.
    weights = torch.linalg.lstsq(rows, targets, driver="gelsd").solution
    return torch.cat([weights, (mean - middle @ weights)[None]]).float()


def procedural_pictures(count: int, cells: int, factor: int) -> Tensor:
    """float32 [count, 3, cells·factor, cells·factor] in [-1, 1]: patches of plain colour, large ones more different
    than small ones as in photographs, with light falling across them and a little grain. The same every time."""
    side = cells * factor
    random = generator(0)
    pictures = torch.zeros(count, 3, side, side)
    for patches, contrast in ((1, 0.4), (2, 0.5), (4, 0.4), (8, 0.2), (cells, 0.1)):
        light = torch.rand(count, 1, patches, patches, generator=random) * 2 - 1
        colors = torch.rand(count, 3, patches, patches, generator=random) * 2 - 1
        pictures += contrast * functional.interpolate(light + 0.7 * colors, size=(side, side), mode="nearest")
    slope = torch.from_numpy(np.linspace(-0.3, 0.3, side, dtype=np.float32))
    pictures += slope[:, None] + 0.05 * torch.randn(count, 3, side, side, generator=random)
    return pictures.clamp(-1, 1)
