"""Splats as INRIA PLY, the layout of Kerbl et al. 2023: one row of floats a splat, read by property name.

`f_rest` is channel-major: all coefficients of red, then of green, then of blue.
"""

from __future__ import annotations

import re

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.splats import Splats
from weft.io.ply_header import PlyHeader, parse_ply_header

__all__ = ["binary_table", "edited_splat_ply", "listed", "read_splat_ply", "rewritten_splat_ply", "write_splat_ply"]

_MEANS, _NORMALS, _DC = ("x", "y", "z"), ("nx", "ny", "nz"), ("f_dc_0", "f_dc_1", "f_dc_2")
_SCALES, _QUATERNION = ("scale_0", "scale_1", "scale_2"), ("rot_0", "rot_1", "rot_2", "rot_3")
_REQUIRED = (*_MEANS, *_DC, "opacity", *_SCALES, *_QUATERNION)
_REST_COUNTS = (0, 9, 24, 45)
_EXPORT = "export the splats as an INRIA PLY, for example from SuperSplat"


def read_splat_ply(data: bytes) -> Splats:
    """The splats of a binary PLY with the INRIA names. Raises `InvalidInput`, ValueError or LookupError."""
    header = parse_ply_header(data)
    vertex = header.element("vertex")
    names = vertex.names if vertex else []
    if not {"opacity", *_DC, *_SCALES, *_QUATERNION} & set(names):
        raise InvalidInput("it holds a mesh or points, not splats", _EXPORT)
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise InvalidInput(f"its splats lack {listed(missing)}", _EXPORT)
    count = _rest_count(names)
    table = binary_table(data, header, "vertex")
    rest = [f"f_rest_{channel * count // 3 + k}" for k in range(count // 3) for channel in range(3)]
    sh = _columns(table, [*_DC, *rest]).reshape(len(table), 1 + count // 3, 3)
    opacity = _columns(table, ("opacity",))[:, 0]
    return Splats(_columns(table, _MEANS), _columns(table, _QUATERNION), _columns(table, _SCALES), opacity, sh)


def _rest_count(names: list[str]) -> int:
    """How many f_rest there are: 0, 9, 24 or 45, without a gap."""
    numbers = {int(name[7:]) for name in names if re.fullmatch(r"f_rest_\d{1,4}", name)}
    reach = max(numbers, default=-1) + 1
    if reach > _REST_COUNTS[-1]:
        raise InvalidInput(f"it has f_rest up to {reach - 1}, expected 0, 9, 24 or 45 of them (degree 0 to 3)", _EXPORT)
    count = min(n for n in _REST_COUNTS if n >= reach)
    missing = [f"f_rest_{i}" for i in range(count) if i not in numbers]
    if missing:
        raise InvalidInput(f"of its {count} view-dependent coefficients it lacks {listed(missing)}", _EXPORT)
    return count


def listed(names: list[str]) -> str:
    """The first few of them, for a message."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def binary_table(data: bytes, header: PlyHeader, name: str) -> np.ndarray:
    """The rows of the element `name`, structured [count]. `InvalidInput` where the file is ASCII or cut short."""
    if header.form == "ascii":
        remedy = "save it as binary: most splat editors and MeshLab do unless asked for ASCII"
        raise InvalidInput("it is an ASCII PLY, expected a binary one", remedy)
    if header.form not in ("binary_little_endian", "binary_big_endian"):
        raise InvalidInput(f"its format is {header.form[:40]!r}, expected binary_little_endian", _EXPORT)
    at = header.size
    for element in header.elements:
        row = element.row(header.order)
        if element.name == name:
            if element.count == 0:
                raise InvalidInput("it holds 0 splats, expected at least one", _EXPORT)
            present = (len(data) - at) // max(row.itemsize, 1)
            if present < element.count:
                message = f"it is cut short: {max(present, 0)} of {element.count} rows of {name!r} are there"
                raise InvalidInput(message, "copy or download it again")
            return np.frombuffer(data, row, element.count, at)
        at += row.itemsize * element.count
    raise ValueError(f"it has no element {name!r}")


def _columns(table: np.ndarray, names: tuple[str, ...] | list[str]) -> np.ndarray:
    """f4 [N, len(names)], contiguous."""
    columns = np.empty((len(table), len(names)), np.float32)
    for some in _blocks(len(table)):
        for i, name in enumerate(names):
            columns[some, i] = table[name][some]
    return columns


def _blocks(count: int) -> list[slice]:
    """Rows that fit the processor's cache: their columns are copied one by one."""
    return [slice(start, start + 2048) for start in range(0, count, 2048)]


def write_splat_ply(splats: Splats) -> bytes:
    """A new INRIA PLY, with the zero normals that viewers expect."""
    rest = 3 * (splats.sh.shape[1] - 1)
    names = [*_MEANS, *_NORMALS, *_DC, *(f"f_rest_{i}" for i in range(rest)), "opacity", *_SCALES, *_QUATERNION]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {splats.count}"]
    head += [f"property float {name}" for name in names] + ["end_header\n"]
    higher = splats.sh[:, 1:].transpose(0, 2, 1).reshape(splats.count, rest)
    parts = [splats.means, np.zeros_like(splats.means), splats.sh[:, 0], higher, splats.logits[:, None]]
    table = np.concatenate([*parts, splats.log_scales, splats.quaternions], 1).astype("<f4")
    return "\n".join(head).encode() + table.tobytes()


def rewritten_splat_ply(source: bytes, old: int, dc: np.ndarray | None, degree: int | None) -> bytes:
    """`source`, a PLY of degree `old`, with f_dc replaced by `dc` f4 [N, 3] and without the bands above `degree`.

    With `dc` the bands that stay are 0. Every other byte, in the header too, stays what it was.
    """
    new = old if degree is None else degree
    if dc is None and new == old:
        return source
    header = parse_ply_header(source)
    table = binary_table(source, header, "vertex")
    before = sum(e.count * e.row(header.order).itemsize for e in header.elements[: _place(header)])
    start = header.size + before
    head = _head_without_bands(source[: header.size], 3 * ((new + 1) ** 2 - 1))
    vertex = parse_ply_header(head).element("vertex")
    assert vertex is not None
    rows = _rows(table, vertex.row(header.order), (old, new), dc)
    return head + source[header.size : start] + rows.tobytes() + source[start + table.nbytes :]


def edited_splat_ply(source: bytes, splats: Splats) -> bytes:
    """`source`, a PLY of as many splats and of their degree, with their values. Every other byte stays what it was."""
    header = parse_ply_header(source)
    table = binary_table(source, header, "vertex")
    start = header.size + sum(e.count * e.row(header.order).itemsize for e in header.elements[: _place(header)])
    rows = table.copy()
    rest = (splats.degree + 1) ** 2 - 1
    groups = (
        (_MEANS, splats.means), (_DC, splats.sh[:, 0]), (("opacity",), splats.logits[:, None]),
        (_SCALES, splats.log_scales), (_QUATERNION, splats.quaternions),
        ([f"f_rest_{channel * rest + k}" for k in range(rest) for channel in range(3)],
         splats.sh[:, 1:].reshape(splats.count, 3 * rest)),
    )  # fmt: skip
    for names, values in groups:
        for i, name in enumerate(names):
            rows[name] = values[:, i]
    return source[:start] + rows.tobytes() + source[start + table.nbytes :]


def _place(header: PlyHeader) -> int:
    return [element.name for element in header.elements].index("vertex")


def _head_without_bands(head: bytes, count: int) -> bytes:
    """The header without the vertices' f_rest from number `count` on."""
    kept, element = [], b""
    for line in head.splitlines(keepends=True):
        words = line.split()
        if words[:1] == [b"element"]:
            element = b"".join(words[1:2])
        rest = re.fullmatch(rb"f_rest_(\d{1,4})", words[-1]) if words[:1] == [b"property"] else None
        if not (rest and element == b"vertex" and int(rest[1]) >= count):
            kept.append(line)
    return b"".join(kept)


def _rows(table: np.ndarray, row: np.dtype, degrees: tuple[int, int], dc: np.ndarray | None) -> np.ndarray:
    """The rows as `row`, whose f_rest are those of the lower degree: renumbered, since they are channel-major."""
    old, new = ((degree + 1) ** 2 - 1 for degree in degrees)
    columns = {name: table[name] for name in row.names or ()}
    for channel, k in np.ndindex(3, new):
        kept = table[f"f_rest_{channel * old + k}"]
        columns[f"f_rest_{channel * new + k}"] = kept if dc is None else np.broadcast_to(np.float32(0), len(table))
    if dc is not None:
        columns |= {name: dc[:, i] for i, name in enumerate(_DC)}
    rows = np.empty(len(table), row)
    for some in _blocks(len(table)):
        for name, column in columns.items():
            rows[name][some] = column[some]
    return rows
