"""What grows: leopard and zebra coats, dragon scales, feathers, brain coral, bark."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from weft.models.materials.canvas import Canvas, mix, ramp, rgb, smooth

__all__ = ["bark", "coral", "feathers", "leopard", "scales", "zebra"]


def leopard(c: Canvas) -> np.ndarray:
    """Leopard fur: broken rosettes of dark lobes round a tawny heart, short combed hair."""
    spots = c.cells(1, 7, 8, jitter=0.26, stagger=True, warp=c.warp(2, 0.006, 2.4))
    size = 0.030 + 0.012 * spots.tone()
    angle = np.arctan2(spots.dy, spots.dx * (0.85 + 0.3 * spots.tone(1)))
    lobes = 3 + np.floor(3 * spots.tone(2))
    wobble = 0.0035 * c.noise(4, 1.8, 8, 60)
    distance = spots.radius + wobble
    gap = np.cos(lobes * angle + 6.28 * spots.tone(3))
    thick = 0.0095 + 0.0045 * gap
    ring = smooth(thick, thick - 0.0026, np.abs(distance - size)) * smooth(-0.95, -0.72, gap)
    heart = smooth(size, size - 0.006, distance)
    hair = c.noise(5, 1.4, 6, 90, stretch=(1, 7))
    base = ramp(0.55 + 0.2 * c.noise(6, 3.0, high=8) + 0.10 * hair, "b97a3a", "d79f58", "e8bf80", "f2d9a8")
    small = c.cells(7, 20, border=False)
    fleck = smooth(0.0105, 0.0075, small.radius + wobble) * (small.tone() < 0.24) * (spots.border < 0.020)
    colour = mix(base, rgb("a86a30") * (1 + 0.10 * hair)[..., None], 0.75 * heart)
    colour = mix(colour, rgb("23150d") * (1 + 0.22 * hair)[..., None], np.clip(ring + fleck, 0, 1))
    return colour * (1 + 0.05 * hair)[..., None]


def zebra(c: Canvas) -> np.ndarray:
    """Zebra hide: branching black stripes on cream, short hair along them."""
    stripes = c.labyrinth(1, 11.0, lean=0.35)
    hair = c.noise(2, 1.4, 8, 100, stretch=(1, 6))
    edge = stripes + 0.035 * hair
    black = smooth(-0.03, 0.05, edge)
    halo = smooth(-0.45, -0.10, edge) * (1 - black)
    cream = ramp(0.6 + 0.18 * c.noise(3, 3.0, high=8) + 0.10 * hair, "cdb995", "e6dac0", "f6f0e2")
    cream = mix(cream, rgb("a98a62"), 0.45 * halo)
    dark = ramp(0.4 + 0.16 * hair, "0f0c0b", "241d1a", "423630")
    return mix(cream, dark, black)


class _Shingles(NamedTuple):
    """Overlapping motifs that hang down over the rows below: where in its motif each pixel lies."""

    side: np.ndarray  # f4 [n, n] from the motif's middle, in widths, -0.5 .. 0.5
    down: np.ndarray  # f4 [n, n] from its root, in visible heights
    reach: np.ndarray  # f4 [n, n] 0 at the root .. 1 at the outline
    tone: np.ndarray  # f4 [n, n] a uniform number of each motif


def _shingles(c: Canvas, across: int, down: int, key: int, point: float) -> _Shingles:
    """Rows of motifs, each shifted by half; `point` sharpens their tips."""
    wx, wy = c.warp(key, 0.003)
    x, y = (c.x + wx) * across, (c.y + wy) * down
    row0 = np.floor(y).astype(np.int64)
    random = c.random(key + 2).random((down, across))
    found = _Shingles(*(np.zeros_like(c.x) for _ in range(4)))
    free = np.ones(c.x.shape, bool)
    for back in (2, 1, 0):  # the upper-most row that reaches a pixel lies on top
        row = row0 - back
        shifted = x - 0.5 * (row % 2)
        column = np.floor(shifted).astype(np.int64)
        side, below = shifted - column - 0.5, y - row
        reach = np.hypot(side * (1.82 - point), below * 0.40) + point * np.abs(side)
        hit = free & (reach < 1)
        for field, value in zip(found, (side, below, reach, random[row % down, column % across]), strict=True):
            field[hit] = value[hit]
        free &= ~hit
    return found


def scales(c: Canvas) -> np.ndarray:
    """Dragon scales: keeled shields, dark roots, gold rims, a wet highlight."""
    side, _, reach, tone = _shingles(c, 8, 16, 1, 0.10)
    rim = smooth(0.80, 0.87, reach) * smooth(1.0, 0.94, reach)
    keel = np.exp(-((side / 0.07) ** 2)) * smooth(0.95, 0.6, reach)
    ridges = np.sin(26 * reach) * smooth(0.85, 0.5, reach)
    height = 0.030 * (0.3 + 0.7 * reach) * smooth(1.0, 0.93, reach) + 0.006 * keel + 0.0009 * ridges
    patch = c.noise(5, 3.2, high=6)
    body = ramp(0.15 + 0.55 * tone + 0.14 * patch + 0.12 * reach, "0d3a3c", "14594c", "2b8258", "6aab5a", "b3c561")
    colour = body * (0.30 + 0.75 * smooth(0.1, 0.9, reach))[..., None] * (1 + 0.05 * ridges)[..., None]
    colour = mix(colour, rgb("e0cf78"), 0.75 * rim) * c.shade(height, 0.55, 0.6)[..., None]
    return colour + 0.28 * c.gloss(height, 30)[..., None]


def feathers(c: Canvas) -> np.ndarray:
    """Macaw plumage: overlapping feathers with quills and barbs, teal to royal blue with golden tips."""
    side, down, reach, tone = _shingles(c, 9, 12, 1, 0.22)
    quill = smooth(0.030, 0.012, np.abs(side)) * smooth(0.98, 0.85, reach)
    barb = 7.0 * down - 6.0 * np.abs(side) + 0.25 * c.noise(5, 2.4, 3, 30)
    strand = 0.5 + 0.5 * np.sin(2 * np.pi * barb)
    split = smooth(0.93, 0.99, strand) * smooth(0.04, 0.10, np.abs(side))
    hue = c.noise(6, 3.4, high=4)
    body = ramp(
        0.42 + 0.20 * hue + 0.25 * (tone - 0.5) + 0.10 * reach, "0a2f7a", "0f57a8", "128f9c", "2fae7f", "8cc152"
    )
    tip = smooth(0.70, 0.95, reach + 0.05 * strand)
    body = mix(body, ramp(tone, "e8b02a", "f2d257", "e27a2a"), 0.85 * tip)
    body = body * (0.34 + 0.66 * smooth(0.05, 0.75, reach))[..., None] * (0.86 + 0.20 * strand)[..., None]
    body = mix(mix(body, 0.25 * body, 0.8 * split), rgb("efe4c4"), 0.75 * quill)
    height = 0.020 * (0.4 + 0.6 * reach) * smooth(1.0, 0.95, reach) + 0.0008 * strand + 0.004 * quill
    return body * c.shade(height, 0.6, 0.6)[..., None]


def coral(c: Canvas) -> np.ndarray:
    """Brain coral: winding ridges with a fine comb across them, deep rosy valleys."""
    maze = c.labyrinth(1, 11.0)
    ridge = smooth(-0.30, 0.75, maze)
    dx, dy = c.slope(maze)
    comb = np.sin(2 * np.pi * 72 * (c.x * (np.abs(dy) > np.abs(dx)) + c.y * (np.abs(dx) >= np.abs(dy))))
    flank = smooth(-0.5, -0.1, maze) * smooth(0.75, 0.3, maze)
    groove = smooth(0.62, 0.86, maze)
    colour = ramp(ridge + 0.05 * c.noise(3, 2.8, 2, 20), "5e1f3d", "a8435a", "dd7a6e", "f4b48f", "fbe0bb")
    colour = colour * (1 + 0.10 * comb * flank)[..., None]
    colour = mix(colour, rgb("d98d76"), 0.7 * groove)
    polyps = c.specks(4, 44, 0.35, 0.0075) * smooth(-0.35, -0.55, maze)
    colour = mix(colour, rgb("f7cfae"), 0.8 * polyps)
    height = 0.030 * ridge + 0.0012 * comb * flank - 0.004 * groove + 0.003 * polyps
    return colour * c.shade(height, 0.6, 0.5)[..., None]


def bark(c: Canvas) -> np.ndarray:
    """Old pine bark: long plates with layered edges, deep furrows, lichen."""
    wx, wy = c.warp(1, 0.016, 2.8, 24)
    plates = c.cells(3, 10, 4, jitter=0.44, stagger=True, aspect=0.36, warp=(wx, 1.4 * wy))
    jag = 0.0035 * c.noise(4, 2.0, 6, 60, stretch=(1, 2))
    edge = plates.border + jag
    flake = edge / 0.0085 + 0.7 * c.noise(5, 2.4, 4, 40, stretch=(1, 2))
    layer = np.clip(np.floor(flake), 0, 4)
    ledge = smooth(0.22, 0.05, flake - np.floor(flake)) * (flake > 0.9) * (flake < 5)
    fibre = c.noise(6, 1.8, 6, 80, stretch=(1, 6))
    wood = ramp(0.15 * layer + 0.22 * plates.tone() + 0.05 * fibre, "2b1a12", "543624", "7d5840", "a58166", "c9ab8d")
    wood = mix(wood, rgb("1e120c"), 0.65 * ledge)
    furrow = smooth(0.008, 0.002, edge)
    wood = mix(wood, rgb("140b08"), 0.85 * furrow)
    patch = c.cells(7, 46, warp=c.warp(8, 0.002, 2.0, 48))
    lichen = (patch.at_centre(c.noise(10, 2.6, 3, 14)) > 1.35) & (edge > 0.006)
    wood = mix(wood, ramp(patch.tone(), "8d9a72", "b4bd93", "d3d8b4"), 0.85 * lichen)
    height = (1 - furrow) * (0.008 + 0.0045 * layer + 0.0008 * fibre)
    return wood * c.shade(height, 0.6, 0.5)[..., None]
