"""What can be wrong with UVs before a texture is painted through them. NumPy only: no Blender in here."""

from __future__ import annotations

import numpy as np

__all__ = ["overlap", "uv_problem", "wrap_to_unit"]

GRID = 128  # cells per side of the overlap histogram
SAMPLES_PER_CELL = 64  # expected count in a cell that is covered exactly once
TOLERATED_OVERLAP = 0.02  # of the UV area: bilinear seams of good layouts stay well below
TOLERATED_FLAT = 0.02  # of the surface area may lie in triangles without UV area


def wrap_to_unit(uv: np.ndarray) -> np.ndarray:
    """Move every triangle by whole tiles so that its centre lies in the unit square; textures repeat, looks stay.

    `uv` is f4 [F, 3, 2]; the result has the same shape and dtype.
    """
    tile = np.floor(uv.mean(axis=1, keepdims=True))
    return uv - tile if tile.any() else uv


def uv_problem(vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray | None) -> str:
    """Why `uv` cannot carry a texture of its own, or `""`.

    `vertices` f4 [V, 3], `faces` i4 [F, 3], `uv` f4 [F, 3, 2] or None. Reads as the end of "the UVs of X ...".
    """
    if uv is None:
        return "are missing"
    if not np.isfinite(uv).all():
        return "contain NaN or infinite values"
    if uv.min() < -0.01 or uv.max() > 1.01:
        return "leave the unit square"
    uv_area = triangle_area(np.pad(uv, ((0, 0), (0, 0), (0, 1))))
    area = triangle_area(vertices[faces])
    # Relative to what an even layout would give: an all-zero layer and a few flat faces are different faults.
    flat = area[uv_area <= 1e-6 * area * (uv_area.sum() / max(area.sum(), 1e-30))].sum()
    if uv_area.sum() < 1e-6 or flat > TOLERATED_FLAT * area.sum():
        return "have no area"
    shared = overlap(uv, uv_area)
    return f"overlap on {shared:.0%} of their area" if shared > TOLERATED_OVERLAP else ""


def triangle_area(corners: np.ndarray) -> np.ndarray:
    """Area of each triangle of `corners` [F, 3, 3], in double precision [F]."""
    a, b, c = (corners[:, i].astype(np.float64) for i in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def overlap(uv: np.ndarray, uv_area: np.ndarray) -> float:
    """Share of the UV area that lies on top of other UV area, estimated from an even sample of all triangles.

    Samples are spread over the triangles in proportion to their UV area, so a cell of a grid that is covered once
    can never hold more than its share, however the triangles lie; what exceeds the share is overlap.
    """
    total = float(uv_area.sum())
    count = int(SAMPLES_PER_CELL * GRID * GRID * min(total, 4.0)) + 1
    rng = np.random.default_rng(0)
    steps = (np.arange(count) + rng.random(count)) / count * total
    owner = np.minimum(np.searchsorted(np.cumsum(uv_area), steps), len(uv) - 1)
    # Uniform barycentric coordinates: fold the unit square onto the triangle.
    s, t = rng.random((2, count, 1))
    folded = s + t > 1
    s, t = np.where(folded, 1 - s, s), np.where(folded, 1 - t, t)
    a, b, c = uv[owner, 0], uv[owner, 1], uv[owner, 2]
    cell = np.clip(((a + s * (b - a) + t * (c - a)) * GRID).astype(np.int64), 0, GRID - 1)
    counts = np.bincount(cell[:, 0] * GRID + cell[:, 1], minlength=GRID * GRID)
    share = count / (total * GRID * GRID)
    return float(np.maximum(counts - 1.5 * share, 0).sum() / count * 2)
