"""Meshes that come without UVs a texture can use are unwrapped, and whoever sent them is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weft.geometry.mesh import Mesh
from weft.geometry.unwrap import unwrap
from weft.geometry.uv import uv_problems
from weft.tasks.events import Warning

__all__ = ["with_uvs"]


def with_uvs(meshes: Sequence[Mesh], texture_size: int) -> tuple[list[Mesh], dict[int, np.ndarray], list[Warning]]:
    """The meshes with usable UVs, the UVs that were made, and why."""
    ready, made, warnings = list(meshes), {}, []
    for i, mesh in enumerate(meshes):
        problem = uv_problems(mesh)
        if problem is None:
            continue
        if mesh.corner_uv is not None:
            warnings.append(
                Warning(f"{mesh.name!r} was unwrapped anew: {problem}", "unwrap it yourself to keep its UVs")
            )
        ready[i] = unwrap(replace(mesh, corner_uv=None), texture_size)
        uv = ready[i].corner_uv
        assert uv is not None
        made[i] = uv
    return ready, made, warnings
