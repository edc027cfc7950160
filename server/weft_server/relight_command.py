"""`weft relight VIEWS -o OUT --env FILE.hdr`: photographs, or a textured mesh, under another light."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from weft_server.able import EMBEDDED
from weft_server.arguments import add_options, options_of
from weft_server.one_job import Order, ordered, run
from weft_server.view_files import add_views, given_views
from weft_wire.errors import WireError
from weft_wire.jobs import RelightParams

__all__ = ["add_parser"]

NO_NAMES = ("automatic", "none")  # of the old light


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "relight",
        help="put photographs, or a textured mesh, under another light",
        description="Relight many views of one scene consistently. What is known of their geometry (a mesh, splats, "
        "depth maps; estimated from the views otherwise) ties them; the result is baked back into textures or splats.",
    )
    add_views(parser)
    parser.add_argument("--env", type=Path, metavar="FILE", help="the new light: an equirectangular map, .hdr or .exr")
    parser.add_argument("--old-env", type=Path, metavar="FILE", help="the light that the views show, if it is known")
    add_options(parser, RelightParams)
    parser.set_defaults(run=run, order=_order, task="relight")


def _order(arguments: argparse.Namespace) -> Order:
    from weft.io.hdr import load_environment

    params = options_of(arguments, RelightParams)
    _check_lights(params, arguments.env)
    views = given_views(arguments, params, [arguments.env, arguments.old_env])
    arrays = dict(views.arrays)
    for name, path in (("environment", arguments.env), ("old_environment", arguments.old_env)):
        if path is not None:
            arrays[name] = load_environment(path).radiance
    return ordered(arguments, params, arrays, views.write, views.labels)


def _check_lights(params: RelightParams, env: Path | None) -> None:
    """Refuse what the job would refuse, before anything is read or started."""
    from weft.geometry.lights import light_named

    for name in (params.light, params.old_light):
        if name.strip() and name not in NO_NAMES:
            light_named(name)
    if env is None and not params.light.strip() and params.prompt.strip() and params.model == EMBEDDED:
        raise WireError(
            "invalid_input", f"{EMBEDDED} takes no light from words", "add --light NAME or --env FILE, or --model NAME"
        )
