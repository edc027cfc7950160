"""`weft render SCENE -o FOLDER`: pictures of a scene."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from weft_server.arguments import add_options, options_of
from weft_server.job_files import camera_arrays
from weft_server.one_job import run_job
from weft_server.scene_arguments import SCENES, given_scene
from weft_server.view_files import check_folder, write_views
from weft_wire.errors import WireError
from weft_wire.events import JobResult
from weft_wire.jobs import RenderParams

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "render",
        help="render splats or a NeRF",
        description="Render a scene from the cameras of a transforms.json, into a folder of pictures with poses.",
    )
    parser.add_argument("scene", type=Path, metavar="SCENE", help=", ".join(SCENES))
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER", help="for the pictures")
    parser.add_argument(
        "--cameras-file", type=Path, required=True, metavar="FILE", help="transforms.json: look from these cameras"
    )
    parser.add_argument(
        "--size", type=int, default=0, metavar="N", help="px of the longer side (default 0: the file's)"
    )
    parser.add_argument("--server", metavar="ADDRESS", help="HOST:PORT of a server, if not the local one")
    add_options(parser, RenderParams)
    parser.set_defaults(run=_run, models=[])


def _run(arguments: argparse.Namespace) -> int:
    from weft.io.transforms import load_cameras

    params = options_of(arguments, RenderParams)
    out: Path = arguments.out
    check_folder(out)
    given = given_scene(arguments.scene)
    if arguments.size < 0:
        raise WireError("invalid_input", f"--size {arguments.size} is below 0", "0 takes the file's size")
    cameras = load_cameras(arguments.cameras_file).cameras
    if arguments.size:
        cameras = [camera.scaled(arguments.size / max(camera.width, camera.height)) for camera in cameras]
    arrays = {**given.arrays, **camera_arrays(cameras)}

    def write(result: JobResult) -> list[Path]:
        out.mkdir(exist_ok=True)
        return write_views(out, result.arrays["view.images"], arrays["camera.poses"], arrays["camera.intrinsics"])

    return run_job(arguments.server, "render", params, arrays, write)
