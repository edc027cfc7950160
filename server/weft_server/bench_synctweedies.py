"""`weft bench synctweedies`: what the paper's cases are worth by kind of projection, and what tying views costs.

Printed: patch distance, alignment, sharpness, consistency of every case (means over seeds); what too little noise does
to each denoiser; seconds of building, denoising and synchronising as views and textures grow.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weft_server.terminal import machine, say
from weft_wire.errors import WireError

__all__ = ["add_parser"]

WELL_KNOWN = (0, 1, 2, 3, 4, 5, 6)
VARIANCES = (0.5, 0.25, 0.1)


def add_parser(kinds: Any) -> None:
    parser = kinds.add_parser("synctweedies", help="the paper's cases compared", description=__doc__)
    parser.add_argument("--all", action="store_true", help="all sixty cases, not only 0 to 6")
    parser.add_argument("--cases", metavar="N,N,…", help="these cases, by number or name")
    parser.add_argument("--size", type=int, default=96, help="pixels of a view's side, a multiple of 16 (default 96)")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each case (default 2)")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the patch distances (needs matplotlib)")
    parser.add_argument("--no-costs", action="store_true", help="leave out the table of running times")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # The science is loaded only where it computes.
    import torch

    from weft.benchmarks import synchronization_cost, synctweedies

    cases = _cases(arguments)
    if arguments.size < 64 or arguments.size % 16 or arguments.seeds < 1:
        raise WireError(
            "invalid_input",
            f"views of {arguments.size} px, {arguments.seeds} seeds",
            "give a multiple of 16 from 64 on, and at least one seed",
        )
    if arguments.plot is not None:
        from weft.benchmarks.plots import check_plotting

        check_plotting(arguments.plot)
    torch.set_num_threads(1)
    say(f"{machine()} at the start")
    rows = []
    heading, *_ = synctweedies.table([])
    say(heading)
    for row in synctweedies.measure_cases(cases, size=arguments.size, seeds=arguments.seeds):
        rows.append(row)
        say(list(synctweedies.table([row]))[1])
    say("\nsharpness that is left where the first noise has too little variance")
    for name, variance, left in synctweedies.variance_response(VARIANCES, size=arguments.size):
        say(f"{name:<10} variance {variance:<5} {left:.3f}")
    if not arguments.no_costs:
        say("\nwhat tying views together costs")
        _say_costs(synchronization_cost)
    if arguments.plot is not None:
        from weft.benchmarks.plots import plot_cases

        plot_cases(rows, arguments.plot)
        say(f"wrote {arguments.plot}")
    return 0


def _cases(arguments: argparse.Namespace) -> Sequence[int]:
    from weft.methods.cases import CASES, find_case

    if arguments.cases is not None:
        numbers = {case: number for number, case in CASES.items()}
        return [numbers[find_case(name)] for name in arguments.cases.split(",")]
    return tuple(CASES) if arguments.all else WELL_KNOWN


def _say_costs(costs: Any) -> None:
    heading, *_ = costs.table([])
    say(heading)
    for row in costs.measure_costs():
        say(list(costs.table([row]))[1])
