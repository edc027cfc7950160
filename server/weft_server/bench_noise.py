"""`weft bench noise`: galleries of variants from coupled noises. How much more they differ, and whether they stay good.

Printed: pairwise distance over that of independent noises for m = 2 to 5, as the paper's table; the same and similarity
(MSS, Vendi) for contrastive noise optimisation (CNO) and both; quality; every correlation that four noises can have;
the materials one by one; other samplers and rates of CNO; a linear generator; what coupling adds to a job. ± and
95 %: Student's intervals over galleries. p: Wilcoxon's signed-rank test. In brackets: independent noise's own; all else
is over it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from weft_server.terminal import machine, say
from weft_wire.errors import WireError

__all__ = ["add_parser"]

COUPLED = 4  # variants of the job whose cost is measured
LINEAR_GALLERIES = 2000


def add_parser(kinds: Any) -> None:
    parser = kinds.add_parser("noise", help="galleries of variants from coupled noises", description=__doc__)
    parser.add_argument("--galleries", type=int, metavar="N", help="of each material and m (default 8; 3 with --quick)")
    parser.add_argument(
        "--size", type=int, metavar="PX", help="side of a picture, a multiple of 16 (default 64; 32 with --quick)"
    )
    parser.add_argument("--materials", metavar="A,B,…", help="built-in materials, by name (default: all)")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the ratios (needs matplotlib)")
    parser.add_argument("--quick", action="store_true", help="a few small galleries of two materials: does it work?")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # The science is loaded only where it computes.
    from weft.benchmarks import noise, noise_tables
    from weft.benchmarks.noise_sampler import Sampler

    quick = arguments.quick
    galleries = _given(arguments.galleries, 3 if quick else noise.Plan.galleries)
    sampler = Sampler(_given(arguments.size, 32 if quick else Sampler.size), steps=4 if quick else Sampler.steps)
    plan = (
        noise.Plan(galleries, (2,), (*noise.RHOS[:1], 0.0, 0.5, 1.0), sampler)
        if quick
        else noise.Plan(galleries, sampler=sampler)
    )
    materials = _materials(arguments)
    if arguments.plot is not None:
        from weft.benchmarks.plots import check_plotting

        check_plotting(arguments.plot)
    say(f"{machine()} at the start")
    size = f"{sampler.size}², {sampler.steps} steps"
    say(
        f"{len(materials)} materials, {galleries} galleries of each, so {len(materials) * galleries} of every m; {size}"
    )
    found = []
    for one in noise.measure_galleries(plan, materials, 1 if quick else None):
        found.append(one)
        say(f"measured {one.material}")
    _section("Mean squared pairwise distance", noise_tables.paper_table(found, plan))
    _section("Ordered by m", noise_tables.order_table(found, plan))
    _section("Diversity by every measure", noise_tables.ways_table(found, plan.compared))
    _section("Quality", noise_tables.quality_table(found, plan.compared))
    _section(f"Every correlation that {noise.SWEPT} noises can have", noise_tables.sweep_table(found, plan))
    _section("As jobs draw them: all variants from one draw", noise_tables.ways_table(found, plan.one_draw))
    _section("Materials", noise_tables.material_table(found, plan))
    if arguments.plot is not None:
        from weft.benchmarks.noise_plot import plot_galleries

        plot_galleries(found, plan, arguments.plot)
        say(f"wrote {arguments.plot}")
    _say_rest(materials, plan, quick)
    return 0


def _say_rest(materials: list[str], plan: Any, quick: bool) -> None:
    from weft.benchmarks import noise_tables
    from weft.benchmarks.noise_contrast import contrast_rows
    from weft.benchmarks.noise_cost import TextureJob, coupling_cost
    from weft.benchmarks.noise_linear import linear_rows
    from weft.benchmarks.noise_settings import sampler_variants, setting_rows

    if not quick:
        rows = setting_rows(sampler_variants(plan.sampler), materials, max(2, plan.galleries // 2))
        _section("Other samplers", noise_tables.setting_table(rows))
        contrasts = contrast_rows(plan.sampler, materials, max(2, plan.galleries // 4))
        _section("How far CNO goes", noise_tables.contrast_table(contrasts))
    linear = linear_rows(plan.members, 20 if quick else LINEAR_GALLERIES)
    _section("A linear generator", noise_tables.linear_table(linear))
    if not quick:
        cost = [coupling_cost(COUPLED, TextureJob())]
        _section("What coupling adds to a texture job, CPU seconds", noise_tables.cost_table(cost))


def _materials(arguments: argparse.Namespace) -> list[str]:
    from weft.models.materials import MATERIALS

    if arguments.materials is None:
        return ["zebra", "bricks"] if arguments.quick else list(MATERIALS)
    names = [name.strip() for name in arguments.materials.split(",")]
    for name in names:
        if name not in MATERIALS:
            raise WireError("invalid_input", f"no material is called {name!r}", f"take one of: {', '.join(MATERIALS)}")
    return list(dict.fromkeys(names))


def _given(value: int | None, default: int) -> int:
    return default if value is None else value


def _section(title: str, lines: Iterable[str]) -> None:
    say(f"\n{title}")
    for line in lines:
        say(line)
