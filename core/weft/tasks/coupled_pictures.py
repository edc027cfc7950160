"""Small pictures, one for each noise: what couplings are learned on. Members of a gallery know nothing of each other,
as jobs do not: each is denoised by itself, and the denoiser's own chance is the same for all."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidInput, OutOfMemory
from weft.models.device_memory import memory_for_models
from weft.models.exemplar import Exemplar, ExemplarDenoiser
from weft.schedule import stable_diffusion
from weft.stepper import ddim
from weft.tasks.phases import resized

__all__ = ["CHANNELS", "LARGEST", "SMALLEST", "check_gallery", "cloudy", "painted"]

Generate = Callable[[Tensor], Tensor]  # noises [m, 3, h, w] ~ N(0, I) → pictures of that shape

CHANNELS = 3
SMALLEST, LARGEST = 32, 1024  # px of a side
UNIT = 16  # px, a multiple of which the denoiser can divide
STEPS = 8  # of denoising
EXEMPLAR_SHARE = 1.5  # of a picture's side that the exemplar's longer side spans
_BYTES = 64  # that a number of a noise takes at most: itself, mixed in double precision, its picture, slopes


def painted(material: np.ndarray, size: int) -> Generate:
    """What the embedded denoiser makes of noises with `material` f4 [h, w, 3] in [0, 1]: DDIM without noise of its own,
    a few steps; pictures in [-1, 1]."""
    exemplar = Exemplar(resized(material, round(EXEMPLAR_SHARE * size)))
    schedule = stable_diffusion(STEPS)

    def generate(noises: Tensor) -> Tensor:
        return torch.cat([_denoised(noise) for noise in noises.split(1)])

    def _denoised(noise: Tensor) -> Tensor:
        denoiser, x = ExemplarDenoiser(exemplar), schedule.levels[0].sigma * noise
        for level, next_level in schedule:
            x = ddim(x, denoiser(x, level), level, next_level)
        return x

    return generate


def cloudy(size: int) -> Generate:
    """A linear generator: noises with the amplitudes 1/|f| of natural pictures, of unit variance altogether."""
    rows = torch.fft.fftfreq(size)[:, None]
    gain = 1 / (torch.hypot(rows, torch.fft.rfftfreq(size)) + 1 / size)
    everywhere = 1 / (torch.hypot(rows, torch.fft.fftfreq(size)) + 1 / size)
    gain /= everywhere.square().mean().sqrt()

    def generate(noises: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(noises) * gain, s=noises.shape[-2:])

    return generate


def check_gallery(variants: int, size: int, memory: int | None = None) -> None:
    """Raise for a size that pictures cannot have, and for more variants than `memory` (bytes; None: half of this
    machine's) allows, saying how many fit."""
    if not SMALLEST <= size <= LARGEST or size % UNIT:
        raise InvalidInput(f"pictures of {size} px", f"give a side of {SMALLEST} to {LARGEST} px that {UNIT} divides")
    memory = memory_for_models(torch.device("cpu")) if memory is None else memory
    fit = math.floor(memory / (_BYTES * CHANNELS * size**2))
    if variants > fit:
        raise OutOfMemory(
            f"{variants} variants of {size} px do not fit into memory, which has room for {fit}",
            "make fewer, or smaller pictures",
        )
