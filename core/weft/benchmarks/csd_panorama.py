"""Ways of editing a wide image by score distillation (Kim et al. 2023, Figure 3 and Table 1, with our own measures).

Kernel and source-conditioned baseline are switched off as in `csd`; *fixed windows* lie at the same places at every
step. The image is one that Weft made, or one that is given.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from weft.methods.score_distillation import RULES, distill
from weft.metrics import detail_correlation, line_seams, patch_distance, sharpness, wrap_seam
from weft.noise import generator
from weft.tasks.events import Result
from weft.tasks.instruction_exemplar import ExemplarInstruction
from weft.tasks.panorama import panorama
from weft.tasks.phases import Painter
from weft.tasks.wide_windows import Axis, WideWindows

__all__ = [
    "COLUMNS",
    "WAYS",
    "PanoramaRow",
    "Size",
    "Way",
    "edited_panorama",
    "made_panorama",
    "panorama_rows",
    "table",
]

COLUMNS = {
    "seam": "seam", "worst": "worst seam", "wrap": "wrap seam", "sharpness": "sharpness", "patch": "patch",
    "detail": "detail", "cpu": "CPU s",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """How a wide image is edited."""

    label: str
    rule: str
    fixed: bool = False


WAYS = (
    Way("CSD-Edit", "csd_edit"),
    Way("no kernel (DDS)", "dds"),
    Way("random baseline (CSD)", "csd"),
    Way("CSD-Edit, fixed windows", "csd_edit", fixed=True),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    width: int = 640
    height: int = 192
    window: int = 128  # px
    steps: int = 40


@dataclass(frozen=True, slots=True)
class PanoramaRow:
    """`numbers` by the keys of COLUMNS. seam: mean difference across the lines where windows laid from the corner meet,
    over that beside them, and over the source's if that is more than 1; the worse of rows and columns. worst: of
    windows laid from anywhere; wrap: where left meets right; sharpness over the exemplar's; patch: distance to the
    exemplar's; detail: correlation with the source."""

    way: str
    numbers: dict[str, float]


class _FixedWindows(WideWindows):
    def phase(self, axis: Axis, generator: torch.Generator) -> int:
        return 0


def made_panorama(size: Size, material: str = "mossy stone", steps: int = 30) -> np.ndarray:
    """f4 [H, W, 3] sRGB in [0, 1]: a wide image whose borders meet, of a built-in material."""
    *_, last = panorama(
        exemplar=None, depth=None, meshes=[], viewpoint=None, prompt=material, shape="wide", width=size.width,
        height=size.height, window=size.window, steps=steps, seed=0, pattern_scale=1.0, case="synctweedies",
        report=False,
    )  # fmt: skip
    assert isinstance(last, Result)
    return last.arrays["panorama"]


def edited_panorama(
    image: np.ndarray, way: Way, instruction: ExemplarInstruction, size: Size, seed: int = 0
) -> np.ndarray:
    """f4 [H, W, 3] in [0, 1] of a wide `image` whose borders meet."""
    kind = _FixedWindows if way.fixed else WideWindows
    variable = kind.of(instruction, image, size.window, wrap=True)
    settings = replace(instruction.defaults, rule=RULES[way.rule], steps=size.steps)
    estimator = instruction.estimator(variable.canvases(image), None, seed)
    for _ in distill(variable, estimator, instruction.level_at, settings, generator(seed)):
        pass
    return variable.picture()


def panorama_rows(
    image: np.ndarray, style: np.ndarray, size: Size, ways: Sequence[Way] = WAYS, *, fidelity: float = 0.6
) -> Iterator[tuple[PanoramaRow, np.ndarray]]:
    """A row for the wide `image` f4 [H, W, 3] as it is and one for every way into `style` f4 [h, w, 3], with what came
    out. Seconds are the processor's."""
    instruction = ExemplarInstruction(style, fidelity, window=size.window)
    exemplar = Painter(style, size.window).exemplar().image / 2 + 0.5
    yield PanoramaRow("as it is", _measured(image, image, exemplar, size.window) | {"cpu": 0.0}), image
    for way in ways:
        began = time.process_time()
        edited = edited_panorama(image, way, instruction, size)
        numbers = {"cpu": time.process_time() - began} | _measured(edited, image, exemplar, size.window)
        yield PanoramaRow(way.label, numbers), edited


def _measured(image: np.ndarray, source: np.ndarray, exemplar: np.ndarray, window: int) -> dict[str, float]:
    seams = [line_seams(image, window, axis) / line_seams(source, window, axis).clip(min=1) for axis in (0, 1)]
    return {
        "seam": float(max(lines[-1] for lines in seams)),
        "worst": float(max(lines.max() for lines in seams)),
        "wrap": wrap_seam(image),
        "sharpness": sharpness(image) / sharpness(exemplar),
        "patch": patch_distance([image], [exemplar]),
        "detail": detail_correlation(image, source),
    }


def table(rows: Sequence[PanoramaRow]) -> Iterator[str]:
    """Lines of text: a heading and a line for every row."""
    yield f"{'way':<26}" + "".join(f"{heading:>12}" for heading in COLUMNS.values())
    for row in rows:
        yield f"{row.way:<26}" + "".join(f"{row.numbers[key]:>12.{0 if key == 'cpu' else 3}f}" for key in COLUMNS)
