"""Splats to practise on, and writers of every format that are independent of the product's readers."""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Sequence

import numpy as np
import zstandard

from weft.geometry.splats import Splats

INRIA = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
TAIL = ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]


def cloud(count: int, degree: int, seed: int = 0) -> Splats:
    rng = np.random.default_rng(seed)
    draw = rng.normal(size=(count, 11 + 3 * (degree + 1) ** 2)).astype(np.float32)
    return Splats(
        draw[:, :3].copy(),
        draw[:, 3:7].copy(),
        draw[:, 7:10] - 3,
        draw[:, 10].copy(),
        (draw[:, 11:] / 2).reshape(count, (degree + 1) ** 2, 3),
    )


def inria_names(degree: int) -> list[str]:
    return [*INRIA, *(f"f_rest_{i}" for i in range(3 * ((degree + 1) ** 2 - 1))), *TAIL]


def inria_rows(splats: Splats) -> np.ndarray:
    """f4 [N, properties] as gsplat's `splat2ply_bytes` concatenates them, with normals: shN goes [N, K, 3] → channels
    outside, coefficients inside, then flat; opacities, scales and quaternions before their activations."""
    rest = splats.sh[:, 1:].transpose(0, 2, 1).reshape(splats.count, 3 * splats.sh.shape[1] - 3)
    normals = np.full_like(splats.means, 0.25)
    parts = [splats.means, normals, splats.sh[:, 0], rest, splats.logits[:, None], splats.log_scales]
    return np.concatenate([*parts, splats.quaternions], 1)


def ply(rows: np.ndarray, names: Sequence[str], form: str = "binary_little_endian") -> bytes:
    """A PLY of floats."""
    head = ["ply", f"format {form} 1.0", f"element vertex {len(rows)}"]
    head = [*head, *(f"property float {name}" for name in names), "end_header", ""]
    if form == "ascii":
        body = "\n".join(" ".join(map(str, row)) for row in rows).encode()
    else:
        body = rows.astype("<f4" if form == "binary_little_endian" else ">f4").tobytes()
    return "\n".join(head).encode() + body


def inria(splats: Splats, form: str = "binary_little_endian") -> bytes:
    return ply(inria_rows(splats), inria_names(splats.degree), form)


def odd_file(splats: Splats) -> bytes:
    """Comments, CRLF, a double among the floats, elements before and behind, bytes behind the end."""
    names = inria_names(splats.degree)
    row = np.dtype([("seen", "<i2"), *((name, "<f8" if name == "opacity" else "<f4") for name in names)])
    table = np.zeros(splats.count, row)
    table["seen"] = np.arange(splats.count)
    for name, column in zip(names, inria_rows(splats).T, strict=True):
        table[name] = column
    head = ["ply", "comment äöü by nobody, end_header", "format binary_little_endian 1.0", "obj_info x"]
    head += ["element frame 2", "property double time", f"element vertex {splats.count}", "property short seen"]
    head += [f"property {'double' if name == 'opacity' else 'float'} {name}" for name in names]
    head += ["element camera 1", "property float f_rest_40", "property uchar f_dc_0", "end_header", ""]
    return "\r\n".join(head).encode() + bytes(range(16)) + table.tobytes() + b"12345" + b"behind"


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def _to_byte(x: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(x + 0.5), 0, 255).astype(np.uint8)


def dot_splat(splats: Splats) -> bytes:
    """gsplat's `splat2splat_bytes` without its sorting, rounding to nearest."""
    rgba = np.concatenate([0.5 + 0.28209479177387814 * splats.sh[:, 0], sigmoid(splats.logits)[:, None]], 1)
    q = splats.quaternions / np.linalg.norm(splats.quaternions, axis=1, keepdims=True)
    return b"".join(
        struct.pack("<6f8B", *splats.means[i], *np.exp(splats.log_scales[i]), *_to_byte(255 * rgba[i]),
                    *_to_byte(128 + 128 * q[i]))
        for i in range(splats.count)
    )  # fmt: skip


# SuperSplat's compressed PLY


def _unorm(x: float, bits: int) -> int:
    top = (1 << bits) - 1
    return max(0, min(top, math.floor(x * top + 0.5)))


def _pack(values: Sequence[float], bits: Sequence[int]) -> int:
    word = 0
    for value, width in zip(values, bits, strict=True):
        word = word << width | _unorm(value, width)
    return word


def _pack_rotation(quaternion: np.ndarray) -> int:
    q = quaternion / np.linalg.norm(quaternion)
    largest = int(np.argmax(np.abs(q)))
    q = q * np.sign(q[largest])
    word = largest
    for i in range(4):
        if i != largest:
            word = word << 10 | _unorm(q[i] * math.sqrt(0.5) + 0.5, 10)
    return word


def compressed_ply(splats: Splats, color_bounds: bool = True) -> bytes:
    """Chunks of 256 in the splats' order, as splat-transform packs them; the last chunk may hold fewer."""
    rgb = 0.5 + 0.28209479177387814 * splats.sh[:, 0]
    parts = [splats.means, splats.log_scales] + ([rgb] if color_bounds else [])
    chunks, rows = [], []
    for start in range(0, splats.count, 256):
        some = slice(start, start + 256)
        bounds = [(part[some].min(0), part[some].max(0)) for part in parts]
        chunks.append(np.concatenate([end for pair in bounds for end in pair]))
        shares = [(part[some] - low) / (high - low) for part, (low, high) in zip(parts, bounds, strict=True)]
        color = shares[2] if color_bounds else rgb[some]
        for i, q in enumerate(splats.quaternions[some]):
            words = [_pack(shares[0][i], (11, 10, 11)), _pack_rotation(q), _pack(shares[1][i], (11, 10, 11))]
            rows.append([*words, _pack([*color[i], float(sigmoid(splats.logits[start + i]))], (8, 8, 8, 8))])
    ends = [f"{end}_{part}{axis}" for part, axes in (("", "xyz"), ("scale_", "xyz"), ("", "rgb"))
            for end in ("min", "max") for axis in axes][: 18 if color_bounds else 12]  # fmt: skip
    rest = splats.sh[:, 1:].transpose(0, 2, 1).reshape(splats.count, 3 * splats.sh.shape[1] - 3)
    head = ["ply", "format binary_little_endian 1.0", f"element chunk {len(chunks)}"]
    head += [f"property float {name}" for name in ends] + [f"element vertex {splats.count}"]
    head += [f"property uint packed_{name}" for name in ("position", "rotation", "scale", "color")]
    if rest.size:
        head += [f"element sh {splats.count}", *(f"property uchar f_rest_{i}" for i in range(rest.shape[1]))]
    bands = np.clip(np.trunc((rest / 8 + 0.5) * 256), 0, 255).astype(np.uint8)
    body = np.array(chunks, "<f4").tobytes() + np.array(rows, "<u4").tobytes() + bands.tobytes()
    return "\n".join([*head, "end_header", ""]).encode() + body


# Niantic's .spz; the splats are in its own frame, +X right, +Y up, +Z back


def _spz_smallest_three(q: np.ndarray) -> int:
    xyzw = q[[1, 2, 3, 0]] / np.linalg.norm(q)
    largest = int(np.argmax(np.abs(xyzw)))
    word = largest
    for i in range(4):
        if i != largest:
            negative = int((xyzw[i] < 0) != (xyzw[largest] < 0))
            word = word << 10 | negative << 9 | int(511 * abs(xyzw[i]) / math.sqrt(0.5) + 0.5)
    return word


def spz_arrays(splats: Splats, version: int) -> list[bytes]:
    if version == 1:
        positions = splats.means.astype("<f2").tobytes()
    else:
        fixed = np.rint(splats.means * 4096).astype("<i4").reshape(-1, 1)
        positions = fixed.view(np.uint8)[:, :3].tobytes()
    q = splats.quaternions / np.linalg.norm(splats.quaternions, axis=1, keepdims=True)
    if version < 3:
        rotations = _to_byte(127.5 + 127.5 * q[:, 1:] * np.where(q[:, :1] < 0, -1, 1)).tobytes()
    else:
        rotations = np.array([_spz_smallest_three(one) for one in q], "<u4").tobytes()
    colors = _to_byte(splats.sh[:, 0] * (0.15 * 255) + 127.5).tobytes()
    scales = _to_byte((splats.log_scales + 10) * 16).tobytes()
    harmonics = np.clip(np.rint(splats.sh[:, 1:] * 128 + 128), 0, 255).astype(np.uint8).tobytes()
    return [positions, _to_byte(255 * sigmoid(splats.logits)).tobytes(), colors, scales, rotations, harmonics]


def spz(splats: Splats, version: int, extensions: bytes = b"", degree: int | None = None) -> bytes:
    flags = 2 if extensions else 0
    degree = splats.degree if degree is None else degree
    head = struct.pack("<4sIIBBB", b"NGSP", version, splats.count, degree, 12, flags)
    arrays = spz_arrays(splats, version)
    if version < 4:
        return gzip.compress(head + b"\0" + b"".join(arrays) + extensions)
    arrays = [array for array in arrays if array]
    streams = [zstandard.ZstdCompressor().compress(array) for array in arrays]
    toc = b"".join(struct.pack("<QQ", len(s), len(a)) for s, a in zip(streams, arrays, strict=True))
    start = struct.pack("<BI12x", len(arrays), 32 + len(extensions))
    return head + start + extensions + toc + b"".join(streams)
