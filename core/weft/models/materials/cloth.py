"""Cloth: tartan weave."""

from __future__ import annotations

import numpy as np

from weft.models.materials.canvas import Canvas, rgb, smooth

__all__ = ["woven_fabric"]


def woven_fabric(c: Canvas) -> np.ndarray:
    """Coarse tartan: thick twisted yarns, over and under."""
    threads = 20
    wx, wy = c.warp(1, 0.0018)
    x, y = (c.x + wx) * threads, (c.y + wy) * threads
    column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    across, along = x - column - 0.5, y - row - 0.5
    over = (column + row) % 2 == 0  # the warp yarn (vertical) is on top
    side, length = np.where(over, across, along), np.where(over, along, across)
    profile = np.sqrt(np.clip(1 - (side / 0.46) ** 2, 0, 1))
    arch = np.cos(np.pi * length * 0.86)
    twist = np.sin(2 * np.pi * (2.0 * length + 1.6 * side + 0.25 * c.noise(3, 2, 8)))
    height = profile * (0.012 * arch + 0.006) + 0.0011 * twist * profile
    sett = np.array([0, 0, 0, 1, 1, 2, 1, 1, 0, 0, 0, 0, 3, 3, 3, 3, 3, 3, 3, 0])
    dyes = np.stack([rgb(code) for code in ("a32a2c", "1d3a63", "ead9a8", "23513f")])
    colour = np.where(over[..., None], dyes[sett[column % threads]], dyes[sett[row % threads]])
    yarn = c.random(4).normal(0, 0.06, (2, threads))
    tone = np.where(over, yarn[0][column % threads], yarn[1][row % threads])
    colour = colour * (1 + tone + 0.16 * twist)[..., None]
    gap = smooth(0.0, 0.35, profile)
    return colour * (0.25 + 0.75 * gap)[..., None] * c.shade(height, 0.55, 0.5, 0.02)[..., None]
