"""`weft move VIEWS -o OUT --object MASKS|NAME --translate X Y Z`: an object at another place, in every view."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.arguments import add_options, options_of
from weft_server.one_job import Order, ordered, run
from weft_server.view_files import GivenViews, add_views, check_folder, given_views
from weft_wire.errors import WireError
from weft_wire.jobs import MoveParams

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "move",
        help="move an object that photographs, or a scene of meshes, show",
        description="Move an object in many views of one scene consistently. What its old place hid is painted anew.",
    )
    add_views(parser)
    parser.add_argument(
        "--object", dest="what", required=True, metavar="MASKS|NAME",
        help="a folder of masks, called as the pictures are and white where the object is; or the name of a mesh",
    )  # fmt: skip
    for option, metavar, help in (
        ("--translate", ("X", "Y", "Z"), "how far, in the world of the poses"),
        ("--rotate", ("X", "Y", "Z"), "degrees about the axes of the world, X first, about the object's middle"),
    ):
        parser.add_argument(option, type=float, nargs=3, default=(0.0, 0.0, 0.0), metavar=metavar, help=help)
    parser.add_argument(
        "--about", type=float, nargs=3, metavar=("X", "Y", "Z"), help="the point to turn about (default: the middle)"
    )
    add_options(parser, MoveParams, but=("object",))
    parser.set_defaults(run=run, order=_order, task="move")


def _order(arguments: argparse.Namespace) -> Order:
    from weft.geometry.rigid import Rigid

    by_masks = Path(arguments.what).is_dir()
    params = options_of(arguments, MoveParams, object="" if by_masks else arguments.what)
    check_folder(arguments.out)  # what moves keeps its texture
    if any(arguments.rotate) and arguments.about is None and by_masks:
        raise WireError("invalid_input", "--rotate about which point?", "add --about X Y Z, in the world of the poses")
    views = given_views(arguments, params, [], objects=Path(arguments.what) if by_masks else None)
    middle = (0.0, 0.0, 0.0) if by_masks else _middle(views, arguments.what)
    motion = Rigid.of(arguments.translate, arguments.rotate, arguments.about or middle)
    arrays = views.arrays | {"object.transform": motion.matrix.astype(np.float32)}
    return ordered(arguments, params, arrays, views.write, views.labels)


def _middle(views: GivenViews, name: str) -> tuple[float, float, float]:
    """Of the bounding box of the mesh of this name."""
    for mesh in views.meshes:
        if mesh.name == name:
            x, y, z = (mesh.vertices.min(0) + mesh.vertices.max(0)) / 2
            return float(x), float(y), float(z)
    known = ", ".join(repr(mesh.name) for mesh in views.meshes) or "none without --mesh"
    raise WireError("invalid_input", f"no object is called {name!r}", f"objects: {known}; or name a folder of masks")
