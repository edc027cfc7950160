"""Moving pictures that Blender has opened, as frames for the wire: image sequences, movies, clips and strips.

A sequence is read file by file. Of a movie Blender tells nothing but what it shows: a scene that passes plays it, and
its frames are rendered one by one, without any look on them.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .errors import SceneError
from .pixels import to_wire
from .rendering import look_plain, passing, passing_scene
from .view_renders import progress

__all__ = ["Clip", "clip_of", "frames_of", "is_moving"]

NUMBERED = re.compile(r"(.*?)(\d+)(\D*)$")
FEWEST, MOST = 2, 1000
SMALLEST, LARGEST = 32, 2048  # px a side
MOST_BYTES = 1 << 30  # of all frames
OPEN = "open one with Image > Open in an Image Editor, or as a Movie Clip"


@dataclass(frozen=True)
class Clip:
    """What was opened: the files of a sequence in order, or a movie."""

    name: str
    files: tuple[str, ...] = ()
    movie: str = ""


def is_moving(settings: object, image: bpy.types.Image) -> bool:
    """Whether the panel offers the image."""
    return image.source in ("SEQUENCE", "MOVIE")


def clip_of(source: Any) -> Clip:
    """What is behind an image, a movie clip or a strip. Raises SceneError where nothing moves."""
    if source is None:
        raise SceneError("no_clip", "no image sequence or movie is chosen", OPEN)
    kind = source.source if isinstance(source, bpy.types.ID) else source.type
    if kind == "IMAGE":  # a strip
        folder = bpy.path.abspath(source.directory)
        return Clip(source.name, tuple(os.path.join(folder, element.filename) for element in source.elements))
    path = bpy.path.abspath(getattr(source, "filepath", ""))
    if kind == "SEQUENCE":
        return Clip(source.name, sequence(path))
    if kind == "MOVIE":
        return Clip(source.name, movie=path)
    raise SceneError("no_clip", f"'{source.name}' is neither an image sequence nor a movie", OPEN)


def sequence(path: str) -> tuple[str, ...]:
    """The files from `path` on whose names differ from its own in the last number alone, in order."""
    folder, name = os.path.split(path)
    match = NUMBERED.match(name)
    if match is None:
        return (path,)
    start, first, end = match.groups()
    alike = re.compile(f"{re.escape(start)}(\\d+){re.escape(end)}$")
    with_numbers = [(int(m[1]), m[0]) for m in map(alike.match, sorted(list_folder(folder))) if m]
    return tuple(os.path.join(folder, name) for number, name in sorted(with_numbers) if number >= int(first))


def list_folder(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def frames_of(clip: Clip, first: int = 1, count: int = 0) -> np.ndarray:
    """u1 [N, H, W, 3] sRGB: `count` frames (0: all) from number `first` on, which counts from 1.

    Raises SceneError for too few or too many, for frames that cannot be read, and for those of other sizes.
    """
    with files_of(clip, first, count) as files:
        check_count(clip, len(files), first)
        frames: list[np.ndarray] = []
        with progress(len(files)) as advance:
            for file in files:
                frames.append(read(file))
                if len(frames) == 1:
                    check_size(clip, frames[0].shape, len(files))
                elif frames[-1].shape != frames[0].shape:
                    (height, width), (other, across) = frames[0].shape[:2], frames[-1].shape[:2]
                    message = (
                        f"'{clip.name}' begins with {width} × {height} px, {Path(file).name} has {across} × {other}"
                    )
                    raise SceneError("other_size", message, "give all frames one size")
                advance()
    return np.stack(frames)


def check_count(clip: Clip, count: int, first: int) -> None:
    if FEWEST <= count <= MOST:
        return
    start = f" from number {first} on" if first > 1 else ""
    message = f"'{clip.name}' has {count or 'no'} frame{'' if count == 1 else 's'}{start}, expected {FEWEST} to {MOST}"
    hint = "set Frames to a part of it" if count > MOST else "open all of its files, or begin with an earlier frame"
    raise SceneError("no_frames", message, hint)


def check_size(clip: Clip, shape: tuple[int, ...], count: int) -> None:
    height, width = shape[:2]
    if not (min(height, width) >= SMALLEST and max(height, width) <= LARGEST):
        message = f"the frames of '{clip.name}' have {width} × {height} px, expected {SMALLEST} to {LARGEST} a side"
        raise SceneError("frame_size", message, "scale it in the Video Sequencer first")
    if count * height * width * 3 > MOST_BYTES:
        message = f"{count} frames of {width} × {height} px are more than {MOST_BYTES >> 20} MiB"
        raise SceneError("too_large", message, "set Frames to a part of it")


def read(path: str) -> np.ndarray:
    """u1 [H, W, 3] of a file, by Blender."""
    try:
        image = bpy.data.images.load(path, check_existing=False)
    except RuntimeError:
        raise SceneError("no_frames", f"the frame '{path}' cannot be read", "render or copy it again") from None
    with passing(image):
        width, height = image.size
        if not width * height:
            raise SceneError("no_frames", f"the frame '{path}' cannot be read", "render or copy it again")
        pixels = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(pixels)
        return to_wire(pixels, width, height, linear=image.is_float)


@contextmanager
def files_of(clip: Clip, first: int, count: int) -> Iterator[list[str]]:
    """The files of these frames; those of a movie pass."""
    begin = max(first, 1) - 1
    if not clip.movie:
        yield list(clip.files[begin : begin + count] if count else clip.files[begin:])
        return
    with tempfile.TemporaryDirectory(prefix="weft_") as folder:
        play(clip, begin, count, folder)
        yield [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def play(clip: Clip, begin: int, count: int, folder: str) -> None:
    """Write frames of a movie into `folder`."""
    with passing_scene(None) as scene:
        strip = strip_in(scene, clip)
        width, height = strip.elements[0].orig_width, strip.elements[0].orig_height
        end = min(begin + count, strip.frame_duration) if count else strip.frame_duration
        check_count(clip, end - begin, begin + 1)
        check_size(clip, (height, width), end - begin)
        render: Any = scene.render
        render.fps, render.fps_base = max(1, round(strip.fps)), max(1, round(strip.fps)) / strip.fps
        render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
        render.use_sequencer, render.use_compositing, render.use_stamp = True, False, False
        look_plain(scene)
        settings = render.image_settings
        if hasattr(settings, "media_type"):  # Blender ≥ 5.0
            settings.media_type = "IMAGE"
        settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "8"
        render.filepath = os.path.join(folder, "frame_")
        scene.frame_start, scene.frame_end = begin + 1, end
        bpy.ops.render.render(scene=scene.name, animation=True)


def strip_in(scene: bpy.types.Scene, clip: Clip) -> Any:
    """The movie in the sequencer of `scene`. Raises SceneError where Blender cannot read it."""
    editor: Any = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences  # Blender ≥ 4.4; before
    with suppress(RuntimeError):
        strip = strips.new_movie("Weft", clip.movie, 1, 1)
        if os.path.isfile(clip.movie) and strip.elements and strip.elements[0].orig_width and strip.fps > 0:
            return strip
    message = f"the movie '{clip.movie}' cannot be read"
    raise SceneError("no_frames", message, "convert it to MP4 with H.264, or to an image sequence")
