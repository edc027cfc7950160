"""`weft edit-panorama IMAGE -o OUT`: a panorama, or an image too large for the model, changed as one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.arguments import add_options, options_of
from weft_server.job_files import add_files, check_out, exemplar_array, report_endings, write_report
from weft_server.mask_files import mask_array
from weft_server.one_job import Order, ordered, run
from weft_wire.errors import WireError
from weft_wire.events import JobResult
from weft_wire.jobs import EDIT_PANORAMA, EditPanoramaParams
from weft_wire.jobs.edit_panorama import REGIONS

__all__ = ["add_parser"]

FORMATS = (".png", ".jpg", ".tif")
SLOTS = range(1, REGIONS + 1)


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "edit-panorama",
        help="change a panorama or a large image",
        description="Change a panorama, or an image too large for the model, as one: by words or by a picture, all of "
        "it or regions, each in its own way.",
    )
    parser.add_argument("image", type=Path, metavar="IMAGE", help="what is changed; 2:1 is taken for a full sphere")
    add_files(parser, FORMATS)
    parser.add_argument("--mask", type=Path, metavar="FILE", help="what may change, white; as large as the image")
    for i in SLOTS:
        parser.add_argument(f"--region-{i}", type=Path, metavar="MASK", help=f"where region {i} is, white")
        parser.add_argument(f"--exemplar-{i}", type=Path, metavar="PHOTO", help=f"what region {i} should look like")
    add_options(parser, EditPanoramaParams)
    parser.set_defaults(run=run, order=_order, task="edit_panorama")


def _order(arguments: argparse.Namespace) -> Order:
    params = options_of(arguments, EditPanoramaParams)
    given = vars(arguments)
    kept = [given[f"{part}_{i}"] for part in ("region", "exemplar") for i in SLOTS]
    keep = [arguments.image, arguments.mask, arguments.exemplar, *kept]
    check_out(arguments.out, FORMATS, keep, report_endings(params)[:1])
    arrays = {**_image(arguments.image), **exemplar_array(arguments.exemplar)}
    shape = arrays["image"].shape[:2]
    arrays |= mask_array(arguments.mask, "mask", shape, arguments.image)
    for i in SLOTS:
        arrays |= mask_array(given[f"region_{i}"], f"region.{i - 1}.mask", shape, arguments.image)
        arrays |= exemplar_array(given[f"exemplar_{i}"], f"region.{i - 1}.exemplar")

    def write(out: Path, result: JobResult) -> list[Path]:
        from weft.io.images import save_image

        save_image(out, result.arrays["panorama"])
        return [out, *write_report(out, result.arrays)]

    return ordered(arguments, params, arrays, write)


def _image(path: Path) -> dict[str, np.ndarray]:
    from weft.io.images import load_image, to_bytes

    image = to_bytes(load_image(path))
    for name, side in zip(("rows", "columns"), image.shape, strict=False):
        least, most = EDIT_PANORAMA.dimensions[name]
        if not least <= side <= most:
            message = f"'{path}' has {side} {name}, expected {least} to {most}"
            raise WireError("invalid_image", message, "scale it")
    return {"image": image}
