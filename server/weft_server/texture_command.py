"""`weft texture MESH -o OUT`: from a file to a textured file, through the same server as everything else."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from weft_server.arguments import add_options, options_of
from weft_server.job_files import add_files, check_out, exemplar_array, mesh_arrays, report_endings, write_report
from weft_server.one_job import Order, ordered, run
from weft_wire.events import JobResult
from weft_wire.jobs import TextureParams

__all__ = ["FORMATS", "NO_CAMERAS", "add_parser"]

FORMATS = (".glb", ".obj", ".png")
NO_CAMERAS = ("cameras",)  # mesh files bring none, so there is nothing to choose


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "texture",
        help="texture a mesh file",
        description="Texture a mesh from words or from a picture. Uses the running local server, or starts one.",
    )
    parser.add_argument("mesh", type=Path, metavar="MESH", help=".glb, .gltf, .obj or .ply")
    add_files(parser, FORMATS)
    add_options(parser, TextureParams, but=NO_CAMERAS)
    parser.set_defaults(run=run, order=_order, task="texture")


def _order(arguments: argparse.Namespace) -> Order:
    from weft.io.meshes import load_meshes

    params = options_of(arguments, TextureParams)
    check_out(arguments.out, FORMATS, [arguments.mesh, arguments.exemplar], report_endings(params))
    meshes = load_meshes(arguments.mesh)

    def write(out: Path, result: JobResult) -> list[Path]:
        return _write(out, meshes, result)

    arrays = {**mesh_arrays(meshes), **exemplar_array(arguments.exemplar)}
    return ordered(arguments, params, arrays, write, [mesh.name for mesh in meshes])


def _write(out: Path, meshes: list[Any], result: JobResult) -> list[Path]:
    """The textured file, and what a report adds, beside it."""
    from weft.io.meshes import save_textured

    arrays = result.arrays
    finished = [replace(m, corner_uv=arrays.get(f"mesh.{i}.uv", m.corner_uv)) for i, m in enumerate(meshes)]
    files = save_textured(out, finished, [arrays[f"texture.{i}"] for i in range(len(meshes))])
    return files + write_report(out, arrays)
