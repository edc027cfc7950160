"""The records of COLMAP's cameras, images and points3D files, text and binary, as `scripts/python/read_write_model.py`
of COLMAP lays them out. Binary numbers are little-endian; every file begins with how many records follow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from weft.errors import InvalidInput

__all__ = ["CameraRecord", "ImageRecord", "Points", "read_cameras", "read_images", "read_points"]

# Model number → name, count of parameters.
_MODELS = {
    0: ("SIMPLE_PINHOLE", 3), 1: ("PINHOLE", 4), 2: ("SIMPLE_RADIAL", 4), 3: ("RADIAL", 5), 4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8), 6: ("FULL_OPENCV", 12), 7: ("FOV", 5), 8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5), 10: ("THIN_PRISM_FISHEYE", 12), 11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
}  # fmt: skip
_LARGEST_SIDE = 16384
_OBSERVATION = 24  # bytes of a keypoint: x, y, number of its point
_TRACK = 8  # bytes of a point's observation: image, keypoint
_POINT = 43  # bytes of a point without its track
_LARGEST = 1e15  # no coordinate that means anything is


@dataclass(frozen=True)
class CameraRecord:
    """A lens."""

    model: str
    width: int
    height: int
    params: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """Where a picture was taken, world to camera."""

    quaternion: np.ndarray  # f8 [4], w x y z
    translation: np.ndarray  # f8 [3]
    camera: int
    name: str


@dataclass(frozen=True, eq=False)
class Points:
    """What structure from motion found."""

    positions: np.ndarray  # f4 [P, 3], world
    colors: np.ndarray  # u1 [P, 3], sRGB

    @staticmethod
    def none() -> Points:
        return Points(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8))


class _Bytes:
    """Little-endian records one after the other; reading beyond the end is told."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, form: str) -> tuple:
        self.skip(size := struct.calcsize(f"<{form}"))
        return struct.unpack_from(f"<{form}", self.data, self.at - size)

    def skip(self, size: int) -> None:
        if size > len(self.data) - self.at:
            raise InvalidInput(f"it ends after {len(self.data):,} bytes, in the middle of a record")
        self.at += size

    def name(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise InvalidInput(f"it ends after {len(self.data):,} bytes, in the middle of a name")
        name = self.data[self.at : end].decode("utf-8", "replace")
        self.at = end + 1
        return name

    def count(self, least: int) -> int:
        """How many records follow, of `least` bytes or more each."""
        (count,) = self.take("Q")
        if count * least > len(self.data) - self.at:
            raise InvalidInput(f"it says that it holds {count:,} records, in {len(self.data):,} bytes")
        return count

    def end(self) -> None:
        if self.at != len(self.data):
            raise InvalidInput(f"{len(self.data) - self.at:,} bytes follow its last record")


def read_cameras(data: bytes, binary: bool) -> dict[int, CameraRecord]:
    """Lenses by their number."""
    found = {}
    for number, camera in _binary_cameras(data) if binary else _text_cameras(data):
        if not (1 <= camera.width <= _LARGEST_SIDE and 1 <= camera.height <= _LARGEST_SIDE):
            raise InvalidInput(f"camera {number} is for {camera.width}×{camera.height} px")
        found[number] = camera
    return found


def _binary_cameras(data: bytes) -> Iterator[tuple[int, CameraRecord]]:
    source = _Bytes(data)
    for _ in range(source.count(24)):
        number, model, width, height = source.take("IiQQ")
        if model not in _MODELS:
            raise InvalidInput(f"camera {number} has a lens of the model number {model}, which nobody knows")
        name, count = _MODELS[model]
        yield number, CameraRecord(name, width, height, source.take(f"{count}d"))
    source.end()


def _text_cameras(data: bytes) -> Iterator[tuple[int, CameraRecord]]:
    for line in _lines(data):
        if line and not line.startswith("#"):
            number, model, width, height, *params = line.split()
            yield int(number), CameraRecord(model[:40], int(width), int(height), tuple(map(float, params)))


def read_images(data: bytes, binary: bool) -> list[ImageRecord]:
    """In the file's order. Keypoints are passed over."""
    return list(_binary_images(data) if binary else _text_images(data))


def _binary_images(data: bytes) -> Iterator[ImageRecord]:
    source = _Bytes(data)
    for _ in range(source.count(73)):
        values = source.take("I7dI")
        name = source.name()
        yield ImageRecord(np.array(values[1:5]), np.array(values[5:8]), values[8], name)
        source.skip(source.count(_OBSERVATION) * _OBSERVATION)
    source.end()


def _text_images(data: bytes) -> Iterator[ImageRecord]:
    lines = _lines(data)
    for line in lines:
        if not line or line.startswith("#"):
            continue
        words = line.split(maxsplit=9)
        if len(words) != 10:
            raise InvalidInput(f"an image has {len(words)} values, expected 10: {line[:60]!r}")
        values = list(map(float, words[1:8]))
        yield ImageRecord(np.array(values[:4]), np.array(values[4:]), int(words[8]), words[9])
        if len(next(lines, "").split()) % 3:  # its keypoints, an empty line where it has none
            raise InvalidInput(f"the keypoints of {words[9][:60]!r} are not three values each")


def read_points(data: bytes, binary: bool) -> Points:
    """Positions and colours; points that are nowhere are left out."""
    rows = list(_binary_points(data) if binary else _text_points(data))
    if not rows:
        return Points.none()
    positions = np.array([row[:3] for row in rows])
    colors = np.array([row[3:] for row in rows])
    known = (np.abs(positions) < _LARGEST).all(1)
    return Points(positions[known].astype(np.float32), colors[known].clip(0, 255).astype(np.uint8))


def _binary_points(data: bytes) -> Iterator[tuple]:
    source = _Bytes(data)
    for _ in range(source.count(_POINT + 8)):
        yield source.take("Q3d3Bd")[1:7]
        source.skip(source.count(_TRACK) * _TRACK)
    source.end()


def _text_points(data: bytes) -> Iterator[tuple]:
    for line in _lines(data):
        if line and not line.startswith("#"):
            words = line.split(maxsplit=7)
            if len(words) < 7:
                raise InvalidInput(f"a point has {len(words)} values, expected 8 or more: {line[:60]!r}")
            yield (*map(float, words[1:4]), *map(int, words[4:7]))


def _lines(data: bytes) -> Iterator[str]:
    """Without white space around them. Raises InvalidInput where it is no text."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput("it is not text, as its name says") from None
    return iter([line.strip() for line in text.split("\n")])
