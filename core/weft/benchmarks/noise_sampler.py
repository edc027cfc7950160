"""What turns a gallery's noises into pictures: the embedded denoiser on one built-in material, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from weft.models.exemplar import Exemplar, ExemplarDenoiser, ExemplarSettings
from weft.models.materials import render
from weft.schedule import Schedule, from_noise_ratios, stable_diffusion
from weft.stepper import ddim

__all__ = ["Painter", "Sampler"]

_CLEANEST = 0.03  # σ/α of the last step of a sampler that starts at its own ratio


@dataclass(frozen=True)
class Sampler:
    """How pictures are drawn. The defaults are the smallest pictures that still show a layout, of materials a little
    larger than they, in few steps: for many galleries in little time, not for the strongest effect."""

    size: int = 64  # px of a picture's side, a multiple of 16
    exemplar: float = 1.5  # side of the material over that of the picture
    steps: int = 8
    start: float | None = None  # σ/α of the first step; None: where Stable Diffusion starts, 14.6
    eta: float = 0.0
    settings: ExemplarSettings = field(default_factory=ExemplarSettings)

    @property
    def schedule(self) -> Schedule:
        if self.start is None:
            return stable_diffusion(self.steps)
        return from_noise_ratios(np.geomspace(self.start, _CLEANEST, self.steps))


class Painter:
    """A sampler at work on a material."""

    def __init__(self, material: str, sampler: Sampler) -> None:
        self.material, self.sampler = material, sampler
        self.picture = render(material, round(sampler.exemplar * sampler.size))  # f4 [E, E, 3] in [0, 1]
        self.colour = self.picture.mean((0, 1))
        self._exemplar = Exemplar(self.picture)
        self._schedule = sampler.schedule

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the noise of a picture."""
        return 3, self.sampler.size, self.sampler.size

    def pictures(self, noises: Tensor, seed: int, later: Tensor | None = None) -> np.ndarray:
        """f4 [m, S, S, 3] in [0, 1] of `noises` [m, 3, S, S]; with η > 0 the steps' own, [steps, m, 3, S, S], are
        `later`. Every picture has a denoiser of its own, and all have its `seed`: what differs is noise alone."""
        found = [
            self._picture(noise, seed, None if later is None else later[:, i : i + 1]) for i, noise in enumerate(noises)
        ]
        return np.stack(found)

    def estimate(self, noises: Tensor, seed: int) -> Tensor:
        """x̂0 [m, 3, S, S] at the noisiest level."""
        first = self._schedule.levels[0]
        return torch.cat([self._denoiser(seed)(first.sigma * noise[None], first) for noise in noises])

    def _denoiser(self, seed: int) -> ExemplarDenoiser:
        return ExemplarDenoiser(self._exemplar, settings=self.sampler.settings, seed=seed)

    def _picture(self, noise: Tensor, seed: int, later: Tensor | None) -> np.ndarray:
        denoiser, eta = self._denoiser(seed), self.sampler.eta
        x = self._schedule.levels[0].sigma * noise[None]
        for index, (level, next_level) in enumerate(self._schedule):
            own = None if later is None else later[index]
            x = ddim(x, denoiser(x, level), level, next_level, eta=eta, noise=own)
        return (x[0].clamp(-1, 1).permute(1, 2, 0) * 0.5 + 0.5).numpy()
