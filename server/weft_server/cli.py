"""The command `weft`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from weft_server.terminal import complain

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Whatever goes wrong is one line with its remedy; the exit status is 1 then, 130 after Ctrl-C."""
    try:
        return _run(argv)
    except KeyboardInterrupt:
        complain(RuntimeError("stopped"))
        return 130
    except BrokenPipeError:  # whoever read the output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        return 1
    except OSError as error:
        complain(RuntimeError(f"{error.strerror or error}: {error.filename or 'no file'}"))
        return 1
    except Exception as error:
        if not all(hasattr(error, name) for name in ("code", "message", "hint")):
            raise
        complain(error)
        return 1


def _run(argv: Sequence[str] | None) -> int:
    """Imports what the commands need: half a second in which Ctrl-C is Ctrl-C too."""
    from weft_server import (
        backgrounds_command,
        bench_command,
        coupling_command,
        doctor_command,
        edit_panorama_command,
        edit_scene_command,
        edit_video_command,
        fit_command,
        gallery_command,
        illusion_command,
        keys_command,
        models_command,
        move_command,
        panorama_command,
        relight_command,
        render_command,
        retexture_command,
        serve_command,
        splat_texture_command,
        stylize_command,
        text_to_3d_command,
        texture_command,
    )
    from weft_server.arguments import Parser
    from weft_server.server import version

    parser = Parser(prog="weft", description="Weave many diffusion views into one consistent 3D asset.")
    parser.add_argument("--version", action="version", version=f"weft {version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for command in (
        serve_command,
        texture_command,
        retexture_command,
        relight_command,
        stylize_command,
        move_command,
        illusion_command,
        panorama_command,
        splat_texture_command,
        edit_panorama_command,
        edit_video_command,
        backgrounds_command,
        fit_command,
        render_command,
        edit_scene_command,
        text_to_3d_command,
        gallery_command,
        coupling_command,
        doctor_command,
        models_command,
        keys_command,
        bench_command,
    ):
        command.add_parser(commands)
    arguments = parser.parse_args(argv)
    return arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
