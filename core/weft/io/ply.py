"""PLY meshes, ASCII and binary: vertex positions, per-vertex or per-corner texture coordinates, polygons."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.errors import InvalidMesh
from weft.geometry.mesh import Mesh
from weft.io.ply_header import PlyElement, parse_ply_header

__all__ = ["read_ply"]

_UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texcoord_u", "texcoord_v"))


def read_ply(data: bytes, name: str) -> list[Mesh]:
    """The file's one mesh in its own axes."""
    header = parse_ply_header(data)
    body = data[header.size :]
    source = _Ascii(body) if header.form == "ascii" else _Binary(body, header.order)
    columns: dict[str, dict[str, Any]] = {}
    for element in header.elements:
        columns[element.name] = source.element(element)
    vertex, face = columns.get("vertex", {}), columns.get("face", {})
    indices = face.get("vertex_indices", face.get("vertex_index"))
    if indices is None or len(indices) == 0:
        raise InvalidMesh(f"{name!r} has points and no faces", "export the mesh, not a point cloud or splats")
    vertices = np.stack([vertex[axis] for axis in "xyz"], -1).astype(np.float32)
    faces, owner, corner = _triangles(indices)
    return [Mesh(name, vertices, faces, _corner_uv(vertex, face, faces, owner, corner))]


class _Ascii:
    """Numbers as words; an element's rows follow each other."""

    def __init__(self, body: bytes) -> None:
        self.words = np.array(body.split(), dtype=np.float64)
        self.at = 0

    def element(self, element: PlyElement) -> dict[str, Any]:
        if element.count == 0:
            return {p.name: [] for p in element.properties}
        lengths, width = self._row(element, self.at)
        table = self.words[self.at : self.at + element.count * width]
        if len(table) == element.count * width:
            table = table.reshape(element.count, width)
            starts = np.cumsum([0, *(n + bool(p.count_kind) for p, n in zip(element.properties, lengths, strict=True))])
            columns = {}
            for p, n, start in zip(element.properties, lengths, starts[:-1], strict=True):
                if not p.count_kind:
                    columns[p.name] = table[:, start]
                elif (table[:, start] == n).all():
                    columns[p.name] = table[:, start + 1 : start + 1 + n]
            if len(columns) == len(element.properties):
                self.at += table.size
                return columns
        return self._row_by_row(element)

    def _row(self, element: PlyElement, at: int) -> tuple[list[int], int]:
        """How many values each property has in the row that begins at word `at`, and how many words the row has."""
        start, lengths = at, []
        for p in element.properties:
            lengths.append(int(self.words[at]) if p.count_kind else 1)
            at += lengths[-1] + bool(p.count_kind)
        if min(lengths) < 0 or at > len(self.words):
            raise ValueError("the file ends early")
        return lengths, at - start

    def _row_by_row(self, element: PlyElement) -> dict[str, Any]:
        columns: dict[str, list[Any]] = {p.name: [] for p in element.properties}
        for _ in range(element.count):
            lengths, _ = self._row(element, self.at)
            for p, n in zip(element.properties, lengths, strict=True):
                self.at += bool(p.count_kind)
                values = self.words[self.at : self.at + n]
                columns[p.name].append(values if p.count_kind else values[0])
                self.at += n
        return columns


class _Binary:
    """Packed rows. Where every list is as long as in the first row, all rows are read at once."""

    def __init__(self, body: bytes, order: str) -> None:
        self.body, self.order, self.at = body, order, 0

    def element(self, element: PlyElement) -> dict[str, Any]:
        if element.count == 0:
            return {p.name: [] for p in element.properties}
        lengths = [len(value) for value in self._row(element, self.at)[0]]
        fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
        for p, length in zip(element.properties, lengths, strict=True):
            if p.count_kind:
                fields += [(f"#{p.name}", self.order + p.count_kind), (p.name, self.order + p.kind, (length,))]
            else:
                fields.append((p.name, self.order + p.kind))
        dtype = np.dtype(fields)
        if self.at + dtype.itemsize * element.count <= len(self.body):
            table = np.frombuffer(self.body, dtype, element.count, self.at)
            lists = [(p.name, n) for p, n in zip(element.properties, lengths, strict=True) if p.count_kind]
            if all((table[f"#{label}"] == n).all() for label, n in lists):
                self.at += table.nbytes
                return {p.name: table[p.name] for p in element.properties}
        return self._row_by_row(element)

    def _row(self, element: PlyElement, at: int) -> tuple[list[np.ndarray], int]:
        values = []
        for p in element.properties:
            length = 1
            if p.count_kind:
                length = int(np.frombuffer(self.body, self.order + p.count_kind, 1, at)[0])
                at += np.dtype(p.count_kind).itemsize
            values.append(np.frombuffer(self.body, self.order + p.kind, length, at))
            at += values[-1].nbytes
        return values, at

    def _row_by_row(self, element: PlyElement) -> dict[str, Any]:
        columns: dict[str, list[Any]] = {p.name: [] for p in element.properties}
        for _ in range(element.count):
            values, self.at = self._row(element, self.at)
            for p, value in zip(element.properties, values, strict=True):
                columns[p.name].append(value if p.count_kind else value[0])
        return columns


def _triangles(indices: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fans: vertex indices i4 [F, 3], the polygon of each triangle [F] and its corners in that polygon [F, 3]."""
    lengths = np.array([len(polygon) for polygon in indices])
    faces, owners, corners = [], [], []
    for length in np.unique(lengths[lengths >= 3]):
        mine = np.flatnonzero(lengths == length)
        table = np.stack([indices[i] for i in mine]) if len(mine) < len(lengths) else np.asarray(indices)
        fan = np.array([(0, i, i + 1) for i in range(1, length - 1)])
        faces.append(table[:, fan].reshape(-1, 3))
        owners.append(np.repeat(mine, len(fan)))
        corners.append(np.tile(fan, (len(mine), 1)))
    if not faces:
        raise ValueError("no face has three corners")
    return np.concatenate(faces).astype(np.int32), np.concatenate(owners), np.concatenate(corners)


def _corner_uv(vertex: dict, face: dict, faces: np.ndarray, owner: np.ndarray, corner: np.ndarray) -> np.ndarray | None:
    """f4 [F, 3, 2] from the faces' `texcoord` lists (MeshLab) or from the vertices; None without either."""
    lists = face.get("texcoord")
    if lists is not None and all(len(values) for values in lists):
        start = np.cumsum([0, *(len(values) for values in lists)])[:-1]
        flat = np.concatenate([np.asarray(values) for values in lists])
        place = start[owner][:, None] + 2 * corner
        return np.stack([flat[place], flat[place + 1]], -1).astype(np.float32)
    for u, v in _UV_NAMES:
        if u in vertex and v in vertex:
            return np.stack([vertex[u], vertex[v]], -1).astype(np.float32)[faces]
    return None
