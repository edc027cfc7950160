"""The paper's ablation, row by row: which way of score distillation edited a set of views, and how well.

Kim et al. 2023, Table 4, with SDEdit (Meng et al. 2022) beside it. There is no truth to an edit; it is measured by what
it should have of both sides, the exemplar and the source:

    sharpness   of the exemplar's (metrics.images); the source's own is printed beside it
    patch       distance of patches to the exemplar's (metrics.patches)
    detail      correlation with the source of lightness between 1.5 and 6 px (metrics.detail): features stay in place
    tones       the same of all that is coarser than 1.5 px: light stays light
    warp        RMS difference between neighbouring views where both show the same, colours in [-1, 1]

Low warp alone is worth nothing: a blurred edit agrees with itself. It is read beside sharpness.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter

from weft.geometry.optical_flow import sampled
from weft.methods.score_distillation import RULES, Batch, Distillation, Place
from weft.metrics.detail import detail_correlation
from weft.metrics.flicker import Flow
from weft.metrics.images import sharpness
from weft.metrics.patches import patch_distance
from weft.noise import gaussian, generator
from weft.stepper import ddim
from weft.tasks.distilled_images import distilled_images
from weft.tasks.instruction import Instruction

__all__ = ["COLUMNS", "WAYS", "Row", "ViewSet", "Way", "edited", "measure", "rows_of", "sdedit", "table", "warp"]

_FINEST = 1.5  # px, standard deviation
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
_SDEDIT = 0.5  # of the time, where it starts
COLUMNS = {
    "sharpness": "sharpness", "patch": "patch", "detail": "detail", "tones": "tones", "warp": "warp", "cpu": "CPU s",
    "ratio": "× DDS",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """How a set of views is edited."""

    label: str
    rule: str  # of RULES, or "sdedit"


WAYS = (
    Way("CSD-Edit", "csd_edit"),
    Way("no kernel (DDS)", "dds"),
    Way("random baseline (CSD)", "csd"),
    Way("neither (SDS)", "sds"),
    Way("SDEdit", "sdedit"),
)


@dataclass(frozen=True, eq=False)
class ViewSet:
    """Views of one thing, each like the one before it."""

    name: str
    images: np.ndarray  # f4 [N, H, W, 3] sRGB in [0, 1]
    flows: Sequence[Flow]  # N - 1, as `metrics.flicker` has them


@dataclass(frozen=True, slots=True)
class Row:
    """One way on one set."""

    views: str
    guide: str
    way: str
    numbers: dict[str, float]  # keys of COLUMNS


def edited(instruction: Instruction, images: np.ndarray, way: Way, settings: Distillation, seed: int = 0) -> np.ndarray:
    """f4 [N, H, W, 3] in [0, 1]."""
    if way.rule == "sdedit":
        return sdedit(instruction, images, settings.steps, seed)
    *_, last = distilled_images(instruction, images, replace(settings, rule=RULES[way.rule]), seed=seed)
    return last.images()


def sdedit(instruction: Instruction, images: np.ndarray, steps: int, seed: int) -> np.ndarray:
    """Every image noised up to _SDEDIT and denoised by DDIM, guided as the target is."""
    source = instruction.encode(images)
    estimator = instruction.estimator(images, None, seed)
    batch = Batch(source, tuple(Place(i) for i in range(len(images))), source)
    times = np.linspace(_SDEDIT, 0, steps, endpoint=False)
    levels = [instruction.level_at(float(t)) for t in times]
    noise = gaussian(tuple(source.shape), generator(seed)).to(source)
    x = levels[0].alpha * source + levels[0].sigma * noise
    for level, following in pairwise(levels):
        x = ddim(x, estimator.target(x, level, batch), level, following)
    return instruction.decode(estimator.target(x, levels[-1], batch))


def measure(images: np.ndarray, source: ViewSet, exemplar: np.ndarray) -> dict[str, float]:
    """The numbers of edited `images` [N, H, W, 3], but for seconds. `exemplar` f4 [h, w, 3], as large as it is painted
    with."""
    own, true = (_blurred(shown @ _LUMINANCE, _FINEST) for shown in (images, source.images))
    return {
        "sharpness": float(np.mean([sharpness(image) for image in images])) / sharpness(exemplar),
        "patch": patch_distance(list(images), [exemplar]),
        "detail": float(np.mean([detail_correlation(*pair) for pair in zip(images, source.images, strict=True)])),
        "tones": float(np.corrcoef(own.ravel(), true.ravel())[0, 1]),
        "warp": warp(images, source.flows),
    }


def warp(images: np.ndarray, flows: Sequence[Flow]) -> float:
    """RMS over the pixels whose flow is known, mean over the pairs of neighbours, colours in [-1, 1]."""
    found = []
    for before, after, flow in zip(images, images[1:], flows, strict=False):
        row, column = np.nonzero(flow.known)
        shown = sampled(before, np.stack([column, row], -1) + flow.back[row, column])
        found.append(2 * np.sqrt(np.square(after[row, column] - shown).mean()))
    return float(np.mean(found))


def rows_of(
    views: ViewSet, exemplar: np.ndarray, guides: Mapping[str, Instruction], steps: int, ways: Sequence[Way] = WAYS
) -> Iterator[tuple[Row, np.ndarray]]:
    """A row for the views themselves and for every guide and way, and what came out [N, H, W, 3]. Seconds are the
    processor's, and divided by those of DDS, where that is among the ways."""
    unedited = measure(views.images, views, exemplar) | {"cpu": 0.0, "ratio": 0.0}
    yield Row(views.name, "-", "source", unedited), views.images
    for guide, instruction in guides.items():
        seconds = {}
        made = []
        for way in ways:
            began = time.process_time()
            images = edited(instruction, views.images, way, replace(instruction.defaults, steps=steps))
            seconds[way.rule] = time.process_time() - began
            made.append((way, images))
        for way, images in made:
            numbers = measure(images, views, exemplar)
            numbers |= {"cpu": seconds[way.rule], "ratio": seconds[way.rule] / seconds.get("dds", np.nan)}
            yield Row(views.name, guide, way.label, numbers), images


def table(rows: Sequence[Row], columns: Mapping[str, str] = COLUMNS) -> Iterator[str]:
    """Lines of text: a heading and a line for every row."""
    yield f"{'views':<18}{'guide':<10}{'way':<24}" + "".join(f"{heading:>11}" for heading in columns.values())
    for row in rows:
        values = "".join(f"{_shown(row.numbers[key]):>11}" for key in columns)
        yield f"{row.views:<18}{row.guide:<10}{row.way:<24}{values}"


def _shown(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _blurred(planes: np.ndarray, radius: float) -> np.ndarray:
    return gaussian_filter(planes, (0, radius, radius), mode="nearest")
