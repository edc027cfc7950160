"""A torus that turns before a wall that stands still: frames whose flow is known, without any file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from weft.benchmarks.coupled_scenes import reflectances
from weft.benchmarks.torus import torus
from weft.geometry.camera import Camera, orbit
from weft.geometry.colour import encoded
from weft.geometry.rasterize import Fragments, interpolate, rasterize
from weft.metrics.flicker import Flow

__all__ = ["Turntable", "turntable"]

ELEVATION = 32.0  # degrees
DISTANCE = 5.2  # of the camera; the ring's radius is 1
FOCAL = 1.5  # in frame sides
SUPERSAMPLED = 3
_LIGHT = np.array([-0.45, 0.55, 0.70])  # towards it, in the camera's right, up and back
_AMBIENT = 0.35
_SAME = 0.02  # of depth, by which one point may lie in front of itself


@dataclass(frozen=True, eq=False)
class Turntable:
    """N frames."""

    frames: np.ndarray  # f4 [N, S, S, 3] sRGB in [0, 1]
    masks: np.ndarray  # bool [N, S, S], pixels that show the torus alone
    walls: np.ndarray  # bool [N, S, S], pixels that show the wall alone
    flows: tuple[Flow, ...]  # N - 1, as `metrics.flicker` wants them


def turntable(count: int = 24, side: int = 192, degrees: float = 4.0) -> Turntable:
    """`count` frames of `side`² pixels; the torus turns by `degrees` a frame."""
    mesh = torus()
    cameras = [
        Camera(orbit(degrees * k, ELEVATION, DISTANCE), side, side, FOCAL * side, FOCAL * side, side / 2, side / 2)
        for k in range(count)
    ]
    wall = _wall(side)
    frames, masks, walls, seen = [], [], [], []
    for camera in cameras:
        image, share = _rendered(mesh.vertices, mesh.faces, camera, wall)
        frames.append(image)
        masks.append(share > 0.999)
        walls.append(share == 0)
        seen.append(rasterize(mesh.vertices, mesh.faces, camera))
    flows = [
        _flow(mesh.vertices, mesh.faces, cameras[k], seen[k], seen[k + 1], masks[k], walls[k] & walls[k + 1])
        for k in range(count - 1)
    ]
    return Turntable(np.stack(frames), np.stack(masks), np.stack(walls), tuple(flows))


def _wall(side: int) -> np.ndarray:
    """f4 [side, side, 3], linear: soft clouds of two greys."""
    clouds = ndimage.gaussian_filter(np.random.default_rng(5).standard_normal((side, side)), side / 24, mode="wrap")
    return (0.32 + 0.06 * clouds / clouds.std()).clip(0.05, 0.9).astype(np.float32)[..., None].repeat(3, -1)


def _rendered(
    vertices: np.ndarray, faces: np.ndarray, camera: Camera, wall: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """sRGB f4 [S, S, 3], and f4 [S, S], the share of the torus in each pixel."""
    fine = rasterize(vertices, faces, camera.scaled(SUPERSAMPLED))
    hit = fine.triangle >= 0
    light = np.full((*hit.shape, 3), 0.0, np.float32)
    position = interpolate(fine, vertices, faces)[hit]
    ring = position / np.maximum(np.hypot(position[:, 0], position[:, 1])[:, None], 1e-6) * (1, 1, 0)
    normal = (position - ring) / np.linalg.norm(position - ring, axis=1, keepdims=True)
    toward = camera.pose[:3, :3] @ (_LIGHT / np.linalg.norm(_LIGHT))
    shade = _AMBIENT + (1 - _AMBIENT) * np.maximum(normal @ toward, 0)
    light[hit] = reflectances(position, 0) * shade[:, None]
    share = _averaged(hit[..., None].astype(np.float32))
    return encoded(_averaged(light) + (1 - share) * wall), share[..., 0]


def _averaged(image: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    shape = (height // SUPERSAMPLED, SUPERSAMPLED, width // SUPERSAMPLED, SUPERSAMPLED, channels)
    return image.reshape(shape).mean((1, 3), dtype=np.float32)


def _flow(
    vertices: np.ndarray, faces: np.ndarray, camera: Camera, before: Fragments, after: Fragments, mask: np.ndarray,
    still: np.ndarray,
) -> Flow:  # fmt: skip
    """Where what the frame `after` shows was in `camera`'s frame `before`, of which `mask` lies wholly on the torus."""
    hit = after.triangle >= 0
    at, depth = camera.project(interpolate(after, vertices, faces)[hit])
    row, column = np.indices(hit.shape, np.float32)
    back = np.zeros((*hit.shape, 2), np.float32)
    back[hit] = at - 0.5 - np.stack([column, row], -1)[hit]
    known = still.copy()
    corner = np.floor(at - 0.5).astype(int)
    side = len(hit)
    inside = ((corner >= 0) & (corner < side - 1)).all(1)
    corner = corner.clip(0, side - 2)
    for down in (0, 1):
        for right in (0, 1):
            i, j = corner[:, 1] + down, corner[:, 0] + right
            inside &= mask[i, j] & (np.abs(before.depth[i, j] - depth) < _SAME * depth)
    known[hit] |= inside
    return Flow(back, known)
