"""`weft bench coupled`: every way of editing views together, against what a path tracer says the edit looks like.

Printed: PSNR and SSIM against the truth, consistency, sharpness and seconds of every way; what the strength of coupling
trades; what it means at other step counts; what it costs. Cycles renders the truth once into the cache (minutes; needs
Blender's module), --quick shades a small torus instead. A PNG of a mesh's name beside it is its texture, a mesh without
one is painted.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from weft_server.terminal import machine, say
from weft_wire.errors import WireError

__all__ = ["add_parser"]

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "render_relighting.py"
MONKEY = "suzanne"
SWEPT = ("studio", "sunset")  # the lights of the sweep and of the step counts
STYLE, PHOTOS = "oil paint", (256, 12)  # of photographs: px of the longer side, how many
MOVED_UNDER = "overcast"  # the light in which a motion changes shading least
QUICK_STEPS = (2, 3)


def add_parser(kinds: Any) -> None:
    parser = kinds.add_parser("coupled", help="ways of editing views against path-traced truth", description=__doc__)
    parser.add_argument("meshes", nargs="*", type=Path, metavar="MESH", help="objects beside Blender's monkey")
    parser.add_argument(
        "--env", action="append", default=[], type=Path, metavar="FILE.hdr", help="relight into this light, too"
    )
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="restyle these photographs with poses, too")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="where renders are kept (default ~/.weft/truth)")
    parser.add_argument("--size", type=int, default=160, help="pixels of a view's side, a multiple of 16 (default 160)")
    parser.add_argument("--steps", type=int, default=30, help="denoising steps (default 30)")
    parser.add_argument("--quick", action="store_true", help="a small torus without Cycles: does everything work?")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="leave tables, plot and contact sheets here")
    parser.set_defaults(run=_run)


class Report:
    """Prints sections as they grow, and keeps them for the page."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def section(self, title: str, lines: Iterator[str]) -> None:
        from weft.benchmarks.coupled import markdown

        say(f"\n{title}")
        kept = []
        for line in lines:
            say(line)
            kept.append(line)
        self.parts.append(f"## {title}\n\n{markdown(kept)}")


def _run(arguments: argparse.Namespace) -> int:
    # The science is loaded only where it computes.
    import torch

    from weft.benchmarks import coupled

    if arguments.size < 64 or arguments.size % 16 or arguments.steps < 2:
        raise WireError(
            "invalid_input",
            f"views of {arguments.size} px, {arguments.steps} steps",
            "give a multiple of 16 from 64 on, and at least two steps",
        )
    if arguments.out is not None:
        from weft.benchmarks.plots import check_plotting

        arguments.out.mkdir(parents=True, exist_ok=True)
        check_plotting(arguments.out / "coupled_trade.png")
    torch.set_num_threads(1)
    start = f"{machine()} at the start"
    say(start)
    if arguments.quick:
        size = coupled.Size(64, 4, 3)
        scenes, moved = [coupled.quick_scene(size)], None
    else:
        size = coupled.Size(arguments.size, steps=arguments.steps)
        *scenes, moved = _rendered(arguments, size)
    report = Report()
    _measure(arguments, scenes, size, report)
    _say_others(arguments, scenes, moved, size, report)
    if arguments.out is not None:
        page = "\n".join(["# Coupled sampling against path-traced truth", f"{start}.", *report.parts])
        (arguments.out / "coupled.md").write_text(page, encoding="utf-8")
        say(f"\nwrote {arguments.out}")
    return 0


def _measure(arguments: argparse.Namespace, scenes: Sequence[Any], size: Any, report: Report) -> None:
    from weft.benchmarks import coupled, coupled_rows, coupled_steps
    from weft.benchmarks.coupled_rows import Recipe, table

    ways = coupled_rows.recipes((0.4,) if arguments.quick else coupled_rows.STRENGTHS)
    brief = [Recipe("per_view"), Recipe("synchronized")]
    editors = dict(zip(coupled.EDITORS, (ways, brief, ways), strict=True))
    rows: list[Any] = []

    def growing() -> Iterator[str]:
        yield next(iter(table([])))
        for scene in scenes:
            pairs = [SWEPT] if arguments.quick else coupled.pairs_of(scene)
            for row in coupled.relit_rows(scene, pairs, editors, size.steps, sheets=arguments.out):
                rows.append(row)
                yield list(table([row]))[1]

    report.section("Relighting, every way", growing())
    report.section("Relighting, means", table(coupled_rows.mean_rows(rows)))
    _say_trade(arguments, scenes[0], size, report, rows)
    strengths = [Recipe("coupled", 0.4), Recipe("coupled", 1.0, "lambda")]
    counts = QUICK_STEPS if arguments.quick else coupled_steps.STEPS
    found = coupled_steps.steps_rows(scenes[0], SWEPT, strengths, steps=counts)
    report.section("What a strength means at other step counts (spheres)", coupled_steps.steps_table(found))
    costs = [coupled.cost_of(scenes[0], SWEPT, name, size.steps) for name in ("quotient", "spheres")]
    report.section("What coupling costs in a step", coupled_steps.cost_table(costs))


def _say_others(arguments: argparse.Namespace, scenes: Sequence[Any], moved: Any, size: Any, report: Report) -> None:
    """The tasks beside relighting; ways with and without consistency."""
    from weft.benchmarks import coupled_others as others
    from weft.benchmarks.coupled_rows import Recipe, table
    from weft.models.materials import render

    ways = [Recipe(way) for way in ("per_view", "coupled", "synchronized")]

    def lines(columns: dict[str, str], found: Iterator[Any]) -> Iterator[str]:
        yield next(iter(table([], columns)))
        for row, _ in found:
            yield list(table([row], columns))[1]

    def styled() -> Iterator[Any]:
        style = render(STYLE, 256)
        first = scenes[0]
        images, mask = first.views[SWEPT[0]], first.geometry.mask
        yield from others.styled_rows(f"{first.name}, {STYLE}", images, first.geometry, mask, style, ways, size.steps)
        if arguments.photos is not None:
            images, geometry = others.photographs(arguments.photos, size=PHOTOS[0], count=PHOTOS[1])
            mask = geometry.mask | True
            name = f"{arguments.photos.name}, {STYLE}"
            yield from others.styled_rows(name, images, geometry, mask, style, ways, size.steps)

    if moved is not None:
        report.section("Moving an object", lines(others.MOVED_COLUMNS, others.moved_rows(moved, ways, size.steps)))
    report.section("Restyling", lines(others.STYLE_COLUMNS, styled()))


def _say_trade(arguments: argparse.Namespace, scene: Any, size: Any, report: Report, rows: Sequence[Any]) -> None:
    """The sweep of strengths on one scene, and every way there beside it."""
    from weft.benchmarks import coupled, coupled_rows
    from weft.benchmarks.coupled_rows import table

    strengths = coupled_rows.sweep((1.0,), (0.2,)) if arguments.quick else coupled_rows.sweep()
    editors: dict[str, Any] = dict.fromkeys(("spheres",) if arguments.quick else ("quotient", "spheres"), strengths)
    swept = list(coupled.relit_rows(scene, [SWEPT], editors, size.steps))
    report.section("What the strength of coupling trades", table(swept))
    if arguments.out is not None:
        from weft.benchmarks.coupled_plot import plot_trade

        names = {row.case for row in swept}, {row.editor for row in swept}
        others = [r for r in rows if r.case in names[0] and r.editor in names[1] and "=" not in r.recipe]
        plot_trade([*swept, *others], arguments.out / "coupled_trade.png")


def _rendered(arguments: argparse.Namespace, size: Any) -> list[Any]:
    """The scenes, and last the one with a motion, rendered now as far as the cache lacks them."""
    from weft.benchmarks import coupled, coupled_scenes
    from weft.benchmarks.coupled_others import move_shots
    from weft.io.hdr import load_environment
    from weft.io.meshes import load_meshes

    cache = arguments.cache or Path(os.environ.get("WEFT_HOME") or Path.home() / ".weft") / "truth"
    cache.mkdir(parents=True, exist_ok=True)
    monkey = cache / f"{MONKEY}.obj"
    if not monkey.is_file():
        _path_tracer("suzanne", monkey)
    lights = coupled.lights_of({path.stem: load_environment(path) for path in arguments.env})
    shots = {name: coupled_scenes.Shot(light) for name, light in lights.items()}
    folders = []
    for path in (monkey, *arguments.meshes):
        thing = coupled_scenes.Thing(load_meshes(path)[0], coupled_scenes.texture_beside(path))
        folders.append(cache / path.stem)
        coupled_scenes.write_scene(folders[-1], [thing], shots, size=size.size, views=size.views, samples=size.samples)
    folders.append(cache / "moved")
    things, shots = move_shots(coupled_scenes.Thing(load_meshes(monkey)[0]), lights[MOVED_UNDER])
    coupled_scenes.write_scene(folders[-1], things, shots, size=size.size, views=size.views, samples=size.samples)
    missing = [str(folder) for folder in folders if not coupled_scenes.is_rendered(folder)]
    if missing:
        _path_tracer("render", *missing)
    return [coupled_scenes.load_scene(folder) for folder in folders]


def _path_tracer(*words: str | Path) -> None:
    """Run the script in a process of its own: Blender and PyTorch share libraries of different builds."""
    if importlib.util.find_spec("bpy") is None:
        raise WireError(
            "missing_dependency", "path-traced truth needs Blender's module, which is not installed",
            'pip install "weft[blender]", or measure with --quick',
        )  # fmt: skip
    if not SCRIPT.is_file():
        raise WireError(
            "missing_dependency", f"there is no {SCRIPT.name} beside this installation", "run it in a clone, or --quick"
        )
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    last = "it said nothing"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in filter(None, map(str.strip, process.stdout)):
            last = line
            if line.startswith("rendered"):
                say(line)
    if process.returncode:
        raise WireError("job_failed", f"the path tracer failed: {last}", f"run {SCRIPT.name} by hand to see more")
