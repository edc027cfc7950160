"""Small renders for thumbnails, of points only: surfaces are sampled, splats scattered. NumPy, on the thread.

Points are projected orthographically; of those that fall on a pixel, the nearest layer is averaged.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .splat_mesh import SH_C0
from .thumbnails import BACKGROUND, SIDE

__all__ = ["draw_meshes", "draw_splats"]

POINTS = 10 * SIDE * SIDE  # on everything together; half of them face away
FILLED = 0.94  # of the square, by what is drawn
LAYER = 0.03  # of the depth of everything: what lies so near to the nearest point belongs to its surface
SEEN_FROM = np.array([0.45, -0.8, 0.4])  # in a frame whose Z is up: from the right, in front and above
LIGHT, AMBIENT = np.array([0.1, -0.6, 0.8]), 0.55
FAINT = -2.0  # logit of the opacity below which a splat is not drawn
LARGE = 90  # percentile of splats' sizes beyond which they are drawn as large as that
UPS = {"y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)), "-y": ((1, 0, 0), (0, 0, 1), (0, -1, 0))}  # rows: new X, Y, Z


def draw_meshes(inputs: Mapping[str, np.ndarray], textures: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """u1 [SIDE, SIDE, 3]: the meshes `mesh.<i>` of a job's inputs with its results `texture.<i>`; None where a layout
    is missing."""
    count = sum(name.startswith("texture.") for name in textures)
    names = [f"mesh.{i}.{part}" for i in range(count) for part in ("vertices", "faces", "uv")]
    if not names or any(name not in inputs for name in names):
        return None
    meshes = [tuple(inputs[name] for name in names[3 * i : 3 * i + 3]) for i in range(count)]
    areas = [doubled_areas(mesh[0], mesh[1]) for mesh in meshes]
    total = sum(float(area.sum()) for area in areas)
    if not total > 0:
        return None
    rng = np.random.default_rng(0)
    samples = [
        sampled(mesh, area, textures[f"texture.{i}"], round(POINTS * float(area.sum()) / total), rng)
        for i, (mesh, area) in enumerate(zip(meshes, areas, strict=True))
    ]
    return drawn(*(np.concatenate(arrays) for arrays in zip(*samples, strict=True)))


def doubled_areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1)


def sampled(
    mesh: tuple[np.ndarray, ...], areas: np.ndarray, texture: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(points f8 [count, 3], shaded colours f8 [count, 3]), uniform on the surface of `mesh` (vertices, faces, UVs of
    corners)."""
    vertices, faces, uv = mesh
    chosen = np.minimum(np.searchsorted(np.cumsum(areas), rng.random(count) * areas.sum()), len(faces) - 1)
    s, t = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1 - s, s * (1 - t), s * t], axis=1)
    corners = vertices[faces[chosen]].astype(np.float64)
    points = np.einsum("pc,pcx->px", weights, corners)
    u, v = np.einsum("pc,pcx->px", weights, uv[chosen]).T
    height, width = texture.shape[:2]
    columns = np.clip((u * width).astype(int), 0, width - 1)
    rows = np.clip(((1 - v) * height).astype(int), 0, height - 1)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    shade = AMBIENT + (1 - AMBIENT) * np.clip(normals @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
    return points, texture[rows, columns] * shade[:, None]


def draw_splats(inputs: Mapping[str, np.ndarray], dc: np.ndarray, up: str) -> np.ndarray | None:
    """u1 [SIDE, SIDE, 3]: the job's splats as clouds of points in the colours of `dc` f4 [N, 3]; None if none would be
    seen. `up`: the axis of their frame, as the wire names it."""
    means, sizes, logits = (inputs.get(f"splats.{name}") for name in ("means", "log_scales", "logits"))
    if means is None or sizes is None or logits is None or len(means) != len(dc):
        return None
    seen = np.flatnonzero(logits > FAINT)
    if not len(seen):
        return None
    rng = np.random.default_rng(0)
    size = np.exp(np.minimum(sizes[seen], 20).mean(axis=1))
    size = np.minimum(size, np.percentile(size, LARGE))
    chosen = rng.integers(len(seen), size=POINTS)
    points = means[seen][chosen] + rng.normal(size=(POINTS, 3)) * size[chosen, None]
    colours = 255 * np.clip(0.5 + SH_C0 * dc[seen][chosen].astype(np.float64), 0, 1)
    return drawn(points @ np.array(UPS[up], np.float64).T if up in UPS else points, colours)


def drawn(points: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """u1 [SIDE, SIDE, 3] of points [P, 3] whose Z is up, in colours [P, 3] from 0 to 255."""
    near = SEEN_FROM / np.linalg.norm(SEEN_FROM)
    right = np.cross([0, 0, 1], near)
    right /= np.linalg.norm(right)
    x, y, depth = (points @ np.stack([right, np.cross(near, right), near]).T).T
    middle = [(axis.min() + axis.max()) / 2 for axis in (x, y)]
    scale = FILLED * SIDE / max(np.ptp(x), np.ptp(y), 1e-9)
    columns = np.clip(SIDE / 2 + (x - middle[0]) * scale, 0, SIDE - 1).astype(int)
    rows = np.clip(SIDE / 2 - (y - middle[1]) * scale, 0, SIDE - 1).astype(int)
    place = rows * SIDE + columns
    nearest = np.full(SIDE * SIDE, -np.inf)
    order = np.argsort(depth)
    nearest[place[order]] = depth[order]  # of equal places the last counts
    front = depth >= nearest[place] - LAYER * np.ptp(depth)
    hits = np.bincount(place[front], minlength=SIDE * SIDE)
    sums = [np.bincount(place[front], weights=colours[front, i], minlength=SIDE * SIDE) for i in range(3)]
    image = np.stack(sums, axis=1) / np.maximum(hits, 1)[:, None]
    image[hits == 0] = BACKGROUND
    return np.rint(image).astype(np.uint8).reshape(SIDE, SIDE, 3)
