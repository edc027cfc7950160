"""`weft gallery TASK … -o OUT --variants M`: variants of one thing that differ as much as can be, or as is wanted.

Every variant is a job of its own, by the task's own command; only their noises know of each other.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from weft_server import (
    edit_panorama_command,
    edit_scene_command,
    edit_video_command,
    illusion_command,
    move_command,
    panorama_command,
    relight_command,
    retexture_command,
    splat_texture_command,
    stylize_command,
    text_to_3d_command,
    texture_command,
)
from weft_server.one_job import Order, connected, do
from weft_server.terminal import say
from weft_wire.client import Client
from weft_wire.errors import WireError
from weft_wire.events import JobResult
from weft_wire.jobs.variants import MOST, rho_of

__all__ = ["add_parser"]

COMMANDS = (
    texture_command, retexture_command, panorama_command, splat_texture_command, relight_command, stylize_command,
    illusion_command, edit_panorama_command, edit_video_command, edit_scene_command, text_to_3d_command, move_command,
)  # fmt: skip
USUAL = 4  # variants
RECORD = "weft gallery"  # the format of the file that tells of one


@dataclass(frozen=True, slots=True)
class Earlier:
    """A variant of an earlier gallery: the seed, and the row of its noise."""

    seed: int
    row: tuple[float, ...]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "gallery",
        help="several variants, as different as can be",
        description="Make variants of a texture, a panorama, …: the task's own command, with its own options, several "
        "times over. Their noises repel each other, or are correlated as --correlation says. Writes OUT_1, OUT_2 and "
        "so on, OUT_gallery.png, which shows all of them, and OUT_gallery.json, which --like takes.",
        epilog='Example: weft gallery texture spot.obj --prompt "mossy stone" --variants 4 -o spot.glb',
    )
    tasks = parser.add_subparsers(metavar="TASK", required=True, parser_class=type(parser))
    for command in COMMANDS:
        command.add_parser(tasks)
    for each in tasks.choices.values():
        each.add_argument(
            "--like", metavar="FILE:N", help="variants of number N of an earlier gallery: OUT_gallery.json:2"
        )
        each.add_argument(
            "--coupling-file", type=Path, metavar="FILE",
            help="a coupling that `weft learn-coupling` made, instead of --correlation",
        )  # fmt: skip
        each.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if hasattr(arguments, "variant"):
        raise WireError("invalid_parameter", "--variant chooses one, a gallery makes all", "leave it out")
    out: Path = arguments.out
    extra, first, count = _coupling(arguments)
    _keep_inputs(arguments, [_numbered(out, number) for number in range(1, count + 1)])
    order: Order = arguments.order(arguments)
    order = replace(order, arrays=order.arrays | extra)
    started = time.monotonic()
    made: list[tuple[Order, JobResult, list[Path]]] = []
    with connected(order) as client:
        try:
            for number in range(1, count + 1):
                say(f"variant {number} of {count}")
                params = replace(order.params, variant=first + number - 1)
                made.append(_done(client, replace(order, params=params, out=_numbered(out, number))))
        finally:
            if made:
                _summarise(out, made, time.monotonic() - started)
    return 0


def _done(client: Client, order: Order) -> tuple[Order, JobResult, list[Path]]:
    result, files = do(client, order)
    say(f"wrote {', '.join(map(str, files))}")
    return order, result, files


def _coupling(arguments: argparse.Namespace) -> tuple[dict[str, np.ndarray], int, int]:
    """What the jobs get beside their own inputs, the first variant to be made, and how many; the arguments get the
    number of variants, and the seed of the earlier one."""
    given: dict[str, np.ndarray] = {}
    if arguments.coupling_file is not None:
        from weft.io.coupling_files import load_coupling

        if hasattr(arguments, "correlation"):
            raise WireError("invalid_parameter", "there are both --correlation and --coupling-file", "choose one")
        given["coupling"] = load_coupling(arguments.coupling_file).astype(np.float32)
        arguments.variants = getattr(arguments, "variants", len(given["coupling"]))
    count = getattr(arguments, "variants", USUAL)
    if not 2 <= count <= MOST:
        raise WireError("invalid_parameter", f"{count} variants are no gallery", f"choose 2 to {MOST}")
    arguments.variants = count
    if arguments.like is None:
        return given, 1, count
    if given:
        raise WireError("invalid_parameter", "--like has no use for --coupling-file", "choose one of them")
    if count == MOST:
        raise WireError("invalid_parameter", f"{count} variants beside the earlier one", f"choose 2 to {MOST - 1}")
    earlier = _earlier(arguments.like, arguments.task)
    if getattr(arguments, "seed", earlier.seed) != earlier.seed:
        raise WireError("invalid_parameter", f"--like brings the seed {earlier.seed}", "leave --seed out")
    arguments.seed, arguments.variants = earlier.seed, count + 1  # it is the first, and there already
    return {"anchor": np.array(earlier.row, np.float32)}, 2, count


def _earlier(text: str, task: str) -> Earlier:
    """Number N of the gallery of that task that FILE tells of, from FILE:N."""
    file, _, number = text.rpartition(":")
    if not file or not number.isdecimal():
        raise WireError("invalid_input", f"--like {text!r} names no variant", "write FILE:N, as in moss_gallery.json:2")
    path = Path(file)
    if not path.is_file():
        raise WireError("invalid_input", f"there is no file {file!r}", "a gallery writes OUT_gallery.json")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != RECORD:
            raise ValueError
        rows = {int(each["number"]): tuple(map(float, each["row"])) for each in content["variants"]}
        made, seed = str(content["task"]), int(content["seed"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise WireError("invalid_input", f"{file!r} tells of no gallery", "a gallery writes OUT_gallery.json") from None
    if made != task:
        message = f"{file!r} tells of variants of {made}, and these would be of {task}"
        raise WireError("invalid_input", message, "noises of another task mean something else: go on with the same")
    if int(number) not in rows:
        raise WireError("invalid_input", f"{file!r} has no variant {number}", f"it has {', '.join(map(str, rows))}")
    return Earlier(seed, rows[int(number)])


def _numbered(out: Path, number: int) -> Path:
    return out.with_name(f"{out.stem}_{number}{out.suffix}")


def _keep_inputs(arguments: argparse.Namespace, written: Sequence[Path]) -> None:
    """Refuse to write over what the command reads."""
    values = [each for value in vars(arguments).values() for each in (value if isinstance(value, list) else [value])]
    names = {path.resolve() for path in written}
    for path in values:
        if isinstance(path, Path) and path.resolve() in names:
            raise WireError("invalid_input", f"{path} would be overwritten", "choose another name with -o")


def _summarise(out: Path, made: Sequence[tuple[Order, JobResult, list[Path]]], seconds: float) -> None:
    """The sheet, the record, and how different the variants are."""
    from weft.io.images import from_bytes, save_image
    from weft.tasks.gallery import differences, gallery_sheet

    order = made[0][0]
    pictures = [from_bytes(result.arrays["thumbnail"]) for _, result, _ in made if "thumbnail" in result.arrays]
    told: dict[str, Any] = {}
    files = [out.with_name(f"{out.stem}_gallery.json")]
    if len(pictures) == len(made):
        files.append(out.with_name(f"{out.stem}_gallery.png"))
        save_image(files[-1], gallery_sheet(pictures, [f"{out.stem} {i + 1}" for i in range(len(made))]))
        told = differences(pictures) if len(pictures) > 1 else {}
    variants = [
        {"number": i + 1, "file": str(written[0].name), "row": result.info["variant"]["row"]}
        for i, (_, result, written) in enumerate(made)
    ]
    record = {"format": RECORD, "task": order.task, "seed": order.params.seed, "variants": variants, **told}
    files[0].write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if "coupling" not in order.arrays:
        say(f"correlation of their noises: {rho_of(order.params.variants, order.params.correlation):.4g}")
    if told:
        say(f"different pictures: {told['vendi']:g} of {len(made)} (Vendi), pairwise RMS {told['pairwise_rms']:g}")
    say(f"wrote {', '.join(map(str, files))} in {seconds:.1f} s")
