"""Adam (Kingma and Ba 2015) on rows of splat parameters, some of which may be held.

Rates are those of 3DGS, scaled for scenes whose cameras stand at distance 1 and for runs of a few thousand steps; all
decay exponentially over a run.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from weft.errors import InvalidInput
from weft.kernels import parallel_kernel
from weft.scenes.splat_projection import LOGIT, MEAN, QUATERNION, SCALE, SH

__all__ = ["BETAS", "EDITING", "EPSILON", "FORMING", "NEARBY", "Held", "SplatOptimiser", "learning_rates"]

BETAS, EPSILON = (0.9, 0.99), np.float32(1e-15)
_DECAY = 0.1  # of all rates but the positions' from the first step to the last
FORMING, EDITING = (8e-4, 8e-6), (2e-4, 2e-5)  # rates of positions, at the first step and the last
NEARBY = 0.02  # scene units: as much of an offence against an anchor as 1 of any other parameter


class Held(NamedTuple):
    """Which splats may change, and how strongly all are held where they were when the optimiser began."""

    trainable: np.ndarray | None = None  # bool [N]; None: all
    anchor: float = 0.0  # λ of λ/2 · the mean over splats of squared distances from their old parameters


def learning_rates(columns: int, fraction: float, positions: tuple[float, float]) -> np.ndarray:
    """f4 [columns], after `fraction` of a run."""
    rates = np.empty(columns, np.float32)
    decay = _DECAY**fraction
    rates[MEAN:SCALE] = positions[0] * (positions[1] / positions[0]) ** fraction
    rates[SCALE:QUATERNION] = 0.01 * decay
    rates[QUATERNION:LOGIT] = 0.004 * decay
    rates[LOGIT] = 0.05 * decay
    rates[SH : SH + 3] = 0.02 * decay
    rates[SH + 3 :] = 0.003 * decay
    return rates


class SplatOptimiser:
    """The moments of parameters f4 [N, 11 + 3 K] (`splat_projection`). What is infinite stays as it is: opacities of 0
    and 1, and flat splats, which files hold. So does to the bit what may not change."""

    def __init__(
        self, parameters: np.ndarray, *, geometry: bool = True, rate: float = 1.0, held: Held | None = None
    ) -> None:
        self.first, self.second = np.zeros_like(parameters), np.zeros_like(parameters)
        self.updates, self.geometry, self.rate = 0, geometry, rate
        self.held = held or Held()
        if self.held.trainable is not None and self.held.trainable.shape != parameters.shape[:1]:
            found = list(self.held.trainable.shape)
            raise InvalidInput(f"the mask of what may change is {found}, expected [{len(parameters)}]", "one a splat")
        self.anchors = parameters.copy() if self.held.anchor > 0 else np.empty((0, 0), np.float32)

    def step(
        self, parameters: np.ndarray, gradients: np.ndarray, fraction: float, positions: tuple[float, float]
    ) -> None:
        """Change `parameters` in place, after `fraction` of a run; `gradients` may be changed, too."""
        self.updates += 1
        rates = learning_rates(parameters.shape[1], fraction, positions) * np.float32(self.rate)
        corrections = np.array([1 - beta**self.updates for beta in BETAS], np.float32)
        rates /= corrections[0]
        if len(self.anchors):
            _pull(parameters, self.anchors, np.float32(self.held.anchor / len(parameters)), gradients)
        trainable = self.held.trainable if self.held.trainable is not None else np.empty(0, np.bool_)
        start = 0 if self.geometry else SH
        moments = self.first, self.second
        _adam(parameters, gradients, *moments, rates, np.float32(1 / corrections[1]), trainable, start)

    def forget(self, splats: np.ndarray, *, entirely: bool) -> None:
        """The direction of `splats` i8 [M], and how steep it is, too, if `entirely`."""
        self.first[splats] = 0
        if entirely:
            self.second[splats] = 0

    def grow(self, count: int) -> None:
        """Make room for `count` more splats."""
        rows = np.zeros((count, self.first.shape[1]), np.float32)
        self.first, self.second = np.concatenate([self.first, rows]), np.concatenate([self.second, rows])

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything, as arrays whose names begin with "optimiser."."""
        found = {"first": self.first, "second": self.second, "anchors": self.anchors}
        if self.held.trainable is not None:
            found["trainable"] = self.held.trainable
        found["settings"] = np.array([self.updates, self.geometry, self.rate, self.held.anchor], np.float64)
        return {f"optimiser.{name}": array for name, array in found.items()}

    @classmethod
    def from_arrays(cls, parameters: np.ndarray, arrays: dict[str, np.ndarray]) -> SplatOptimiser:
        updates, geometry, rate, anchor = (float(value) for value in arrays["optimiser.settings"])
        held = Held(arrays.get("optimiser.trainable"), anchor)
        optimiser = cls(parameters, geometry=bool(geometry), rate=rate, held=held)
        optimiser.updates = int(updates)
        optimiser.first, optimiser.second = (arrays[f"optimiser.{name}"].copy() for name in ("first", "second"))
        optimiser.anchors = arrays["optimiser.anchors"].copy()
        if optimiser.first.shape != parameters.shape or optimiser.second.shape != parameters.shape:
            raise InvalidInput("the optimiser's state is not one of this scene", "load the file again, or fit anew")
        return optimiser


@parallel_kernel
def _pull(parameters, anchors, strength, gradients):
    """Add the gradient of strength/2 · Σ (p - anchor)², positions measured in NEARBY. Infinite ones have none."""
    nearby = np.float32(1 / NEARBY**2)
    for n in numba.prange(len(parameters)):
        for k in range(parameters.shape[1]):
            if np.isfinite(parameters[n, k]):
                unit = nearby if k < SCALE else np.float32(1)
                gradients[n, k] += strength * unit * (parameters[n, k] - anchors[n, k])


@parallel_kernel
def _adam(parameters, gradients, first, second, rates, correction, trainable, start):
    """One step of the columns from `start` on; `correction` of the second moments, that of the first is in `rates`."""
    old_1, old_2 = np.float32(BETAS[0]), np.float32(BETAS[1])
    new_1, new_2 = np.float32(1 - BETAS[0]), np.float32(1 - BETAS[1])
    for n in numba.prange(len(parameters)):
        if len(trainable) and not trainable[n]:
            continue
        row, wanted, mean, square = parameters[n], gradients[n], first[n], second[n]
        for k in range(start, parameters.shape[1]):
            g = wanted[k]
            m = old_1 * mean[k] + new_1 * g
            v = old_2 * square[k] + new_2 * g * g
            mean[k], square[k] = m, v
            value = row[k]
            changed = value - np.divide(rates[k] * m, np.sqrt(v * correction) + EPSILON)
            row[k] = changed if np.isfinite(value) else value
