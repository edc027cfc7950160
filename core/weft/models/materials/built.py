"""What masons and carpenters lay: bricks, planks, mosaic."""

from __future__ import annotations

import numpy as np

from weft.models.materials.canvas import Canvas, mix, ramp, rgb, smooth

__all__ = ["bricks", "mosaic", "wood_planks"]


def _rounded_box(x: np.ndarray, y: np.ndarray, half_x: float, half_y: float, corner: float) -> np.ndarray:
    """Distance to the edge of a rounded rectangle, positive inside."""
    qx, qy = np.abs(x) - half_x + corner, np.abs(y) - half_y + corner
    outside = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0))
    return corner - outside - np.minimum(np.maximum(qx, qy), 0)


def bricks(c: Canvas) -> np.ndarray:
    """Old hand-made bricks in running bond: worn corners, chips, sandy mortar, a few burnt headers."""
    across, down = 4, 8
    wx, wy = c.warp(1, 0.0022)
    x, y = c.x + wx, c.y + wy
    row = np.floor(y * down).astype(np.int64)
    column_place = x * across + 0.5 * (row % 2)
    column = np.floor(column_place).astype(np.int64)
    local_x = (column_place - column - 0.5) / across
    local_y = (y * down - row - 0.5) / down
    random = c.random(3).random((down, across, 3))[row % down, column % across]
    chip = 0.0016 * c.noise(4, 1.4, 10) + 0.0026 * np.clip(c.noise(5, 1.8, 16) - 1.2, 0, None)
    inset = 0.0075
    edge = _rounded_box(local_x, local_y, 0.5 / across - inset, 0.5 / down - inset, 0.008) - chip
    body = smooth(-0.0008, 0.0022, edge)
    grain = c.noise(6, 2.4, 5, 56)
    drag = c.noise(7, 1.8, 4, 70, stretch=(5, 1))  # the marks of the wire that cut the clay
    clay = ramp(random[..., 0] + 0.04 * grain, "6d2c22", "8f3d29", "a84c31", "bd6440", "9c4a3c", "c97f55")
    clay = clay * np.where(random[..., 1] < 0.13, 0.62, 1.0)[..., None]
    clay = clay * (1 + 0.06 * grain + 0.05 * drag)[..., None]
    pits = c.specks(8, 50, 0.12, 0.0078)
    clay = mix(clay, rgb("3a1812"), 0.65 * pits)
    clay = mix(clay, rgb("e0b08a"), 0.5 * c.specks(10, 60, 0.07, 0.006))
    sand = c.cells(9, 84, border=False)
    mortar = ramp(0.7 * sand.tone() + 0.15 * grain + 0.3, "a69d8f", "c4bbaa", "d9d0be", "e8e1d2")
    height = body * (0.010 + 0.005 * smooth(0, 0.012, edge) + 0.0009 * grain + 0.0006 * drag - 0.003 * pits)
    return mix(mortar, clay, body) * c.shade(height, 0.6, 0.4)[..., None]


def wood_planks(c: Canvas) -> np.ndarray:
    """Weathered planks: growth rings that flow around knots, end joints, nails, dark gaps."""
    planks = 4
    plank = np.floor(c.x * planks).astype(np.int64)
    local = c.x * planks - plank
    rng = c.random(1)
    shift, joint = rng.random((2, planks))
    tone = rng.permutation(np.linspace(0, 1, planks))  # planks apart in tone, so that none melts into its neighbour
    bend = c.noise(2, 3.0, high=20, stretch=(1, 5))
    knots = c.cells(3, planks, 3, jitter=0.28)
    has_knot = knots.tone() < 0.5
    reach = np.hypot(knots.dx, 0.42 * knots.dy)
    bulge = np.where(has_knot, np.exp(-((reach / 0.030) ** 2)), 0) * smooth(0.0, 0.02, knots.border)
    rings = 7 * (local + 3 * shift[plank]) + 0.65 * bend + 3.6 * bulge + 1.0 * np.sin(2 * np.pi * (c.y + shift[plank]))
    year = rings - np.floor(rings)
    late = smooth(0.45, 0.92, year) * smooth(1.0, 0.96, year)
    fibre = c.noise(20, 1.8, 4, 80, stretch=(1, 14))
    t = 0.62 + 0.34 * (tone[plank] - 0.5) - 0.38 * late + 0.07 * fibre
    wood = ramp(t, "3b2213", "6a3f22", "976138", "b98250", "d3a26d") * (0.76 + 0.40 * tone[plank])[..., None]
    eye = has_knot * smooth(0.011, 0.006, reach)
    wood = mix(wood, rgb("2e1a0f"), 0.85 * eye)
    crack = smooth(1.45, 1.9, c.noise(21, 1.8, 3, 90, stretch=(1, 16)))
    along = np.abs((c.y - joint[plank] + 0.5) % 1 - 0.5)
    gap = smooth(0.003, 0.008, np.minimum(np.minimum(local, 1 - local) / planks, along))
    nail = np.hypot((np.abs(local - 0.5) - 0.32) / planks, along - 0.026)
    head = smooth(0.0082, 0.0060, nail)
    height = gap * (0.012 + 0.0016 * fibre - 0.002 * late - 0.006 * crack) + 0.004 * head
    wood = wood * (0.22 + 0.78 * gap)[..., None] * (1 - 0.6 * crack)[..., None]
    wood = mix(wood, rgb("34302e"), head)
    return wood * c.shade(height, 0.6, 0.45)[..., None]


def mosaic(c: Canvas) -> np.ndarray:
    """Hand-cut glass and stone tesserae in waves of turquoise, cream and terracotta."""
    across = 24
    flow = 0.045 * np.sin(2 * np.pi * (2 * c.x + 0.25 * np.sin(2 * np.pi * c.y)))
    stones = c.cells(1, across, jitter=0.16, stagger=True, warp=(0.35 * flow, flow))
    edge = stones.border
    body = smooth(0.0022, 0.0042, edge)
    # The picture the mosaic lays: rings of two medallions on waves, sampled once per stone.
    wave = np.sin(2 * np.pi * (3 * c.y + 0.35 * np.sin(4 * np.pi * c.x))) + 0.25 * c.noise(2, 3, high=6)
    t = np.clip(0.5 + 0.42 * stones.at_centre(wave) + 0.16 * (stones.tone() - 0.5), 0, 1)
    glass = ramp(t, "0e3f5c", "177a8c", "3fb3a8", "f0e3c0", "dd9b52", "b3472c", "6d1f22")
    glass = glass * (0.80 + 0.40 * stones.tone(1))[..., None]
    height = body * (0.006 + 0.05 * (stones.tone(2) - 0.5) * stones.dx + 0.05 * (stones.tone(3) - 0.5) * stones.dy)
    height = height + 0.004 * smooth(0.002, 0.012, edge)
    grout = rgb("57504a") * (1 + 0.10 * c.noise(3, 1.4, 8))[..., None]
    colour = mix(grout, glass, body) * c.shade(height, 0.6, 0.5)[..., None]
    return colour + 0.30 * (body * c.gloss(height, 40))[..., None]
