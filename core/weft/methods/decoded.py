"""SyncTweedies where the canonical space holds colours and the network denoises latents.

Kim, Koo, Yeo, Sung 2024 (SyncTweedies): for Gaussian splats Tweedie's x0 is decoded first, aggregated as
images, and encoded again. With D the decoder and E the encoder, F is here

    F(x0) = x0 + E(F_rgb(D(x0))) - E(D(x0)),

deviating from E(F_rgb(D(x0))) by what a round trip through the codec alone would lose: where the views agree already,
x0 stays as it is, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.schedule import NoiseLevel
from weft.spaces.linear import LinearSpace

__all__ = ["ImageCodec", "SynchronizedImages", "through_images"]


class ImageCodec(Protocol):
    """Between images [N, 3, H, W] in [-1, 1] and latents [N, C, h, w]."""

    def encode(self, images: Tensor) -> Tensor: ...

    def decode(self, latents: Tensor) -> Tensor: ...


def through_images(x0: Tensor, codec: ImageCodec, agreed: Callable[[Tensor], Tensor]) -> Tensor:
    """x0 + E(F(D(x0))) - E(D(x0)) for latents x0 [N, C, h, w] and F = `agreed` on images [N, 3, H, W] in [-1, 1]."""
    images = codec.decode(x0).float().clamp(-1, 1).contiguous()  # of one layout: convolutions round by it
    return x0 + (codec.encode(agreed(images).contiguous()) - codec.encode(images)).to(x0)


class SynchronizedImages:
    """A denoiser of latents whose x0 agree as images: Case 2 when each view is then stepped for itself.

    `space` has the images' resolution. `z` [cells, 3] is what the images of the last call have in common.
    """

    def __init__(self, denoiser: Denoiser, codec: ImageCodec, space: LinearSpace) -> None:
        self.denoiser, self.codec, self.space = denoiser, codec, space
        self.z = torch.zeros(0)

    def __call__(self, x: Tensor, level: NoiseLevel, /) -> Tensor:
        return through_images(self.denoiser(x, level), self.codec, self._agreed)

    def _agreed(self, images: Tensor) -> Tensor:
        agreed, self.z = self.space.synchronize(images)
        return agreed
