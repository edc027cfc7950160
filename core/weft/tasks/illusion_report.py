"""What an illusion is worth: how much each view resembles its own picture, and how little the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from weft.metrics import patch_distance
from weft.tasks.illusion_targets import Targets
from weft.tasks.sheet import sheet

__all__ = ["FinishedIllusion", "contact_sheet", "likeness", "measure"]

COARSEST, FINEST = 0.08, 0.008  # of the side: the band in which shapes are compared


@dataclass(frozen=True, eq=False)
class FinishedIllusion:
    """A run that has ended; images f4 [S, S, 3] in [0, 1]."""

    targets: Targets
    labels: Sequence[str]  # of the pictures
    states: Sequence[tuple[float, NDArray[np.float32]]]  # (s, image) on the way
    image: NDArray[np.float32]
    views: Sequence[NDArray[np.float32]]


def measure(finished: FinishedIllusion) -> dict[str, Any]:
    """For each view, against its own picture and against the mean of the others, in the order of the views:

    `likeness_own`, `likeness_other` -1 to 1, the concordance of their shapes, pixel by pixel (1: the picture itself);
    `patch_distance_own`, `patch_distance_other` ≥ 0, of their 7×7 patches, wherever they are (0: the same patches).
    """
    pictures = finished.targets.pictures
    alike = [[likeness(view, picture) for picture in pictures] for view in finished.views]
    apart = [[patch_distance([view], [picture]) for picture in pictures] for view in finished.views]
    return {
        "likeness_own": _own(alike),
        "likeness_other": _others(alike),
        "patch_distance_own": _own(apart),
        "patch_distance_other": _others(apart),
    }


def likeness(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """2⟨a, b⟩ / (⟨a, a⟩ + ⟨b, b⟩) of the luma of two images [S, S, 3] between blurs of 0.8 % and 8 % of the side; 0 if
    both are flat. Unlike a correlation it does not forgive shapes that are there but faint.
    """
    first, second = _shapes(a), _shapes(b)
    power = (first**2).sum() + (second**2).sum()
    return float(2 * (first * second).sum() / power) if power > 1e-6 else 0.0


def _shapes(image: NDArray[np.float32]) -> NDArray[np.float64]:
    luma = image.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    fine, coarse = (gaussian_filter(luma, scale * len(luma), mode="nearest") for scale in (FINEST, COARSEST))
    return fine - coarse


def _own(table: Sequence[Sequence[float]]) -> list[float]:
    return [round(float(row[i]), 4) for i, row in enumerate(table)]


def _others(table: Sequence[Sequence[float]]) -> list[float]:
    return [round(float(np.mean([value for j, value in enumerate(row) if j != i])), 4) for i, row in enumerate(table)]


def contact_sheet(finished: FinishedIllusion) -> NDArray[np.float32]:
    """f4 [H, W, 3]: the pictures and what was asked of them; the image on its way; the image in each view."""
    targets = finished.targets
    given = list(zip(finished.labels, targets.pictures, strict=True))
    asked = [(f"asked of {view.name}", wanted) for view, wanted in zip(targets.views, targets.wanted, strict=True)]
    way = [(f"s = {s:.2f}", image) for s, image in finished.states]
    ends = [(view.name, image) for view, image in zip(targets.views, finished.views, strict=True)]
    return sheet([[*given, *asked], way, [("image", finished.image), *ends]])
