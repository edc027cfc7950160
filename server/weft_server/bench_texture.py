"""`weft bench texture`: quality and time of textures on meshes of your own, in this process, without a server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from weft_server.terminal import machine, say

__all__ = ["add_parser"]

MATERIALS = "bricks,mossy stone,dragon scales,wood planks,rusted metal,leopard fur"


def add_parser(kinds: Any) -> None:
    parser = kinds.add_parser("texture", help="quality and time of textures", description=__doc__)
    parser.add_argument("meshes", nargs="+", metavar="MESH", help="glTF, OBJ or PLY files")
    parser.add_argument("--materials", default=MATERIALS, help=f"prompts, separated by commas (default {MATERIALS})")
    parser.add_argument("--size", type=int, default=256, help="pixels of a view's side (default 256)")
    parser.add_argument("--steps", type=int, default=30, help="denoising steps (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="(default 0)")
    parser.add_argument("--texture-size", type=int, default=1024, help="pixels of a texture's side (default 1024)")
    parser.add_argument("--sheets", metavar="FOLDER", help="leave a contact sheet of every run here")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # The science is loaded only where it computes.
    from weft.benchmarks.texture import measure_textures, table
    from weft.io.meshes import load_meshes

    meshes = {Path(path).stem: load_meshes(path) for path in arguments.meshes}
    materials = [material.strip() for material in arguments.materials.split(",") if material.strip()]
    if arguments.sheets:
        Path(arguments.sheets).mkdir(parents=True, exist_ok=True)
    rows = []
    say(f"{machine()} at the start")
    for row in measure_textures(
        meshes, materials, size=arguments.size, steps=arguments.steps, seed=arguments.seed,
        texture_size=arguments.texture_size, sheets=arguments.sheets,
    ):  # fmt: skip
        rows.append(row)
        say(list(table([row]))[1])
    for line in table(rows):
        say(line)
    return 0
