"""`weft stylize VIEWS -o OUT --style IMAGE`: photographs, or a textured mesh, painted anew."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from weft_server.arguments import add_options, options_of
from weft_server.job_files import exemplar_array
from weft_server.one_job import Order, ordered, run
from weft_server.view_files import add_views, given_views
from weft_wire.jobs import StylizeParams

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "stylize",
        help="paint photographs, or a textured mesh, in the style of a picture",
        description="Paint many views of one scene consistently, in the style of a picture or of words. The result is "
        "baked back into textures or splats where the geometry is known.",
    )
    add_views(parser)
    parser.add_argument("--style", type=Path, metavar="PHOTO", help="take strokes and colours from this picture")
    add_options(parser, StylizeParams)
    parser.set_defaults(run=run, order=_order, task="stylize")


def _order(arguments: argparse.Namespace) -> Order:
    params = options_of(arguments, StylizeParams)
    views = given_views(arguments, params, [arguments.style])
    arrays = views.arrays | exemplar_array(arguments.style)
    return ordered(arguments, params, arrays, views.write, views.labels)
