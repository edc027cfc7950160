"""`weft texture MESH -o OUT`: from a file to a textured file, through the same server as everything else."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.arguments import add_options, options_of
from weft_server.local import local_server
from weft_server.terminal import Display, display, say
from weft_wire.client import Client
from weft_wire.errors import WireError
from weft_wire.events import JobResult, PreviewEvent, ProgressEvent, StateEvent, WarningEvent
from weft_wire.jobs import TextureParams

__all__ = ["add_parser", "run"]

FORMATS = (".glb", ".obj", ".png")


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "texture",
        help="texture a mesh file",
        description="Texture a mesh from words or from a picture. Uses the running local server, or starts one.",
    )
    parser.add_argument("mesh", type=Path, metavar="MESH", help=".glb, .gltf, .obj or .ply")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help=".glb, .obj or .png")
    parser.add_argument("--exemplar", type=Path, metavar="PHOTO", help="take the surface from this picture")
    parser.add_argument("--server", metavar="ADDRESS", help="HOST:PORT of a server, if not the local one")
    add_options(parser, TextureParams)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit status; raises what is wrong, before anything is started where that can be known."""
    params = options_of(arguments, TextureParams)
    out: Path = arguments.out
    if out.suffix.lower() not in FORMATS:
        raise WireError("invalid_input", f"cannot write {out.name!r}", f"end it in one of {', '.join(FORMATS)}")
    if not out.resolve().parent.is_dir():
        raise WireError("invalid_input", f"there is no folder {out.parent}", "make it first")
    meshes, arrays = read_inputs(arguments.mesh, arguments.exemplar)
    started = time.monotonic()
    with connected(arguments.server) as client:
        job_id = client.submit("texture", params, arrays, [mesh.name for mesh in meshes])
        with display() as shown:
            follow(client, job_id, shown)
        result = client.fetch(job_id)
        files = write_results(out, meshes, result)
        client.release(job_id)
    summarise(result, files, time.monotonic() - started)
    return 0


def read_inputs(mesh_file: Path, exemplar_file: Path | None) -> tuple[list[Any], dict[str, np.ndarray]]:
    """(meshes, arrays by the names of the task)."""
    from weft.io.images import load_image, to_bytes
    from weft.io.meshes import load_meshes

    meshes = load_meshes(mesh_file)
    arrays: dict[str, np.ndarray] = {}
    for i, mesh in enumerate(meshes):
        arrays[f"mesh.{i}.vertices"] = np.ascontiguousarray(mesh.vertices, np.float32)
        arrays[f"mesh.{i}.faces"] = np.ascontiguousarray(mesh.faces, np.int32)
        if mesh.corner_uv is not None:
            arrays[f"mesh.{i}.uv"] = np.ascontiguousarray(mesh.corner_uv, np.float32)
    if exemplar_file is not None:
        arrays["exemplar"] = to_bytes(load_image(exemplar_file))
    return meshes, arrays


@contextmanager
def connected(address: str | None) -> Iterator[Client]:
    """The server asked for; else the running local one; else one that lives as long as this command."""
    if address is not None:
        with Client(address) as client:
            yield client
        return
    try:
        client = Client()
    except WireError as error:
        if error.code not in ("server_absent", "handshake_failed"):
            raise
        say("no server runs: starting one for this job")
        with local_server() as started, started:
            yield started
        return
    with client:
        yield client


def follow(client: Client, job_id: str, shown: Display) -> None:
    """Show the job's progress to its end; Ctrl-C cancels it. Raises unless it succeeds."""
    try:
        for event in client.events(job_id):
            tell(event, shown)
            if isinstance(event, StateEvent) and event.terminal and event.state != "succeeded":
                raise event.error or WireError("job_cancelled", "the job was cancelled")
    except KeyboardInterrupt:
        client.cancel(job_id)
        shown.note("cancelling")
        for event in client.events(job_id, timeout=15):
            if isinstance(event, StateEvent) and event.terminal:
                client.release(job_id)
        raise


def tell(event: Any, shown: Display) -> None:
    if isinstance(event, ProgressEvent):
        shown.show(event.phase, event.step, event.total, event.message)
    elif isinstance(event, WarningEvent):
        shown.note(f"note: {event.message}{f' ({event.hint})' if event.hint else ''}")
    elif isinstance(event, StateEvent) and event.error and not event.terminal:
        shown.note(f"note: {event.error}")
    elif isinstance(event, PreviewEvent):
        return  # a terminal shows no pictures


def write_results(out: Path, meshes: list[Any], result: JobResult) -> list[Path]:
    """The textured file, and what a report adds, beside it."""
    from weft.io.images import save_gif, save_image
    from weft.io.meshes import save_textured

    arrays = result.arrays
    finished = [replace(m, corner_uv=arrays.get(f"mesh.{i}.uv", m.corner_uv)) for i, m in enumerate(meshes)]
    files = save_textured(out, finished, [arrays[f"texture.{i}"] for i in range(len(meshes))])
    if "contact_sheet" in arrays:
        files.append(out.with_name(f"{out.stem}_contact_sheet.png"))
        save_image(files[-1], arrays["contact_sheet"])
    if "turntable" in arrays:
        files.append(out.with_name(f"{out.stem}_turntable.gif"))
        save_gif(list(arrays["turntable"]), files[-1])
    return files


def summarise(result: JobResult, files: list[Path], seconds: float) -> None:
    material = result.info.get("material") or {}
    if material.get("name"):
        note = f" ({material['note']})" if material.get("note") else ""
        say(f"material: {material['name']}{note}")
    if "coverage" in result.info:
        say(f"seen by the views: {100 * float(result.info['coverage']):.1f} % of the texels")
    say(f"wrote {', '.join(map(str, files))} in {seconds:.1f} s")
