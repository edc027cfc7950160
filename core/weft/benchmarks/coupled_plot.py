"""The trade of reconstruction for consistency as coupling grows, and every other way beside it. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from weft.benchmarks.coupled_rows import Row

__all__ = ["plot_trade"]

CURVES = {"κ": ("#c8553d", "o"), "λ": ("#3d6ac8", "s")}
OTHERS = "#4a4a4a"


def plot_trade(rows: Sequence[Row], path: Path) -> None:
    """A panel for every editor: PSNR against the truth over consistency between views, both better to the upper right.
    Coupled recipes are joined in the order of their strength."""
    from matplotlib.figure import Figure

    editors = list(dict.fromkeys(row.editor for row in rows))
    figure = Figure(figsize=(6.4 * len(editors), 5.0), layout="constrained")
    for panel, editor in zip(figure.subplots(1, len(editors), squeeze=False)[0], editors, strict=True):
        own = [row for row in rows if row.editor == editor]
        for sign, (colour, marker) in CURVES.items():
            _curve(panel, [row for row in own if f", {sign} =" in row.recipe], sign, colour, marker)
        for i, row in enumerate(row for row in own if "=" not in row.recipe):
            x, y = row.numbers["consistency"], row.numbers["psnr"]
            panel.plot(x, y, "D", color=OTHERS, markersize=5)
            # Turn by turn to the lower left and the upper left: related ways lie close to each other.
            below = (-6, (-11, 5)[i % 2])
            panel.annotate(row.recipe, (x, y), below, textcoords="offset points", ha="right", fontsize=8, color=OTHERS)
        panel.set_title(f"{editor} editor", fontsize=10)
        panel.set_xlabel("consistency between views, dB", fontsize=9)
        panel.set_ylabel("PSNR against the truth, dB", fontsize=9)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
        panel.margins(0.12)
        if any("=" in row.recipe for row in own):
            panel.legend(fontsize=8, frameon=False, loc="lower left")
    figure.savefig(path, dpi=130)


def _curve(panel, rows: Sequence[Row], sign: str, colour: str, marker: str) -> None:
    if not rows:
        return
    x, y = ([row.numbers[key] for row in rows] for key in ("consistency", "psnr"))
    panel.plot(x, y, "-", color=colour, marker=marker, markersize=4, linewidth=1.2, label=f"coupled, {sign} grows")
    for row, at in zip(rows, zip(x, y, strict=True), strict=True):
        strength = row.recipe.rsplit(" ", 1)[1]
        panel.annotate(strength, at, (5, 4), textcoords="offset points", fontsize=7, color=colour)
