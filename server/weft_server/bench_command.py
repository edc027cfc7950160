"""`weft bench …`: how fast and how good Weft is on this machine. A benchmark is a module with `add_parser(kinds)`."""

from __future__ import annotations

from typing import Any

from weft_server import (
    bench_coupled,
    bench_csd,
    bench_gpu,
    bench_noise,
    bench_scenes,
    bench_splat_colors,
    bench_synctweedies,
    bench_texture,
    bench_wire,
)

__all__ = ["BENCHMARKS", "add_parser"]

BENCHMARKS = (
    bench_wire,
    bench_texture,
    bench_splat_colors,
    bench_synctweedies,
    bench_coupled,
    bench_csd,
    bench_scenes,
    bench_gpu,
    bench_noise,
)


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("bench", help="measure this machine", description=__doc__)
    kinds = parser.add_subparsers(metavar="WHAT", required=True)
    for benchmark in BENCHMARKS:
        benchmark.add_parser(kinds)
