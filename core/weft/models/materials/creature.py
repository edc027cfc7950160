"""What grows on animals: leopard fur, dragon scales."""

from __future__ import annotations

import numpy as np

from weft.models.materials.canvas import Canvas, mix, ramp, rgb, smooth

__all__ = ["leopard", "scales"]


def leopard(c: Canvas) -> np.ndarray:
    """Leopard fur: broken rosettes of dark lobes round a tawny heart, short combed hair."""
    spots = c.cells(1, 8, jitter=0.30, stagger=True, warp=c.warp(2, 0.006, 2.4))
    size = 0.026 + 0.012 * spots.tone()
    angle = np.arctan2(spots.dy, spots.dx * (0.85 + 0.3 * spots.tone(1)))
    lobes = 3 + np.floor(3 * spots.tone(2))
    wobble = 0.0035 * c.noise(4, 1.8, 8)
    distance = spots.radius + wobble
    gap = np.cos(lobes * angle + 6.28 * spots.tone(3))
    thick = 0.0085 + 0.0040 * gap
    ring = smooth(thick, thick - 0.0030, np.abs(distance - size)) * smooth(-0.95, -0.72, gap)
    heart = smooth(size, size - 0.006, distance)
    hair = c.noise(5, 1.4, 6, 100, stretch=(1, 7))
    base = ramp(0.55 + 0.2 * c.noise(6, 3.0, high=8) + 0.10 * hair, "b97a3a", "d79f58", "e8bf80", "f2d9a8")
    small = c.cells(7, 22)
    fleck = smooth(0.0095, 0.0065, small.radius + wobble) * (small.tone() < 0.22) * (spots.border < 0.022)
    colour = mix(base, rgb("a86a30") * (1 + 0.12 * hair)[..., None], 0.75 * heart)
    dark = np.clip(ring + fleck, 0, 1)
    colour = mix(colour, rgb("23150d") * (1 + 0.22 * hair)[..., None], dark)
    return colour * (1 + 0.05 * hair)[..., None]


def scales(c: Canvas) -> np.ndarray:
    """Dragon scales: overlapping keeled shields, dark roots, gold rims, a wet highlight."""
    across, down = 8, 16
    wx, wy = c.warp(1, 0.003)
    x, y = (c.x + wx) * across, (c.y + wy) * down
    row0 = np.floor(y).astype(np.int64)
    random = c.random(3).random((down, across, 2))
    depth = np.full(x.shape, 2.0, np.float32)
    side = np.zeros_like(depth)
    tone = np.zeros_like(depth)
    free = np.ones(x.shape, bool)
    # A scale hangs down over the rows below it: the upper-most row that reaches a pixel is on top.
    for back in (2, 1, 0):
        row = row0 - back
        column = np.floor(x - 0.5 * (row % 2)).astype(np.int64)
        dx = x - 0.5 * (row % 2) - column - 0.5
        dy = (y - row) / 2
        shape = np.hypot(dx * 1.72, dy * 0.80) + 0.10 * np.abs(dx)
        hit = free & (shape < 1)
        depth[hit], side[hit] = shape[hit], dx[hit]
        tone[hit] = random[row % down, column % across, 0][hit]
        free &= ~hit
    rim = smooth(0.80, 0.87, depth) * smooth(1.0, 0.94, depth)
    keel = np.exp(-((side / 0.07) ** 2)) * smooth(0.95, 0.6, depth)
    ridges = np.sin(26 * depth) * smooth(0.85, 0.5, depth)
    height = 0.030 * (0.3 + 0.7 * depth) * smooth(1.0, 0.93, depth) + 0.006 * keel + 0.0009 * ridges
    patch = c.noise(5, 3.2, high=6)
    body = ramp(0.15 + 0.55 * tone + 0.14 * patch + 0.12 * depth, "0d3a3c", "14594c", "2b8258", "6aab5a", "b3c561")
    colour = body * (0.30 + 0.75 * smooth(0.1, 0.9, depth))[..., None] * (1 + 0.05 * ridges)[..., None]
    colour = mix(colour, rgb("e0cf78"), 0.75 * rim) * c.shade(height, 0.55, 0.6)[..., None]
    return colour + 0.28 * c.gloss(height, 30)[..., None]
