"""Pictures of several prompts, or several materials, that share one layout: models of one kind, coupled.

Coupled Diffusion Sampling (CVPR 2026) with two prompts of one model: all trajectories begin with one noise and pull
each other, so that what they have in common, where things are, becomes the same, while each ends with an estimate of
its own. Strength 0 is bit for bit what each makes alone.

Exemplars differ in colour before they differ in layout, and pulling would only mix their colours. They are coupled as
u = (image - μ)/τ, with their own means μ and deviations τ: x = α u + σ ε, so τ x + α μ is an image at (α, τ σ).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import InvalidInput
from weft.methods.coupled_sampling import Trajectory, coupled
from weft.models.exemplar import Exemplar, ExemplarDenoiser
from weft.models.networks.image_model import Conditioning, ImageModel
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel, Schedule, stable_diffusion

__all__ = ["materials_of_one_layout", "pictures_of_one_layout", "samples_of_one_layout"]

_BEGIN, _NOISE = 0, 1  # noise streams of a seed


def samples_of_one_layout(
    denoisers: Sequence[Denoiser], schedule: Schedule, shape: tuple[int, ...], *, strength: float = 0.4,
    eta: float = 0.0, seed: int = 0,
) -> tuple[Tensor, ...]:  # fmt: skip
    """A sample x0 of `shape` [N, C, h, w] of every denoiser, coupled with κ = `strength`; they share all noise."""
    x = schedule.levels[0].sigma * gaussian(shape, generator(seed, _BEGIN))
    parts = []
    for denoiser in denoisers:
        own = generator(seed, _NOISE)
        parts.append(Trajectory(denoiser, schedule, x, eta, lambda own=own: gaussian(shape, own)))
    *_, last = coupled(parts, strength)
    return last.x0


def pictures_of_one_layout(
    model: ImageModel, prompts: Sequence[str], size: tuple[int, int], *, steps: int = 28, strength: float = 0.4,
    guidance: float = 0.0, negative: str = "", seed: int = 0,
) -> Tensor:  # fmt: skip
    """[prompts, 3, H, W] in [-1, 1]: what a network makes of each prompt. `size` (H, W) px, multiples of its `unit`.
    Zero guidance means the card's. Raises InvalidInput for a size that the model cannot divide."""
    height, width = size
    if height % model.unit or width % model.unit:
        raise InvalidInput(f"{width} x {height} px are not multiples of {model.unit}", "choose sides in such steps")
    wanted = [Conditioning((p,), negative, guidance=guidance or model.card.guidance) for p in prompts]
    codec = model.codec
    samples = samples_of_one_layout(
        [model.bind(own) for own in wanted], model.levels_at(height, width).schedule(steps),
        (1, codec.channels, height // codec.factor, width // codec.factor), strength=strength, seed=seed,
    )  # fmt: skip
    return codec.decode(torch.cat(samples)).float().clamp(-1, 1)


def materials_of_one_layout(
    exemplars: Sequence[np.ndarray], size: tuple[int, int], *, steps: int = 30, strength: float = 0.4, seed: int = 0
) -> np.ndarray:
    """f4 [exemplars, H, W, 3] in [0, 1]: what the embedded denoiser makes of each picture f4 [h, w, 3] in [0, 1].
    `size` (H, W) px, multiples of 16."""
    denoisers = [_standardised(own, seed) for own in map(Exemplar, exemplars)]
    samples = samples_of_one_layout(
        [own for own, _, _ in denoisers], stable_diffusion(steps), (1, 3, *size), strength=strength, eta=1.0, seed=seed
    )
    pictures = [mean + deviation * x0 for x0, (_, mean, deviation) in zip(samples, denoisers, strict=True)]
    return (torch.cat(pictures).permute(0, 2, 3, 1).numpy() / 2 + 0.5).clip(0, 1)


def _standardised(exemplar: Exemplar, seed: int = 0) -> tuple[Denoiser, Tensor, float]:
    """(a denoiser of u, μ [1, 3, 1, 1], τ), see the module. It serves one trajectory."""
    inside = ExemplarDenoiser(exemplar, seed=seed)
    mean = torch.from_numpy(exemplar.mean)[None, :, None, None]
    deviation = float(np.sqrt(((exemplar.image - exemplar.mean) ** 2).mean()))

    def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
        images = deviation * x + level.alpha * mean
        return (inside(images, NoiseLevel(level.alpha, deviation * level.sigma)) - mean) / deviation

    return denoise, mean, deviation
