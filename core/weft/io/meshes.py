"""Meshes in and out of files, turned to Blender's axes (+Z up) on the way in and back on the way out.

| suffix     | in                                         | out                                     |
|------------|--------------------------------------------|-----------------------------------------|
| .glb .gltf | objects of the scene, world transforms     | .glb with the textures inside           |
| .obj       | objects, corner UVs                        | with a .mtl and a PNG per object beside |
| .ply       | one mesh                                   |                                         |
| .png       |                                            | the textures alone                      |

OBJ and PLY do not say which way is up; both are taken as +Y up, as glTF and most exporters have it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from weft.errors import InvalidInput, InvalidMesh, WeftError
from weft.geometry.mesh import Mesh, check_mesh
from weft.io.files import read_file, write_file
from weft.io.glb import write_glb
from weft.io.gltf import read_gltf
from weft.io.images import encode_png
from weft.io.obj import read_obj, write_mtl, write_obj
from weft.io.ply import read_ply

__all__ = ["MESH_SUFFIXES", "load_meshes", "save_textured"]

MESH_SUFFIXES = (".glb", ".gltf", ".obj", ".ply")


def load_meshes(path: str | Path) -> list[Mesh]:
    """Every object of the file, in world space, +Z up; `corner_uv` is None for an object without UVs.

    InvalidInput for a missing file or unknown suffix; InvalidMesh for one that is damaged or holds no faces.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise InvalidInput(f"{path.name!r} is not a mesh file", f"give one of {', '.join(MESH_SUFFIXES)}")
    data = read_file(path)
    if not data:
        raise InvalidMesh(f"{path.name!r} is empty", "export it again")
    try:
        meshes = _read(data, suffix, path)
    except WeftError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, struct.error, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"{path.name!r} is damaged or not a {suffix[1:]} file: {reason}"
        raise InvalidMesh(message, "export it again, for example as .glb") from None
    if not meshes:
        raise InvalidMesh(f"{path.name!r} holds no triangles", "export the mesh itself, not points, lines or cameras")
    meshes = [replace(mesh, vertices=_to_z_up(mesh.vertices)) for mesh in meshes]
    for mesh in meshes:
        check_mesh(mesh)
    return meshes


def _read(data: bytes, suffix: str, path: Path) -> list[Mesh]:
    if suffix == ".obj":
        return read_obj(data, path.stem)
    if suffix == ".ply":
        return read_ply(data, path.stem)
    return read_gltf(data, path.stem, path.parent)


def _to_z_up(vertices: np.ndarray) -> np.ndarray:
    x, y, z = vertices.T
    return np.ascontiguousarray(np.stack([x, -z, y], -1), np.float32)


def _to_y_up(vertices: np.ndarray) -> np.ndarray:
    x, y, z = vertices.T
    return np.ascontiguousarray(np.stack([x, z, -y], -1), np.float32)


def save_textured(path: str | Path, meshes: Sequence[Mesh], textures: Sequence[np.ndarray]) -> list[Path]:
    """Write +Z-up meshes (with UVs) and their textures (f4 or u1 [T, T, 3]); returns the files written.

    Pictures beside an .obj, or alone as .png, are named after the file; several get _0, _1, ... in order.
    """
    path = Path(path)
    if len(meshes) != len(textures) or not meshes:
        raise InvalidInput(f"{len(meshes)} meshes with {len(textures)} textures", "give one texture for each mesh")
    pictures = [path.with_suffix(".png")]
    if len(meshes) > 1:
        pictures = [path.with_name(f"{path.stem}_{i}.png") for i in range(len(meshes))]
    turned = [replace(mesh, vertices=_to_y_up(mesh.vertices)) for mesh in meshes]
    match path.suffix.lower():
        case ".glb":
            files = {path: write_glb(turned, textures)}
        case ".png":
            files = {picture: encode_png(t) for picture, t in zip(pictures, textures, strict=True)}
        case ".obj":
            files = _obj_files(path, turned, textures, pictures)
        case _:
            raise InvalidInput(f"cannot write {path.name!r}", "end it in .glb, .obj or .png")
    for file, data in files.items():
        write_file(file, data)
    return list(files)


def _obj_files(
    path: Path, meshes: Sequence[Mesh], textures: Sequence[np.ndarray], pictures: Sequence[Path]
) -> dict[Path, bytes]:
    library = path.with_suffix(".mtl")
    materials = [picture.stem.replace(" ", "_") for picture in pictures]
    files = {path: write_obj(meshes, materials, library.name)}
    files[library] = write_mtl(materials, [picture.name for picture in pictures])
    return files | {picture: encode_png(t) for picture, t in zip(pictures, textures, strict=True)}
