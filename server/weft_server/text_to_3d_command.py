"""`weft text-to-3d -o OUT`: splats or a NeRF from words, or from a proxy's shape and a material."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from weft_server.arguments import add_options, options_of
from weft_server.job_files import add_files, exemplar_array, mesh_arrays, report_endings
from weft_server.one_job import Order, ordered, run
from weft_server.scene_arguments import WRITTEN, check_scene_out, write_scene
from weft_wire.events import JobResult
from weft_wire.jobs import TextTo3dParams

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "text-to-3d",
        help="splats or a NeRF from words",
        description="Make splats or a NeRF by score distillation: from words with a model that has trained weights, or "
        "of a material in the shape of a proxy mesh.",
    )
    add_files(parser, WRITTEN)
    parser.add_argument("--proxy", type=Path, metavar="MESH", help=".glb, .gltf, .obj or .ply: the shape")
    add_options(parser, TextTo3dParams)
    parser.set_defaults(run=run, order=_order, task="text_to_3d")


def _order(arguments: argparse.Namespace) -> Order:
    from weft.io.meshes import load_meshes

    params = options_of(arguments, TextTo3dParams)
    out: Path = arguments.out
    check_scene_out(out, [arguments.exemplar, arguments.proxy], report_endings(params), kind=params.kind)
    meshes = load_meshes(arguments.proxy) if arguments.proxy else []
    arrays = {**mesh_arrays(meshes, uv=False), **exemplar_array(arguments.exemplar)}

    def write(out: Path, result: JobResult) -> list[Path]:
        return write_scene(out, result)

    labels = [mesh.name for mesh in meshes]
    return ordered(arguments, params, arrays, write, labels)
