"""What the commands read and write: pictures and meshes into the arrays of a job, pictures of a report out of them."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.model_folders import add_models
from weft_wire.errors import WireError
from weft_wire.jobs.parts import PICTURE_DIMENSIONS

__all__ = [
    "add_files",
    "camera_arrays",
    "check_out",
    "check_sides",
    "check_writable",
    "exemplar_array",
    "mesh_arrays",
    "report_endings",
    "write_report",
]

_SHEET, _TURNTABLE = "_contact_sheet.png", "_turntable.gif"


def add_files(parser: argparse.ArgumentParser, formats: Sequence[str], *, exemplar: bool = True) -> None:
    """The options that every job has besides its parameters."""
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help=_either(formats))
    if exemplar:
        parser.add_argument("--exemplar", type=Path, metavar="PHOTO", help="take the surface from this picture")
    parser.add_argument("--server", metavar="ADDRESS", help="HOST:PORT of a server, if not the local one")
    add_models(parser)


def check_out(out: Path, formats: Sequence[str], keep: Sequence[Path | None] = (), endings: Sequence[str] = ()) -> None:
    """Refuse what cannot be written, or would replace one of the files to `keep`, before anything is computed.
    `endings`, after the stem of `out`, are those of the files that are written beside it."""
    folder = out.resolve().parent
    if out.suffix.lower() not in formats:
        raise WireError("invalid_input", f"cannot write {out.name!r}", f"end it in {_either(formats)}")
    if not folder.is_dir():
        raise WireError("invalid_input", f"there is no folder {out.parent}", "make it first")
    if out.is_dir():
        raise WireError("invalid_input", f"{out} is a folder", "name a file in it")
    check_writable(folder)
    beside = [*endings, *([".mtl", ".png"] if out.suffix.lower() == ".obj" else [])]
    written = [file.resolve() for file in (out, *(out.with_name(out.stem + ending) for ending in beside))]
    for path in keep:
        if path is not None and path.resolve() in written:
            raise WireError("invalid_input", f"{path} would be overwritten", "choose another name with -o")


def check_writable(folder: Path) -> None:
    """Refuse a folder in which no file can be made."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise WireError("invalid_input", f"cannot write into {folder}: {reason}", "choose another folder") from None


def _either(formats: Sequence[str]) -> str:
    """ ".glb, .obj or .png"."""
    return " or ".join(filter(None, [", ".join(formats[:-1]), formats[-1]]))


def exemplar_array(path: Path | None, name: str = "exemplar") -> dict[str, np.ndarray]:
    """The picture u1 [H, W, 3] under its name; nothing without a path."""
    from weft.io.files import read_file
    from weft.io.images import decode_image, open_image, to_bytes

    if path is None:
        return {}
    data = read_file(path)
    with open_image(data, str(path)) as opened:
        check_sides(path, *opened.size)  # before it is decoded: what is too large takes long
    return {name: to_bytes(decode_image(data, str(path)))}


def check_sides(path: Path | str, width: int, height: int) -> None:
    """Refuse a picture that the wire does not carry, by the name of its file."""
    least, most = PICTURE_DIMENSIONS["W"]
    if not (least <= width <= most and least <= height <= most):
        remedy = "scale it down" if max(width, height) > most else "give a larger picture"
        message = f"'{path}' is {width}×{height} px, expected {least} to {most} a side"
        raise WireError("invalid_image", message, remedy)


def mesh_arrays(meshes: Sequence[Any], *, uv: bool = True) -> dict[str, np.ndarray]:
    """The meshes by the names of the wire."""
    arrays: dict[str, np.ndarray] = {}
    for i, mesh in enumerate(meshes):
        arrays[f"mesh.{i}.vertices"] = np.ascontiguousarray(mesh.vertices, np.float32)
        arrays[f"mesh.{i}.faces"] = np.ascontiguousarray(mesh.faces, np.int32)
        if uv and mesh.corner_uv is not None:
            arrays[f"mesh.{i}.uv"] = np.ascontiguousarray(mesh.corner_uv, np.float32)
    return arrays


def camera_arrays(cameras: Sequence[Any]) -> dict[str, np.ndarray]:
    """The cameras by the names of the wire; nothing without any."""
    from weft.geometry.camera import packed

    if not cameras:
        return {}
    poses, intrinsics = packed(cameras)
    return {"camera.poses": poses, "camera.intrinsics": intrinsics}


def report_endings(params: Any) -> list[str]:
    """Of the files that `write_report` adds, if a report is asked for."""
    return [_SHEET, _TURNTABLE] if params.report else []


def write_report(out: Path, arrays: dict[str, np.ndarray]) -> list[Path]:
    """The contact sheet and the turntable beside `out`, where there are any; returns their paths."""
    from weft.io.images import save_gif, save_image

    files = []
    if "contact_sheet" in arrays:
        files.append(out.with_name(out.stem + _SHEET))
        save_image(files[-1], arrays["contact_sheet"])
    if "turntable" in arrays:
        files.append(out.with_name(out.stem + _TURNTABLE))
        save_gif(list(arrays["turntable"]), files[-1])
    return files
