"""Gaussian splats as PLY files (Kerbl et al. 2023): one element `vertex`, little- or big-endian, any properties.

NumPy only. Every property is kept as it is stored, so that writing what was read gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import SceneError

__all__ = ["NEEDED", "PlyFile", "parse_header", "read_ply", "write_ply"]

NEEDED = (
    "x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2",
    "rot_0", "rot_1", "rot_2", "rot_3",
)  # fmt: skip
TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
}  # fmt: skip
HINT = "export it again as an uncompressed 3D Gaussian splatting .ply, e.g. with SuperSplat"
LONGEST_HEADER = 1 << 16  # bytes


@dataclass(frozen=True, eq=False)
class PlyFile:
    """`header` as text, without the number of splats ({count}); `rows` is structured, [N]."""

    header: str
    rows: np.ndarray


def read_ply(data: bytes, name: str) -> PlyFile:
    """The splats in `data`. Raises SceneError, in one line that names the file, for what are none."""
    mark = data[:LONGEST_HEADER].find(b"end_header")
    start = data.find(b"\n", mark) + 1
    if not data.startswith(b"ply") or mark < 0 or not start:
        raise SceneError("no_splats", f"'{name}' is no PLY file", HINT)
    text = data[:start].decode("latin-1")
    lines = [line.split() for line in text.splitlines()]
    order, count, fields = parse_header(lines, name)
    rows_type = np.dtype([(field, order + kind) for field, kind in fields])
    if len(data) - start < count * rows_type.itemsize:
        there = (len(data) - start) // rows_type.itemsize
        raise SceneError("no_splats", f"'{name}' is cut off: {there} of {count} splats are there", "copy it again")
    rows = np.frombuffer(data, rows_type, count, start)
    header = text.replace(f"element vertex {count}", "element vertex {count}", 1)
    check_values(rows, name)
    return PlyFile(header, rows)


def parse_header(lines: list[list[str]], name: str) -> tuple[str, int, list[tuple[str, str]]]:
    """Byte order, number of splats, properties as (name, NumPy type)."""
    order, count, fields, elements = "", 0, [], []
    for line in lines:
        match line:
            case ["format", "ascii", *_]:
                raise SceneError("no_splats", f"'{name}' is an ASCII file, splats come in binary ones", HINT)
            case ["format", kind, *_]:
                order = {"binary_little_endian": "<", "binary_big_endian": ">"}.get(kind, "")
            case ["element", element, number] if number.isdecimal():
                elements.append(element)
                count = int(number) if element == "vertex" else count
            case ["property", kind, field] if kind in TYPES and elements == ["vertex"]:
                fields.append((field, TYPES[kind]))
            case ["property", *_] if elements == ["vertex"]:
                raise SceneError("no_splats", f"'{name}' has the property {' '.join(line[1:])}, no splat has", HINT)
    if "chunk" in elements:
        raise SceneError("no_splats", f"'{name}' is a compressed splat file", HINT)
    names = [field for field, _ in fields]
    if elements != ["vertex"] or not order or len(set(names)) < len(names):
        raise SceneError("no_splats", f"'{name}' holds {', '.join(elements) or 'nothing'}, expected splats alone", HINT)
    missing = [field for field in NEEDED if field not in names]
    if missing:
        raise SceneError("no_splats", f"'{name}' holds no Gaussian splats: {', '.join(missing)} missing", HINT)
    check_rest(names, name)
    if not count:
        raise SceneError("no_splats", f"'{name}' holds 0 splats", "export it again")
    return order, count, fields


def check_rest(names: list[str], name: str) -> None:
    rest = [field for field in names if field.startswith("f_rest_")]
    numbers = {f"f_rest_{i}" for i in range(len(rest))}
    if len(rest) not in (0, 9, 24, 45) or set(rest) != numbers:
        message = f"'{name}' has {len(rest)} properties f_rest_0, f_rest_1, …; expected 0, 9, 24 or 45 without gaps"
        raise SceneError("no_splats", message, HINT)


def check_values(rows: np.ndarray, name: str) -> None:
    broken = int((~np.all([np.isfinite(rows[axis]) for axis in "xyz"], axis=0)).sum())
    if broken:
        raise SceneError(
            "no_splats", f"{broken} splats of '{name}' are at NaN or infinity", "delete them in a splat editor"
        )


def write_ply(file: PlyFile) -> bytes:
    """The bytes of such a file."""
    return file.header.replace("{count}", str(len(file.rows)), 1).encode("latin-1") + file.rows.tobytes()
