"""Wavefront OBJ: `v`, `vt`, `f`, `o`, `g` in; `v`, `vt`, `f`, a material and its texture out.

Polygons become triangle fans. `o` starts an object, as in Blender; `g` only names one where the file has no `o`
(groups cut one surface into parts that share a texture). Indices may be negative. Normals are not read; of
materials, only their pictures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from weft.errors import InvalidMesh
from weft.geometry.mesh import Mesh
from weft.io.files import read_file

__all__ = ["read_obj", "read_obj_pictures", "write_mtl", "write_obj"]


class _Faces:
    """Faces gathered by (corners, form of a corner), so that each group is converted in one piece."""

    def __init__(self) -> None:
        self.texts: dict[tuple[int, str], list[bytes]] = defaultdict(list)
        self.places: dict[tuple[int, str], list[tuple[int, int]]] = defaultdict(list)  # (order, object)
        self.count = 0

    def add(self, text: bytes, owner: int, vertices: int, uvs: int) -> None:
        corners = text.split()
        if len(corners) < 3:
            raise ValueError(f"a face with {len(corners)} corners")
        if b"-" in text:
            corners = [_absolute(corner, vertices, uvs) for corner in corners]
            text = b" ".join(corners)
        first = corners[0]
        form = "v" if b"/" not in first else "v//n" if b"//" in first else "v/t/n" if first.count(b"/") == 2 else "v/t"
        self.texts[len(corners), form].append(text)
        self.places[len(corners), form].append((self.count, owner))
        self.count += 1

    def triangles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vertex i4 [F, 3] and UV i4 [F, 3] indices (-1: none), both from 0, and the object of each triangle."""
        vertices, uvs, order, owners = [], [], [], []
        for (corners, form), texts in self.texts.items():
            columns = len(form.replace("//", "/").split("/"))
            flat = b" ".join(texts).replace(b"/", b" ").split()
            table = np.array(flat, dtype=np.int64).reshape(len(texts), corners, columns) - 1
            fan = np.array([(0, i, i + 1) for i in range(1, corners - 1)])
            places = np.repeat(np.array(self.places[corners, form]), len(fan), axis=0)
            vertices.append(table[:, fan, 0].reshape(-1, 3))
            has_uv = form.startswith("v/t")
            uvs.append(table[:, fan, 1].reshape(-1, 3) if has_uv else np.full_like(vertices[-1], -1))
            order.append(places[:, 0])
            owners.append(places[:, 1])
        back = np.argsort(np.concatenate(order), kind="stable")
        return np.concatenate(vertices)[back], np.concatenate(uvs)[back], np.concatenate(owners)[back]


def _absolute(corner: bytes, vertices: int, uvs: int) -> bytes:
    """ "-1/-1/-1" → the same corner counted from the file's start; -1 is the latest so far."""
    totals = (vertices, uvs, 0)
    parts = corner.split(b"/")
    fixed = [
        part if not part.startswith(b"-") else b"1" if i == 2 else str(totals[i] + 1 + int(part)).encode()
        for i, part in enumerate(parts)
    ]
    return b"/".join(fixed)


def read_obj(data: bytes, name: str) -> list[Mesh]:
    """The file's objects in its own axes; `name` is taken where the file names none."""
    if b"\0" in data[:4096]:
        raise ValueError("it holds binary data")
    positions: list[bytes] = []
    coordinates: list[bytes] = []
    labels, group, faces = [""], "", _Faces()
    for line in data.replace(b"\\\n", b" ").splitlines():
        key, _, rest = line.strip().partition(b" ")
        if key == b"v":
            positions.append(rest)
        elif key == b"vt":
            coordinates.append(rest)
        elif key == b"f":
            faces.add(rest.partition(b"#")[0], len(labels) - 1, len(positions), len(coordinates))
        elif key == b"o":
            labels.append(rest.decode("utf-8", "replace").strip())
        elif key == b"g" and not group:
            group = rest.decode("utf-8", "replace").strip()
    if not faces.count:
        raise InvalidMesh(f"{name!r} has no faces", "export the mesh itself, not points or curves")
    labels[0] = labels[0] or group
    return _objects(_table(positions, 3), _table(coordinates, 2), faces, labels, name)


def read_obj_pictures(data: bytes, folder: Path) -> list[set[bytes]]:
    """The picture files (map_Kd) of each object, in the order of `read_obj`; a library that is absent names none."""
    pictures: dict[str, Path] = {}
    found: list[set[Path]] = [set()]
    material, faces = "", [False]
    for line in data.splitlines():
        key, _, rest = line.strip().partition(b" ")
        value = rest.decode("utf-8", "replace").strip()
        if key == b"mtllib":
            pictures |= _library(folder / value.replace("\\", "/"))
        elif key == b"usemtl":
            material = value
        elif key == b"o":
            found.append(set())
            faces.append(False)
        elif key == b"f":
            faces[-1] = True
            found[-1] |= {pictures[material]} if material in pictures else set()
    return [{_picture(path) for path in paths} for paths, used in zip(found, faces, strict=True) if used]


def _picture(path: Path) -> bytes:
    """A file that a material names; devices and pipes, whose reading may never end, count as absent."""
    if path.exists() and not path.is_file():
        raise InvalidMesh(f"its material names {str(path)!r}, which is no file", "name a picture in map_Kd")
    return read_file(path)


def _library(path: Path) -> dict[str, Path]:
    """The picture of each material of a .mtl file."""
    pictures: dict[str, Path] = {}
    material = ""
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        key, _, rest = line.strip().partition(b" ")
        value = rest.decode("utf-8", "replace").strip()
        if key == b"newmtl":
            material = value
        elif key == b"map_Kd" and value:
            name = value.split()[-1] if value.startswith("-") else value  # options such as -s 1 1 1 come first
            pictures[material] = path.parent / name.replace("\\", "/")
    return pictures


def _table(lines: list[bytes], columns: int) -> np.ndarray:
    """The first `columns` numbers of each line, f4 [lines, columns] (a missing second texture coordinate is 0)."""
    if not lines:
        return np.zeros((0, columns), np.float32)
    width = len(lines[0].split())
    flat = np.array(b" ".join(lines).split(), dtype=np.float32)
    if len(flat) == width * len(lines) and width >= columns:
        return flat.reshape(len(lines), width)[:, :columns]
    rows = [line.split()[:columns] for line in lines]
    if columns == 2:
        rows = [[*row, b"0"][:2] for row in rows]
    return np.array(rows, dtype=np.float32)


def _objects(positions: np.ndarray, uvs: np.ndarray, faces: _Faces, labels: list[str], name: str) -> list[Mesh]:
    vertex, uv, owner = faces.triangles()
    if vertex.min() < 0 or vertex.max() >= len(positions) or uv.max() >= len(uvs):
        raise ValueError("a face refers to a vertex that the file does not have")
    meshes = []
    for number in np.unique(owner):
        mine = owner == number
        used, local = np.unique(vertex[mine], return_inverse=True)
        corner = uv[mine]
        corner_uv = uvs[corner] if (corner >= 0).all() else None
        triangles = local.reshape(-1, 3).astype(np.int32)
        meshes.append(Mesh(labels[number] or name, positions[used], triangles, corner_uv))
    return meshes


def write_obj(meshes: Sequence[Mesh], materials: Sequence[str], library: str) -> bytes:
    """The objects in the axes they are in, each with its material of `library`."""
    blocks = [f"mtllib {library}\n"]
    first_vertex, first_uv = 1, 1
    for mesh, material in zip(meshes, materials, strict=True):
        if mesh.corner_uv is None:
            raise InvalidMesh(f"{mesh.name!r} has no UVs", "unwrap it before saving a texture on it")
        uvs, index = np.unique(mesh.corner_uv.reshape(-1, 2), axis=0, return_inverse=True)
        corners = np.stack([mesh.faces + first_vertex, index.reshape(-1, 3) + first_uv], -1)
        # Nine significant digits bring every float32 back to the bit.
        blocks += [
            f"o {' '.join(mesh.name.split())}\nusemtl {material}\n",
            _rows("v %.9g %.9g %.9g\n", mesh.vertices),
            _rows("vt %.9g %.9g\n", uvs),
            _rows("f %d/%d %d/%d %d/%d\n", corners),
        ]
        first_vertex += len(mesh.vertices)
        first_uv += len(uvs)
    return "".join(blocks).encode()


def _rows(form: str, table: np.ndarray) -> str:
    """One line of `form` for each row of the table."""
    return form * len(table) % tuple(table.reshape(-1).tolist())


def write_mtl(materials: Sequence[str], pictures: Sequence[str]) -> bytes:
    """One matt material per texture file."""
    blocks = [
        f"newmtl {material}\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {picture}\n"
        for material, picture in zip(materials, pictures, strict=True)
    ]
    return "\n".join(blocks).encode()
