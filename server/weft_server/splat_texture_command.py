"""`weft splat-texture FILE -o OUT`: new colours for Gaussian splats; all else in the file stays bit by bit."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.arguments import add_options, options_of
from weft_server.job_files import add_files, camera_arrays, check_out, exemplar_array, report_endings, write_report
from weft_server.one_job import Order, ordered, run
from weft_server.splat_files import splat_arrays
from weft_server.terminal import say
from weft_wire.errors import WireError
from weft_wire.events import JobResult
from weft_wire.jobs import SPLAT_TEXTURE, SplatTextureParams

__all__ = ["add_parser"]

FORMATS = (".ply", ".splat")


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "splat-texture",
        help="new colours for Gaussian splats",
        description="Colour Gaussian splats from words or from a picture. Positions, sizes, rotations, opacities and "
        "whatever else the file holds are written as they were read.",
    )
    parser.add_argument("splats", type=Path, metavar="FILE", help=".ply (also compressed), .splat or .spz")
    add_files(parser, FORMATS)
    parser.add_argument(
        "--cameras-file", type=Path, metavar="FILE",
        help="transforms.json (nerfstudio): look from these cameras, unless --cameras says otherwise",
    )  # fmt: skip
    parser.add_argument(
        "--sh", choices=("keep", "drop"), default="keep",
        help="keep the properties of view-dependent colour (as 0), or drop them from the file (default keep)",
    )  # fmt: skip
    add_options(parser, SplatTextureParams)
    parser.set_defaults(run=run, order=_order, task="splat_texture")


def _order(arguments: argparse.Namespace) -> Order:
    from weft.io.splats import load_splats, save_splats

    out: Path = arguments.out
    given = {"cameras": "scene"} if arguments.cameras_file and not hasattr(arguments, "cameras") else {}
    params = options_of(arguments, SplatTextureParams, **given)
    check_out(out, FORMATS, [arguments.splats, arguments.exemplar], report_endings(params))
    if params.cameras != "automatic" and not arguments.cameras_file:
        raise WireError(
            "invalid_camera", f"--cameras {params.cameras} needs cameras", "add --cameras-file transforms.json"
        )
    file = load_splats(arguments.splats)
    _check_number(arguments.splats, "splats", file.splats.count, "S", "crop or thin them in a splat editor")
    for note in file.notes:
        say(f"note: {note}")
    arrays = {**splat_arrays(file.splats), **exemplar_array(arguments.exemplar)}
    arrays |= _cameras(arguments.cameras_file)

    def write(out: Path, result: JobResult) -> list[Path]:
        save_splats(out, file, dc=result.arrays["splats.dc"], degree=0 if arguments.sh == "drop" else None)
        return [out, *write_report(out, result.arrays)]

    return ordered(arguments, params, arrays, write)


def _cameras(path: Path | None) -> dict[str, np.ndarray]:
    from weft.io.transforms import load_cameras

    if path is None:
        return {}
    cameras = load_cameras(path).cameras
    _check_number(path, "cameras", len(cameras), "N", "keep the frames that show most; 50 are plenty")
    return camera_arrays(cameras)


def _check_number(path: Path, what: str, count: int, dimension: str, remedy: str) -> None:
    """Refuse more than the wire carries, by the name of the file."""
    most = SPLAT_TEXTURE.dimensions[dimension][1]
    if count > most:
        raise WireError("invalid_input", f"'{path}' holds {count} {what}, expected at most {most}", remedy)
