"""`weft bench csd`: collaborative score distillation, and what its parts are worth.

The ablation of Kim et al. 2023 with the embedded denoiser: with kernel and source-conditioned baseline, without one or
the other, without both, and SDEdit. Printed: sharpness, distance to the exemplar, what is left of the source, agreement
of views, and the processor's seconds. A turning torus is rendered; --photos adds photographs, or a video.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from weft_server.bench_coupled import Report
from weft_server.terminal import machine, say
from weft_wire.errors import WireError

__all__ = ["add_parser"]

LEAST = 48  # px of a view
QUICK = (64, 3, 4)  # px, views, steps


def add_parser(kinds: Any) -> None:
    parser = kinds.add_parser("csd", help="score distillation and what its parts are worth", description=__doc__)
    parser.add_argument("--photos", type=Path, metavar="PATH", help="edit the first pictures of this folder, too")
    parser.add_argument("--style", default="oil paint", metavar="MATERIAL", help="of the edit (default oil paint)")
    parser.add_argument("--size", type=int, default=192, help="pixels of a view's longer side (default 192)")
    parser.add_argument("--views", type=int, default=6, help="how many (default 6)")
    parser.add_argument("--steps", type=int, default=40, help="steps of the distillation (default 40)")
    parser.add_argument("--quick", action="store_true", help="a few steps on small views: does everything work?")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="leave table, plot and contact sheets here")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # The science is loaded only where it computes.
    import torch

    from weft.benchmarks import csd

    if arguments.size < LEAST or arguments.views < 2 or arguments.steps < 2:
        raise WireError(
            "invalid_input",
            f"{arguments.views} views of {arguments.size} px, {arguments.steps} steps",
            f"give at least two views of {LEAST} px, and two steps",
        )
    if arguments.out is not None:
        from weft.benchmarks.plots import check_plotting

        arguments.out.mkdir(parents=True, exist_ok=True)
        check_plotting(arguments.out / "csd.png")
    torch.set_num_threads(1)
    start = f"{machine()} at the start"
    say(start)
    size = csd.Size(*QUICK) if arguments.quick else csd.Size(arguments.size, arguments.views, arguments.steps)
    report = Report()
    _images(arguments, size, report)
    if arguments.out is not None:
        page = "\n".join(["# Collaborative score distillation", f"{start}.", *report.parts])
        (arguments.out / "csd.md").write_text(page, encoding="utf-8")
        say(f"\nwrote {arguments.out}")
    return 0


def _images(arguments: argparse.Namespace, size: Any, report: Report) -> None:
    """Views edited whole: kernel and baseline."""
    from weft.benchmarks import csd
    from weft.benchmarks.csd_rows import table

    style = csd.style_named(arguments.style)
    sets = [csd.turning(size)]
    if arguments.photos is not None:
        sets.append(csd.photographs(arguments.photos, size))
    rows: list[Any] = []

    def growing() -> Iterator[str]:
        yield next(iter(table([])))
        for views in sets:
            for row in csd.image_rows(views, style, size, sheets=arguments.out):
                rows.append(row)
                yield list(table([row]))[1]

    report.section(f"Views into {arguments.style}", growing())
    if arguments.out is not None:
        from weft.benchmarks.csd_plot import plot_ablation

        plot_ablation(rows, arguments.out / "csd.png")
