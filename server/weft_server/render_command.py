"""`weft render SCENE -o FOLDER`: pictures of a scene."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from weft_server.arguments import add_options, options_of
from weft_server.job_files import camera_arrays
from weft_server.one_job import Order, ordered, run
from weft_server.scene_arguments import SCENES, given_scene
from weft_server.view_files import check_folder, write_views
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
    parser.add_argument("--cameras-file", type=Path, metavar="FILE", help="transforms.json: look from these cameras")
    parser.add_argument("--server", metavar="ADDRESS", help="HOST:PORT of a server, if not the local one")
    add_options(parser, RenderParams)
    parser.set_defaults(run=run, order=_order, task="render", models=[])


def _order(arguments: argparse.Namespace) -> Order:
    params = options_of(arguments, RenderParams)
    out: Path = arguments.out
    check_folder(out)
    given = given_scene(arguments.scene)
    arrays = dict(given.arrays)
    if arguments.cameras_file:
        from weft.io.transforms import load_cameras

        arrays |= camera_arrays(load_cameras(arguments.cameras_file).cameras)

    def write(out: Path, result: JobResult) -> list[Path]:
        out.mkdir(exist_ok=True)
        images, poses, lenses = (result.arrays[name] for name in ("view.images", "camera.poses", "camera.intrinsics"))
        return write_views(out, images, poses, lenses)

    return ordered(arguments, params, arrays, write)
