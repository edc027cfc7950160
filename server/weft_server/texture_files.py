"""The textures that the objects of a mesh file wear, by their files or out of that file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.job_files import check_sides
from weft_wire.errors import WireError

__all__ = ["check_uvs", "textures_of"]


def check_uvs(meshes: Sequence[Any]) -> None:
    """Refuse objects that cannot wear a texture."""
    for mesh in meshes:
        if mesh.corner_uv is None:
            raise WireError(
                "invalid_mesh", f"{mesh.name!r} has no UVs, so its texture has no place", "`weft texture` makes both"
            )


def textures_of(file: Path, paths: Sequence[Path], meshes: Sequence[Any]) -> list[np.ndarray]:
    """u1 [H, W, 3] of every object: the files named, or what the mesh `file` holds."""
    from weft.io.textures import load_texture, load_textures

    if paths:
        textures = [load_texture(path) for path in paths]
        for path, texture in zip(paths, textures, strict=True):
            check_sides(path, texture.shape[1], texture.shape[0])
        return textures
    found = load_textures(file) or [[] for _ in meshes]
    for mesh, textures in zip(meshes, found, strict=True):
        if len(textures) != 1:
            number = f"{len(textures)} textures" if textures else "no texture"
            raise WireError("invalid_image", f"{mesh.name!r} has {number} in {file.name!r}", "add --texture FILE")
        check_sides(f"texture in {file.name}", textures[0].shape[1], textures[0].shape[0])
    return [textures[0] for textures in found]
