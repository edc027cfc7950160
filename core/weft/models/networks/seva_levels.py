"""The noise levels of SEVA: those of a diffusion with nearly no noise at first, shifted towards noise as a whole.

Its noisiest level has s = σ/α = 85, that of Stable Diffusion 14.6: of its 50 steps 19 are made before the other begins.
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from weft.errors import InvalidInput
from weft.models.networks.noise_levels import last_part
from weft.schedule import NoiseLevel, Schedule, from_noise_ratios, x0_from_eps

__all__ = ["SevaLevels"]

TRAINED = 1000
BETAS = (5e-6, 0.012)  # the first and the last; their roots are evenly spaced
SHIFT = 2.4  # of log s


class SevaLevels:
    """A `NoiseLevels`; the network predicts the noise."""

    def __init__(self) -> None:
        betas = np.linspace(BETAS[0] ** 0.5, BETAS[1] ** 0.5, TRAINED) ** 2
        bars = np.cumprod(1 - betas)
        self._log_s = 0.5 * np.log((1 - bars) / bars) + SHIFT

    def schedule(self, steps: int) -> Schedule:
        """The levels of `steps` steps, evenly spaced in timesteps from the noisiest, then clean."""
        if not 1 <= steps < TRAINED:
            raise InvalidInput(f"steps = {steps} is outside 1 to {TRAINED - 1}", "50 steps are usual")
        visited = np.linspace(TRAINED - 1, 0, steps, endpoint=False).astype(int)
        return from_noise_ratios(np.exp(self._log_s[visited]))

    def timestep(self, level: NoiseLevel) -> float:
        """In [0, 999]; whole at trained levels, between them interpolated in log s."""
        if level.sigma == 0:
            return 0.0
        if level.alpha == 0:
            return TRAINED - 1.0
        t = float(np.interp(math.log(level.s), self._log_s, np.arange(TRAINED)))
        return float(round(t)) if abs(t - round(t)) < 1e-6 else t

    def x0(self, x: Tensor, prediction: Tensor, level: NoiseLevel) -> Tensor:
        """The predicted noise in x at a variance-preserving level, as E[x0|x]. Shapes are those of `x`."""
        return x0_from_eps(x, prediction, level)

    def from_strength(self, schedule: Schedule, strength: float) -> Schedule:
        return last_part(schedule, strength)
