"""Plots of benchmark rows, by matplotlib, which only they need."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from weft.benchmarks.synctweedies import Row
from weft.errors import InvalidInput, MissingDependency

__all__ = ["check_plotting", "plot_cases"]

SUFFIXES = (".png", ".svg", ".pdf")
_MANY = 12  # cases, beyond which panels stand below each other


def check_plotting(path: Path) -> None:
    """Raise now what would fail after minutes of measuring."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependency("plots need matplotlib, which is not installed", "pip install matplotlib")
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInput(f"cannot plot into {path.name!r}", f"end it in one of {', '.join(SUFFIXES)}")
    if not path.resolve().parent.is_dir():
        raise InvalidInput(f"there is no folder {path.parent}", "make it first")


def plot_cases(rows: Sequence[Row], path: Path) -> None:
    """Bars of the patch distance, one panel for every instrument and projection; Case 2 stands out."""
    from matplotlib.figure import Figure

    instruments = list(dict.fromkeys(row.instrument for row in rows))
    projections = list(dict.fromkeys(row.projection for row in rows))
    many = len({row.case for row in rows}) > _MANY
    shape = (len(projections), len(instruments)) if many else (len(instruments), len(projections))
    size = (9.0 * shape[1], 1.9 * shape[0]) if many else (max(4.5, 2.75 * shape[1]), 2.6 * shape[0])
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(*shape, squeeze=False)
    panels = panels.T if many else panels
    for line, instrument in zip(panels, instruments, strict=True):
        own = [row for row in rows if row.instrument == instrument]
        highest = 1.05 * min(max(row.numbers["patch"] for row in own), 4 * median(row.numbers["patch"] for row in own))
        for panel, projection in zip(line, projections, strict=True):
            found = {row.case: row.numbers["patch"] for row in own if row.projection == projection}
            colours = ["#c8553d" if case == 2 else "#8d9db6" for case in found]
            panel.bar([str(case) for case in found], list(found.values()), color=colours)
            panel.set_ylim(0, highest)  # what collapsed runs out of the picture
            panel.set_title(f"{instrument}, {projection}", fontsize=9)
            panel.tick_params(labelsize=7)
            panel.spines[["top", "right"]].set_visible(False)
            panel.margins(x=0.01)
    figure.supxlabel("case", fontsize=8)
    figure.supylabel("patch distance", fontsize=8)
    figure.savefig(path, dpi=130)
