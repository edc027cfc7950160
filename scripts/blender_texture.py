"""Texture objects of a .blend file without a window, and save the result beside it.

    blender -b scene.blend -P scripts/blender_texture.py -- --prompt "mossy stone" --objects Rock,Wall
    python scripts/blender_texture.py -- scene.blend --exemplar photo.jpg --out textured.blend

The second form needs the bpy module. A server must run (`weft serve`). The original file is never overwritten, unless
--out names it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import types
import typing
from pathlib import Path
from typing import Any

import bpy

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "blender_addon"), str(ROOT / "server")]

from weft_blender import bundled  # noqa: E402

try:
    bundled.ensure_importable()
except ImportError as error:
    print(f"blender_texture: {error}", file=sys.stderr)
    sys.exit(1)

from weft_blender.errors import SceneError  # noqa: E402
from weft_blender.exemplar import read_file  # noqa: E402
from weft_blender.job import Job, release, texture_objects  # noqa: E402
from weft_blender.link import LINK  # noqa: E402
from weft_blender.pixels import encode_png  # noqa: E402
from weft_wire.errors import WireError  # noqa: E402
from weft_wire.jobs import TextureParams  # noqa: E402
from weft_wire.jobs.networks import NETWORK  # noqa: E402
from weft_wire.jobs.variants import GALLERY  # noqa: E402
from weft_wire.parameters import Param, params_of  # noqa: E402


def main(arguments: list[str]) -> int:
    options = vars(make_parser().parse_args(arguments))
    own = {name: options.pop(name) for name in ("scene", "objects", "exemplar", "uv_source", "out", "server", "keys")}
    try:
        if own["scene"]:
            open_scene(own["scene"])
        job = texture_objects(
            chosen_objects(own["objects"]),
            TextureParams(**options),
            exemplar=read_file(own["exemplar"]) if own["exemplar"] else None,
            uv_source=own["uv_source"].upper(),
            address=own["server"],
            key_dir=own["keys"],
            on_change=Reporter(),
        )
        out = save(own["out"])
        release()
    except WireError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        LINK.close()
    print_outcome(job, out)
    save_report(job, out)
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The options of this script, then one for every declared parameter of the job."""
    parser = argparse.ArgumentParser(
        prog="blender_texture.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", nargs="?", default="", help="the .blend file (default: what Blender has open)")
    parser.add_argument("--objects", default="", metavar="A,B", help="names, with commas (default: the selected ones)")
    parser.add_argument("--exemplar", default="", metavar="PHOTO", help="reference image to take the look from")
    parser.add_argument(
        "--uv-source", default="automatic", choices=("automatic", "active", "new"), help="UV map to use"
    )
    parser.add_argument("--out", default="", metavar="FILE", help="where to save (default: NAME_weft.blend beside it)")
    parser.add_argument("--server", default="", metavar="HOST:PORT", help="default: the server on this machine")
    parser.add_argument("--keys", default="", metavar="DIR", help="folder with this user's keys")
    groups = {
        "": parser.add_argument_group("the texture"),
        NETWORK: parser.add_argument_group("with a model that has trained weights"),
        GALLERY: parser.add_argument_group("as one of several variants"),
    }
    for field, kind, rule in params_of(TextureParams):
        add_parameter(groups[rule.section], field.name, kind, field.default, rule)
    return parser


def add_parameter(group: Any, name: str, kind: Any, default: Any, rule: Param) -> None:
    """One declared parameter as an option; its range is checked, with the declaration's own message, by the job."""
    if isinstance(kind, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not types.NoneType)
    flag = "--" + name.replace("_", "-")
    details = [f"default: {default} {rule.unit}".strip()] if default != "" else []
    details += [f"0: {rule.zero}"] if rule.zero else []
    text = (f"{rule.help} ({'; '.join(details)})" if details else rule.help).replace("%", "%%")
    if kind is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=rule.help)
    else:
        group.add_argument(flag, type=kind, default=default, choices=rule.choices or None, help=text)


def open_scene(path: str) -> None:
    if not Path(path).is_file():
        raise SceneError("no_scene", f"there is no file '{path}'", "check the path")
    try:
        bpy.ops.wm.open_mainfile(filepath=str(Path(path).resolve()))
    except RuntimeError as error:
        line = str(error).strip().splitlines()[0]
        raise SceneError("no_scene", f"'{path}' cannot be opened: {line}", "is it a Blender file?") from error


def chosen_objects(names: str) -> list[bpy.types.Object]:
    """The objects called `names` (with commas), or the selected ones."""
    if not names:
        objects = list(bpy.context.selected_objects)
        if not objects:
            raise SceneError("nothing_selected", "nothing is selected in the file", "name objects with --objects A,B")
        return objects
    objects = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        if name not in bpy.context.scene.objects:
            meshes = [obj.name for obj in bpy.context.scene.objects if obj.type == "MESH"]
            raise SceneError("no_object", f"there is no object '{name}'", f"meshes: {', '.join(meshes[:10]) or 'none'}")
        objects.append(bpy.context.scene.objects[name])
    return objects


def save(out: str) -> Path:
    """Save a copy as `out`, or under a free name beside the original."""
    if out:
        path = Path(out).resolve()
    else:
        original = Path(bpy.data.filepath or "untitled.blend").resolve()
        names = (f"{original.stem}_weft{suffix}.blend" for suffix in ("", *(f"_{i}" for i in range(2, 1000))))
        path = next(original.with_name(name) for name in names if not original.with_name(name).exists())
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(path), check_existing=False, copy=True)
    except RuntimeError as error:
        line = str(error).strip().splitlines()[0]
        raise SceneError("not_saved", f"{path} cannot be written: {line}", "choose another place with --out") from error
    return path


class Reporter:
    """Prints a line when a new phase begins; on a terminal also the steps, on one line."""

    def __init__(self) -> None:
        self.phase = ""

    def __call__(self, job: Job) -> None:
        phase = job.phase or job.state
        if phase != self.phase:
            print(("\n" if sys.stdout.isatty() and self.phase else "") + phase.replace("_", " "), end="", flush=True)
            print("", end="" if sys.stdout.isatty() else "\n", flush=True)
            self.phase = phase
        elif sys.stdout.isatty() and job.total:
            print(f"\r{phase.replace('_', ' ')} {job.step}/{job.total}", end="", flush=True)


def print_outcome(job: Job, out: Path) -> None:
    material = job.info.get("material", {})
    if sys.stdout.isatty():
        print()
    for warning in job.warnings:
        print(f"note: {warning}")
    for label, value in (("material", material.get("name")), ("note", material.get("note"))):
        if value:
            print(f"{label}: {value}")
    if "coverage" in job.info:
        print(f"coverage: {job.info['coverage']:.1%}")
    print(f"seconds: {job.seconds['total']:.1f}")
    print(f"saved: {out}")


def save_report(job: Job, out: Path) -> None:
    """With --report: the contact sheet and the measurements, beside the saved file."""
    if "contact_sheet" not in job.arrays:
        return
    files = {
        out.with_name(f"{out.stem}_contact_sheet.png"): encode_png(job.arrays["contact_sheet"]),
        out.with_name(f"{out.stem}_report.json"): json.dumps(job.info, indent=1).encode(),
    }
    for path, content in files.items():
        path.write_bytes(content)
        print(f"saved: {path}")


if __name__ == "__main__":
    given = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main(given))
