"""`weft backgrounds IMAGE --mask M -o OUT`: the object of a photograph kept, and what is around it varied."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.arguments import add_options, options_of
from weft_server.job_files import add_files, check_out, exemplar_array, write_report
from weft_server.mask_files import mask_array
from weft_server.one_job import Order, ordered, run
from weft_server.terminal import say
from weft_wire.errors import WireError
from weft_wire.events import JobResult
from weft_wire.jobs import BACKGROUNDS, BackgroundsParams

__all__ = ["add_parser"]

FORMATS = (".png", ".jpg", ".tif")
MEASURES = ("rmse_f", "diversity", "boundary_before", "boundary")


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "backgrounds",
        help="keep an object, vary what is around it",
        description="Keep the object of a photograph and vary what is around it: more of what is there, a material, or "
        "a picture of another place. Writes OUT_1, OUT_2 and so on.",
        epilog='Example: weft backgrounds shoe.jpg --mask shoe_mask.png --prompt "mossy stone" -o shoe.png',
    )
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the photograph")
    parser.add_argument("--mask", type=Path, required=True, metavar="FILE", help="the object, white; as large")
    add_files(parser, FORMATS)
    add_options(parser, BackgroundsParams)
    parser.set_defaults(run=run, order=_order, task="backgrounds")


def _order(arguments: argparse.Namespace) -> Order:
    params = options_of(arguments, BackgroundsParams)
    ending = arguments.out.suffix
    numbered = [f"_{i + 1}{ending}" for i in range(params.variants)]
    keep = [arguments.image, arguments.mask, arguments.exemplar]
    check_out(arguments.out, FORMATS, keep, [*numbered, "_contact_sheet.png"])
    arrays = {**_image(arguments.image), **exemplar_array(arguments.exemplar)}
    arrays |= mask_array(arguments.mask, "mask", arrays["image"].shape, arguments.image)
    if arrays["mask"].all():
        message = f"the mask '{arguments.mask}' is white: there is nothing around the object"
        raise WireError("invalid_image", message, "paint what may change black")

    def write(out: Path, result: JobResult) -> list[Path]:
        from weft.io.images import save_image

        _tell(result.info)
        files = [out.with_name(out.stem + ending) for ending in numbered]
        for file, made in zip(files, result.arrays["backgrounds"], strict=True):
            save_image(file, made)
        return [*files, *write_report(out, result.arrays)]

    return ordered(arguments, params, arrays, write)


def _image(path: Path) -> dict[str, np.ndarray]:
    from weft.io.images import load_image, to_bytes

    image = to_bytes(load_image(path))
    for name, side in zip(("rows", "columns"), image.shape, strict=False):
        least, most = BACKGROUNDS.dimensions[name]
        if not least <= side <= most:
            message = f"'{path}' has {side} {name}, expected {least} to {most}"
            raise WireError("invalid_image", message, "scale it")
    return {"image": image}


def _tell(info: dict[str, Any]) -> None:
    """The table of a comparison, or the measures of a report."""
    if "comparison" in info:
        from weft.tasks.backgrounds_report import table

        for line in table(info["comparison"], info["boundary_before"]):
            say(line)
    if measures := ", ".join(f"{name} {info[name]:g}" for name in MEASURES if name in info):
        say(f"measured at {'×'.join(map(str, info['worked_at']))} px: {measures}")
