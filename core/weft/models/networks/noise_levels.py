"""Noise levels as networks were trained at them: timesteps, the walk of the publisher's sampler, predictions to x0.

The tables come from diffusers' own schedulers, built from the configuration that lies beside a checkpoint, so that
`schedule` asks the network at exactly the timesteps at which diffusers would. `Components.scheduler` may be the
configuration of any diffusion sampler (PNDM, Euler, DPM++ …): what counts are its βs, spacing and prediction.

Two things about the last level. Where `set_alpha_to_one` is false, as for Stable Diffusion, a walk ends at ᾱ_0 < 1 and
not at the clean level: the sample is then the last step's `x0`, and diffusers' own (`Step.x`) still holds the network's
noise at σ ≈ 0.03. And where that last step would not move at all (a walk that visits timestep 0), it ends clean here.

DDIM in diffusers steps from t to t - T // steps whatever it visits next; for "leading" spacing, and for "trailing"
where `steps` divides T, this is the next visited timestep. Elsewhere (all of "linspace") it is not, by up to T / steps;
a walk here always steps to the level where it continues. Latents are never clipped (`clip_sample` is for pixels).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from weft.errors import BadCheckpoint, InvalidInput
from weft.schedule import NoiseLevel, Schedule, x0_from_eps, x0_from_flow, x0_from_v

__all__ = ["DiffusionLevels", "FlowLevels", "last_part", "variance_preserving"]

_X0: dict[str, Callable[[Tensor, Tensor, NoiseLevel], Tensor]] = {
    "epsilon": x0_from_eps,
    "v_prediction": x0_from_v,
    "sample": lambda x, prediction, level: prediction,
}


class DiffusionLevels:
    """Variance-preserving levels of T trained timesteps (Ho et al. 2020), and the DDIM walk over them."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._scheduler = _scheduler(DDIMScheduler, config)
        prediction = self._scheduler.config["prediction_type"]
        if prediction not in _X0:
            raise BadCheckpoint(
                f"a network that predicts {prediction!r} is not known", "it should be one of " + ", ".join(_X0)
            )
        self._x0 = _X0[prediction]
        self._alpha_bars = self._scheduler.alphas_cumprod.double().numpy()
        if prediction == "epsilon" and self._alpha_bars[-1] == 0:
            raise BadCheckpoint(
                "a scheduler that rescales its betas to zero SNR does not fit a network that predicts the noise",
                "set prediction_type to v_prediction, or rescale_betas_zero_snr to false, in scheduler_config.json",
            )
        finite = self._alpha_bars > 0
        self._log_s = np.log(np.sqrt(1 - self._alpha_bars[finite]) / np.sqrt(self._alpha_bars[finite]))

    @property
    def trained(self) -> int:
        """T, the number of trained timesteps."""
        return len(self._alpha_bars)

    @property
    def alpha_bars(self) -> np.ndarray:
        """f8 [T], ᾱ of every trained timestep, the least noisy first."""
        return self._alpha_bars.copy()

    def schedule(self, steps: int) -> Schedule:
        """The levels that DDIM visits in `steps` steps, noisy first, and the one where it ends."""
        bars = self._alpha_bars[self.timesteps(steps)]
        final = float(self._scheduler.final_alpha_cumprod)
        bars = np.append(bars, final if final > bars[-1] else 1.0)
        return Schedule(np.sqrt(bars), np.sqrt(1 - bars))

    def timesteps(self, steps: int) -> np.ndarray:
        """i8 [steps], the timesteps that DDIM visits, falling."""
        if not 1 <= steps <= self.trained:
            raise InvalidInput(f"steps = {steps} is outside 1 to {self.trained}", "30 steps are usual")
        self._scheduler.set_timesteps(steps)
        timesteps = self._scheduler.timesteps.numpy()
        if timesteps[0] >= self.trained:
            raise InvalidInput(f"{steps} steps begin beyond timestep {self.trained - 1}", "take one step less")
        return timesteps

    def timestep(self, level: NoiseLevel) -> float:
        """In [0, T - 1]; whole at trained levels, between them interpolated in the logarithm of the SNR α²/σ²."""
        if level.sigma == 0:
            return 0.0
        if level.alpha == 0 or math.log(level.s) > self._log_s[-1] + 1e-9:
            return float(self.trained - 1)
        t = float(np.interp(math.log(level.s), self._log_s, np.arange(len(self._log_s))))
        return float(round(t)) if abs(t - round(t)) < 1e-6 else t

    def x0(self, x: Tensor, prediction: Tensor, level: NoiseLevel) -> Tensor:
        """What the network predicted for x at a variance-preserving level, as E[x0|x]. Shapes are those of `x`."""
        return self._x0(x, prediction, level)

    def from_strength(self, schedule: Schedule, strength: float) -> Schedule:
        return last_part(schedule, strength)


class FlowLevels:
    """Flow levels α = 1 - σ (Lipman et al. 2023; Esser et al. 2024) and the Euler walk over them.

    `mu(steps)` is the shift of networks whose walk depends on the size of the image (`use_dynamic_shifting`); these are
    walked from σ = 1 to 1/steps before shifting, the others from the largest to the smallest trained σ.
    """

    def __init__(self, config: Mapping[str, Any], mu: Callable[[int], float] | None = None) -> None:
        self._scheduler = _scheduler(FlowMatchEulerDiscreteScheduler, config)
        self._mu = mu

    def schedule(self, steps: int) -> Schedule:
        """The levels of `steps` Euler steps, from σ = 1 to clean."""
        if steps < 1:
            raise InvalidInput(f"steps = {steps} is less than one", "28 steps are usual, 4 for distilled models")
        if self._mu is None:
            self._scheduler.set_timesteps(steps)
        else:
            self._scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps).tolist(), mu=self._mu(steps))
        sigmas = self._scheduler.sigmas.double().numpy()
        return Schedule(1 - sigmas, sigmas)

    def timestep(self, level: NoiseLevel) -> float:
        """T σ/(α + σ), in [0, T]: where α + σ ≠ 1, of the flow level with the same SNR."""
        return float(self._scheduler.config["num_train_timesteps"]) * level.sigma / (level.alpha + level.sigma)

    def x0(self, x: Tensor, prediction: Tensor, level: NoiseLevel) -> Tensor:
        """The predicted velocity ε - x0 for x at a flow level, as E[x0|x]. Shapes are those of `x`."""
        return x0_from_flow(x, prediction, level)

    def from_strength(self, schedule: Schedule, strength: float) -> Schedule:
        return last_part(schedule, strength)


def last_part(schedule: Schedule, strength: float) -> Schedule:
    """The last ⌊strength · steps⌋ steps, at least one: what SDEdit walks (Meng et al. 2022). `strength` in (0, 1]."""
    if not 0 < strength <= 1:
        raise InvalidInput(f"strength = {strength:g} is outside 0 to 1", "1 begins from noise, 0.3 changes little")
    kept = max(1, math.floor(strength * len(schedule) + 1e-9))
    return Schedule(schedule.alphas[-kept - 1 :], schedule.sigmas[-kept - 1 :])


def variance_preserving(x: Tensor, level: NoiseLevel) -> tuple[Tensor, NoiseLevel]:
    """(x, level) divided by √(α² + σ²): the same information, as a diffusion network takes it."""
    length = math.hypot(level.alpha, level.sigma)
    if abs(length - 1) < 1e-6:
        return x, level
    return x / length, NoiseLevel(level.alpha / length, level.sigma / length)


def _scheduler(cls: type, config: Mapping[str, Any]) -> Any:
    """A scheduler of `cls` from what it understands of another one's configuration."""
    known = inspect.signature(cls.__init__).parameters
    try:
        return cls(**{name: value for name, value in config.items() if name in known})
    except (NotImplementedError, ValueError, TypeError) as wrong:
        raise BadCheckpoint(
            f"a scheduler cannot be made of its configuration: {wrong}", "see scheduler_config.json of the checkpoint"
        ) from wrong
