"""`weft edit-video VIDEO -o OUT`: a video, or a folder of frames, changed without flicker."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.arguments import add_options, options_of
from weft_server.job_files import add_files, check_out, check_writable, exemplar_array, report_endings, write_report
from weft_server.mask_files import mask_array
from weft_server.one_job import Order, ordered, run
from weft_server.terminal import say
from weft_wire.errors import WireError
from weft_wire.events import JobResult
from weft_wire.jobs import EDIT_VIDEO, EditVideoParams

__all__ = ["add_parser"]

FORMATS = (".mp4", ".mov", ".mkv")
FEWEST, MOST = EDIT_VIDEO.dimensions["N"]
LARGEST = EDIT_VIDEO.dimensions["width"][1]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "edit-video",
        help="change a video without flicker",
        description="Change a video, or a folder of numbered frames, by words or by a picture: all frames together, so "
        "that what moves keeps its look.",
    )
    parser.add_argument("video", type=Path, metavar="VIDEO", help="a video file, or a folder of frames")
    add_files(parser, (*FORMATS, "a folder for frames"))
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the first frame, from 0 (default 0)")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="how many frames (default 0: all)")
    parser.add_argument("--mask", type=Path, metavar="FILE", help="what may change in every frame, white")
    add_options(parser, EditVideoParams)
    parser.set_defaults(run=run, order=_order, task="edit_video")


def _order(arguments: argparse.Namespace) -> Order:
    from weft.io.video import load_frames, save_video

    params = options_of(arguments, EditVideoParams)
    out: Path = arguments.out
    keep = [arguments.video, arguments.exemplar, arguments.mask]
    if out.suffix:
        check_out(out, FORMATS, keep, report_endings(params)[:1])
    else:
        _check_folder(out, arguments.video)
    found = load_frames(arguments.video, size=LARGEST, first=arguments.first, count=arguments.count or None)
    for warning in found.warnings:
        say(f"note: {warning}")
    count = len(found.images)
    if not FEWEST <= count <= MOST:
        message = f"'{arguments.video}' has {count} frame{'s' * (count != 1)}, expected {FEWEST} to {MOST}"
        remedy = "choose some with --first and --count" if count > MOST else "one picture is edited by `edit-panorama`"
        raise WireError("invalid_input", message, remedy)
    arrays = {"frames": found.images, **exemplar_array(arguments.exemplar)}
    mask = mask_array(arguments.mask, "masks", found.images.shape[1:3], arguments.video)
    arrays |= {name: np.repeat(each[None], len(found.images), 0) for name, each in mask.items()}

    def write(out: Path, result: JobResult) -> list[Path]:
        for warning in save_video(out, result.arrays["frames"], found.rate, names=found.names):
            say(f"note: {warning}")
        sheet = out if out.suffix else out / "edit.png"
        return [out, *write_report(sheet, result.arrays)]

    return ordered(arguments, params, arrays, write)


def _check_folder(out: Path, video: Path) -> None:
    """Raise unless frames can be written into `out` without writing over those that are read."""
    if out.is_file():
        raise WireError("invalid_input", f"{out} is a file", f"end it in {FORMATS[0]}, or name a folder with -o")
    if out.resolve() == video.resolve():
        raise WireError("invalid_input", f"{out} holds the frames themselves", "choose another folder with -o")
    if not out.resolve().parent.is_dir():
        raise WireError("invalid_input", f"there is no folder {out.parent}", "make it first")
    check_writable(out if out.is_dir() else out.resolve().parent)
