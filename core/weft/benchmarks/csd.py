"""Collaborative score distillation and what it consists of (Kim et al. 2023, Table 4), with the embedded denoiser.

Two settings of the guide show two things. With the *recipe* every view is told so well what goes where that all ways
agree; there the baseline shows: noise in the place of the source's own estimate blurs. With a *weak* guide each view
finds its own way; there the kernel shows.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weft.benchmarks import csd_panorama, csd_scene
from weft.benchmarks.csd_rows import WAYS, Row, ViewSet, Way, rows_of
from weft.benchmarks.splat_torus import splat_torus
from weft.benchmarks.turntable import Turntable, turntable
from weft.geometry.splats import Splats
from weft.io.images import save_image
from weft.io.video import load_frames
from weft.metrics.flicker import video_flows
from weft.models.materials import render
from weft.tasks.instruction_exemplar import ExemplarInstruction
from weft.tasks.phases import Painter
from weft.tasks.sheet import sheet

__all__ = [
    "FIDELITIES", "GUIDES", "QUICK", "Size", "image_rows", "photographs", "save_rows", "splat_scene", "style_named",
    "turning", "video_frames", "wide_size",
]  # fmt: skip

FIDELITIES = {"recipe": 0.6, "weak": 0.22}  # of the guides
GUIDES = tuple(FIDELITIES)
SHOWN = 4  # views of a contact sheet
_TURN = 5.0  # degrees between two views of the turntable


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    side: int = 192  # px of the longer side
    views: int = 6
    steps: int = 40


QUICK = Size(48, 2, 2)


def photographs(path: Path, size: Size) -> ViewSet:
    """The first pictures of a folder or a video, with the optical flow between them."""
    frames = load_frames(path, size=size.side, count=size.views).images.astype(np.float32) / 255
    return ViewSet(path.name if path.name != "images" else path.parent.name, frames, video_flows(frames))


def turning(size: Size) -> ViewSet:
    """A turning torus, rendered by ourselves, whose flow is known."""
    shown = turntable(size.views, size.side, _TURN)
    return ViewSet("turntable", shown.frames, shown.flows)


def image_rows(
    views: ViewSet, style: np.ndarray, size: Size, ways: Sequence[Way] = WAYS, *, sheets: Path | None = None
) -> Iterator[Row]:
    """A row for every way with every guide, `style` f4 [h, w, 3] in [0, 1]; a contact sheet of each guide in
    `sheets`."""
    guides = {name: ExemplarInstruction(style, fidelity) for name, fidelity in FIDELITIES.items()}
    span = min(views.images.shape[1:3])
    shown: dict[str, list[tuple[str, np.ndarray]]] = {}
    for row, images in rows_of(views, Painter(style, span).exemplar().image / 2 + 0.5, guides, size.steps, ways):
        shown.setdefault(row.guide, []).append((row.way, images))
        yield row
    source = shown.pop("-")
    for guide, made in shown.items():
        if sheets is not None:
            save_image(sheets / f"csd_{views.name}_{guide}.jpg", _sheet([*source, *made]))


def wide_size(size: Size) -> csd_panorama.Size:
    """Of a wide image that is `size.side` high, in windows of two thirds of that."""
    window = max(size.side * 2 // 3 // 16, 2) * 16
    return csd_panorama.Size(size.side * 10 // 3 // 16 * 16, size.side // 16 * 16, window, size.steps)


def video_frames(size: Size) -> tuple[Turntable, int]:
    """Four times as many frames as there are views, and how many steps each takes part in."""
    return turntable(4 * size.views, size.side, 4.0), max(1, size.steps // 3)


def splat_scene(size: Size) -> tuple[Splats, csd_scene.Size]:
    """Splats about a pixel and a half wide, and how they are seen: by twice as many views, two thirds as large."""
    side = max(size.side * 2 // 3, 48)
    return splat_torus(side**2 // 2), csd_scene.Size(side, 2 * size.views, size.steps)


@functools.lru_cache(1)  # every part asks for it, and some take seconds to draw
def style_named(name: str) -> np.ndarray:
    """f4 [512, 512, 3]: one of the built-in materials. Everybody gets the same array."""
    return render(name, 512)


def save_rows(path: Path, rows: Sequence[Sequence[tuple[str, np.ndarray]]]) -> None:
    """A contact sheet of (label, f4 [h, w, 3])."""
    save_image(path, sheet(rows))


def _sheet(made: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    return sheet([[(label if i == 0 else "", view) for i, view in enumerate(views[:SHOWN])] for label, views in made])
