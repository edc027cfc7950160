"""Distance maps from files: OpenEXR, or PNG with 8 or 16 bits. Larger is farther; infinite is sky.

A PNG with a 0 in it is taken to be relative, as image editors and depth estimators write it: its darkest pixel lies at
an eighth of the distance of its brightest. Without a 0 its values are distances as they are. Full white over more than
1 % of a PNG is sky: what lay beyond its range was cut off there.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from weft.errors import InvalidImage, InvalidInput
from weft.io.exr import read_channels
from weft.io.files import read_file

__all__ = ["check_distances", "load_depth"]

_SKY = 1e9  # and beyond: what Blender writes where its depth pass saw nothing is 1e10
_CHANNELS = ("Z", "DEPTH", "V", "Y", "R")  # what a channel of distances is called after its layer, best first
_CUT_OFF = 0.01  # of a PNG's pixels, more of which in full white are sky
_NEAREST = 1 / 8  # of the farthest distance, in a relative map
_FULL = (255, 65535)  # full white
_LARGEST_SIDE = 16384


def load_depth(path: str | Path) -> np.ndarray:
    """f4 [H, W], larger = farther, infinite = sky (so are values of 1e9 and more). Raises InvalidInput for what cannot
    be used (see `check_distances`), MissingDependency for an EXR without the package that reads it."""
    path = Path(path)
    if path.suffix.lower() == ".exr":
        depth = _read_exr(path)
    else:
        depth = _read_levels(path)
    return check_distances(np.where(depth >= _SKY, np.float32(np.inf), depth), repr(str(path)))


def check_distances(depth: np.ndarray, name: str = "the depth map") -> np.ndarray:
    """`depth` as f4 [H, W], values ≤ 0 turned into infinity (sky). InvalidInput for NaN, for a map that is empty, all
    sky or the same everywhere."""
    if depth.ndim != 2 or depth.size == 0 or depth.dtype.kind not in "fiu":
        raise InvalidInput(f"{name} is {depth.dtype} of shape {list(depth.shape)}", "expected numbers [height, width]")
    depth = depth.astype(np.float32)
    broken = int(np.isnan(depth).sum())
    if broken:
        raise InvalidInput(f"{name} holds {broken} NaN", "render it again; where there is nothing, infinity is right")
    depth = np.where(depth > 0, depth, np.float32(np.inf))
    solid = depth[np.isfinite(depth)]
    if solid.size == 0:
        raise InvalidInput(f"{name} shows nothing but sky", "expected distances above 0 where something is")
    if solid.min() == depth.max():
        raise InvalidInput(f"{name} is {solid[0]:g} everywhere", "expected distances that differ: check the export")
    return depth


def _read_exr(path: Path) -> np.ndarray:
    channels = read_channels(path)
    last = {name: name.rpartition(".")[2].upper() for name in channels}
    named = [name for wanted in _CHANNELS for name in channels if last[name] == wanted]
    if not named:
        found = ", ".join(channels) or "none"
        raise InvalidImage(f"{str(path)!r} has no depth channel, but {found}", "export the depth as a channel Z")
    return np.asarray(channels[named[0]], np.float32)


def _read_levels(path: Path) -> np.ndarray:
    data = read_file(path)
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if max(opened.size) > _LARGEST_SIDE:
                raise InvalidImage(f"{str(path)!r} is {opened.width}×{opened.height} px", f"at most {_LARGEST_SIDE}")
            levels = _levels(opened)
    except InvalidImage:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InvalidImage(
            f"{str(path)!r} is not a depth map that can be read", "give an EXR, or a PNG with 8 or 16 bits of grey"
        ) from None
    white = levels == levels.max(initial=0)
    sky = white & (white.mean() > _CUT_OFF) & np.isin(levels, _FULL)
    if levels.size and levels.min() <= 0:
        levels = levels + levels.max() * np.float32(_NEAREST / (1 - _NEAREST))
    return np.where(sky & ~white.all(), np.float32(np.inf), levels)


def _levels(image: Image.Image) -> np.ndarray:
    """f4 [H, W] in the file's own steps; of a colour picture, which must be grey, one channel."""
    if image.mode.startswith("I") or image.mode in ("F", "L"):
        return np.asarray(image, np.float32)
    if image.mode in ("RGB", "RGBA", "LA", "P", "1"):
        pixels = np.asarray(image.convert("RGB"), np.int32)
        if (pixels.max(-1) - pixels.min(-1)).max(initial=0) > 2:
            raise InvalidImage("the depth map is a coloured picture", "expected one channel of grey")
        return pixels[..., 0].astype(np.float32)
    raise InvalidImage(f"the depth map has the mode {image.mode}", "expected one channel of grey")
