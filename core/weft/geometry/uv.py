"""What is wrong with a mesh's UVs, if anything."""

from __future__ import annotations

import numpy as np

from weft.geometry.mesh import Mesh, face_crosses
from weft.geometry.rasterize import rasterize_uv

__all__ = ["overlapping_fraction", "uv_problems"]

_RASTER = 512  # texels along the texture on which overlaps are counted


def uv_problems(mesh: Mesh) -> str | None:
    """Why the mesh's UVs cannot hold a texture of its own, in one line without the mesh's name; None if they can.

    A few per cent of bad surface (a degenerate face, charts that touch) are no problem.
    """
    uv = mesh.corner_uv
    if uv is None:
        return "there are no UVs"
    broken = int((~np.isfinite(uv)).any((1, 2)).sum())
    if broken:
        return f"the UVs of {broken} faces are NaN or infinite"
    surface = np.linalg.norm(face_crosses(mesh), axis=1)
    surface = surface / max(surface.sum(), 1e-300)
    lost = float(surface[_uv_area(uv) < 1e-12].sum())
    if lost > 0.02:
        return f"{lost:.0%} of the surface has no area in the UVs"
    # As in rasterize_uv: whole triangles move into the unit square, and what then still sticks out gets no texels.
    moved = uv - np.floor(uv.mean(1, keepdims=True))
    outside = float(surface[((moved < -0.01) | (moved > 1.01)).any((1, 2))].sum())
    if outside > 0.02:
        return f"{outside:.0%} of the surface has UVs across the border of the unit square"
    shared = overlapping_fraction(uv)
    if shared > 0.03:
        return f"{shared:.0%} of the UVs overlap"
    return None


def _uv_area(uv: np.ndarray) -> np.ndarray:
    """f8 [F], area in the unit square."""
    (ax, ay), (bx, by) = ((uv[:, k].astype(np.float64) - uv[:, 0]).T for k in (1, 2))
    return np.abs(ax * by - bx * ay) / 2


def overlapping_fraction(corner_uv: np.ndarray) -> float:
    """The share of the covered texels, of a 512² texture, whose centre lies inside more than one triangle."""
    lowest, highest = rasterize_uv(corner_uv, _RASTER), rasterize_uv(corner_uv[::-1], _RASTER)
    covered = lowest.triangle >= 0
    # The last triangle is the first of the reversed list. Centres on a common edge belong to both, without overlap.
    different = lowest.triangle != len(corner_uv) - 1 - highest.triangle
    inside = np.minimum(lowest.barycentric.min(-1), highest.barycentric.min(-1)) > 1e-3
    return float((covered & different & inside).sum() / max(covered.sum(), 1))
