"""Videos in and out: files (`video_decoding`, `video_encoding`), and folders of frames as renderers write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from weft.errors import InvalidImage, InvalidInput
from weft.io.images import load_image, save_image, to_bytes
from weft.io.video_decoding import check_memory, read_video, scaled_size
from weft.io.video_encoding import SUFFIXES, write_video

__all__ = ["Frames", "load_frames", "save_video"]

USUAL_RATE = 24  # of frames that do not tell
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
_NUMBERED = re.compile(r"^(.*?)(\d+)$")


@dataclass(frozen=True, eq=False)
class Frames:
    """N frames in order, all of one size."""

    images: np.ndarray  # u1 [N, H, W, 3] sRGB, row 0 is the top
    rate: Fraction | None  # a second; None: a folder does not tell
    names: tuple[str, ...]  # of each, without suffix
    warnings: tuple[str, ...] = ()


def load_frames(path: str | Path, *, size: int = 0, first: int = 0, count: int | None = None) -> Frames:
    """A video, or a folder of PNG or JPEG files in natural order (2 before 10).

    `size`: pixels of the longer side (0, or more than there are: as they are). `first`, `count`: which frames, from 0;
    None: all that follow. Videos come upright, with square pixels; those whose frames last unevenly are brought to the
    rate of most frames, and `warnings` tell. Raises InvalidInput for what holds no such frames or too many for memory,
    InvalidImage for what is damaged or of different sizes.
    """
    path = Path(path)
    if first < 0 or (count is not None and count < 1):
        raise InvalidInput(f"{count} frames from frame {first} on", "frames count from 0, and one or more are read")
    if not path.is_dir():
        images, rate, warnings = read_video(path, size, first, count)
        return Frames(images, rate, tuple(f"{first + k + 1:04d}" for k in range(len(images))), warnings)
    files = _chosen(path, first, count)
    return Frames(_read(files, size), None, tuple(file.stem for file in files), _missing(files))


def save_video(
    path: str | Path, frames: np.ndarray, rate: Fraction | float | None, *, names: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Write u1, or f4 in [0, 1], [N, H, W, 3]: to .mp4, .mov or .mkv as H.264, else to a folder of PNG files called
    `names`, or 0001.png and so on. Returns what a user should know. `rate`: frames a second; None: the usual."""
    path = Path(path)
    if frames.ndim != 4 or frames.shape[3] != 3 or not frames.size:
        raise InvalidImage(f"frames of shape {list(frames.shape)}", "expected [N, height, width, 3], one or more")
    if path.suffix.lower() in SUFFIXES:
        if rate is not None and not 0 < rate <= 1000:
            raise InvalidInput(f"{float(rate):g} frames a second, expected more than 0 and no more than 1000", "try 24")
        told = write_video(path, frames, Fraction(rate or USUAL_RATE).limit_denominator(1001))
        return told if rate else (*told, f"nothing told how fast the frames are: {USUAL_RATE} a second")
    if path.suffix:
        raise InvalidInput(f"{path.name!r} names no video format", f"end it in {', '.join(SUFFIXES)}, or name a folder")
    if names and len(names) != len(frames):
        raise InvalidInput(f"{len(names)} names for {len(frames)} frames", "give one for each")
    for k, frame in enumerate(frames):
        save_image(path / f"{names[k] if names else f'{k + 1:04d}'}.png", frame)
    return ()


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.stem.lower())]


def _chosen(folder: Path, first: int, count: int | None) -> list[Path]:
    """The pictures of a folder that are wanted, in order."""
    files = [file for file in folder.iterdir() if file.suffix.lower() in _PICTURES and not file.name.startswith(".")]
    files.sort(key=_natural)
    for one, other in pairwise(files):
        if one.stem == other.stem:
            raise InvalidInput(f"{one.name!r} and {other.name!r} are one frame twice", "keep one of them")
    chosen = files[first:][:count]
    if not chosen:
        told = f"has {len(files)} frames, none from frame {first} on" if files else "holds no pictures"
        raise InvalidInput(f"{str(folder)!r} {told}", "give a folder of PNG or JPEG frames, or a video")
    return chosen


def _read(files: list[Path], size: int) -> np.ndarray:
    """u1 [N, H, W, 3]"""
    given: tuple[int, ...] = (0, 0)
    wanted = (0, 0)
    images = np.empty(0, np.uint8)
    for k, file in enumerate(files):
        image = to_bytes(load_image(file))
        if k == 0:
            given, wanted = image.shape[:2], scaled_size(image.shape[0], image.shape[1], size)
            check_memory(str(file.parent), len(files), *wanted)
            images = np.empty((len(files), *wanted, 3), np.uint8)
        if image.shape[:2] != given:
            raise InvalidImage(
                f"{file.name!r} is {image.shape[1]}×{image.shape[0]} px, the first frame {given[1]}×{given[0]} px",
                "give frames of one size",
            )
        if given != wanted:
            image = Image.fromarray(image).resize((wanted[1], wanted[0]), Image.Resampling.LANCZOS)
        images[k] = image
    return images


def _missing(files: list[Path]) -> tuple[str, ...]:
    """What to say of numbers that are left out."""
    found = [_NUMBERED.match(file.stem) for file in files]
    prefixes = {match.group(1) if match else file.name for match, file in zip(found, files, strict=True)}
    if len(prefixes) > 1:
        return ()
    numbers = [int(match.group(2)) for match in found if match]
    lost = sorted(set(range(numbers[0], numbers[-1] + 1)).difference(numbers))
    if not lost:
        return ()
    return (f"{len(lost)} frames are missing between {files[0].name} and {files[-1].name}: number {lost[0]} first",)
