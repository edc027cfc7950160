"""A denoiser returns E[x0 | x_t]: the one thing that every method asks of a model.

Networks are turned into this once, where they are loaded (`x0_from_eps`, `x0_from_v`, `x0_from_flow` in `schedule`);
methods never see what a network predicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.schedule import NoiseLevel

__all__ = ["Denoiser", "each", "guided", "in_batches"]


class Denoiser(Protocol):
    """E[x0 | x_t = x] for a batch of images; the conditioning is bound when the denoiser is made."""

    def __call__(
        self,
        x: Tensor,  # [N, C, H, W], α x0 + σ ε, x0 in [-1, 1] for pixels
        level: NoiseLevel,
        /,
    ) -> Tensor: ...  # [N, C, H, W], x0


def guided(conditional: Denoiser, unconditional: Denoiser, scale: float) -> Denoiser:
    """Classifier-free guidance (Ho & Salimans 2022, Eq. 6) in x0 form; `scale` = 1 is the conditional model alone.

    eps is affine in x0 at a given x and level, so extrapolating either is the same. Their Eq. 6 counts w = scale - 1.
    """
    if scale == 1:
        return conditional

    def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
        without = unconditional(x, level)
        return without + scale * (conditional(x, level) - without)

    return denoise


def each(denoisers: Sequence[Denoiser]) -> Denoiser:
    """Image n goes to denoiser n: views with prompts, exemplars or models of their own."""

    def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
        if len(x) != len(denoisers):
            raise InvalidInput(f"{len(x)} images for {len(denoisers)} denoisers", "give one denoiser for each image")
        return torch.cat([own(image, level) for own, image in zip(denoisers, x.split(1), strict=True)])

    return denoise


def in_batches(denoiser: Denoiser, size: int) -> Denoiser:
    """The same denoiser, given at most `size` images at a time. Only for models that treat images one by one."""
    if size < 1:
        raise InvalidInput(f"a micro-batch of {size} images cannot be denoised", "give a size of at least 1")

    def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
        return torch.cat([denoiser(part, level) for part in x.split(size)])

    return denoise
