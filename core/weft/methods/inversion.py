"""DDIM inversion: the noise that the deterministic sampler turns into a given image.

Song et al. 2021 (DDIM), section 4.3; refined as in Pan et al. 2023, "Effective Real Image Editing with Accelerated
Iterative Diffusion Inversion" (AIDI), and Garibi et al. 2024, "ReNoise".

With y = x/α and s = σ/α the sampler's step from s_t to s_s < s_t is

    step(y) = (s_s/s_t) y + (1 - s_s/s_t) D(y, s_t)

Inverting takes the steps backwards: for a known y_s it solves step(y_t) = y_s. The plain inversion looks at D(y_s, s_t)
instead of D(y_t, s_t), which is as far off as the step is long. Here its result is refined: y_t is moved by what it
misses, y_t += y_s - step(y_t). For a denoiser whose slope is between 0 and 1, as that of every Gaussian is, each such
move leaves at most 1 - s_s/s_t of the error, and less where the denoiser is sure.

A denoiser that knows an image exactly sends all noises near it to that image, and one of them is none at all: images
are inverted to noise that is far too weak. `noise` begins at α x + σ·noise instead of at the image itself, as images
are when networks see them at that level, and picks of all those noises one that looks like noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import InvalidInput
from weft.schedule import NoiseLevel, Schedule, eps_from_x0
from weft.stepper import ddim

__all__ = ["InversionStep", "inverted", "sampled"]


@dataclass(frozen=True, slots=True, eq=False)
class InversionStep:
    """What a step did."""

    index: int  # from 0
    total: int
    level: NoiseLevel  # that was reached
    noise: Tensor  # [N, C, H, W], x at the level over its σ: N(0, I) at the end, as far as the image is likely


def inverted(
    images: Tensor, denoiser: Denoiser, schedule: Schedule, *, noise: Tensor | None = None, refinements: int = 0
) -> Iterator[InversionStep]:
    """From `images` [N, C, H, W] to the noise of the schedule's first level, one step for each of its levels but the
    clean one. `sampled` turns σ·noise back into the images. `noise`: see above. Each refinement calls the denoiser once
    more a step; with them the step to the clean level, too, is solved instead of skipped.

    Raises InvalidInput for schedules that do not end at the clean level.
    """
    levels = schedule.levels[::-1]  # from clean to noisy
    if levels[0].sigma != 0:
        raise InvalidInput(f"a schedule that ends at s = {levels[0].s:g} makes no images", "end it at the clean level")
    x = images
    for index, (known, wanted) in enumerate(pairwise(levels)):
        guess = wanted.alpha * images if index == 0 else _plain(x, denoiser, known, wanted)
        if index == 0 and noise is not None:
            guess = guess + wanted.sigma * noise
        for _ in range(refinements):
            missing = x - ddim(guess, denoiser(guess, wanted), wanted, known)
            guess = guess + wanted.alpha / known.alpha * missing
        x = guess
        yield InversionStep(index, len(schedule), wanted, x / wanted.sigma)


def _plain(x: Tensor, denoiser: Denoiser, known: NoiseLevel, wanted: NoiseLevel) -> Tensor:
    """The step backwards, with the denoiser looking at the image that is known as if it were at the wanted level."""
    shown = wanted.alpha / known.alpha * x  # the same y = x/α
    estimate = denoiser(shown, wanted)
    return wanted.alpha * estimate + wanted.sigma * eps_from_x0(x, estimate, known)


def sampled(noise: Tensor, denoiser: Denoiser, schedule: Schedule) -> Tensor:
    """G(ε): the images [N, C, H, W] that the deterministic sampler makes of `noise` at the first level."""
    x = schedule.levels[0].sigma * noise
    for level, next_level in schedule:
        x = ddim(x, denoiser(x, level), level, next_level)
    return x
