"""Photographs of a small world whose depth is known: a ball before walls, all painted with waves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from practice_shapes import box

from weft.geometry.camera import Camera, orbit
from weft.geometry.rasterize import interpolate, rasterize

__all__ = ["photographs", "standing_around"]


def standing_around(count: int, size: int, step: float = 9.0, scale: float = 1.0) -> list[Camera]:
    """Cameras in an arc before the ball, at differing heights."""
    return [
        Camera(
            orbit(step * (k - (count - 1) / 2), 8 + 5 * np.sin(2.1 * k), 3.2 * scale, (0, 0, 0)),
            size, size, 1.1 * size, 1.1 * size, size / 2, size / 2, 1e-3 * scale,
        )
        for k in range(count)
    ]  # fmt: skip


def photographs(cameras: Sequence[Camera], scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """images f4 [N, H, W, 3] and depth f4 [N, H, W]; the world is `scale` times as large."""
    ball, room = box(24, sphere=True, radius=0.7), box(2, radius=6.0)
    vertices = np.concatenate([ball.vertices, room.vertices * (1, 1, 0.4) + (0, 2.5, 1.2)]).astype(np.float32)
    faces = np.concatenate([ball.faces, room.faces + len(ball.vertices)])
    random = np.random.default_rng(0)
    waves = random.normal(size=(3, 24, 3)) * random.choice([2, 5, 9], size=(24, 1))
    images, depths = [], []
    for camera in cameras:
        drawn = rasterize(vertices * np.float32(scale), faces, camera.scaled(2))
        at = interpolate(drawn, vertices, faces)
        colours = 0.5 + 0.09 * np.stack([np.sin(at @ wave.T + np.arange(24)).sum(-1) for wave in waves], -1)
        whole = colours.clip(0, 1).reshape(camera.height, 2, camera.width, 2, 3).mean((1, 3))
        images.append(whole)
        depths.append(rasterize(vertices * np.float32(scale), faces, camera).depth)
    return np.stack(images).astype(np.float32), np.stack(depths)
