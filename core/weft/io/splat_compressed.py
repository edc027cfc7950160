"""Splats as compressed PLY (PlayCanvas SuperSplat): 16 bytes each, quantised between the bounds of chunks of 256.

Position and log-scale hold 11, 10 and 11 bits, the rotation the index of its largest component and the other three in
10 bits, the colour 8 bits a channel and 8 of opacity. Older files have no colour bounds: then they are 0 and 1. The
optional element `sh` holds each coefficient of the higher bands in a byte: (b/256 - 0.5)·8.
"""

from __future__ import annotations

import math

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.splats import Splats, f_dc_of
from weft.io.ply_header import PlyHeader, parse_ply_header
from weft.io.splat_dot import logits_of_bytes
from weft.io.splat_ply import binary_table, listed

__all__ = ["is_compressed", "read_compressed"]

_CHUNK = 256
_PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
_BOUNDS = tuple(f"{end}_{part}{axis}" for part in ("", "scale_") for end in ("min", "max") for axis in "xyz")
_COLORS = tuple(f"{end}_{channel}" for end in ("min", "max") for channel in "rgb")


def is_compressed(data: bytes) -> bool:
    """Whether the header says so. ValueError or LookupError where there is none."""
    vertex = parse_ply_header(data).element("vertex")
    return vertex is not None and "packed_position" in vertex.names


def read_compressed(data: bytes) -> Splats:
    """Raises `InvalidInput`, ValueError or LookupError."""
    header = parse_ply_header(data)
    _check_names(header, "vertex", _PACKED, "u4")
    _check_names(header, "chunk", _BOUNDS, "f4")
    vertex, chunk = binary_table(data, header, "vertex"), binary_table(data, header, "chunk")
    if len(chunk) != -(-len(vertex) // _CHUNK):
        raise InvalidInput(f"it has {len(chunk)} chunks for {len(vertex)} splats, expected one for every {_CHUNK}")
    which = np.arange(len(vertex)) // _CHUNK
    means = _between(chunk, ("min_", "max_"), "xyz", which, _unpacked(vertex["packed_position"], 11, 10, 11))
    scale = ("min_scale_", "max_scale_")
    log_scales = _between(chunk, scale, "xyz", which, _unpacked(vertex["packed_scale"], 11, 10, 11))
    rgb = _unpacked(vertex["packed_color"], 8, 8, 8, 8)[:, :3]
    if "min_r" in (chunk.dtype.names or ()):
        _check_names(header, "chunk", _COLORS, "f4")
        rgb = _between(chunk, ("min_", "max_"), "rgb", which, rgb)
    logits = logits_of_bytes(vertex["packed_color"] & 255)
    sh = np.concatenate([f_dc_of(rgb)[:, None], _higher_bands(data, header, len(vertex))], 1)
    quaternions = _rotations(vertex["packed_rotation"])
    return Splats(means.astype(np.float32), quaternions, log_scales.astype(np.float32), logits, sh)


def _check_names(header: PlyHeader, element: str, names: tuple[str, ...], kind: str) -> None:
    found = header.element(element)
    present = {p.name for p in found.properties if p.kind == kind and not p.count_kind} if found else set()
    missing = [name for name in names if name not in present]
    if missing:
        raise InvalidInput(f"as a compressed PLY its element {element!r} lacks {listed(missing)} of type {kind}")


def _unpacked(packed: np.ndarray, *bits: int) -> np.ndarray:
    """f8 [N, len(bits)] in [0, 1] from u4 [N], the first in the highest bits."""
    shift = 32 - np.cumsum(bits)
    return np.stack([(packed >> s & (1 << b) - 1) / ((1 << b) - 1) for s, b in zip(shift, bits, strict=True)], 1)


def _between(chunk: np.ndarray, ends: tuple[str, str], axes: str, which: np.ndarray, share: np.ndarray) -> np.ndarray:
    """f8 [N, 3], from the lower to the upper bound of the splats' chunks by `share` [N, 3] of the way."""
    low, high = (np.stack([chunk[end + axis].astype(np.float64) for axis in axes], 1)[which] for end in ends)
    return low * (1 - share) + high * share


def _rotations(packed: np.ndarray) -> np.ndarray:
    """f4 [N, 4], w x y z: bits 30-31 say which is the largest, left out; the others follow in order, ± 1/√2."""
    largest = packed >> 30
    others = (np.stack([packed >> shift & 1023 for shift in (20, 10, 0)], 1) / 1023 - 0.5) * math.sqrt(2)
    quaternions = np.empty((len(packed), 4), np.float32)
    missing = np.sqrt(np.maximum(1 - (others**2).sum(1), 0))
    for index in range(4):
        mine = largest == index
        quaternions[mine] = np.insert(others[mine], index, missing[mine], axis=1)
    return quaternions


def _higher_bands(data: bytes, header: PlyHeader, splats: int) -> np.ndarray:
    """f4 [N, K, 3] without f_dc; K = 0 where the file has no element `sh`."""
    element = header.element("sh")
    if element is None:
        return np.zeros((splats, 0, 3), np.float32)
    count = len(element.names)
    if count not in (9, 24, 45) or element.count != splats:
        raise InvalidInput(f"its element 'sh' has {element.count} rows of {count}, expected {splats} of 9, 24 or 45")
    _check_names(header, "sh", tuple(f"f_rest_{i}" for i in range(count)), "u1")
    table = binary_table(data, header, "sh")
    rest = np.stack([table[f"f_rest_{i}"] for i in range(count)], 1).astype(np.float32)
    return ((rest / 256 - 0.5) * 8).reshape(splats, 3, count // 3).transpose(0, 2, 1)
