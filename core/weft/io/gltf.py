"""glTF 2.0 in: every mesh of the scene under its node's world transform, as one object with corner UVs.

Read here rather than by a general library, because an object with several materials must stay one object, and the
vertices that exporters split at seams and sharp edges are welded again so that surfaces stay connected.
Skins, morph targets and compressed geometry are not read.
"""

from __future__ import annotations

import base64
import json
import struct
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from weft.errors import InvalidMesh
from weft.geometry.mesh import Mesh
from weft.io.files import read_file

__all__ = ["read_gltf", "read_gltf_pictures"]

_TYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_READABLE = {"KHR_mesh_quantization", "KHR_texture_transform", "KHR_materials_unlit", "KHR_texture_basisu"}
_TRIANGLES, _STRIP, _FAN = 4, 5, 6


def read_gltf(data: bytes, name: str, folder: Path) -> list[Mesh]:
    """The scene's meshes, +Y up. `folder` is where a .gltf's buffers lie."""
    document, binary = _parts(data)
    unreadable = set(document.get("extensionsRequired", ())) - _READABLE
    geometry = sorted(e for e in unreadable if "compression" in e or "mesh" in e)
    if geometry:
        raise InvalidMesh(f"{name!r} uses {', '.join(geometry)}", "export it again without mesh compression")
    reader = _Reader(document, binary, folder)
    return [mesh for label, number, world in _placed(document) if (mesh := reader.mesh(number, world, label or name))]


def read_gltf_pictures(data: bytes, folder: Path) -> list[set[bytes]]:
    """The picture files that are base colours of each object, in the order of `read_gltf`."""
    reader = _Reader(*_parts(data), folder)
    numbers = [number for _, number, _ in _placed(reader.document)]
    return [reader.pictures(number) for number in numbers if any(True for _ in reader.surfaces(number))]


def _parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    return _glb(data) if data.startswith(b"glTF") else (json.loads(data), b"")


def _glb(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON and the binary chunk of a .glb container."""
    _, version, length = struct.unpack_from("<4sII", data)
    if version != 2 or length > len(data):
        raise ValueError(f"version {version}, {len(data)} of {length} bytes")
    document, binary, at = None, b"", 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<I4s", data, at)
        chunk = data[at + 8 : at + 8 + size]
        if kind == b"JSON":
            document = json.loads(chunk)
        elif kind == b"BIN\0" and not binary:
            binary = chunk
        at += 8 + size
    if not isinstance(document, dict):
        raise ValueError("it has no JSON chunk")
    return document, binary


def _placed(document: dict[str, Any]) -> Iterator[tuple[str, int, np.ndarray]]:
    """(name, mesh number, world matrix) of every node of the default scene that holds a mesh."""
    nodes = document.get("nodes", [])
    scenes = document.get("scenes")
    children = {child for node in nodes for child in node.get("children", ())}
    roots = scenes[document.get("scene", 0)].get("nodes", []) if scenes else set(range(len(nodes))) - children
    stack = [(root, np.eye(4)) for root in reversed(list(roots))]
    left = len(nodes)
    while stack:
        number, parent = stack.pop()
        left -= 1
        if left < 0:
            raise ValueError("a node is its own ancestor")
        node = nodes[number]
        world = parent @ _matrix(node)
        if "mesh" in node:
            label = node.get("name") or document["meshes"][node["mesh"]].get("name", "")
            yield label, node["mesh"], world
        stack += [(child, world) for child in reversed(node.get("children", ()))]


def _matrix(node: dict[str, Any]) -> np.ndarray:
    if "matrix" in node:
        return np.array(node["matrix"], float).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array(node.get("scale", (1, 1, 1)))
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


class _Reader:
    """Accessors of one document."""

    def __init__(self, document: dict[str, Any], binary: bytes, folder: Path) -> None:
        self.document, self.binary, self.folder = document, binary, folder
        self.buffers: dict[int, bytes] = {}

    def mesh(self, number: int, world: np.ndarray, label: str) -> Mesh | None:
        """All triangles of mesh `number` in world space; None when it has only lines and points."""
        positions, faces, uvs, first = [], [], [], 0
        for primitive in self.surfaces(number):
            attributes = primitive["attributes"]
            position = self.accessor(attributes["POSITION"])
            triangles = self._triangles(primitive, len(position))
            if triangles.size and triangles.max() >= len(position):
                raise ValueError("a face refers to a vertex that the file does not have")
            positions.append(position)
            faces.append(triangles + first)
            uvs.append(self.accessor(attributes["TEXCOORD_0"])[triangles] if "TEXCOORD_0" in attributes else None)
            first += len(position)
        if not faces:
            return None
        local = np.concatenate(positions).astype(np.float64)
        face = np.concatenate(faces)
        corner_uv = None if any(uv is None for uv in uvs) else np.concatenate([uv for uv in uvs if uv is not None])
        if corner_uv is not None:
            corner_uv = (corner_uv * (1, -1) + (0, 1)).astype(np.float32)  # glTF's v runs down
        if np.linalg.det(world[:3, :3]) < 0:  # a mirror turns the faces inside out
            face = face[:, ::-1]
            corner_uv = None if corner_uv is None else np.ascontiguousarray(corner_uv[:, ::-1])
        vertices, back = np.unique(local, axis=0, return_inverse=True)
        moved = vertices @ world[:3, :3].T + world[:3, 3]
        return Mesh(label, moved.astype(np.float32), back.reshape(-1)[face].astype(np.int32), corner_uv)

    def surfaces(self, number: int) -> Iterator[dict[str, Any]]:
        """The primitives of mesh `number` that have triangles."""
        for primitive in self.document["meshes"][number]["primitives"]:
            if (
                primitive.get("mode", _TRIANGLES) in (_TRIANGLES, _STRIP, _FAN)
                and "POSITION" in primitive["attributes"]
            ):
                yield primitive

    def pictures(self, number: int) -> set[bytes]:
        """The files of the base colours of mesh `number`."""
        found = set()
        for primitive in self.surfaces(number):
            material = self.document["materials"][primitive["material"]] if "material" in primitive else {}
            texture = material.get("pbrMetallicRoughness", {}).get("baseColorTexture")
            source = texture and self.document["textures"][texture["index"]].get("source")
            if source is None:
                continue
            image = self.document["images"][source]
            if "uri" in image:
                found.add(self._fetch(image["uri"]))
            else:
                length = self.document["bufferViews"][image["bufferView"]]["byteLength"]
                found.add(self._view(image["bufferView"], 0, length, 1, np.dtype("u1")).tobytes())
        return found

    def _triangles(self, primitive: dict[str, Any], vertices: int) -> np.ndarray:
        """i8 [F, 3] of a primitive: a list, a strip or a fan."""
        number = primitive.get("indices")
        order = np.arange(vertices) if number is None else self.accessor(number)[:, 0].astype(np.int64)
        mode = primitive.get("mode", _TRIANGLES)
        if mode == _TRIANGLES:
            return order[: len(order) // 3 * 3].reshape(-1, 3)
        if mode == _FAN:
            return np.stack([np.full(len(order) - 2, order[0]), order[1:-1], order[2:]], -1)
        strip = np.stack([order[:-2], order[1:-1], order[2:]], -1)
        strip[1::2] = strip[1::2, [1, 0, 2]]
        return strip

    def accessor(self, number: int) -> np.ndarray:
        """[count, width]; normalised integers become floats in [0, 1] or [-1, 1]."""
        accessor = self.document["accessors"][number]
        dtype = np.dtype(_TYPES[accessor["componentType"]])
        width, count = _WIDTHS[accessor["type"]], accessor["count"]
        values = np.zeros((count, width), dtype)
        if "bufferView" in accessor:
            values = self._view(accessor["bufferView"], accessor.get("byteOffset", 0), count, width, dtype)
        if "sparse" in accessor:
            sparse, values = accessor["sparse"], values.copy()
            at, new = sparse["indices"], sparse["values"]
            kind = np.dtype(_TYPES[at["componentType"]])
            rows = self._view(at["bufferView"], at.get("byteOffset", 0), sparse["count"], 1, kind)[:, 0]
            values[rows] = self._view(new["bufferView"], new.get("byteOffset", 0), sparse["count"], width, dtype)
        if accessor.get("normalized") and dtype.kind in "iu":
            return np.maximum(values.astype(np.float32) / np.iinfo(dtype).max, -1)
        return values

    def _view(self, number: int, offset: int, count: int, width: int, dtype: np.dtype) -> np.ndarray:
        view = self.document["bufferViews"][number]
        buffer = self._buffer(view["buffer"])
        start = view.get("byteOffset", 0) + offset
        stride = view.get("byteStride", 0) or dtype.itemsize * width
        if min(start, stride, count) < 0 or start + stride * (count - 1) + dtype.itemsize * width > len(buffer):
            raise ValueError("the file ends early")
        return np.ndarray((count, width), dtype, buffer, start, (stride, dtype.itemsize))

    def _buffer(self, number: int) -> bytes:
        if number not in self.buffers:
            uri = self.document["buffers"][number].get("uri")
            self.buffers[number] = self.binary if uri is None else self._fetch(uri)
        return self.buffers[number]

    def _fetch(self, uri: str) -> bytes:
        if uri.startswith("data:"):
            return base64.b64decode(uri.partition(",")[2])
        path = (self.folder / urllib.parse.unquote(uri)).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise ValueError(f"its file {uri!r} lies outside its folder")
        return read_file(path)
