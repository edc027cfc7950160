"""`weft bench csd`: collaborative score distillation, and what its parts are worth.

The ablation of Kim et al. 2023 with the embedded denoiser, on sets of views, a wide image, a video and a scene: with
kernel and source-conditioned baseline, without one or the other, and what people did before. Printed: sharpness,
distance to the exemplar, what is left of the source, agreement, and the processor's seconds. All of it is made here;
--photos adds photographs, or a video, to the views.
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
PARTS = ("images", "panorama", "video", "scene")


def add_parser(kinds: Any) -> None:
    parser = kinds.add_parser("csd", help="score distillation and what its parts are worth", description=__doc__)
    parser.add_argument("--photos", type=Path, metavar="PATH", help="edit the first pictures of this folder, too")
    parser.add_argument("--style", default="oil paint", metavar="MATERIAL", help="of the edit (default oil paint)")
    parser.add_argument("--size", type=int, default=192, help="pixels of a view's longer side (default 192)")
    parser.add_argument("--views", type=int, default=6, help="how many (default 6)")
    parser.add_argument("--steps", type=int, default=40, help="steps of the distillation (default 40)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="which (default all)")
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
    size = csd.QUICK if arguments.quick else csd.Size(arguments.size, arguments.views, arguments.steps)
    report = Report()
    for part, measure in zip(PARTS, (_images, _panorama, _video, _scene), strict=True):
        if part in arguments.parts:
            measure(arguments, size, report)
    if arguments.out is not None:
        page = "\n".join(["# Collaborative score distillation", f"{start}.", *report.parts])
        (arguments.out / "csd.md").write_text(page, encoding="utf-8")
        say(f"\nwrote {arguments.out}")
    return 0


def _lines(table: Any, found: Iterator[Any], arguments: argparse.Namespace, shown: list[Any]) -> Iterator[str]:
    """A part's table as it grows; what came out is kept in `shown` where it is wanted."""
    yield next(iter(table([])))
    for row, made in found:
        yield list(table([row]))[1]
        if arguments.out is not None:
            shown.append((row.way, made))


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


def _panorama(arguments: argparse.Namespace, size: Any, report: Report) -> None:
    """A wide image in windows."""
    from weft.benchmarks import csd, csd_panorama

    own = csd.wide_size(size)
    image = csd_panorama.made_panorama(own, steps=size.steps)
    found = csd_panorama.panorama_rows(image, csd.style_named(arguments.style), own)
    shown: list[Any] = []
    report.section("A wide image", _lines(csd_panorama.table, found, arguments, shown))
    if arguments.out is not None:
        csd.save_rows(arguments.out / "csd_panorama.jpg", [[made] for made in shown])


def _video(arguments: argparse.Namespace, size: Any, report: Report) -> None:
    """A video whose flow is known."""
    from weft.benchmarks import csd, csd_video

    frames, visits = csd.video_frames(size)
    found = csd_video.video_rows(frames, prompt=arguments.style, visits=visits)
    shown: list[Any] = []
    report.section("A video", _lines(csd_video.table, found, arguments, shown))
    if arguments.out is not None:
        rows = [[(label, made[0]), ("", made[len(made) // 2]), ("", made[-1])] for label, made in shown]
        csd.save_rows(arguments.out / "csd_video.jpg", rows)


def _scene(arguments: argparse.Namespace, size: Any, report: Report) -> None:
    """Splats whose colours change."""
    from weft.benchmarks import csd, csd_scene
    from weft.io.images import save_image

    splats, own = csd.splat_scene(size)
    style = csd.style_named(arguments.style)
    shown: list[Any] = []
    for guide in csd.GUIDES[-1:] if arguments.quick else csd.GUIDES:
        found = csd_scene.scene_rows(splats, style, own, fidelity=csd.FIDELITIES[guide])
        report.section(f"A scene, {guide} guide", _lines(csd_scene.table, found, arguments, shown))
        if shown:
            save_image(arguments.out / f"csd_scene_{guide}.jpg", shown[0][1])
            shown.clear()
