"""A picture of what a job made, for the sheet of a gallery; the science is loaded only where one is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

__all__ = ["picture_of"]

IMAGES = ("panorama", "image")
SERIES = ("frames", "view.images", "turntable")  # of which the middle one is shown


def picture_of(arrays: dict[str, np.ndarray], made: dict[str, np.ndarray], params: Any) -> np.ndarray | None:
    """f4 [h, w, 3] in [0, 1] of the result `made` of a job with the inputs `arrays`; None where there is nothing to
    see without rendering a scene."""
    from weft.io.images import from_bytes

    for name in IMAGES:
        if name in made:
            return from_bytes(made[name])
    for name in SERIES:
        if name in made:
            return from_bytes(made[name][len(made[name]) // 2])
    if "splats.dc" in made:
        return _splats(arrays, made["splats.dc"], params.up)
    if "texture.0" in made:
        return _meshes(arrays, made)
    return None


def _meshes(arrays: dict[str, np.ndarray], made: dict[str, np.ndarray]) -> np.ndarray:
    from weft.io.images import from_bytes
    from weft.tasks.gallery import picture_of_meshes
    from weft_server.received import Received

    uvs = {**arrays, **made}
    meshes = [replace(mesh, corner_uv=uvs[f"mesh.{i}.uv"]) for i, mesh in enumerate(Received(arrays, []).meshes())]
    return picture_of_meshes(meshes, [from_bytes(made[f"texture.{i}"]) for i in range(len(meshes))])


def _splats(arrays: dict[str, np.ndarray], dc: np.ndarray, up: str) -> np.ndarray:
    from weft.tasks.gallery import picture_of_splats
    from weft_server.received import Received

    splats = Received({**arrays, "splats.dc": dc}, []).splats()
    return picture_of_splats(splats, splats.colors, up)
