"""What the kernel and the baseline are worth: consistency over sharpness, every way a point. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from weft.benchmarks.csd_rows import Row

__all__ = ["plot_ablation"]

_COLOURS = {"csd_edit": "#c8553d", "other": "#4a4a4a"}
_FULL = "CSD-Edit"


def plot_ablation(rows: Sequence[Row], path: Path) -> None:
    """A panel for every set of views and guide; better to the lower right."""
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys((row.views, row.guide) for row in rows if row.guide != "-"))
    figure = Figure(figsize=(4.6 * len(panels), 4.0), layout="constrained")
    for panel, (views, guide) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for row in (row for row in rows if (row.views, row.guide) == (views, guide)):
            colour = _COLOURS["csd_edit" if row.way == _FULL else "other"]
            at = row.numbers["sharpness"], row.numbers["warp"]
            panel.plot(*at, "o", color=colour, markersize=6)
            panel.annotate(row.way, at, (6, 4), textcoords="offset points", fontsize=8, color=colour)
        panel.set_title(f"{views}, {guide} guide", fontsize=10)
        panel.set_xlabel("sharpness of the exemplar's", fontsize=9)
        panel.set_ylabel("difference between views (warp RMS)", fontsize=9)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
        panel.margins(0.25)
    figure.savefig(path, dpi=130)
