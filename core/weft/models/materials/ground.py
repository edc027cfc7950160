"""Ground: cracked earth, lava, ice, meadow."""

from __future__ import annotations

import numpy as np

from weft.models.materials.blades import draw_blades
from weft.models.materials.canvas import Canvas, mix, ramp, rgb, smooth

__all__ = ["cracked_earth", "grass", "ice", "lava"]


def _plates(c: Canvas) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Plates of dried mud or cooled lava (a tone of each), the distance to their borders and to the finer cracks."""
    wide = c.cells(1, 7, jitter=0.36, warp=c.warp(2, 0.009))
    fine = c.cells(4, 15, warp=c.warp(5, 0.006))
    jag = 0.0015 * c.noise(7, 1.8, 10)
    return wide.tone(), wide.border + jag, fine.border + jag


def cracked_earth(c: Canvas) -> np.ndarray:
    """Dried mud: plates curled up at their rims, deep cracks between them, hair cracks across, pebbles."""
    tone, wide, fine = _plates(c)
    plate = smooth(0.0065, 0.0115, wide)
    hair = smooth(0.0018, 0.0044, fine + 0.004 * smooth(-0.2, -1.0, c.noise(8, 2.8, 2, 10)))
    curl = np.exp(-np.clip(wide - 0.006, 0, None) / 0.013)
    rings = np.sin(2 * np.pi * wide / 0.016) * np.exp(-wide / 0.03)
    silt = c.noise(9, 3.0, 3, 40)
    colour = ramp(0.35 + 0.45 * tone + 0.05 * silt, "7d5a3d", "a0764f", "bf9467", "dbb888", "b98f6c")
    colour = mix(colour * (0.45 + 0.55 * hair)[..., None], rgb("f0dcb8"), 0.55 * curl)
    colour = colour * (1 + 0.06 * rings)[..., None]
    pebbles = c.specks(10, 34, 0.07, 0.010)
    colour = mix(colour, rgb("6d5340"), 0.85 * pebbles)
    height = plate * (0.018 + 0.014 * curl + 0.0012 * silt + 0.0008 * rings - 0.002 * (1 - hair)) + 0.005 * pebbles
    return mix(rgb("24180f") + 0 * colour, colour, plate) * c.shade(height, 0.55, 0.45)[..., None]


def lava(c: Canvas) -> np.ndarray:
    """Basalt crust over molten rock: plates, glowing cracks, embers at the rims."""
    tone, wide, fine = _plates(c)
    grain = c.noise(8, 2.2, 5, 56)
    heat = 0.5 + 0.5 * np.tanh(c.noise(9, 3.2, high=6))
    opening = 0.005 + 0.012 * heat
    crust = smooth(opening, opening + 0.005, wide)
    hair = smooth(0.0, 0.0012 + 0.0030 * heat, fine - 0.0004)
    bubble = c.specks(10, 42, 0.20, 0.010)
    height = crust * (0.016 + 0.020 * np.sqrt(np.clip(wide / 0.06, 0, 1)) + 0.0018 * grain - 0.004 * bubble)
    rock = ramp(0.3 + 0.4 * tone + 0.09 * grain, "191517", "2c2628", "453c3b", "625550")
    rock = rock * c.shade(height, 0.5, 0.5)[..., None]
    glow = np.exp(-np.clip(wide - opening, 0, None) / 0.010) * heat
    rock = mix(rock, rgb("c8300a"), np.clip(0.75 * glow, 0, 1))
    rock = mix(rgb("ef5a10") + 0 * rock, rock, np.clip(hair + 0.55 * (1 - heat), 0, 1))
    core = np.clip(1 - wide / opening, 0, 1)
    molten = ramp(0.25 + 0.55 * core + 0.10 * c.noise(11, 2.4, 4, 40), "b01c06", "ee5210", "ff9a1f", "ffdc5e", "fff3b0")
    return mix(molten, rock, crust)


def ice(c: Canvas) -> np.ndarray:
    """Frozen lake: blue depth, white fracture planes, trapped bubbles."""
    deep = c.noise(1, 3.2, high=16)
    colour = ramp(0.5 + 0.24 * deep, "12456e", "2a74a0", "62abc9", "a9d8e6")
    for key, across, width, strength in ((2, 4, 0.006, 0.95), (5, 8, 0.0032, 0.7), (8, 15, 0.0018, 0.4)):
        crack = c.cells(key, across, warp=c.warp(key + 1, 0.004, 2.2, 48))
        plane = smooth(0.028 if across < 9 else 0.012, 0.0, crack.border) * (crack.tone() > 0.45)
        colour = mix(colour, rgb("d9f1f7"), 0.38 * plane * strength)
        colour = mix(colour, rgb("fbffff"), strength * smooth(width, 0.3 * width, crack.border))
    bubbles = c.cells(12, 26, border=False)
    size = 0.005 + 0.010 * bubbles.tone(1)
    there = bubbles.tone() < 0.30
    colour = mix(colour, rgb("eefaff"), 0.90 * smooth(size, size - 0.002, bubbles.radius) * there)
    return mix(colour, rgb("6fb4cf"), 0.85 * smooth(size - 0.0012, size - 0.0035, bubbles.radius) * there)


def grass(c: Canvas) -> np.ndarray:
    """A meadow from above: bent blades in layers from dark to light, a few dry ones, small flowers."""
    rng = c.random(1)
    count = 1500
    root = rng.random((count, 2), dtype=np.float32)
    lean = 0.35 * rng.standard_normal(count) - 1.45 + 0.5 * np.sin(2 * np.pi * root[:, 0])
    length = rng.uniform(0.09, 0.18, count)
    tip = root + (length * np.stack([np.cos(lean), np.sin(lean)])).T.astype(np.float32)
    bend = (0.13 * length * rng.standard_normal(count)).astype(np.float32)
    width = rng.uniform(0.014, 0.024, count).astype(np.float32)
    blade, along, across = draw_blades(c.n, root, tip, bend, width, np.float32(2))
    layer = np.linspace(0, 1, count, dtype=np.float32)[blade]
    tone = rng.random(count, dtype=np.float32)[blade]
    green = ramp(0.45 * layer + 0.30 * along + 0.30 * tone, "12240c", "25451a", "43702a", "71983a", "a9c258", "d6df8a")
    dry = rng.random(count)[blade] < 0.06
    green = np.where(dry[..., None], ramp(0.4 * along + 0.5 * tone, "6b5a2a", "b39a55", "e0cf94"), green)
    fold = 1 - 0.34 * smooth(-0.12, 0.12, across) - 0.35 * smooth(0.7, 1.0, np.abs(across))
    colour = np.where((blade >= 0)[..., None], green * fold[..., None], rgb("0d1a08"))
    flowers = c.cells(5, 11, border=False)
    petals = 0.0125 + 0.0050 * np.cos(5 * np.arctan2(flowers.dy, flowers.dx) + 6.28 * flowers.tone(1))
    there = flowers.tone() < 0.10
    bloom = np.where((flowers.tone(2) < 0.5)[..., None], rgb("f7f3ea"), rgb("e7c33b"))
    colour = mix(colour, 0.30 * colour, smooth(0.026, 0.012, flowers.radius) * there)
    colour = mix(colour, bloom, smooth(petals, petals - 0.003, flowers.radius) * there)
    return mix(colour, rgb("c9851c"), smooth(0.0062, 0.0044, flowers.radius) * there)
