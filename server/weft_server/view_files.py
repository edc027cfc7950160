"""VIEWS of the commands: a folder of photographs with poses, or a mesh; and where the edited ones are written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.arguments import Parser
from weft_server.job_files import (
    camera_arrays,
    check_out,
    check_writable,
    mesh_arrays,
    report_endings,
    write_report,
)
from weft_server.model_folders import add_models
from weft_server.terminal import say
from weft_server.texture_files import check_uvs, textures_of
from weft_wire.errors import WireError
from weft_wire.events import JobResult
from weft_wire.jobs.views import DIMENSIONS

__all__ = ["GivenViews", "add_views", "check_folder", "given_views", "write_views"]

MESHES = (".glb", ".gltf", ".obj", ".ply")
WRITTEN = (".glb", ".obj", ".png")  # what a mesh with new textures is written to
POSES = "transforms.json"
MARK = "edited_by_weft"  # in the poses of folders that may be written over
TOLD = 0.9  # of the pictures' longer side: sides are rounded
ALL_VIEWS = DIMENSIONS["N"][1]
LARGEST = DIMENSIONS["width"][1]  # px of the longer side: photographs come larger


@dataclass(frozen=True, eq=False)
class GivenViews:
    """The input arrays of a job, and how its result is written."""

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # of the views' files, without their endings
    meshes: tuple[Any, ...] = ()
    splats: Any = None  # the file they came from

    def write(self, out: Path, result: JobResult) -> list[Path]:
        """Views and poses into the folder `out`, the baked model beside them; or the mesh `out` alone."""
        if out.suffix.lower() in WRITTEN:
            return self._write_mesh(out, result) + write_report(out, result.arrays)
        out.mkdir(exist_ok=True)
        files = [*self._write_views(out, result), *self._write_model(out, result)]
        self._tell_size(result)
        return files + write_report(out / "edit.png", result.arrays)

    def _write_views(self, out: Path, result: JobResult) -> list[Path]:
        """The pictures, and the poses that they were edited with."""
        images, poses, intrinsics = (
            result.arrays[name] for name in ("view.images", "camera.poses", "camera.intrinsics")
        )
        return write_views(out, images, poses, intrinsics, self.names)

    def _tell_size(self, result: JobResult) -> None:
        """Photographs come back smaller, unless a size was asked for: nobody should find that out in a print."""
        if "view.images" not in self.arrays:
            return
        (height, width), (rows, columns) = (a["view.images"].shape[1:3] for a in (self.arrays, result.arrays))
        if max(rows, columns) < TOLD * max(height, width):
            told = f"the edited views are {columns}×{rows} px, the pictures {width}×{height} px"
            say(f"note: {told} (a larger --size takes longer)")

    def _write_model(self, out: Path, result: JobResult) -> list[Path]:
        from weft.io.splats import save_splats

        if "texture.0" in result.arrays:
            return self._write_mesh(out / "model.glb", result)
        if "splats.dc" in result.arrays:
            save_splats(out / "splats.ply", self.splats, dc=result.arrays["splats.dc"], degree=None)
            return [out / "splats.ply"]
        return []

    def _write_mesh(self, out: Path, result: JobResult) -> list[Path]:
        from dataclasses import replace

        from weft.io.meshes import save_textured

        made = {i: result.arrays.get(f"mesh.{i}.uv") for i in range(len(self.meshes))}
        meshes = [mesh if made[i] is None else replace(mesh, corner_uv=made[i]) for i, mesh in enumerate(self.meshes)]
        return save_textured(out, meshes, [result.arrays[f"texture.{i}"] for i in range(len(meshes))])


def add_views(parser: Parser) -> None:
    """VIEWS, what is known of their geometry, and where the result goes."""
    parser.add_argument(
        "views_from", type=Path, metavar="VIEWS",
        help=f"a folder of pictures with {POSES}, or a mesh with its texture: {', '.join(MESHES)}",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="OUT",
        help=f"a folder for the edited views; or, where VIEWS is a mesh, a file: {', '.join(WRITTEN)}",
    )  # fmt: skip
    parser.add_argument("--mesh", type=Path, metavar="FILE", help="what the pictures show: a mesh in the poses' frame")
    parser.add_argument(
        "--splats", type=Path, metavar="FILE", help="what the pictures show: splats in the poses' frame"
    )
    parser.add_argument("--texture", type=Path, metavar="FILE", help="the mesh's texture, if its file holds none")
    parser.add_argument("--take", type=int, default=12, metavar="N", help="how many of the pictures (default 12)")
    parser.add_argument("--server", metavar="ADDRESS", help="HOST:PORT of a server, if not the local one")
    add_models(parser)


def given_views(
    arguments: argparse.Namespace, params: Any, keep: list[Path | None], objects: Path | None = None
) -> GivenViews:
    """Read VIEWS, with masks of an object from the folder `objects`. Raises what cannot be used, in one line; the files
    to `keep` are not written over."""
    source: Path = arguments.views_from
    if not source.exists():
        raise WireError("invalid_input", f"there is no {source}", f"name a folder with {POSES}, or a mesh")
    if source.is_file() and source.suffix.lower() in MESHES:
        if objects is not None:
            raise WireError("invalid_input", "masks go with a folder of views", "name the mesh that is to be moved")
        return _of_mesh(arguments, params, keep)
    if source.is_file() and source.suffix.lower() != ".json":
        raise WireError(
            "invalid_input", f"{source.name!r} is neither a folder of views nor a mesh", f"use {POSES}, or a mesh file"
        )
    return _of_folder(arguments, params, objects)


def _of_mesh(arguments: argparse.Namespace, params: Any, keep: list[Path | None]) -> GivenViews:
    from weft.io.meshes import load_meshes

    if arguments.mesh or arguments.splats:
        raise WireError("invalid_input", "--mesh and --splats go with a folder of views", "leave them out")
    if arguments.out.suffix or arguments.out.is_file():
        check_out(arguments.out, WRITTEN, [arguments.views_from, arguments.texture, *keep], report_endings(params))
    else:
        check_folder(arguments.out)
    meshes = load_meshes(arguments.views_from)
    given: list[Path] = [arguments.texture] if arguments.texture else []
    if given and len(meshes) > 1:
        raise WireError(
            "invalid_input", f"one --texture for {len(meshes)} objects", "put the textures into a .glb file"
        )
    check_uvs(meshes)
    arrays = mesh_arrays(meshes)
    for i, texture in enumerate(textures_of(arguments.views_from, given, meshes)):
        arrays[f"mesh.{i}.texture"] = texture
    return GivenViews(arrays, tuple(mesh.name for mesh in meshes), meshes=tuple(meshes))


def _of_folder(arguments: argparse.Namespace, params: Any, objects: Path | None) -> GivenViews:
    from weft.io.images import to_bytes
    from weft.io.meshes import load_meshes
    from weft.io.splats import load_splats
    from weft.io.view_folder import load_views

    out: Path = arguments.out
    source: Path = arguments.views_from
    if out.resolve() == (source if source.is_dir() else source.parent).resolve():
        raise WireError("invalid_input", f"{out} holds the views themselves", "choose another folder with -o")
    check_folder(out)
    if arguments.mesh and arguments.splats:
        raise WireError("invalid_input", "there are both --mesh and --splats", "choose one of them")
    if arguments.texture:
        raise WireError("invalid_input", "--texture goes with a mesh as VIEWS", "leave it out")
    if not 2 <= arguments.take <= ALL_VIEWS:
        raise WireError("invalid_input", f"--take {arguments.take} is outside 2 to {ALL_VIEWS}", "12 are usual")
    found = load_views(source, size=LARGEST, count=arguments.take, objects=objects)
    for warning in found.warnings:
        say(f"note: {warning}")
    if params.reference > len(found.files):
        raise WireError(
            "invalid_input", f"reference = {params.reference}, and there are {len(found.files)} views", "count from 1"
        )
    names = _stems([file.name for file in found.files])
    if any(_picture(out, name).resolve() == file for name, file in zip(names, found.files, strict=True)):
        raise WireError("invalid_input", f"{out} holds the views themselves", "choose another folder with -o")
    arrays = {"view.images": to_bytes(found.images), **camera_arrays(found.cameras)}
    if found.masks is not None:
        arrays["view.masks"] = found.masks.astype(np.uint8)
    if found.depths is not None:
        arrays["view.depths"] = np.where(np.isfinite(found.depths), found.depths, 0).astype(np.float32)
    if found.objects is not None:
        arrays["object.masks"] = found.objects.astype(np.uint8)
    meshes = load_meshes(arguments.mesh) if arguments.mesh else []
    file = load_splats(arguments.splats) if arguments.splats else None
    if file is not None:
        from weft_server.splat_files import splat_arrays

        arrays |= splat_arrays(file.splats)
    return GivenViews(arrays | mesh_arrays(meshes), tuple(mesh.name for mesh in meshes), names, tuple(meshes), file)


def write_views(
    out: Path, images: np.ndarray, poses: np.ndarray, intrinsics: np.ndarray, names: Sequence[str] = ()
) -> list[Path]:
    """Pictures u1 [N, H, W, 3] and their poses into the folder `out`; numbered without `names`."""
    from weft.io.images import save_image

    names = names or tuple(f"{i:04d}" for i in range(len(images)))
    frames = []
    for name, image, pose, lens in zip(names, images, poses, intrinsics, strict=True):
        path = _picture(out, name)
        path.parent.mkdir(exist_ok=True)
        save_image(path, image)
        keys = ("fl_x", "fl_y", "cx", "cy", "w", "h")
        values = {key: float(value) for key, value in zip(keys, lens, strict=True)}
        values |= {"w": int(lens[4]), "h": int(lens[5])}
        frames.append({"file_path": f"images/{name}.png", **values, "transform_matrix": pose.tolist()})
    document = {"camera_model": "PINHOLE", MARK: True, "frames": frames}
    (out / POSES).write_text(json.dumps(document, indent=1), encoding="utf-8")
    written = {f"{name}.png" for name in names}
    if left := [path for path in (out / "images").glob("*.png") if path.name not in written]:
        say(f"note: {out / 'images'} holds {len(left)} more, of an earlier run")
    return [out / POSES]


def check_folder(out: Path) -> None:
    """Raise unless `out` can be a folder of views."""
    if out.suffix.lower() in (*WRITTEN, ".jpg", ".ply") or out.is_file():
        raise WireError("invalid_input", f"{out.name!r} is a file, and the views are many", "name a folder with -o")
    if not out.resolve().parent.is_dir():
        raise WireError("invalid_input", f"there is no folder {out.parent}", "make it first")
    check_writable(out if out.is_dir() else out.resolve().parent)
    if (out / POSES).is_file() and MARK not in (out / POSES).read_text(encoding="utf-8", errors="replace"):
        raise WireError(
            "invalid_input", f"{out / POSES} would be overwritten: it tells of other views", "choose another folder"
        )


def _picture(out: Path, name: str) -> Path:
    """Where an edited view is written."""
    return out / "images" / f"{name}.png"


def _stems(names: Sequence[str]) -> tuple[str, ...]:
    """The names without their endings; numbered where several pictures share one."""
    stems = [Path(name).stem for name in names]
    return tuple(stem if stems.count(stem) == 1 else f"{i:04d}_{stem}" for i, stem in enumerate(stems))
