"""`weft bench splat-colors FILE`: three ways to fit the colours of splats to views, at equal time."""

from __future__ import annotations

import argparse
from typing import Any

from weft_server.terminal import machine, say
from weft_wire.jobs import SplatTextureParams
from weft_wire.parameters import params_of

__all__ = ["add_parser"]

UPS = next(rule.choices for field, _, rule in params_of(SplatTextureParams) if field.name == "up")


def add_parser(kinds: Any) -> None:
    parser = kinds.add_parser("splat-colors", help="ways to fit splat colours", description=__doc__)
    parser.add_argument("splats", metavar="FILE", help=".ply (also compressed), .splat or .spz")
    parser.add_argument("--up", choices=UPS, default=UPS[0], help=f"as for splat-texture (default {UPS[0]})")
    parser.dashed["--up"] = UPS
    parser.add_argument("--size", type=int, default=256, help="pixels of a view's side (default 256)")
    parser.add_argument("--views", type=int, default=50, help="cameras; every eighth is held out (default 50)")
    parser.add_argument("--seed", type=int, default=0, help="(default 0)")
    parser.add_argument("--short", action="store_true", help="equal time only, not ten times as much")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # The science is loaded only where it computes.
    from weft.benchmarks.splat_colors import measure_fits, table
    from weft.io.splats import load_splats

    splats = load_splats(arguments.splats).splats
    say(f"{machine()} at the start; {splats.count} splats, {arguments.views} views of {arguments.size}²")
    say(next(table([])))
    for row in measure_fits(
        splats, up=arguments.up, size=arguments.size, views=arguments.views, seed=arguments.seed,
        generous=not arguments.short,
    ):  # fmt: skip
        say(list(table([row]))[-1])
    return 0
