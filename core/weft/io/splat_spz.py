"""Splats as .spz (Niantic, github.com/nianticlabs/spz): quantised arrays, one after the other, compressed.

Versions 1 to 3 are one gzip stream behind a header of 16 bytes inside it; version 4 has a plain header of 32 bytes, a
table of contents and one zstd stream an array. In all of them: positions, opacities, colours, log-scales, rotations,
harmonics. The frame is +X right, +Y up, +Z back unless an extension says otherwise; PLY has right, down, front.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from weft.errors import InvalidInput, MissingDependency
from weft.geometry.splats import Splats, flipped, transformed
from weft.io.splat_dot import logits_of_bytes

__all__ = ["read_spz"]

_REMEDY = "copy it again, or convert it to PLY in SuperSplat"
_COEFFICIENTS = (0, 3, 8, 15, 24)  # of a channel above f_dc, by degree
_RATIO = 1024  # no sound file is compressed better: deflate cannot, and the reference reader refuses more in zstd
_LONGEST = 1 << 16  # bytes of extensions in a gzip stream
_HAS_EXTENSIONS, _COORDINATE_SYSTEM = 2, 0xADBE0003
# The coordinate systems of the extension, numbered from 1: where +X, +Y and +Z point.
_FRAMES = (
    "LDB", "RDB", "LUB", "RUB", "LDF", "RDF", "LUF", "RUF", "LFD", "RFD", "LFU", "RFU", "LBD", "RBD", "LBU", "RBU",
)  # fmt: skip


@dataclass(frozen=True)
class _Header:
    version: int
    count: int
    degree: int
    fraction: int  # bits after the point of a position
    flags: int

    @property
    def sizes(self) -> list[int]:
        """Bytes of the six arrays."""
        position, rotation = 6 if self.version == 1 else 9, 3 if self.version < 3 else 4
        return [self.count * row for row in (position, 1, 3, 3, rotation, 3 * _COEFFICIENTS[self.degree])]


def read_spz(data: bytes) -> tuple[Splats, str, tuple[str, ...]]:
    """The splats in the PLY's frame, "spz" and what was left out.

    Raises `InvalidInput`, or `MissingDependency` for version 4 without zstandard.
    """
    if data.startswith(b"NGSP"):
        header, arrays, extensions = _unpacked_streams(data)
    elif data.startswith(b"\x1f\x8b"):
        header, arrays, extensions = _unpacked_gzip(data)
    else:
        raise InvalidInput("it begins neither as gzip nor with NGSP, as .spz does", _REMEDY)
    splats = _decoded(header, arrays)
    notes = ("the harmonics of degree 4 were left out",) if header.degree > 3 else ()
    return _in_ply_frame(splats, _frame(extensions)), "spz", notes


def _header(data: bytes, compressed: int) -> _Header:
    """The first 16 bytes, the same in every version. `compressed` is the file's size."""
    if len(data) < 16 or not data.startswith(b"NGSP"):
        raise InvalidInput("it has no .spz header", _REMEDY)
    header = _Header(*struct.unpack_from("<IIBBB", data, 4))
    if not 1 <= header.version <= 4:
        raise InvalidInput(f"it is .spz version {header.version}, expected 1 to 4", "convert it to PLY in SuperSplat")
    if header.count == 0:
        raise InvalidInput("it holds 0 splats, expected at least one", _REMEDY)
    if header.degree > 4 or header.fraction > 24:
        message = f"it says degree {header.degree} and {header.fraction} fraction bits, expected at most 4 and 24"
        raise InvalidInput(message, _REMEDY)
    if sum(header.sizes) > _RATIO * compressed:
        raise InvalidInput(f"it says {header.count} splats, more than {compressed} bytes can hold", _REMEDY)
    return header


def _unpacked_gzip(data: bytes) -> tuple[_Header, list[bytes], bytes]:
    """Versions 1 to 3: at most as many bytes are unpacked as the header asks for."""
    stream = zlib.decompressobj(wbits=31)
    try:
        header = _header(stream.decompress(data, 16), len(data))
        if header.version > 3:
            raise InvalidInput(f"it is gzip, which .spz version {header.version} is not", _REMEDY)
        body = stream.decompress(stream.unconsumed_tail, sum(header.sizes))
        extensions = stream.decompress(stream.unconsumed_tail, _LONGEST)  # to the end, where the checksum is
    except zlib.error as error:
        raise InvalidInput(f"its gzip stream is damaged: {error}", _REMEDY) from None
    if len(body) < sum(header.sizes) or not (stream.eof or len(extensions) == _LONGEST):
        raise InvalidInput(f"it is cut short: {len(body)} of {sum(header.sizes)} bytes are there", _REMEDY)
    if not header.flags & _HAS_EXTENSIONS:
        extensions = b""
    ends = np.cumsum(header.sizes)
    return header, [body[end - size : end] for size, end in zip(header.sizes, ends, strict=True)], extensions


def _unpacked_streams(data: bytes) -> tuple[_Header, list[bytes], bytes]:
    """Version 4: the table of contents has to agree with the header, and each stream with the table."""
    header = _header(data, len(data))
    if header.version != 4:
        raise InvalidInput(f"it is plain, expected gzip in .spz version {header.version}", _REMEDY)
    present = [size for size in header.sizes if size]
    if len(data) < 32 or data[15] != len(present):
        raise InvalidInput(f"its header does not name the {len(present)} arrays of its splats", _REMEDY)
    (table,) = struct.unpack_from("<I", data, 16)
    at = table + 16 * len(present)
    if table < 32 or at > len(data):
        raise InvalidInput("its table of contents lies outside of it", _REMEDY)
    arrays = []
    for i, size in enumerate(present):
        packed, unpacked = struct.unpack_from("<QQ", data, table + 16 * i)
        if unpacked != size or packed > len(data) - at:
            raise InvalidInput(f"it is cut short or damaged in array {i + 1} of {len(present)}", _REMEDY)
        arrays.append(_unpacked_zstd(data[at : at + packed], size))
        at += packed
    extensions = data[32:table] if header.flags & _HAS_EXTENSIONS else b""
    return header, arrays + [b""] * (6 - len(arrays)), extensions


def _unpacked_zstd(data: bytes, size: int) -> bytes:
    """Exactly `size` bytes. A frame that declares more is refused before any memory is taken for it."""
    try:
        import zstandard
    except ImportError:
        raise MissingDependency("reading .spz version 4 needs zstandard", "pip install zstandard") from None
    try:
        if zstandard.frame_content_size(data) in (size, -1):
            body = zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
            if len(body) == size:
                return body
    except zstandard.ZstdError:
        pass
    raise InvalidInput("one of its zstd streams is damaged", _REMEDY)


def _decoded(header: _Header, arrays: list[bytes]) -> Splats:
    """The numbers of the bytes, in the file's frame."""
    n = header.count
    positions, opacities, colors, scales, rotations, harmonics = (np.frombuffer(a, np.uint8) for a in arrays)
    if header.version == 1:
        means = positions.view("<f2").reshape(n, 3).astype(np.float32)
    else:
        low = positions.reshape(n, 3, 3).astype(np.int32)
        fixed = low[..., 0] | low[..., 1] << 8 | (low[..., 2] ^ 128) - 128 << 16  # the highest byte has the sign
        means = (fixed / (1 << header.fraction)).astype(np.float32)
    quaternions = _first_three(rotations.reshape(n, 3)) if header.version < 3 else _smallest_three(rotations)
    dc = ((colors.reshape(n, 1, 3) / 255 - 0.5) / 0.15).astype(np.float32)
    higher = (harmonics.reshape(n, -1, 3).astype(np.float32) - 128) / 128
    log_scales = scales.reshape(n, 3).astype(np.float32) / 16 - 10
    return Splats(means, quaternions, log_scales, logits_of_bytes(opacities), np.concatenate([dc, higher[:, :15]], 1))


def _first_three(codes: np.ndarray) -> np.ndarray:
    """f4 [N, 4], w x y z: x, y and z are b/127.5 - 1, w ≥ 0 completes the unit quaternion."""
    xyz = codes / 127.5 - 1
    w = np.sqrt(np.maximum(1 - (xyz**2).sum(1, keepdims=True), 0))
    return np.concatenate([w, xyz], 1).astype(np.float32)


def _smallest_three(codes: np.ndarray) -> np.ndarray:
    """f4 [N, 4], w x y z: 2 bits name the largest of x y z w, which is positive; the others have a sign and 9 bits."""
    packed = codes.view("<u4").copy()
    largest = packed >> 30
    xyzw = np.zeros((len(packed), 4))
    for index in (3, 2, 1, 0):  # the last component lies in the lowest bits
        mine = largest != index
        size = (packed[mine] & 511) * (math.sqrt(0.5) / 511)
        xyzw[mine, index] = np.where(packed[mine] & 512, -size, size)
        packed[mine] >>= 10
    rest = np.sqrt(np.maximum(1 - (xyzw**2).sum(1), 0))
    xyzw[np.arange(len(packed)), largest] = rest
    return xyzw[:, [3, 0, 1, 2]].astype(np.float32)


def _frame(extensions: bytes) -> str:
    """The frame that an extension names, or RUB. Extensions are records of type u4, length u4 and so many bytes."""
    at = 0
    while at + 8 <= len(extensions):
        kind, length = struct.unpack_from("<II", extensions, at)
        if kind == _COORDINATE_SYSTEM and length == 4 and at + 12 <= len(extensions):
            (number,) = struct.unpack_from("<I", extensions, at + 8)
            if not 0 <= number <= len(_FRAMES):
                raise InvalidInput(f"its coordinate system is number {number}, expected 1 to 16", _REMEDY)
            return _FRAMES[number - 1] if number else "RUB"
        at += 8 + length
    return "RUB"


def _in_ply_frame(splats: Splats, frame: str) -> Splats:
    """From axes that point to `frame`, three letters of Left/Right, Up/Down, Front/Back, to right, down, front."""
    turn = np.array([[(letter == positive) - (letter == negative) for letter in frame]
                     for positive, negative in ("RL", "DU", "FB")])  # fmt: skip
    if np.array_equal(turn, np.diag(np.diag(turn))):
        x, y, z = np.diag(turn).tolist()
        return flipped(splats, (x, y, z))
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    return transformed(splats, matrix)
