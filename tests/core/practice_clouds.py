"""Small splat clouds: a random one, and a ball of flat splats whose colours are known."""

from __future__ import annotations

import numpy as np

from weft.geometry.camera import Camera, frame_object, standard_ring
from weft.geometry.splats import Splats, f_dc_of

__all__ = ["ball", "random_splats", "ring_around"]


def random_splats(count: int = 200, seed: int = 0, *, degree: int = 0) -> Splats:
    """Of all sizes, shapes and opacities in the cube [-1, 1]³."""
    rng = np.random.default_rng(seed)
    return Splats(
        rng.uniform(-1, 1, (count, 3)).astype(np.float32),
        rng.standard_normal((count, 4)).astype(np.float32),
        np.log(rng.uniform(0.01, 0.3, (count, 3))).astype(np.float32),
        rng.uniform(-6, 6, count).astype(np.float32),
        rng.standard_normal((count, (degree + 1) ** 2, 3)).astype(np.float32),
    )


def ball(count: int = 3000, colors: np.ndarray | None = None, ghosts: int = 0) -> Splats:
    """Flat opaque splats on the unit sphere, but for the last `ghosts`, which float in it and are too transparent to be
    drawn. `colors` f4 [count, 3]."""
    k = np.arange(count - ghosts)
    z = 1 - (2 * k + 1) / len(k)
    angle = np.pi * (1 + 5**0.5) * k
    shell = np.stack([np.sqrt(1 - z * z) * np.cos(angle), np.sqrt(1 - z * z) * np.sin(angle), z], 1)
    core = np.random.default_rng(1).uniform(-0.1, 0.1, (ghosts, 3))
    means = np.concatenate([shell, core]).astype(np.float32)
    # The quaternion that turns +Z to the normal; spacing ~ √(4π / count).
    turns = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    turns[: len(k), :3] = np.stack([1 + shell[:, 2], np.negative(shell[:, 1]), shell[:, 0]], 1)
    scales = np.tile(np.array([1.0, 1.0, 0.05]) * np.sqrt(4 * np.pi / len(k)), (count, 1))
    scales[count - ghosts :] = 0.02
    logits = np.where(np.arange(count) < count - ghosts, np.float32(4), np.float32(-6))
    dc = f_dc_of(np.full((count, 3), 0.5, np.float32) if colors is None else colors)
    return Splats(means, turns.astype(np.float32), np.log(scales).astype(np.float32), logits, dc[:, None])


def ring_around(splats: Splats, views: int = 6, size: int = 64) -> list[Camera]:
    """Cameras around a cloud with +Z up."""
    return frame_object(splats.means, standard_ring(views), size, fill=0.8)
