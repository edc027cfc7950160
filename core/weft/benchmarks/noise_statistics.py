"""Ratios of galleries with coupled noise to those with independent noise, with intervals and paired tests.

A ratio is the mean of the materials' ratios, each of means over galleries: a material of strong contrast counts no more
than another. Galleries of one number share their noises, so everything is paired by gallery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls
from scipy.stats import spearmanr, t, wilcoxon

__all__ = ["Compared", "Degrees", "compared", "compared_once", "degrees", "falls", "rank_correlation"]

_CONFIDENCE = 0.95
_DEGREES = (1, 2, 3, 4, 5, 6, 7, 10, 11, 20, 21, 50, 51, 200, 201)  # odd and even: at ρ = -1 only odd ones count
_TOGETHER = 1e3  # weight of Σ v = 1 beside points of weight 1


@dataclass(frozen=True)
class Compared:
    """Of one way over another."""

    ratio: float
    low: float  # of the 95 % interval
    high: float
    p: float  # of Wilcoxon's signed-rank test, two-sided
    above: int  # materials whose ratio is above 1
    pairs: int

    @property
    def error(self) -> float:
        """Half the interval."""
        return (self.high - self.low) / 2


def compared(values: np.ndarray, base: np.ndarray) -> Compared:
    """`values` over `base`, both [M, G]: of M materials and their galleries, base > 0 on average.

    The interval is Student's of the linearised ratio (the delta method) within materials: it is about these materials,
    and about other galleries of them. What G galleries lean to either side is of the order of 1/G, well inside it.
    """
    ratios, residuals = _linearised(values, base)
    low, high = _interval(float(ratios.mean()), residuals)
    differences = (values - base) / base.mean(1, keepdims=True)
    return Compared(float(ratios.mean()), low, high, _signed_ranks(differences), int((ratios > 1).sum()), values.size)


def compared_once(values: np.ndarray, base: np.ndarray) -> Compared:
    """The same where there is one number > 0 a material, [M] each: the ratio is the geometric mean, as ratios of two
    noisy numbers lean above 1 otherwise, and the interval is about materials."""
    logs = np.log(values / base)
    low, high = _interval(float(logs.mean()), (logs - logs.mean())[None])
    ratio, low, high = (float(np.exp(value)) for value in (logs.mean(), low, high))
    return Compared(ratio, low, high, _signed_ranks(logs), int((logs > 0).sum()), logs.size)


def falls(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> tuple[float, float, float]:
    """By how much the ratio of the second pair (values, base) lies below the first's: (fall, low, high)."""
    (ratios, residuals), (others, other_residuals) = (_linearised(*pair) for pair in (first, second))
    fall = float((ratios - others).mean())
    return (fall, *_interval(fall, residuals - other_residuals))


def _linearised(values: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The materials' ratios R [M], and (a - R b)/mean(b) [M, G], whose mean over galleries errs as R does."""
    middle = base.mean(1, keepdims=True)
    ratios = values.mean(1, keepdims=True) / middle
    return ratios[:, 0], (values - ratios * base) / middle


def _interval(middle: float, residuals: np.ndarray) -> tuple[float, float]:
    """Of a mean over strata [M, G] whose residuals in them these are."""
    strata, each = residuals.shape
    if each < 2:
        return -np.inf, np.inf
    error = np.sqrt((residuals.var(1, ddof=1) / each).sum()) / strata
    half = float(t.ppf(0.5 + _CONFIDENCE / 2, strata * (each - 1)) * error)
    return middle - half, middle + half


def _signed_ranks(differences: np.ndarray) -> float:
    flat = differences.ravel()
    if not flat.any():
        return 1.0
    found: Any = wilcoxon(flat, method="approx" if flat.size > 50 else "auto")
    return float(found.pvalue)


@dataclass(frozen=True)
class Degrees:
    """Which share of the pictures' variance is of which degree in the noise, and how well that fits."""

    linear: float  # v_1
    low: float  # v_2 + v_3
    high: float  # the rest
    error: float  # the largest |r - Σ v_k (1 - ρᵏ)|


def degrees(ratios: Mapping[float, float]) -> Degrees:
    """The v_k ≥ 0, Σ v_k = 1, that explain mean squared distances over those of independent noise, by ρ, best."""
    rhos = np.array(list(ratios))
    wanted = np.array([ratios[rho] for rho in ratios])
    powers = 1 - rhos[:, None] ** np.array(_DEGREES)
    system = np.vstack([powers, np.full(len(_DEGREES), _TOGETHER)])
    shares, _ = nnls(system, np.append(wanted, _TOGETHER))
    fit = powers @ shares
    linear, low = float(shares[0]), float(shares[1:3].sum())
    return Degrees(linear, low, float(shares[3:].sum()), float(np.abs(fit - wanted).max()))


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Spearman's, and its p."""
    found = spearmanr(first, second)
    return float(found.statistic), float(found.pvalue)
