"""Ways of editing views against the truth: a row of numbers for each.

What is run is the job itself (`tasks.views_job`), so what is measured is what `weft relight` does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weft.benchmarks.coupled_scenes import LitScene
from weft.geometry.colour import encoded, linear
from weft.methods.view_editing import WAYS
from weft.metrics import pairwise_view_psnr, psnr, sharpness
from weft.metrics.ssim import ssim
from weft.spaces.view_geometry import ViewGeometry
from weft.tasks.painting import Clock
from weft.tasks.views_editor import ViewEditor
from weft.tasks.views_job import ViewsJob
from weft.tasks.views_stage import Stage
from weft.tasks.views_wanted import Wanted

__all__ = [
    "COLUMNS",
    "Recipe",
    "Row",
    "consistency",
    "edit",
    "mean_rows",
    "measure",
    "measured",
    "recipes",
    "sharpnesses",
    "sweep",
    "table",
]

COLUMNS = {
    "psnr": "PSNR",
    "exposed": "exposed",
    "ssim": "SSIM",
    "consistency": "consistency",
    "of_truth": "of truth's",
    "sharpness": "sharpness",
    "seconds": "seconds",
}
STRENGTHS = (0.2, 0.4, 0.8)  # κ, of the table
KAPPAS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
LAMBDAS = (0.01, 0.05, 0.2, 1.0, 4.0, 16.0)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A way, and for coupled ones how strongly."""

    way: str
    strength: float = 0.4
    units: str = "kappa"

    @property
    def label(self) -> str:
        sign = {"kappa": "κ", "lambda": "λ"}[self.units]
        return f"coupled, {sign} = {self.strength:g}" if self.way == "coupled" else self.way.replace("_", " ")

    def wanted(self, seed: int) -> Wanted:
        if self.units == "lambda":
            return Wanted(self.way, coupling_lambda=self.strength, seed=seed)
        return Wanted(self.way, coupling=self.strength, seed=seed)


@dataclass(frozen=True)
class Row:
    """`numbers` by the keys of COLUMNS (of `coupled_others` for other tasks); means over the views."""

    editor: str
    case: str  # the object, and what is done to it
    recipe: str
    numbers: dict[str, float]


def recipes(kappas: Sequence[float] = STRENGTHS) -> list[Recipe]:
    """Every way once, the coupled one at several strengths."""
    coupled = [Recipe("coupled", kappa) for kappa in kappas]
    return [each for way in WAYS for each in (coupled if way == "coupled" else [Recipe(way)])]


def sweep(kappas: Sequence[float] = KAPPAS, lambdas: Sequence[float] = LAMBDAS) -> list[Recipe]:
    """Coupled strengths from both ends; κ = 0 is `single_edit`'s trajectory."""
    return [Recipe("coupled", k) for k in kappas] + [Recipe("coupled", value, "lambda") for value in lambdas]


def edit(
    images: np.ndarray, geometry: ViewGeometry, mask: np.ndarray, editor: ViewEditor, recipe: Recipe, seed: int = 0
) -> np.ndarray:
    """The edited views f4 [N, H, W, 3] in [0, 1] of `images`, of which `mask` bool [N, H, W] may change."""
    stage = Stage(images, mask, geometry, lambda cells: {}, lambda cells: [])
    job = ViewsJob(stage, editor, recipe.wanted(seed), Clock())
    for _ in job.run():
        pass
    return job.images


def measure(scene: LitScene, images: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """The numbers of edited views beside the true ones, both f4 [N, H, W, 3]. PSNR and SSIM over pixels wholly on the
    object; PSNR again as `exposed_psnr`; consistency in dB as `metrics.pairwise_view_psnr`, and over that of the truth,
    whose highlights move with the viewer; sharpness over the truth's."""
    pairs = list(zip(images, truth, scene.mask, strict=True))
    own, true = consistency(scene.geometry, images), consistency(scene.geometry, truth)
    return {
        "psnr": float(np.mean([psnr(*pair) for pair in pairs])),
        "exposed": exposed_psnr(images, truth, scene.mask),
        "ssim": float(np.mean([ssim(*pair) for pair in pairs])),
        "consistency": own,
        "of_truth": own / true,
        "sharpness": sharpnesses(images, scene.mask) / sharpnesses(truth, scene.mask),
    }


def exposed_psnr(images: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """PSNR in dB after the best gain of each channel, one for all views f4 [N, H, W, 3]: what is left where pictures
    do not tell how bright and of which tint the light was that they were taken in."""
    light, true = linear(images)[mask].astype(np.float64), linear(truth)[mask].astype(np.float64)
    gain = (light * true).sum(0) / np.maximum((light * light).sum(0), 1e-12)
    pairs = zip(encoded(linear(images) * gain.astype(np.float32)), truth, mask, strict=True)
    return float(np.mean([psnr(*pair) for pair in pairs]))


def consistency(geometry: ViewGeometry, images: np.ndarray) -> float:
    """dB; NaN where no two views show the same."""
    found = pairwise_view_psnr(
        list(images), list(geometry.cameras), list(geometry.position), list(geometry.depth), list(geometry.facing)
    )
    return float("nan") if found is None else found


def sharpnesses(images: np.ndarray, masks: np.ndarray) -> float:
    return float(np.mean([sharpness(image, mask) for image, mask in zip(images, masks, strict=True)]))


def measured(
    name: str, scene: LitScene, lights: tuple[str, str], editor: ViewEditor, wanted: Sequence[Recipe], seed: int = 0
) -> Iterator[tuple[Row, np.ndarray]]:
    """A row for every recipe and the views that it made, of `scene` taken from the first light to the second."""
    truth = scene.views[lights[1]]
    case = f"{scene.name}, {lights[0]} to {lights[1]}"
    for recipe in wanted:
        began = time.perf_counter()
        images = edit(scene.views[lights[0]], scene.geometry, scene.geometry.mask, editor, recipe, seed)
        seconds = time.perf_counter() - began
        yield Row(name, case, recipe.label, measure(scene, images, truth) | {"seconds": seconds}), images


def mean_rows(rows: Sequence[Row]) -> list[Row]:
    """Means over the cases, in the order in which editors and recipes first appear."""
    keys = list(dict.fromkeys((row.editor, row.recipe) for row in rows))
    means = []
    for editor, recipe in keys:
        own = [row.numbers for row in rows if (row.editor, row.recipe) == (editor, recipe)]
        numbers = {key: float(np.mean([each[key] for each in own])) for key in own[0]}
        means.append(Row(editor, f"mean of {len(own)}", recipe, numbers))
    return means


def table(rows: Sequence[Row], columns: Mapping[str, str] = COLUMNS) -> Iterator[str]:
    """Lines of text: a heading and a line for every row."""
    yield f"{'editor':<10}{'case':<40}{'way':<22}" + "".join(f"{heading:>14}" for heading in columns.values())
    for row in rows:
        values = "".join(f"{_shown(row.numbers[key]):>14}" for key in columns)
        yield f"{row.editor:<10}{row.case:<40}{row.recipe:<22}{values}"


def _shown(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
