"""Plots of benchmark rows, by matplotlib, which only they need."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from weft.benchmarks.synctweedies import Row
from weft.errors import InvalidInput, MissingDependency

__all__ = ["check_plotting", "plot_cases"]

SUFFIXES = (".png", ".svg", ".pdf")
_INCH = 0.22  # per case


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
    cases = list(dict.fromkeys(row.case for row in rows))
    width = max(9.0, len(projections) * (1.2 + _INCH * len(cases)))
    figure = Figure(figsize=(width, 2.6 * len(instruments)), layout="constrained")
    panels = figure.subplots(len(instruments), len(projections), squeeze=False, sharey="row")
    for line, instrument in zip(panels, instruments, strict=True):
        for panel, projection in zip(line, projections, strict=True):
            found = {
                r.case: r.numbers["patch"] for r in rows if (r.instrument, r.projection) == (instrument, projection)
            }
            colours = ["#c8553d" if case == 2 else "#8d9db6" for case in found]
            panel.bar([str(case) for case in found], list(found.values()), color=colours)
            panel.set_title(f"{instrument}, {projection}", fontsize=9)
            panel.tick_params(labelsize=6 if len(cases) > 12 else 8, axis="x", rotation=90 if len(cases) > 12 else 0)
            panel.spines[["top", "right"]].set_visible(False)
    for line in panels:
        line[0].set_ylabel("patch distance", fontsize=8)
    for panel in panels[-1]:
        panel.set_xlabel("case", fontsize=8)
    figure.savefig(path, dpi=130)
