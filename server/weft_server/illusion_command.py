"""`weft illusion "mossy stone" "rusted metal" -o OUT.png`: one image that is two pictures, or three."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.arguments import add_options, options_of
from weft_server.job_files import add_files, check_out, exemplar_array, report_endings, write_report
from weft_server.one_job import Order, ordered, run
from weft_wire.errors import WireError
from weft_wire.events import JobResult
from weft_wire.jobs import IllusionParams
from weft_wire.jobs.illusion import VIEWS

__all__ = ["add_parser"]

FORMATS = (".png",)
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
SLOTS = (1, 2, 3)
ASKED_HERE = tuple(f"{part}_{i}" for part in ("prompt", "view") for i in SLOTS)


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "illusion",
        help="one image that is two pictures",
        usage="weft illusion PICTURE PICTURE [PICTURE] -o OUT.png [--views VIEW VIEW [VIEW]] [options]",
        description="Make one image that shows one picture as it is, and another when it is turned, flipped, cut up "
        "or inverted. Writes OUT.png, OUT.gif, which plays the change, and OUT_view_1.png and so on.",
        epilog=f"Views: {', '.join(VIEWS)}.",
    )
    parser.add_argument(
        "pictures", nargs="+", metavar="PICTURE", help="what each view shows, two or three: words, or an image file"
    )
    parser.add_argument(
        "--views", nargs="+", default=[], metavar="VIEW",
        help="how each picture is looked at, in order (default identity rotate_180 flip_vertical); listed below",
    )  # fmt: skip
    add_files(parser, FORMATS, exemplar=False)
    add_options(parser, IllusionParams, but=ASKED_HERE)
    parser.set_defaults(run=run, order=_order, task="illusion")


def _order(arguments: argparse.Namespace) -> Order:
    out: Path = arguments.out
    prompts, exemplars = _pictures(arguments.pictures)
    params = options_of(arguments, IllusionParams, **prompts, **_views(arguments.views, len(arguments.pictures)))
    views = [_view_ending(i) for i in SLOTS[: len(arguments.pictures)]]
    check_out(out, FORMATS, list(exemplars.values()), [".gif", *views, *report_endings(params)])
    arrays: dict[str, np.ndarray] = {}
    for i, path in exemplars.items():
        arrays |= exemplar_array(path, f"exemplar.{i}.image")

    return ordered(arguments, params, arrays, _write)


def _pictures(words: list[str]) -> tuple[dict[str, str], dict[int, Path]]:
    """(prompts by the names of the parameters, image files by the number of their view, from 0)."""
    if not 2 <= len(words) <= len(SLOTS):
        given = "1 picture was" if len(words) == 1 else f"{len(words)} pictures were"
        remedy = 'put words of one picture in quotes: weft illusion "mossy stone" "rusted metal" -o out.png'
        raise WireError("invalid_input", f"an illusion shows two or three pictures, {given} given", remedy)
    files = {i: Path(word) for i, word in enumerate(words) if _names_a_file(word)}
    return {f"prompt_{i + 1}": word for i, word in enumerate(words) if i not in files}, files


def _names_a_file(word: str) -> bool:
    """Whether the picture is a file: it exists, or ends like one, so that a typing error is not taken for words."""
    path = Path(word)
    return path.suffix.lower() in PICTURES or (path.suffix != "" and len(word) < 200 and path.is_file())


def _views(names: list[str], count: int) -> dict[str, str]:
    """The views by the names of the parameters; none leaves the defaults."""
    for name in names:
        if name not in VIEWS:
            near = difflib.get_close_matches(name, VIEWS, 1, 0.5)
            remedy = f"did you mean {near[0]}?" if near else "`weft illusion --help` lists them"
            raise WireError("invalid_parameter", f"no view is called {name!r}", remedy)
    if names and len(names) != count:
        raise WireError(
            "invalid_parameter", f"{len(names)} views for {count} pictures", f"give --views {count} names, in order"
        )
    return {f"view_{i + 1}": name for i, name in enumerate(names)}


def _view_ending(slot: int) -> str:
    return f"_view_{slot}.png"


def _write(out: Path, result: JobResult) -> list[Path]:
    """The image, the animation, what each view sees, and what a report adds."""
    from weft.io.images import save_gif, save_image
    from weft.tasks.illusion_animation import FRAMES_PER_SECOND

    files = [out, out.with_suffix(".gif")]
    save_image(out, result.arrays["image"])
    save_gif(list(result.arrays["animation"]), files[-1], fps=FRAMES_PER_SECOND)
    for i in SLOTS:
        if f"view.{i - 1}" in result.arrays:
            files.append(out.with_name(out.stem + _view_ending(i)))
            save_image(files[-1], result.arrays[f"view.{i - 1}"])
    return files + write_report(out, result.arrays)
