"""Texture a mesh in Blender with a server of its own, and say how it went. scripts/demo runs this.

Everything goes the way that a user's job goes: the add-on's functions export the object, send it, and put the previews
and the result on it. Leaves in the folder --out: demo.blend, texture.png, contact_sheet.png (exemplar, camera views,
the texture on its way, five new angles), turntable.gif and report.json with all numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from blender_texture import Reporter, add_parameter, save
from demo_report import machine, table
from weft.io import save_gif, save_image
from weft_blender.errors import SceneError
from weft_blender.exemplar import read_file
from weft_blender.job import Job, release, texture_objects
from weft_blender.link import LINK
from weft_server.local import local_server
from weft_wire.client import Client
from weft_wire.errors import WireError
from weft_wire.jobs import TEXTURE, TextureParams
from weft_wire.keys import home
from weft_wire.parameters import params_of, to_mapping, validate

PROMPT = "mossy stone"
IMPORTERS: dict[str, Callable[[str], Any]] = {
    ".glb": lambda path: bpy.ops.import_scene.gltf(filepath=path),
    ".gltf": lambda path: bpy.ops.import_scene.gltf(filepath=path),
    ".obj": lambda path: bpy.ops.wm.obj_import(filepath=path),
    ".ply": lambda path: bpy.ops.wm.ply_import(filepath=path, forward_axis="NEGATIVE_Z", up_axis="Y"),
    ".stl": lambda path: bpy.ops.wm.stl_import(filepath=path),
}


@dataclass(frozen=True)
class Wish:
    """What is asked for, checked as far as that is possible without a server."""

    params: TextureParams
    exemplar: Any  # u1 [H, W, 3] or None
    objects: list[Any]
    out: Path


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped then too
    options = make_parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="weft-demo-") as folder:
        os.environ["WEFT_HOME"] = folder
        try:
            wish = examine(options)
            run(wish)
        except KeyboardInterrupt:
            print("\ndemo: stopped", file=sys.stderr)
            return 130
        except WireError as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
        finally:
            LINK.close()
    return 0


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mesh", metavar="FILE", help=f"{', '.join(IMPORTERS)} (default: Blender's Suzanne)")
    look = parser.add_mutually_exclusive_group()
    look.add_argument("--exemplar", metavar="PHOTO", help="picture to take the look from, instead of a prompt")
    for field, kind, rule in params_of(TextureParams):
        if field.name == "prompt":
            add_parameter(look, field.name, kind, PROMPT, rule)
        elif field.name in ("size", "steps", "seed"):
            add_parameter(parser, field.name, kind, field.default, rule)
    parser.add_argument("--out", default="out", metavar="FOLDER", help="where the results go (default: out)")
    return parser


def examine(options: argparse.Namespace) -> Wish:
    """Read everything that is named. Raises WireError for what is wrong with it."""
    prompt = "" if options.exemplar else options.prompt
    params = TextureParams(prompt=prompt, size=options.size, steps=options.steps, seed=options.seed, report=True)
    validate(params)
    out = Path(options.out).resolve()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SceneError("not_saved", f"{out}: {error.strerror}", "choose another folder with --out") from error
    if not os.access(out, os.W_OK):
        raise SceneError("not_saved", f"{out} cannot be written to", "choose another folder with --out")
    exemplar = read_file(options.exemplar) if options.exemplar else None
    TEXTURE.check(params, frozenset() if exemplar is None else frozenset({"exemplar"}))
    bpy.ops.wm.read_factory_settings()
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    objects = import_meshes(Path(options.mesh)) if options.mesh else [suzanne()]
    return Wish(params, exemplar, objects, out)


def suzanne() -> Any:
    """Blender's monkey, subdivided twice: 15,744 triangles with UVs."""
    bpy.ops.mesh.primitive_monkey_add()
    obj = bpy.context.object
    obj.modifiers.new("Subdivision", "SUBSURF").levels = 2
    bpy.ops.object.shade_smooth()
    return obj


def import_meshes(path: Path) -> list[Any]:
    """The mesh objects of a file. Raises SceneError when there are none."""
    importer = IMPORTERS.get(path.suffix.lower())
    if importer is None:
        raise SceneError("no_mesh", f"'{path}' is not a mesh file", f"give one of {', '.join(IMPORTERS)}")
    if not path.is_file():
        raise SceneError("no_mesh", f"there is no mesh file '{path}'", "check the path")
    try:
        importer(str(path.resolve()))
    except RuntimeError as error:
        line = str(error).strip().splitlines()[0]
        raise SceneError("no_mesh", f"'{path}' cannot be read: {line}", "export it again") from error
    objects = [obj for obj in bpy.context.scene.objects if obj.type == "MESH"]
    if not objects:
        raise SceneError("no_mesh", f"'{path}' holds no mesh", "export the object itself, with its faces")
    return objects


def run(wish: Wish) -> None:
    print("server: starting", flush=True)
    began = time.monotonic()
    with local_server(home()) as client, client:  # where the add-on looks for it
        wait_until_warm(client)
        warm_up = time.monotonic() - began
        job = texture_objects(wish.objects, wish.params, exemplar=wish.exemplar, previews=True, on_change=Reporter())
        print(flush=True)
        present(wish.objects)
        blend = save(str(wish.out / "demo.blend"))
        release()
    files = [blend, *save_pictures(job, wish.out)]
    report = report_of(wish, job, warm_up)
    files.append(wish.out / "report.json")
    files[-1].write_text(json.dumps(report, indent=2) + "\n")
    print(f"\n{table(report)}\n")
    for file in files:
        print(f"  {file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}")


def wait_until_warm(client: Client) -> None:
    """The first worker on a machine compiles the kernels; later ones find them compiled."""
    while not client.welcome.ready:
        problem = client.welcome.capabilities.get("problem")
        if problem:
            raise WireError("server_absent", problem)
        time.sleep(0.05)


def present(objects: list[Any]) -> None:
    """Let the saved file open with the texture in sight: material preview, and a camera that sees all objects."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.type == "VIEW_3D":
                area.spaces.active.shading.type = "MATERIAL"
    camera = bpy.context.scene.camera
    corners = [value for obj in objects for corner in obj.bound_box for value in to_world(obj, corner)]
    camera.location, _ = camera.camera_fit_coords(bpy.context.evaluated_depsgraph_get(), corners)


def to_world(obj: Any, corner: Any) -> list[float]:
    return [sum(a * b for a, b in zip(row, (*corner, 1.0), strict=True)) for row in list(obj.matrix_world)[:3]]


def save_pictures(job: Job, out: Path) -> list[Path]:
    files = []
    for index in range(len(job.targets)):
        files.append(out / ("texture.png" if index == 0 else f"texture_{index}.png"))
        save_image(files[-1], job.arrays[f"texture.{index}"])
    files.append(out / "contact_sheet.png")
    save_image(files[-1], job.arrays["contact_sheet"])
    files.append(out / "turntable.gif")
    save_gif(list(job.arrays["turntable"]), files[-1])
    return files


def report_of(wish: Wish, job: Job, warm_up: float) -> dict[str, Any]:
    """All numbers: what the add-on saw (seconds), what the server measured (info), and on which machine."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    evaluated = [obj.evaluated_get(depsgraph).data for obj in wish.objects]
    return {
        "machine": machine(),
        "objects": [target.object for target in job.targets],
        "triangles": sum(len(polygon.vertices) - 2 for mesh in evaluated for polygon in mesh.polygons),
        "params": to_mapping(wish.params),
        "warnings": job.warnings,
        "seconds": {"server_start": warm_up, **job.seconds},
        "server": job.info,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
