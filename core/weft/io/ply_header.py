"""The header of a PLY file: its form, and the elements with their typed properties."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["PlyElement", "PlyHeader", "PlyProperty", "parse_ply_header"]

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
_LONGEST = 1 << 20  # bytes of a header


@dataclass
class PlyProperty:
    name: str
    kind: str  # numpy type of the value
    count_kind: str = ""  # numpy type of a list's length; "" for a scalar


@dataclass
class PlyElement:
    name: str
    count: int
    properties: list[PlyProperty] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [p.name for p in self.properties]

    def row(self, order: str) -> np.dtype:
        """The type of a packed row, for `order` "<" or ">". ValueError where rows differ in size or names repeat."""
        lists = [p.name for p in self.properties if p.count_kind]
        if lists:
            raise ValueError(f"{self.name!r} has the list {lists[0]!r}, expected single numbers")
        return np.dtype([(p.name, order + p.kind) for p in self.properties])


@dataclass
class PlyHeader:
    form: str  # ascii, binary_little_endian or binary_big_endian
    elements: list[PlyElement]
    size: int  # bytes; the values begin there

    @property
    def order(self) -> str:
        return ">" if self.form == "binary_big_endian" else "<"

    def element(self, name: str) -> PlyElement | None:
        return next((element for element in self.elements if element.name == name), None)


def parse_ply_header(data: bytes) -> PlyHeader:
    """Read the header that `data` begins with. ValueError or LookupError where it is none."""
    end = data.find(b"\nend_header", 0, _LONGEST)
    newline = data.find(b"\n", end + 1, _LONGEST)
    if not data.startswith(b"ply") or end < 0 or newline < 0:
        raise ValueError("it has no PLY header")
    form, elements = "", []
    for line in data[:end].splitlines():
        match [word.decode("latin-1") for word in line.split()]:
            case ["format", form, *_]:
                pass
            case ["element", label, count]:
                elements.append(PlyElement(label, int(count)))
            case ["property", "list", count_kind, kind, label]:
                elements[-1].properties.append(PlyProperty(label, _type(kind), _type(count_kind)))
            case ["property", kind, label]:
                elements[-1].properties.append(PlyProperty(label, _type(kind)))
    if any(element.count < 0 for element in elements):
        raise ValueError("an element's count is negative")
    return PlyHeader(form, elements, newline + 1)


def _type(kind: str) -> str:
    if kind not in _TYPES:
        raise ValueError(f"{kind[:40]!r} is not a PLY type")
    return _TYPES[kind]
