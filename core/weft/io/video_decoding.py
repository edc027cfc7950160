"""MP4 and whatever else FFmpeg decodes, through PyAV, as upright sRGB frames at a constant rate.

Colours are read by the matrix and range that the file names. Where it names none, as players do: by BT.709 from 720
rows on and else by BT.601.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from weft.errors import InvalidImage, InvalidInput

__all__ = ["check_memory", "exact_scaling", "read_video", "scaled_size"]

MOST_BYTES = 4 << 30
_RATES = [Fraction(n) for n in (12, 15, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)]
_USUAL = sorted(_RATES + [rate * Fraction(1000, 1001) for rate in _RATES])
_NEAR = 0.01  # of a rate, by which clocks are off
_UNTAGGED = 2  # FFmpeg's "unspecified" of colour spaces
_HDR = (16, 18)  # its transfer functions PQ and HLG


def scaled_size(height: int, width: int, size: int) -> tuple[int, int]:
    """(height, width) with a longer side of `size` pixels, if that is fewer and not 0."""
    factor = min(1.0, size / max(height, width)) if size > 0 else 1.0
    return max(1, round(height * factor)), max(1, round(width * factor))


def check_memory(name: str, count: int, height: int, width: int) -> None:
    """Raise InvalidInput for more frames than are held at once."""
    size = count * height * width * 3
    if size > MOST_BYTES:
        told = f"{name!r} is {count} frames of {width}×{height} px: {size / 2**30:.1f} GB, and {MOST_BYTES >> 30} fit"
        raise InvalidInput(told, "take a part of it (first, count), or a smaller size")


def read_video(path: Path, size: int, first: int, count: int | None) -> tuple[np.ndarray, Fraction, tuple[str, ...]]:
    """(frames u1 [N, H, W, 3], frames a second, warnings); arguments and errors as those of `video.load_frames`."""
    with _opened(path) as (container, stream):
        times, promised = _times(container, stream)
        sound = bool(container.streams.audio)
    if not len(times):
        raise InvalidInput(f"{path.name!r} has no frames, or none that tells its time", "export it as MP4 (H.264)")
    rate, shown, warnings = _steady(times, stream.average_rate, float(stream.time_base))
    wanted = shown[first:][:count]
    if len(times) < promised and len(wanted) < (count or promised):
        raise InvalidImage(
            f"{path.name!r} ends after {len(times)} of {promised} frames", "copy it again, or take fewer (count)"
        )
    if not len(wanted):
        raise InvalidInput(f"{path.name!r} has {len(shown)} frames, none from frame {first} on", "begin earlier")
    if sound:
        warnings = (*warnings, f"{path.name!r} has sound, which is not carried over")
    with _opened(path) as (container, stream):
        images, told = _decoded(container, stream, times[wanted], size, path.name)
    return images, rate, (*warnings, *told)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its moving pictures; whatever FFmpeg says of them becomes one line."""
    import av
    from av.error import FFmpegError

    try:
        with path.open("rb") as file, av.open(file) as container:
            yield container, _stream(container, path.name)
    except FileNotFoundError:
        raise InvalidInput(f"there is no file {str(path)!r}", "check the path and its spelling") from None
    except FFmpegError as error:  # before OSError, which some of these are too
        remedy = "copy it again, or export it as MP4 (H.264)"
        raise InvalidImage(f"{path.name!r} is damaged, or no video: {error.strerror}", remedy) from None
    except OSError as error:
        told = "it is empty" if path.is_file() and not path.stat().st_size else error.strerror
        raise InvalidInput(f"cannot read {str(path)!r}: {told}", "give a file that you may read") from None


def _stream(container: Any, name: str) -> Any:
    """The moving pictures, not the cover of an album."""
    from av.stream import Disposition

    found = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not found:
        told = "sound but no pictures" if container.streams.audio else "no pictures"
        raise InvalidInput(f"{name!r} holds {told}", "give a video, or a folder of frames")
    if found[0].codec_context is None:
        raise InvalidInput(f"{name!r} is coded in a way that is not known here", "export it as MP4 (H.264)")
    found[0].thread_type = "AUTO"
    return found[0]


def _times(container: Any, stream: Any) -> tuple[np.ndarray, int]:
    """(i8 [n], when each frame is shown, in units of the stream, ascending; how many the file says it has). Nothing is
    decoded."""
    packets = [p for p in container.demux(stream) if p.size]
    lasting = [p.dts if p.pts is None else p.pts for p in packets if not p.is_discard]
    hidden = len(packets) - len(lasting)
    return np.unique(np.array([time for time in lasting if time is not None], np.int64)), stream.frames - hidden


def _steady(times: np.ndarray, told: Fraction | None, unit: float) -> tuple[Fraction, np.ndarray, tuple[str, ...]]:
    """(frames a second, i8 [N] which frame is shown at each tick, warnings). `told`: the file's own mean rate."""
    seconds, every = (times - times[0]) * unit, np.arange(len(times))
    if len(times) == 1:
        return told or Fraction(24), every, ()
    mean = _usual((len(times) - 1) / seconds[-1])
    for rate in (told if told in _USUAL else mean, mean, told):
        if rate and np.array_equal(np.rint(seconds * float(rate)), every):
            return rate, every, ()
    lengths = np.diff(seconds)
    rate = _usual(1 / float(np.median(lengths)))
    ticks = np.rint(seconds * float(rate)).astype(np.int64)
    shown = np.searchsorted(ticks, np.arange(ticks[-1] + 1), side="right") - 1
    kept = len(np.unique(shown))
    return rate, shown, (
        f"frames last {lengths.min():.3f} to {lengths.max():.3f} s: read at a constant {float(rate):.5g} a second, "
        f"which repeats {len(shown) - kept} of them and leaves out {len(times) - kept}",
    )  # fmt: skip


def _usual(rate: float) -> Fraction:
    """The usual rate that this is, but for rounded times."""
    nearest = min(_USUAL, key=lambda usual: abs(usual - rate))
    return nearest if abs(nearest / rate - 1) < _NEAR else Fraction(rate).limit_denominator(1001)


def _decoded(
    container: Any, stream: Any, wanted: np.ndarray, size: int, name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """u1 [N, H, W, 3] of the frames shown at the times `wanted` i8 [N], ascending, and warnings."""
    from av.error import FFmpegError

    images, given, warnings, whole = np.empty(0, np.uint8), (0, 0), (), 0
    try:
        for frame in container.decode(stream):
            places = np.flatnonzero(wanted == (frame.dts if frame.pts is None else frame.pts))
            if not len(places):
                continue
            if not whole:
                given, warnings = (frame.height, frame.width), _colour_warnings(frame)
                height, width = scaled_size(frame.height, round(frame.width * (stream.sample_aspect_ratio or 1)), size)
                check_memory(name, len(wanted), height, width)
                images = np.empty((len(wanted), *_upright(np.empty((height, width, 3)), frame).shape), np.uint8)
            if (frame.height, frame.width) != given:
                raise InvalidImage(f"{name!r} changes its size on the way", "cut it there and edit the parts")
            if frame.is_corrupt:
                break
            images[places] = _upright(_pixels(frame, height, width), frame)
            whole += len(places)
            if whole == len(wanted):
                return images, warnings
    except FFmpegError:
        pass
    remedy = f"copy it again, or take the {whole} frames before (count)" if whole else "copy it again"
    raise InvalidImage(f"{name!r} is damaged: of {len(wanted)} frames {whole} can be read", remedy)


def _pixels(frame: Any, height: int, width: int) -> np.ndarray:
    """u1 [height, width, 3] sRGB"""
    from av.video.reformatter import Colorspace

    space = None
    if frame.colorspace == _UNTAGGED:
        space = Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601
    wanted: dict[str, Any] = {"width": width, "height": height, "format": "rgb24", "interpolation": exact_scaling()}
    return frame.reformat(src_colorspace=space, **wanted).to_ndarray()


def exact_scaling() -> Any:
    """Without these flags FFmpeg rounds down, and colours darken by a step or two with every generation."""
    from av.video.reformatter import Interpolation as By

    return By.BICUBIC | By.ACCURATE_RND | By.FULL_CHR_H_INT | By.FULL_CHR_H_INP


def _upright(image: np.ndarray, frame: Any) -> np.ndarray:
    """[h, w, 3] turned and mirrored as its display matrix says: telephones store what their sensor sees."""
    found = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return image
    matrix = np.frombuffer(found, np.int32)  # stored (x, y) → shown (a x + c y, b x + d y)
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if abs(b) > abs(a):
        image, a, d = image.swapaxes(0, 1), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _colour_warnings(frame: Any) -> tuple[str, ...]:
    if frame.color_trc in _HDR:
        return ("the video is HDR and read as if it were not: it looks flat; export it as SDR",)
    return ("the video is interlaced: moving edges are combs; deinterlace it",) if frame.interlaced_frame else ()
