"""Image sequences as results: PNG files in a new folder beside the .blend, shown by one image datablock."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .editors import showing
from .errors import SceneError
from .pixels import encode_png
from .tags import PARAMETERS

__all__ = ["place_for", "show_sequence", "write_frames"]


def place_for(name: str) -> tuple[str, str]:
    """The folder, which need not exist, for results called `name`; and a warning where the file was never saved."""
    clean = bpy.path.clean_name(Path(name).stem) or "clip"
    if bpy.data.filepath:
        return str(Path(bpy.data.filepath).resolve().parent / f"weft_{clean}"), ""
    folder = Path(tempfile.gettempdir()) / "weft" / f"weft_{clean}"
    return str(folder), f"the scene was never saved: the new frames go to {folder.parent}"


def write_frames(place: str, frames: Iterable[np.ndarray]) -> list[str]:
    """Write u1 [H, W, 3] as 0001.png, 0002.png … into a new folder, `place` or the first free one after it; their
    paths. Touches no datablock. Raises SceneError where that cannot be."""
    try:
        folder = new_folder(Path(place))
        paths = []
        for number, frame in enumerate(frames, 1):
            path = folder / f"{folder.name}_{number:04d}.png"
            path.write_bytes(encode_png(frame))
            paths.append(str(path))
    except OSError as error:
        message = f"the frames cannot be written to '{place}': {error.strerror}"
        raise SceneError("not_saved", message, "save the .blend elsewhere, or make room, and start again") from error
    return paths


def new_folder(wanted: Path) -> Path:
    """A folder that was not there before."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}_{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def show_sequence(image: bpy.types.Image, paths: list[str], parameters: dict[str, Any]) -> None:
    """Turn the preview into the sequence of these files, which the editors that show it play from frame 1 on."""
    first = paths[0]
    image.source = "FILE"
    image.filepath = first if not bpy.data.filepath else bpy.path.relpath(first)
    image.source = "SEQUENCE"
    image.reload()
    image[PARAMETERS] = json.dumps(parameters, sort_keys=True)
    for space in showing(image):
        user = space.image_user
        user.frame_duration, user.frame_start, user.frame_offset, user.use_auto_refresh = len(paths), 1, 0, True
