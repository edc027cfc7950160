"""`weft bench scenes FOLDER@SIZE,… …`: kinds of radiance fields beside each other on photographs with poses.

A folder holds transforms.json, or Blender's transforms_train.json and transforms_test.json; without a test set every
eighth view is held out. Sizes are pixels of the longer side. Voxel and tensor NeRFs and splats learn as many steps as
`weft fit` would give them. Without a folder, or with --quick, a small ball of splats is learned: does everything work?
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from weft_server.terminal import machine, say
from weft_wire.errors import WireError
from weft_wire.jobs.scenes import KINDS

__all__ = ["add_parser"]


def add_parser(kinds: Any) -> None:
    parser = kinds.add_parser("scenes", help="NeRFs and splats on photographs", description=__doc__)
    parser.add_argument("folders", nargs="*", metavar="FOLDER@SIZE,…", help="as in fox@192,288; without sizes as it is")
    parser.add_argument(
        "--kind", action="append", choices=KINDS, help="measure this kind; may be repeated (default all there are)"
    )
    parser.add_argument("--steps", type=int, default=0, help="of the optimiser (default what suits the kind)")
    parser.add_argument("--seed", type=int, default=0, help="(default 0)")
    parser.add_argument("--quick", action="store_true", help="a small ball of splats")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FOLDER", help="leave held-out renders here, beside the truth"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.steps < 0:
        raise WireError("invalid_input", f"{arguments.steps} steps", "give 0 or more")
    wanted = [each for text in arguments.folders for each in _sized(text)]
    # The science is loaded only where it computes.
    import torch

    from weft.benchmarks import scenes
    from weft.scenes.kinds import KINDS as there

    torch.set_num_threads(1)  # beside Numba's threads they only wait
    if arguments.quick or not wanted:
        cases, steps = [scenes.quick_case()], arguments.steps or scenes.QUICK_STEPS
    else:
        cases, steps = [scenes.case_of(*each) for each in wanted], arguments.steps
    say(f"{machine()} at the start")
    say(next(scenes.table([])))
    for case in cases:
        for row in scenes.measure(case, arguments.kind or list(there), steps=steps, seed=arguments.seed):
            say(list(scenes.table([row]))[-1])
            if arguments.out is not None:
                scenes.save_renders(row, case, arguments.out)
    return 0


def _sized(text: str) -> list[tuple[Path, int]]:
    """A folder and every size that is asked for after its last @."""
    folder, _, sizes = text.rpartition("@") if "@" in text else (text, "", "0")
    if not folder or not all(size.isdigit() for size in sizes.split(",")):
        raise WireError("invalid_input", f"{text!r} is no folder with sizes", "write it as in fox@192,288")
    return [(Path(folder), int(size)) for size in sizes.split(",")]
