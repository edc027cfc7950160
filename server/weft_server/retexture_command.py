"""`weft retexture MESH -o OUT`: change the texture that a mesh has, all of it, inside a mask, or on chosen faces."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.arguments import add_options, options_of
from weft_server.job_files import (
    add_files,
    check_out,
    exemplar_array,
    mesh_arrays,
    report_endings,
    write_report,
)
from weft_server.one_job import Order, ordered, run
from weft_server.texture_command import FORMATS, NO_CAMERAS
from weft_server.texture_files import check_uvs, textures_of
from weft_wire.errors import WireError
from weft_wire.events import JobResult
from weft_wire.jobs import RetextureParams

__all__ = ["add_parser"]

SKIP = "-"  # in the place of an object's mask or selection: all of it may change


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "retexture",
        help="change the texture that a mesh has",
        description="Repaint a texture from words or from a picture. What may not change comes back bit by bit. For a "
        f"file of several objects, --texture, --mask and --select are given once for each, in order; {SKIP} leaves "
        "an object without mask or selection.",
    )
    parser.add_argument("mesh", type=Path, metavar="MESH", help=".glb, .gltf or .obj with UVs")
    add_files(parser, FORMATS)
    parser.add_argument(
        "--texture", type=Path, action="append", default=[], metavar="FILE",
        help="the texture to change, 8-bit sRGB (default: the one of the mesh file)",
    )  # fmt: skip
    parser.add_argument(
        "--mask", type=Path, action="append", default=[], metavar="FILE",
        help="white where the texture may change, black where not; as large as the texture",
    )  # fmt: skip
    parser.add_argument(
        "--select", action="append", default=[], metavar="FACES",
        help="the triangles that may change, from 0: 0-99,120",
    )  # fmt: skip
    add_options(parser, RetextureParams, but=NO_CAMERAS)
    parser.set_defaults(run=run, order=_order, task="retexture")


def _order(arguments: argparse.Namespace) -> Order:
    from weft.io.meshes import load_meshes

    params = options_of(arguments, RetextureParams)
    out: Path = arguments.out
    given = [arguments.mesh, arguments.exemplar, *arguments.texture, *arguments.mask]
    numbered = [f"_{i}.png" for i in range(len(arguments.texture))] if len(arguments.texture) > 1 else []
    check_out(out, FORMATS, given, [*numbered, *report_endings(params)])
    meshes = load_meshes(arguments.mesh)
    for what in ("texture", "mask", "select"):
        _check_count(what, len(getattr(arguments, what)), len(meshes))
    check_uvs(meshes)
    arrays = {**mesh_arrays(meshes), **exemplar_array(arguments.exemplar)}
    for i, texture in enumerate(textures_of(arguments.mesh, arguments.texture, meshes)):
        arrays[f"mesh.{i}.texture"] = texture
    for i, path in enumerate(arguments.mask):
        if str(path) != SKIP:
            arrays[f"mesh.{i}.mask"] = _mask(path, arrays[f"mesh.{i}.texture"].shape)
    for i, faces in enumerate(arguments.select):
        if faces != SKIP:
            arrays[f"mesh.{i}.selected"] = _selected(faces, len(meshes[i].faces))

    def write(out: Path, result: JobResult) -> list[Path]:
        return _write(out, meshes, result)

    return ordered(arguments, params, arrays, write, [mesh.name for mesh in meshes])


def _check_count(what: str, given: int, objects: int) -> None:
    if given not in (0, objects):
        kind = "object" if objects == 1 else "objects"
        remedy = f"give --{what} once for each, in order" if objects > 1 else f"give --{what} once"
        raise WireError("invalid_input", f"--{what} is given {given} times, the file has {objects} {kind}", remedy)


def _mask(path: Path, texture: tuple[int, ...]) -> np.ndarray:
    from weft.io.textures import load_mask

    mask = load_mask(path)
    if mask.shape != texture[:2]:
        (height, width), (rows, columns) = mask.shape, texture[:2]
        message = f"the mask {str(path)!r} is {width}×{height} px, the texture {columns}×{rows} px"
        raise WireError("invalid_input", message, "paint it at the texture's size")
    return mask.astype(np.uint8)


def _selected(text: str, faces: int) -> np.ndarray:
    """u1 [F] from numbers and ranges such as 0-99,120."""
    selected = np.zeros(faces, np.uint8)
    for part in text.split(","):
        first, dash, last = (side.strip() for side in part.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise WireError(
                "invalid_input", f"cannot read the faces {part.strip()!r}", "write numbers and ranges: 0-99,120"
            )
        low, high = int(first), int(last or first)
        if low > high or high >= faces:
            remedy = f"the mesh has the triangles 0 to {faces - 1}"
            raise WireError("invalid_input", f"there are no faces {part.strip()}", remedy)
        selected[low : high + 1] = 1
    return selected


def _write(out: Path, meshes: list[Any], result: JobResult) -> list[Path]:
    """The file with its new textures, and what a report adds, beside it."""
    from weft.io.meshes import save_textured

    files = save_textured(out, meshes, [result.arrays[f"texture.{i}"] for i in range(len(meshes))])
    return files + write_report(out, result.arrays)
