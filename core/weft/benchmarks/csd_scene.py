"""Ways of editing a scene: what its views are edited by, together or one by one, at equal numbers of denoiser calls.

The 3D rows of Kim et al. 2023, Table 4, and beside them the rhythm of Instruct-NeRF2NeRF (Haque et al. 2023), in which
one view after the other is edited alone and the scene is all that they agree through.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from weft.geometry.splats import Splats
from weft.tasks.edit_region import Region
from weft.tasks.edit_scene import edit_scene
from weft.tasks.events import Result

__all__ = ["COLUMNS", "WAYS", "SceneRow", "Size", "Way", "scene_rows", "table"]

COLUMNS = {
    "consistency": "views, dB", "psnr": "render, dB", "sharp": "sharpness", "patch": "patch", "source": "source, dB",
    "calls": "calls", "cpu": "CPU s",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """How the views of a scene are edited."""

    label: str
    rule: str
    schedule: str = "csd"


WAYS = (
    Way("CSD-Edit", "csd_edit"),
    Way("no kernel (DDS)", "dds"),
    Way("random baseline (CSD)", "csd"),
    Way("one view at a time", "dds", "one_by_one"),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    side: int = 128  # px of a view
    views: int = 12
    steps: int = 40  # of the distillation, of each view altogether


@dataclass(frozen=True, slots=True)
class SceneRow:
    """`numbers` by the keys of COLUMNS. consistency: of the edited views with each other; psnr: of the scene's renders
    against them; sharp: of the renders over the source's; patch: distance of the renders to the exemplar; source: PSNR
    of the renders against what was there; calls: images that were denoised."""

    way: str
    numbers: dict[str, float]


def scene_rows(
    splats: Splats, style: np.ndarray, size: Size, ways: Sequence[Way] = WAYS, *, fidelity: float
) -> Iterator[tuple[SceneRow, np.ndarray]]:
    """A row for every way of editing the colours of `splats` into `style` f4 [h, w, 3], and the contact sheet of it.
    Seconds are the processor's."""
    for way in ways:
        began = time.process_time()
        *_, last = edit_scene(
            splats, images=None, cameras=(), masks=None, exemplar=style, region=Region(), prompt="", fidelity=fidelity,
            pattern_scale=1.0, rule=way.rule, repulsion=True, iterations=size.steps, rate=0.0, noise_low=0.0,
            noise_high=0.0, schedule=way.schedule, change="colors", size=size.side, views=size.views, up="z",
            batch=size.views, every=0, scene_steps=0, anchor=0.0, seed=0, report=True,
        )  # fmt: skip
        seconds = time.process_time() - began
        assert isinstance(last, Result)
        found = last.info["edited"]
        numbers = {
            "consistency": found["consistency"], "psnr": found["psnr"],
            "sharp": found["sharpness"] / found["sharpness_source"], "patch": found["patch_distance"],
            "source": found["psnr_source"], "calls": last.info["calls"], "cpu": seconds,
        }  # fmt: skip
        yield (
            SceneRow(way.label, {k: np.nan if v is None else float(v) for k, v in numbers.items()}),
            last.arrays["contact_sheet"],
        )


def table(rows: Sequence[SceneRow]) -> Iterator[str]:
    """Lines of text: a heading and a line for every row."""
    yield f"{'way':<26}" + "".join(f"{heading:>12}" for heading in COLUMNS.values())
    for row in rows:
        values = (row.numbers[key] for key in COLUMNS)
        yield f"{row.way:<26}" + "".join(f"{v:>12.3f}" if abs(v) < 10 else f"{v:>12.1f}" for v in values)
