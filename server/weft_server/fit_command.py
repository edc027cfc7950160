"""`weft fit PHOTOGRAPHS -o OUT`: Gaussian splats or a NeRF of photographs with poses."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.arguments import add_options, options_of
from weft_server.job_files import report_endings
from weft_server.one_job import Order, ordered, run
from weft_server.scene_arguments import SCENE, WRITTEN, check_scene_out, write_scene
from weft_server.training_views import view_arrays
from weft_wire.errors import WireError
from weft_wire.events import JobResult
from weft_wire.jobs import FitParams

__all__ = ["add_parser"]

WORKING = 192  # px of the longer side, without a GPU, unless more is asked for


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "fit",
        help="splats or a NeRF of photographs",
        description="Make Gaussian splats, or a NeRF, of photographs with poses. Some photographs are held out, and "
        "what is told is how well they are met. What is stopped leaves what there is; --resume goes on.",
    )
    parser.add_argument(
        "photographs", type=Path, metavar="PHOTOGRAPHS", help="a folder with transforms.json, or with COLMAP's model"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help=" or ".join(WRITTEN))
    parser.add_argument("--resume", type=Path, metavar="FILE", help=f"go on with this {SCENE} file")
    parser.add_argument("--server", metavar="ADDRESS", help="HOST:PORT of a server, if not the local one")
    add_options(parser, FitParams)
    parser.set_defaults(run=run, order=_order, task="fit", models=[])


def _order(arguments: argparse.Namespace) -> Order:
    params = options_of(arguments, FitParams)
    out: Path = arguments.out
    beside = [".glb"] if params.mesh else []
    check_scene_out(out, [], [SCENE, *beside, *report_endings(params)], kind=params.kind)
    arrays = view_arrays(arguments.photographs, params.size, points=True)
    if arguments.resume:
        if arguments.resume.suffix.lower() != SCENE:
            raise WireError(
                "invalid_input", f"{arguments.resume.name!r} is no {SCENE} file", "splats hold no optimiser"
            )
        from weft.io.scene_files import load_scene

        load_scene(arguments.resume)
        arrays["scene"] = np.frombuffer(arguments.resume.read_bytes(), np.uint8)

    def write(out: Path, result: JobResult) -> list[Path]:
        files = write_scene(out, result)
        if out.suffix.lower() != SCENE:  # what training goes on from
            files += write_scene(out.with_suffix(SCENE), JobResult({"scene": result.arrays["scene"]}))
        return files + _write_mesh(out, result)

    return ordered(arguments, params, arrays, write)


def _write_mesh(out: Path, result: JobResult) -> list[Path]:
    """The textured mesh beside the scene, if there is one."""
    if "mesh.0.vertices" not in result.arrays:
        return []
    from weft.geometry.mesh import Mesh
    from weft.io.images import from_bytes
    from weft.io.meshes import save_textured

    vertices, faces, uv = (result.arrays[f"mesh.0.{name}"] for name in ("vertices", "faces", "uv"))
    mesh = Mesh(out.stem, vertices, faces, uv)
    return save_textured(out.with_suffix(".glb"), [mesh], [from_bytes(result.arrays["texture.0"])])
