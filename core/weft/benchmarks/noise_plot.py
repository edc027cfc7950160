"""What coupling is worth: by the number of variants, by correlation, by material. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weft.benchmarks.noise import PAPER, Measured, Plan, Way
from weft.benchmarks.noise_tables import against_independent, ratios_by_rho

__all__ = ["plot_galleries"]

COLOURS = {"repulsive": "#c8553d", "CNO": "#3d6ac8", "both": "#7a4fa3"}
GREY, CELLS = "#8d9db6", "#5b8c5a"


def plot_galleries(found: Sequence[Measured], plan: Plan, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.0, 4.4), layout="constrained")
    members, correlations, materials = figure.subplots(1, 3, width_ratios=(1.0, 1.0, 1.15))
    _by_members(members, found, plan)
    _by_correlation(correlations, found, plan)
    _by_material(materials, found, plan)
    for panel in (members, correlations, materials):
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def _by_members(panel: Any, found: Sequence[Measured], plan: Plan) -> None:
    m = np.array(plan.members)
    panel.axhline(1, color="#000000", linewidth=0.8)
    panel.plot(m, 1 + 1 / (m - 1), "--", color=GREY, label="linear generator")
    known = [count for count in plan.members if count in PAPER]
    panel.plot(known, [PAPER[count] for count in known], "D:", color=GREY, markersize=4, label="paper")
    ways = {"repulsive": (True, False), "CNO": (False, True), "both": (True, True)}
    for shift, (label, (coupled, moved)) in zip((0.0, -0.05, 0.05), ways.items(), strict=True):
        own = [Way.repulsive(count, moved=moved) if coupled else Way(count, moved=moved) for count in plan.members]
        ratios = [against_independent(found, way, "squared") for way in own]
        errors = [ratio.error for ratio in ratios]
        values = [ratio.ratio for ratio in ratios]
        panel.errorbar(
            m + shift, values, errors, color=COLOURS[label], marker="o", markersize=4, capsize=3, label=label
        )
    panel.set_xticks(m)
    panel.set_xlabel("variants m", fontsize=9)
    panel.set_ylabel("squared distance over independent noise's", fontsize=9)
    panel.legend(fontsize=8, frameon=False)


def _by_correlation(panel: Any, found: Sequence[Measured], plan: Plan) -> None:
    panel.axhline(1, color="#000000", linewidth=0.8)
    for name, label, colour in (("squared", "pixels", COLOURS["repulsive"]), ("coarse", "8 x 8 cells", CELLS)):
        ratios = dict(sorted(ratios_by_rho(found, plan, name).items()))
        panel.plot(list(ratios), list(ratios.values()), "o-", color=colour, markersize=4, linewidth=1.2, label=label)
    panel.plot([-1, 1], [2, 0], "--", color=GREY, label="linear generator")
    panel.set_xlabel("correlation of two noises ρ", fontsize=9)
    panel.legend(fontsize=8, frameon=False)


def _by_material(panel: Any, found: Sequence[Measured], plan: Plan) -> None:
    """The worth of opposite noises over the number of patterns in a material."""
    way = Way.repulsive(plan.members[0])
    ratios = [against_independent([one], way, "squared") for one in found]
    patterns = [one.patterns for one in found]
    errors = [ratio.error for ratio in ratios]
    panel.axhline(1, color="#000000", linewidth=0.8)
    panel.errorbar(
        patterns, [r.ratio for r in ratios], errors, fmt="o", color=COLOURS["repulsive"], markersize=4, lw=0.8
    )
    for one, ratio in zip(found, ratios, strict=True):
        if ratio.ratio > 1.3 or len(found) < 12:
            place = (one.patterns, ratio.ratio)
            panel.annotate(one.material, place, (5, 3), textcoords="offset points", fontsize=7, color="#4a4a4a")
    panel.set_xscale("log")
    ticks = [tick for tick in (2, 5, 10, 20, 50, 100) if min(patterns) / 1.2 <= tick <= max(patterns) * 1.2]
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.minorticks_off()
    panel.set_xlabel("independent patterns in a material's patches", fontsize=9)
    panel.set_title(f"m = {way.members}, every material", fontsize=9)
