"""`weft panorama -o OUT.png`: a wide image or a full sphere, from words or a picture, with or without a scene."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.arguments import add_options, options_of
from weft_server.job_files import add_files, check_out, exemplar_array, mesh_arrays, report_endings, write_report
from weft_server.one_job import Order, ordered, run
from weft_wire.errors import WireError
from weft_wire.events import JobResult
from weft_wire.jobs import PanoramaParams

__all__ = ["add_parser"]

FORMATS = (".png", ".jpg", ".tif")


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "panorama",
        help="a panorama from words or from a picture",
        description="Make a full sphere (2:1) or a wide image from words or from a picture. A depth map or a mesh file "
        "gives the picture the shape of a scene.",
    )
    add_files(parser, FORMATS)
    parser.add_argument(
        "--depth", type=Path, metavar="FILE", help=".exr or .png: distances, in the panorama's aspect; 0 is sky"
    )
    parser.add_argument("--scene", type=Path, metavar="MESH", help=".glb, .gltf, .obj or .ply to stand in")
    parser.add_argument(
        "--viewpoint", type=float, nargs=3, metavar=("X", "Y", "Z"),
        help="where to stand in the scene, +Z up (default: the middle of its objects)",
    )  # fmt: skip
    add_options(parser, PanoramaParams)
    parser.set_defaults(run=run, order=_order, task="panorama")


def _order(arguments: argparse.Namespace) -> Order:
    params = options_of(arguments, PanoramaParams)
    check_out(arguments.out, FORMATS, [arguments.exemplar, arguments.depth], report_endings(params))
    if arguments.viewpoint and not arguments.scene:
        raise WireError("invalid_input", "--viewpoint stands in a scene, and there is none", "add --scene MESH")
    labels, arrays = _surroundings(arguments)
    arrays |= exemplar_array(arguments.exemplar)

    return ordered(arguments, params, arrays, _write, labels)


def _surroundings(arguments: argparse.Namespace) -> tuple[list[str], dict[str, np.ndarray]]:
    """Names of the scene's objects; depth, meshes and viewpoint, as far as they are given."""
    arrays: dict[str, np.ndarray] = {}
    labels: list[str] = []
    if arguments.depth:
        from weft.io.depth import load_depth

        depth = load_depth(arguments.depth)
        arrays["depth"] = np.where(np.isfinite(depth), depth, 0).astype(np.float32)  # the wire has 0 for the sky
    if arguments.scene:
        from weft.io.meshes import load_meshes

        meshes = load_meshes(arguments.scene)
        labels = [mesh.name for mesh in meshes]
        arrays |= mesh_arrays(meshes, uv=False)
    if arguments.viewpoint:
        arrays["viewpoint"] = np.array(arguments.viewpoint, np.float32)
    return labels, arrays


def _write(out: Path, result: JobResult) -> list[Path]:
    from weft.io.images import save_image

    save_image(out, result.arrays["panorama"])
    return [out, *write_report(out, result.arrays)]
