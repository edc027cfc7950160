"""The tables of `weft bench noise`, as lines of text whose cells are two or more spaces apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from weft.benchmarks.noise import PAPER, Measured, Plan, Way
from weft.benchmarks.noise_contrast import ContrastRow
from weft.benchmarks.noise_cost import CostRow
from weft.benchmarks.noise_linear import LinearRow
from weft.benchmarks.noise_settings import SettingRow
from weft.benchmarks.noise_statistics import (
    Compared,
    Degrees,
    compared,
    compared_once,
    degrees,
    falls,
    rank_correlation,
)

__all__ = [
    "against_independent",
    "contrast_table",
    "cost_table",
    "degrees_of",
    "linear_table",
    "material_table",
    "order_table",
    "paper_table",
    "patches_against_independent",
    "quality_table",
    "ratios_by_rho",
    "setting_table",
    "sweep_table",
    "ways_table",
]


def against_independent(found: Sequence[Measured], way: Way, name: str) -> Compared:
    """`way` over independent noises of as many variants."""
    return compared(_of(found, way, name), _of(found, Way(way.members), name))


def patches_against_independent(found: Sequence[Measured], way: Way) -> Compared:
    return compared_once(*(np.array([one.patches[each] for one in found]) for each in (way, Way(way.members))))


def ratios_by_rho(found: Sequence[Measured], plan: Plan, name: str = "squared") -> dict[float, float]:
    """Distance over that of independent noises, of every correlation that was measured."""
    ways = [*plan.swept, *(Way.repulsive(m) for m in plan.members)]
    return {way.rho: against_independent(found, way, name).ratio for way in ways}


def degrees_of(found: Sequence[Measured], plan: Plan, name: str = "squared") -> Degrees:
    return degrees(ratios_by_rho(found, plan, name))


def _of(found: Sequence[Measured], way: Way, name: str) -> np.ndarray:
    """f8 [M, G]."""
    return np.stack([one.numbers[way][name] for one in found])


def paper_table(found: Sequence[Measured], plan: Plan) -> Iterator[str]:
    """Mean squared pairwise distance, repulsive and independent, as the paper's Table of m."""
    yield _line("m", "independent", "repulsive", "ratio", "95 %", "p", "above 1", "paper's", "linear")
    for m in plan.members:
        way = Way.repulsive(m)
        ratio = against_independent(found, way, "squared")
        means = [float(_of(found, each, "squared").mean()) for each in (Way(m), way)]
        paper = f"{PAPER[m]:.2f}" if m in PAPER else "-"
        above = f"{ratio.above} of {len(found)}"
        cells = (*(f"{mean:.4f}" for mean in means), f"{ratio.ratio:.3f}", _interval(ratio), _p(ratio.p))
        yield _line(m, *cells, above, paper, f"{1 + 1 / (m - 1):.2f}")


def order_table(found: Sequence[Measured], plan: Plan) -> Iterator[str]:
    """How far the ratio falls from each m to the next."""
    yield _line("m", "the ratio falls by", "95 %", "ordered")
    for fewer, more in zip(plan.members, plan.members[1:], strict=False):
        pairs = [(_of(found, Way.repulsive(m), "squared"), _of(found, Way(m), "squared")) for m in (fewer, more)]
        fall, low, high = falls(*pairs)
        yield _line(f"{fewer} to {more}", f"{fall:.3f}", f"{low:.3f} … {high:.3f}", "yes" if low > 0 else "not surely")


WAYS_COLUMNS = {"squared": "squared", "rms": "RMS", "coarse": "8 x 8 cells", "mss": "MSS", "vendi": "Vendi"}


def ways_table(found: Sequence[Measured], ways: Sequence[Way]) -> Iterator[str]:
    """Every way over independent noises by every measure of diversity."""
    yield _line("m", "noises", *WAYS_COLUMNS.values(), width=17)
    for way in ways:
        if way == Way(way.members):
            values = [float(_of(found, way, name).mean()) for name in WAYS_COLUMNS]
            yield _line(way.members, way.label, *(f"({value:.4f})" for value in values), width=17)
        else:
            ratios = [against_independent(found, way, name) for name in WAYS_COLUMNS]
            yield _line(way.members, way.label, *map(_ratio, ratios), width=17)


def quality_table(found: Sequence[Measured], ways: Sequence[Way]) -> Iterator[str]:
    """What should stay as it is: patches, sharpness, look."""
    yield _line("m", "noises", "patch distance", "p", "sharpness", "p", "look's MSS", width=17)
    for way in ways:
        if way == Way(way.members):
            patches = float(np.mean([one.patches[way] for one in found]))
            sharp, look = (float(_of(found, way, name).mean()) for name in ("sharpness", "look"))
            yield _line(
                way.members, way.label, f"({patches:.4f})", "-", f"({sharp:.3f})", "-", f"({look:.4f})", width=17
            )
        else:
            patches, sharp = patches_against_independent(found, way), against_independent(found, way, "sharpness")
            look = against_independent(found, way, "look")
            cells = (_ratio(patches), _p(patches.p), _ratio(sharp), _p(sharp.p), _ratio(look))
            yield _line(way.members, way.label, *cells, width=17)


def sweep_table(found: Sequence[Measured], plan: Plan) -> Iterator[str]:
    """From the least correlation that m = 4 noises can have to the greatest."""
    shares = degrees_of(found, plan)
    yield _line("ρ", "squared", "8 x 8 cells", "linear: 1 - ρ", "sharpness", width=20)
    for way in plan.swept:
        cells = [_ratio(against_independent(found, way, name)) for name in ("squared", "coarse")]
        sharp = _ratio(against_independent(found, way, "sharpness"))
        yield _line(f"{way.rho:.3f}", *cells, f"{1 - way.rho:.3f}", sharp, width=20)
    coarse = degrees_of(found, plan, "coarse")
    for name, own in (("pixels", shares), ("8 x 8 cells", coarse)):
        yield (
            f"{name}: {own.linear:.0%} of the variance follows the noise linearly, {own.low:.0%} by degrees 2 and 3, "
            f"{own.high:.0%} by higher ones (fits within {own.error:.3f})"
        )


def material_table(found: Sequence[Measured], plan: Plan) -> Iterator[str]:
    """The materials by what repulsion is worth for two variants."""
    yield _line("material", "patterns", "squared, m = 2", "8 x 8 cells", "patch distance", width=18)
    way = Way.repulsive(plan.members[0])
    rows = [(one, against_independent([one], way, "squared")) for one in found]
    for one, ratio in sorted(rows, key=lambda row: -row[1].ratio):
        coarse, patch = against_independent([one], way, "coarse"), one.patches[way] / one.patches[Way(way.members)]
        yield _line(one.material, f"{one.patterns:.1f}", _ratio(ratio), _ratio(coarse), f"{patch:.3f}", width=18)
    if len(found) > 2:
        of, p = rank_correlation([one.patterns for one in found], [ratio.ratio for _, ratio in rows])
        yield f"rank correlation of patterns and ratio: {of:.2f} (p = {_p(p)})"


def setting_table(rows: Iterable[SettingRow]) -> Iterator[str]:
    yield f"{'sampler':<34}" + _line("squared, m = 2", "8 x 8 cells", "sharpness", width=18).rstrip()
    for row in rows:
        cells = (_ratio(row.squared), _ratio(row.coarse), f"{row.sharpness:.2f}")
        yield f"{row.setting:<34}" + _line(*cells, width=18)


def contrast_table(rows: Iterable[ContrastRow]) -> Iterator[str]:
    yield _line("rate", "steps", "τ", "squared, m = 4", "sharpness", "noise's power", width=17)
    for row in rows:
        asked = row.contrast
        cells = (_ratio(row.squared), _ratio(row.sharpness), f"{row.power:.2f}")
        yield _line(f"{asked.rate:g}", asked.steps, f"{asked.temperature:g}", *cells, width=17)


def linear_table(rows: Sequence[LinearRow]) -> Iterator[str]:
    yield _line("m", "1 + 1/(m-1)", "exact", "of same draws", "of other draws", width=18)
    for row in rows:
        cells = (f"{row.theory:.6f}", f"{row.exact:.6f}", f"within {row.paired_error:.0e}", _ratio(row.sampled))
        yield _line(row.members, *cells, width=18)


def cost_table(rows: Sequence[CostRow]) -> Iterator[str]:
    yield _line("variants", "job s", "drawing s", "mixing s", "share")
    for row in rows:
        yield _line(row.members, f"{row.job:.1f}", f"{row.drawing:.3f}", f"{row.mixing:.4f}", f"{row.share:.3%}")


def _line(*cells: object, width: int = 15) -> str:
    first, *rest = map(str, cells)
    return f"{first:<16}" + "".join(f"{cell:>{width}}" for cell in rest)


def _ratio(ratio: Compared) -> str:
    return f"{ratio.ratio:.3f} ±{ratio.error:.3f}"


def _interval(ratio: Compared) -> str:
    return f"{ratio.low:.3f} … {ratio.high:.3f}"


def _p(p: float) -> str:
    return f"{p:.2f}" if p >= 0.01 else f"{p:.0e}"
