"""Environment maps from files: Radiance .hdr and OpenEXR, linear light that is not cut off at white.

Radiance: "RGBE", three mantissas and one exponent a pixel (Ward, "Real Pixels", Graphics Gems II, 1991), flat or in
either of its run-length encodings. EXPOSURE lines do not scale the pixels: other programs ignore them, too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from weft.errors import InvalidImage
from weft.geometry.environment import Environment
from weft.io.exr import read_channels
from weft.io.files import read_file
from weft.kernels import kernel

__all__ = ["decode_hdr", "load_environment"]

_MAGIC = (b"#?RADIANCE", b"#?RGBE")
_SHALLOW = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_LARGEST_SIDE = 16384
_SHORTEST_RUN_LINE, _LONGEST_RUN_LINE = 8, 32767  # widths that the newer encoding allows
_AGAIN = "copy it again or export it again"


def load_environment(path: str | Path) -> Environment:
    """The light in a .hdr or .exr file. InvalidImage in one line for pictures without light, damaged files, and maps
    that `Environment` refuses."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in _SHALLOW:
        raise InvalidImage(
            f"{str(path)!r} holds no light, only a picture cut off at white", "give an environment map as .hdr or .exr"
        )
    if suffix == ".exr":
        radiance = _read_exr(path)
    elif suffix in (".hdr", ".pic", ".rgbe"):
        radiance = decode_hdr(read_file(path), repr(str(path)))
    else:
        raise InvalidImage(f"{str(path)!r} is no environment map", "give one as .hdr or .exr")
    return Environment(radiance, repr(str(path)))


def _read_exr(path: Path) -> np.ndarray:
    channels = read_channels(path)
    last = {name.rpartition(".")[2].upper(): name for name in reversed(channels)}
    wanted = "RGB" if all(c in last for c in "RGB") else "YYY"
    if wanted[0] not in last:
        found = ", ".join(channels) or "none"
        raise InvalidImage(f"{str(path)!r} has no channels R, G and B, but {found}", "export a colour image")
    return np.stack([np.asarray(channels[last[c]], np.float32) for c in wanted], -1)


def decode_hdr(data: bytes, name: str = "the .hdr file") -> np.ndarray:
    """f4 [H, W, 3], linear RGB, from the bytes of a Radiance file; `name` is for the error message."""
    height, width, start = _header(data, name)
    body = np.frombuffer(data, np.uint8, offset=start)
    pixels = np.zeros((height, width, 4), np.uint8)
    newer = (
        _SHORTEST_RUN_LINE <= width <= _LONGEST_RUN_LINE
        and len(body) >= 4 and body[0] == 2 and body[1] == 2 and body[2] < 128
    )  # fmt: skip
    complete = _unpack(body, pixels) if newer else _unpack_older(body, pixels)
    if not complete:
        raise InvalidImage(f"{name} is damaged or cut short", _AGAIN)
    exponent = pixels[..., 3:].astype(np.int32)
    return np.where(exponent > 0, np.ldexp(pixels[..., :3].astype(np.float32), exponent - 136), np.float32(0))


def _header(data: bytes, name: str) -> tuple[int, int, int]:
    """Height, width and where the pixels begin."""
    if not data.startswith(_MAGIC):
        raise InvalidImage(f"{name} is not a Radiance picture", "give an environment map as .hdr or .exr")
    end = data.find(b"\n\n", 0, 1 << 16)
    stop = data.find(b"\n", end + 2) if end >= 0 else -1
    if stop < 0:
        raise InvalidImage(f"{name} is damaged: its header does not end", _AGAIN)
    form = [line[7:].strip() for line in data[:end].split(b"\n") if line.startswith(b"FORMAT=")]
    if form and form[-1] != b"32-bit_rle_rgbe":
        raise InvalidImage(f"{name} is coded as {_text(form[-1])}", "save it as RGB: FORMAT=32-bit_rle_rgbe")
    size = data[end + 2 : stop].split()
    if len(size) != 4 or size[0] != b"-Y" or size[2] != b"+X" or not (size[1].isdigit() and size[3].isdigit()):
        raise InvalidImage(
            f"{name} is stored as {_text(data[end + 2 : stop])}, expected -Y h +X w", "export it upright"
        )
    height, width = int(size[1]), int(size[3])
    if not (0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE):
        raise InvalidImage(f"{name} is {width}×{height} px", f"at most {_LARGEST_SIDE} a side")
    return height, width, stop + 1


def _text(raw: bytes) -> str:
    return repr(raw[:40].decode("latin-1"))


@kernel
def _unpack(body, pixels):
    """The newer encoding: each line begins 2, 2, width, then its four components one after the other. A byte n > 128
    repeats the next one n - 128 times, another is followed by n of them as they are. False if `body` does not fit."""
    height, width = pixels.shape[:2]
    at = 0
    for row in range(height):
        if at + 4 > len(body) or body[at] != 2 or body[at + 1] != 2:
            return False
        if (np.int64(body[at + 2]) << 8) + body[at + 3] != width:
            return False
        at += 4
        for component in range(4):
            column = 0
            while column < width:
                if at + 1 >= len(body):
                    return False
                count = np.int64(body[at])
                run = count > 128
                count = count - 128 if run else count
                at += 1
                if count == 0 or column + count > width or at + (1 if run else count) > len(body):
                    return False
                for k in range(count):
                    pixels[row, column + k, component] = body[at if run else at + k]
                at += 1 if run else count
                column += count
    return True


@kernel
def _unpack_older(body, pixels):
    """Flat pixels, in which 1, 1, 1, n repeats the one before n times; repeats in a row count in higher bytes."""
    flat = pixels.reshape(-1, 4)
    at, done, shift = 0, 0, 0
    while done < len(flat):
        if at + 4 > len(body):
            return False
        if body[at] == 1 and body[at + 1] == 1 and body[at + 2] == 1:
            count = np.int64(body[at + 3]) << shift
            if done == 0 or shift > 24 or done + count > len(flat):
                return False
            for k in range(count):
                flat[done + k] = flat[done - 1]
            done += count
            shift += 8
        else:
            flat[done] = body[at : at + 4]
            done += 1
            shift = 0
        at += 4
    return True
