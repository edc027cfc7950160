"""glTF 2.0 out: one .glb with its textures inside, which every viewer and DCC opens."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.errors import InvalidMesh
from weft.geometry.mesh import Mesh, face_normals, vertex_normals
from weft.io.images import encode_png

__all__ = ["write_glb"]

_SMOOTH = np.cos(np.radians(40))  # corners whose face turns further from the vertex normal are shaded flat
_FLOAT, _UNSIGNED, _ARRAY, _INDICES = 5126, 5125, 34962, 34963


def write_glb(meshes: Sequence[Mesh], textures: Sequence[np.ndarray]) -> bytes:
    """The .glb of Y-up meshes with UVs; each has its own matt material with its texture as base colour."""
    writer = _Writer()
    for mesh, texture in zip(meshes, textures, strict=True):
        writer.add(mesh, encode_png(texture))
    return writer.glb()


def _corner_normals(mesh: Mesh) -> np.ndarray:
    """f4 [F, 3, 3]: smooth where the surface is, the face's own across hard edges."""
    flat, smooth = face_normals(mesh)[:, None], vertex_normals(mesh)[mesh.faces]
    normals = np.where((flat * smooth).sum(-1, keepdims=True) > _SMOOTH, smooth, flat)
    return np.where(
        normals.any(-1, keepdims=True), normals, np.array([0, 1, 0], np.float32)
    )  # zero area: any unit vector


class _Writer:
    """Grows the JSON and the binary chunk side by side."""

    def __init__(self) -> None:
        self.binary = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []
        self.parts: dict[str, list[dict[str, Any]]] = {
            key: [] for key in ("meshes", "nodes", "materials", "textures", "images")
        }

    def add(self, mesh: Mesh, png: bytes) -> None:
        if mesh.corner_uv is None:
            raise InvalidMesh(f"{mesh.name!r} has no UVs", "unwrap it before saving a texture on it")
        number = len(self.parts["meshes"])
        normals = _corner_normals(mesh).reshape(-1, 3)
        uv = mesh.corner_uv.reshape(-1, 2)
        # glTF knows one UV and one normal per vertex: corners that differ become vertices of their own.
        bits = np.concatenate([uv, normals + 0.0], 1).astype(np.float32).view(np.int32)
        key = np.concatenate([mesh.faces.reshape(-1, 1), bits], 1)
        _, first, index = np.unique(key, axis=0, return_index=True, return_inverse=True)
        vertex = mesh.faces.reshape(-1)[first]
        attributes = {
            "POSITION": self._accessor(mesh.vertices[vertex], "VEC3", bounds=True),
            "NORMAL": self._accessor(normals[first], "VEC3"),
            "TEXCOORD_0": self._accessor(
                uv[first] * np.array([1, -1], np.float32) + np.array([0, 1], np.float32), "VEC2"
            ),
        }
        indices = self._accessor(index.reshape(-1).astype(np.uint32), "SCALAR", _UNSIGNED, _INDICES)
        primitive = {"attributes": attributes, "indices": indices, "material": number}
        surface = {"baseColorTexture": {"index": number}, "metallicFactor": 0.0, "roughnessFactor": 1.0}
        self.parts["meshes"].append({"name": mesh.name, "primitives": [primitive]})
        self.parts["nodes"].append({"name": mesh.name, "mesh": number})
        self.parts["materials"].append({"name": f"{mesh.name} Weft", "pbrMetallicRoughness": surface})
        self.parts["textures"].append({"source": number})
        self.parts["images"].append(
            {"name": f"{mesh.name} Weft", "mimeType": "image/png", "bufferView": self._view(png)}
        )

    def _view(self, data: bytes, target: int = 0) -> int:
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)}
        self.views.append(view | ({"target": target} if target else {}))
        self.binary += data + b"\0" * (-len(data) % 4)
        return len(self.views) - 1

    def _accessor(
        self, values: np.ndarray, kind: str, component: int = _FLOAT, target: int = _ARRAY, bounds: bool = False
    ) -> int:
        dtype = "<f4" if component == _FLOAT else "<u4"
        view = self._view(np.ascontiguousarray(values, dtype).tobytes(), target)
        accessor: dict[str, Any] = {"bufferView": view, "componentType": component, "count": len(values), "type": kind}
        if bounds:
            accessor |= {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def glb(self) -> bytes:
        document = {
            "asset": {"version": "2.0", "generator": "Weft"},
            "scene": 0,
            "scenes": [{"nodes": list(range(len(self.parts["nodes"])))}],
            **self.parts,
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [{"byteLength": len(self.binary)}],
        }
        text = json.dumps(document, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + len(self.binary)
        head = struct.pack("<4sII", b"glTF", 2, total) + struct.pack("<I4s", len(text), b"JSON") + text
        return head + struct.pack("<I4s", len(self.binary), b"BIN\0") + bytes(self.binary)
