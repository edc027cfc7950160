"""`weft bench gpu`: a mesh texture with networks of full size and random weights, by phases, and one view at a time.

Weights are random because speed does not depend on them: nothing has to be downloaded. The lines printed are a table in
Markdown.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from weft_server.packages import absent_packages, install_command
from weft_server.terminal import machine, say
from weft_wire.errors import WireError

if TYPE_CHECKING:
    import torch

__all__ = ["add_parser"]

FULL = {"views": 10, "size": 768, "steps": 30, "texture_size": 1536}
TINY = {"views": 2, "size": 64, "steps": 2, "texture_size": 64}


def add_parser(kinds: Any) -> None:
    parser = kinds.add_parser("gpu", help="networks of full size on this machine's GPU", description=__doc__)
    parser.add_argument("--model", choices=("sd15", "sdxl"), default="sd15", help="with depth control (default sd15)")
    parser.add_argument("--views", type=int, help=f"cameras around the mesh (default {FULL['views']})")
    parser.add_argument("--size", type=int, help=f"pixels of a view's side (default {FULL['size']})")
    parser.add_argument("--steps", type=int, help=f"denoising steps (default {FULL['steps']})")
    parser.add_argument("--texture-size", type=int, help=f"of the texture's side (default {FULL['texture_size']})")
    parser.add_argument("--compile", action="store_true", help="compile the networks first (not timed)")
    parser.add_argument("--no-view-attention", action="store_true", help="views do not look at their neighbours")
    parser.add_argument("--device", help="as torch names it (default cuda)")
    parser.add_argument(
        "--without-network", action="store_true", help="the task alone, around a network that takes no time"
    )
    parser.add_argument("--tiny", action="store_true", help="tiny networks on the processor: does the command work?")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # The science is loaded only where it computes.
    import torch

    device = _device(arguments.device or _usual(arguments))
    if absent := absent_packages():
        raise WireError("missing_dependency", f"networks need {', '.join(absent)}", install_command())
    torch.set_num_threads(1)
    from weft.models.networks.quiet import hush

    hush()
    from weft.benchmarks.gpu import machine_of, measure, measure_task, table
    from weft.benchmarks.gpu_job import Setting

    defaults = TINY if arguments.tiny else FULL
    views, size, steps, texture = (
        default if getattr(arguments, name) is None else getattr(arguments, name) for name, default in defaults.items()
    )
    setting = Setting(views, size, texture, steps, attention=not arguments.no_view_attention)
    if arguments.without_network:
        rows = measure_task(arguments.model, setting, device=device)
    else:
        rows = measure(arguments.model, setting, device=device, compiled=arguments.compile, tiny=arguments.tiny)
    first = next(rows)  # what cannot be measured is refused before anything is said
    say(f"{machine_of(device)}; {machine()}")
    say(f"\n{_title(arguments, setting)}\n")
    heading, rule, line = table([first])
    say(f"{heading}\n{rule}\n{line}")
    for row in rows:
        say(list(table([row]))[-1])
    return 0


def _title(arguments: argparse.Namespace, setting: Any) -> str:
    kind = "no network in the place of " if arguments.without_network else "tiny " if arguments.tiny else ""
    how = ["compiled"] * arguments.compile + ["no view attention"] * arguments.no_view_attention
    return (
        f"{kind}{arguments.model} with depth control, {setting.views} views of {setting.size}² px, {setting.steps} "
        f"steps, {setting.texture}² texture{''.join(f', {word}' for word in how)}"
    )


def _usual(arguments: argparse.Namespace) -> str:
    """Networks of full size are for a GPU; the rest is measured where it would run."""
    import torch

    if arguments.tiny or (arguments.without_network and not torch.cuda.is_available()):
        return "cpu"
    return "cuda"


def _device(name: str) -> torch.device:
    """The device, if it is here."""
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as wrong:
        raise WireError("invalid_input", f"no device is called {name!r}", "cuda, cuda:1, … or cpu") from wrong
    here = device.type == "cpu" or (device.type == "cuda" and (device.index or 0) < torch.cuda.device_count())
    if not here:
        raise WireError(
            "invalid_input", f"this machine has no device {name!r}", "--tiny tries the command out on the processor"
        )
    return device
