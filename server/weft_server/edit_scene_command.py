"""`weft edit-scene SCENE -o OUT`: splats or a NeRF, changed by words or by a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.arguments import add_options, options_of
from weft_server.job_files import add_files, exemplar_array, mesh_arrays, report_endings
from weft_server.one_job import Order, ordered, run
from weft_server.scene_arguments import SCENES, WRITTEN, check_kind, check_scene_out, given_scene, write_scene
from weft_server.training_views import view_arrays
from weft_wire.errors import WireError
from weft_wire.events import JobResult
from weft_wire.jobs import EditSceneParams

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "edit-scene",
        help="change splats or a NeRF",
        description="Change a scene by words or by a picture: its views are edited together, and it learns them. "
        "Splats without photographs keep positions, sizes and opacities to the bit.",
    )
    parser.add_argument("scene", type=Path, metavar="SCENE", help=f"{', '.join(SCENES)}; `weft fit` makes one")
    add_files(parser, WRITTEN)
    parser.add_argument(
        "--photographs", type=Path, metavar="FOLDER", help="the pictures that the scene was made of, with their poses"
    )
    parser.add_argument(
        "--box", type=float, nargs=6, metavar=("X", "Y", "Z", "X", "Y", "Z"),
        help="change only what lies between these two corners, in the scene's world",
    )  # fmt: skip
    parser.add_argument("--inside", type=Path, metavar="MESH", help="change only what lies inside this closed mesh")
    add_options(parser, EditSceneParams)
    parser.set_defaults(run=run, order=_order, task="edit_scene")


def _order(arguments: argparse.Namespace) -> Order:
    params = options_of(arguments, EditSceneParams)
    out: Path = arguments.out
    keep = [arguments.scene, arguments.exemplar, arguments.inside]
    check_scene_out(out, keep, report_endings(params))
    given = given_scene(arguments.scene)
    check_kind(out, given.kind)
    arrays = {**given.arrays, **exemplar_array(arguments.exemplar)}
    if arguments.photographs:
        arrays |= view_arrays(arguments.photographs)
    if arguments.box:
        corners = np.array(arguments.box, np.float32).reshape(2, 3)
        if (corners[0] == corners[1]).any():
            raise WireError("invalid_input", "the corners of --box enclose nothing", "give two opposite corners")
        arrays["region.box"] = np.stack([corners.min(0), corners.max(0)])
    if arguments.inside:
        from weft.io.meshes import load_meshes

        arrays |= mesh_arrays(load_meshes(arguments.inside), uv=False)

    def write(out: Path, result: JobResult) -> list[Path]:
        return write_scene(out, result, given)

    return ordered(arguments, params, arrays, write)
