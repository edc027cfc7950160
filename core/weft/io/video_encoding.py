"""Frames as H.264 through PyAV, so that colours survive: Y'CbCr by BT.709 in limited range, and tagged so. Players that
see no tag guess from the size."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from weft.errors import InvalidInput
from weft.io.images import to_bytes
from weft.io.video_decoding import exact_scaling

__all__ = ["SUFFIXES", "write_video"]

SUFFIXES = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
QUALITY = "16"  # CRF of x264: differences are not seen
_BT709 = 1  # FFmpeg's number of matrix, primaries and transfer function
_LIMITED = 1


def write_video(path: Path, frames: np.ndarray, rate: Fraction) -> tuple[str, ...]:
    """Write [N, H, W, 3], u1 or f4 in [0, 1], all of it or nothing. Odd sides grow by one pixel: the result tells."""
    from av.error import FFmpegError

    height, width = frames.shape[1:3]
    grown = ((0, height % 2), (0, width % 2), (0, 0))
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _encode(partial, SUFFIXES[path.suffix.lower()], (np.pad(to_bytes(f), grown, "edge") for f in frames), rate)
        partial.replace(path)
    except (FFmpegError, OSError) as error:
        remedy = "check the folder, its permissions and the free space"
        raise InvalidInput(f"cannot write {str(path)!r}: {error.strerror}", remedy) from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    if height % 2 == width % 2 == 0:
        return ()
    return (f"{width}×{height} px became {width + width % 2}×{height + height % 2}: H.264 wants even sides",)


def _encode(path: Path, form: str, frames: Iterable[np.ndarray], rate: Fraction) -> None:
    import av
    from av.video.reformatter import ColorRange, Colorspace

    options = {} if form == "matroska" else {"movflags": "faststart"}
    with av.open(str(path), "w", format=form, options=options) as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": QUALITY})
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        for k, image in enumerate(frames):
            if k == 0:
                stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG,
                interpolation=exact_scaling(),
            )  # fmt: skip
            picture.pts, picture.time_base = k, 1 / rate
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
