"""Where splats are spent: faint ones move to where strong ones are, and new ones are added there.

The idea is that of Kheradmand et al., "3D Gaussian Splatting as Markov Chain Monte Carlo" (NeurIPS 2024): k copies of a
splat of opacity o each have 1 - (1 - o)^(1/k), so that together they hide what it hid. Deviations: copies stand apart
by a sample of the splat's own Gaussian, where the paper adds noise in every step; scales shrink by a plain factor.
"""

from __future__ import annotations

import numpy as np

from weft.geometry.splats import quaternion_matrices
from weft.scenes.splat_optimiser import SplatOptimiser
from weft.scenes.splat_projection import LOGIT, MEAN, QUATERNION, SCALE

__all__ = ["grown", "relocate"]

_FAINT = 0.005  # opacity: such splats do nothing
_MOST = 0.99
_GROWTH = 0.06  # of the number of splats, added at a time
_SHRINK = 0.25, 1.6  # scales are divided by 1 + 0.25 a copy, at most by 1.6


def relocate(parameters: np.ndarray, optimiser: SplatOptimiser, source: np.random.Generator) -> None:
    """Move the faint splats of `parameters` f4 [N, D] to strong ones, drawn by opacity, in place."""
    opacity = _opacity(parameters)
    faint, strong = np.flatnonzero(opacity < _FAINT), np.flatnonzero(opacity >= _FAINT)
    if len(faint) and len(strong):
        chosen = source.choice(strong, len(faint), p=opacity[strong] / opacity[strong].sum())
        _split(parameters, optimiser, chosen, faint, source)


def grown(parameters: np.ndarray, optimiser: SplatOptimiser, capacity: int, source: np.random.Generator) -> np.ndarray:
    """More splats, at most `capacity`, the new ones last."""
    count = len(parameters)
    more = min(capacity - count, int(_GROWTH * count))
    if more <= 0:
        return parameters
    opacity = _opacity(parameters)
    chosen = source.choice(count, more, p=opacity / opacity.sum())
    parameters = np.concatenate([parameters, np.zeros((more, parameters.shape[1]), np.float32)])
    optimiser.grow(more)
    _split(parameters, optimiser, chosen, np.arange(count, count + more), source)
    return parameters


def _opacity(parameters: np.ndarray) -> np.ndarray:
    """f8 [N]"""
    tail = np.exp(-np.abs(parameters[:, LOGIT].astype(np.float64)))
    return np.where(parameters[:, LOGIT] >= 0, 1.0, tail) / (1 + tail)


def _split(
    parameters: np.ndarray,
    optimiser: SplatOptimiser,
    chosen: np.ndarray,  # i8 [M], splats, possibly several times
    free: np.ndarray,  # i8 [M], the rows that become their copies
    source: np.random.Generator,
) -> None:
    parents, copies = np.unique(chosen, return_counts=True)
    opacity = (1 - (1 - _opacity(parameters)[parents]) ** (1 / (copies + 1))).clip(_FAINT, _MOST)
    parameters[parents, LOGIT] = np.log(opacity / (1 - opacity))
    parameters[parents, SCALE:QUATERNION] -= np.log(np.minimum(1 + _SHRINK[0] * copies, _SHRINK[1]))[:, None]
    parameters[free] = parameters[chosen]
    turns = quaternion_matrices(parameters[chosen, QUATERNION:LOGIT])
    away = source.normal(size=(len(chosen), 3)) * np.exp(parameters[chosen, SCALE:QUATERNION].astype(np.float64))
    parameters[free, MEAN:SCALE] += np.einsum("nij,nj->ni", turns, away).astype(np.float32)
    optimiser.forget(free, entirely=True)
    optimiser.forget(parents, entirely=False)
