"""What the commands read and write: pictures and meshes into the arrays of a job, pictures of a report out of them."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weft_wire.errors import WireError

__all__ = ["add_files", "camera_arrays", "check_out", "exemplar_array", "mesh_arrays", "write_report"]


def add_files(parser: argparse.ArgumentParser, formats: Sequence[str], *, exemplar: bool = True) -> None:
    """The options that every job has besides its parameters."""
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help=_either(formats))
    if exemplar:
        parser.add_argument("--exemplar", type=Path, metavar="PHOTO", help="take the surface from this picture")
    parser.add_argument("--server", metavar="ADDRESS", help="HOST:PORT of a server, if not the local one")


def check_out(out: Path, formats: Sequence[str], keep: Sequence[Path | None] = ()) -> None:
    """Refuse what cannot be written, or would replace one of the files to `keep`, before anything is computed."""
    folder = out.resolve().parent
    if out.suffix.lower() not in formats:
        raise WireError("invalid_input", f"cannot write {out.name!r}", f"end it in {_either(formats)}")
    if not folder.is_dir():
        raise WireError("invalid_input", f"there is no folder {out.parent}", "make it first")
    if out.is_dir():
        raise WireError("invalid_input", f"{out} is a folder", "name a file in it")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise WireError("invalid_input", f"cannot write into {folder}: {reason}", "choose another folder") from None
    beside = [".mtl", ".png"] if out.suffix.lower() == ".obj" else []
    written = [file.resolve() for file in (out, *map(out.with_suffix, beside))]
    for path in keep:
        if path is not None and path.resolve() in written:
            raise WireError("invalid_input", f"{path} would be overwritten", "choose another name with -o")


def _either(formats: Sequence[str]) -> str:
    """ ".glb, .obj or .png"."""
    return " or ".join(filter(None, [", ".join(formats[:-1]), formats[-1]]))


def exemplar_array(path: Path | None, name: str = "exemplar") -> dict[str, np.ndarray]:
    """The picture u1 [H, W, 3] under its name; nothing without a path."""
    from weft.io.images import load_image, to_bytes

    return {} if path is None else {name: to_bytes(load_image(path))}


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
    if not cameras:
        return {}
    intrinsics = [(c.fx, c.fy, c.cx, c.cy, c.width, c.height) for c in cameras]
    poses = np.stack([np.asarray(camera.pose, np.float32) for camera in cameras])
    return {"camera.poses": poses, "camera.intrinsics": np.array(intrinsics, np.float32)}


def write_report(out: Path, arrays: dict[str, np.ndarray]) -> list[Path]:
    """The contact sheet and the turntable beside `out`, where there are any; returns their paths."""
    from weft.io.images import save_gif, save_image

    files = []
    if "contact_sheet" in arrays:
        files.append(out.with_name(f"{out.stem}_contact_sheet.png"))
        save_image(files[-1], arrays["contact_sheet"])
    if "turntable" in arrays:
        files.append(out.with_name(f"{out.stem}_turntable.gif"))
        save_gif(list(arrays["turntable"]), files[-1])
    return files
