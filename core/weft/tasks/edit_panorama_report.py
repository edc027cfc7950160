"""What an edited panorama is worth: whether it shows its windows, what it kept and what it took on, and a sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from weft.errors import InvalidInput
from weft.metrics import detail_correlation, eroded, line_seams, patch_distance, sharpness, wrap_seam
from weft.tasks.edit_panorama_input import Look
from weft.tasks.instruction import Instruction
from weft.tasks.instruction_exemplar import ExemplarInstruction
from weft.tasks.panorama_report import look_into, tile_row
from weft.tasks.panorama_windows import PanoramaWindows
from weft.tasks.phases import Painter
from weft.tasks.sphere_windows import SphereWindows

__all__ = ["EditedPanorama", "contact_sheet", "measure"]

_LOOKED_AT = [(0.0, 0.0), (120.0, 10.0), (240.0, -20.0), (180.0, 0.0), (0.0, 90.0), (0.0, -90.0)]  # of a sphere
_TILE = 320  # px


@dataclass(frozen=True, eq=False)
class EditedPanorama:
    """A run that has ended."""

    before: np.ndarray  # f4 [H, W, 3]
    after: np.ndarray
    windows: PanoramaWindows
    looks: Sequence[Look]
    instructions: Sequence[Instruction]  # of each look

    @cached_property
    def views(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """How both are looked at."""
        before, after = (list(self.windows.views(picture)) for picture in (self.before, self.after))
        return before, after

    def shown_in(self, mask: np.ndarray) -> list[np.ndarray]:
        """bool [h, w] of each view."""
        return [plane[..., 0] > 0.99 for plane in self.windows.views(mask[..., None].astype(np.float32))]

    @cached_property
    def changing(self) -> list[np.ndarray]:
        return self.shown_in(np.any([look.mask for look in self.looks], 0))

    def exemplar(self, instruction: Instruction) -> np.ndarray | None:
        """At the scale at which it was painted; None for networks, which go by words."""
        if not isinstance(instruction, ExemplarInstruction):
            return None
        return Painter(instruction.exemplar, instruction.pattern_scale * instruction.window).exemplar().image / 2 + 0.5


def measure(edited: EditedPanorama) -> dict[str, Any]:
    """Numbers by name, None where one cannot be measured.

    `window_seam`: of a wide image, mean difference across the lines where windows laid from its corner would meet, over
    that beside them, and over the source's if that is more than 1; the worse of rows and columns. `worst_seam` of
    windows laid from anywhere. `wrap_seam`: where left meets right, `wrap_seam_before` of the source. 1 is ideal.
    `sharpness` over that of the source; `detail`: correlation with the source's. By name of the look: `patch_distance`
    to its exemplar, `patch_distance_before` of the source.
    """
    before, after = edited.views
    inside = edited.changing
    sharp = _measured(6, lambda: _sharpness(before, inside))
    found: dict[str, Any] = {
        "sharpness": _measured(3, lambda: _sharpness(after, inside) / sharp) if sharp else None,
        "detail": _measured(3, lambda: _mean(detail_correlation, after, before, inside)),
        "patch_distance": {}, "patch_distance_before": {},
    }  # fmt: skip
    if edited.windows.wraps:
        found |= {
            "wrap_seam": round(wrap_seam(edited.after), 3),
            "wrap_seam_before": round(wrap_seam(edited.before), 3),
        }
    if not isinstance(edited.windows, SphereWindows):
        found |= _seams(edited)
    for look, instruction in zip(edited.looks, edited.instructions, strict=True):
        exemplar = edited.exemplar(instruction)
        if exemplar is not None:
            own = edited.shown_in(look.mask)
            for name, views in (("patch_distance", after), ("patch_distance_before", before)):
                found[name][look.name] = _measured(
                    4, lambda views=views, own=own, exemplar=exemplar: patch_distance(views, [exemplar], own)
                )
    return found


def _seams(edited: EditedPanorama) -> dict[str, Any]:
    period = edited.windows.window
    axes = [axis for axis in (0, 1) if edited.after.shape[axis] > period]
    if not axes:  # one window is all
        return {"window_seam": None, "worst_seam": None}
    seams = [_line_seams(edited, period, axis) for axis in axes]
    return {
        "window_seam": _measured(3, lambda: float(max(lines[-1] for lines in seams))),
        "worst_seam": _measured(3, lambda: float(max(lines.max() for lines in seams))),
    }


def _line_seams(edited: EditedPanorama, period: int, axis: int) -> np.ndarray:
    after, before = (line_seams(picture, period, axis) for picture in (edited.after, edited.before))
    return after / before.clip(min=1)


def _measured(digits: int, measure: Callable[[], float]) -> float | None:
    try:
        value = measure()
    except InvalidInput:
        return None
    return round(value, digits) if np.isfinite(value) else None


def _sharpness(views: Sequence[np.ndarray], inside: Sequence[np.ndarray]) -> float:
    shown = [(view, mask) for view, mask in zip(views, inside, strict=True) if eroded(mask, 4).any()]
    if not shown:
        raise InvalidInput("hardly anything may change", "use a larger mask")
    return float(np.mean([sharpness(view, None if mask.all() else mask) for view, mask in shown]))


def _mean(measure: Callable[..., float], *of: Sequence[np.ndarray]) -> float:
    """Over the views of which it can be taken."""
    values = [_measured(9, lambda each=each: measure(*each)) for each in zip(*of, strict=True)]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def contact_sheet(edited: EditedPanorama) -> np.ndarray:
    """f4 [H, 1280, 3]: before and after, whole and, of a sphere, looked around in; what each part should be like."""
    rows: list[list[tuple[str, np.ndarray]]] = [[("before", edited.before)], [("after", edited.after)]]
    if isinstance(edited.windows, SphereWindows):
        for picture in (edited.before, edited.after):
            rows.append([(f"{a:.0f}/{e:+.0f}", look_into(picture, a, e, _TILE)) for a, e in _LOOKED_AT])
    elif edited.windows.wraps:
        rows.append([("its borders joined", np.roll(edited.after, edited.after.shape[1] // 2, 1))])
    guides = [
        (look.name, picture)
        for look, instruction in zip(edited.looks, edited.instructions, strict=True)
        if (picture := edited.exemplar(instruction)) is not None
    ]
    if guides:
        blank = [("", np.ones((_TILE, _TILE, 3), np.float32))] * max(6 - len(guides), 0)
        rows.append(guides + blank)
    return np.concatenate([tile_row(tiles) for tiles in rows])
