"""Stone and mineral: cobbles with moss, marble, sandstone, cracked earth, lava, ice."""

from __future__ import annotations

import numpy as np

from weft.models.materials.canvas import Canvas, mix, ramp, rgb, smooth

__all__ = ["cracked_earth", "ice", "lava", "marble", "mossy_stone", "sandstone"]


def mossy_stone(c: Canvas) -> np.ndarray:
    """Rounded cobbles, chipped and lichened, with moss in clumps growing out of the joints."""
    stones = c.cells(1, 7, warp=c.warp(2, 0.006))
    edge = stones.border + 0.0022 * c.noise(4, 1.6, 12)
    body = smooth(0.004, 0.010, edge)
    dome = np.sqrt(np.clip(edge / 0.045, 0, 1))
    grain = c.noise(5, 2.0, 5)
    pits = c.cells(6, 44)
    pit = smooth(0.009, 0.005, pits.radius) * (pits.tone() < 0.16)
    height = body * (0.030 * dome + 0.0018 * grain) - 0.003 * pit
    rock = ramp(stones.tone(), "5d5a57", "77736c", "8c8779", "a39a89") * (1 + 0.10 * grain - 0.25 * pit)[..., None]
    speck = c.cells(7, 70)
    rock = mix(rock, rgb("c9c3b0"), 0.55 * smooth(0.0055, 0.003, speck.radius) * (speck.tone() < 0.10))
    colour = mix(rgb("2b2620") * (1 + 0.12 * grain)[..., None], rock, body)
    tufts = c.cells(8, 46, warp=c.warp(9, 0.002, 2.0, 48))
    grows = c.noise(11, 3.0, high=12) + 1.5 * (1 - dome) + 0.45 * (tufts.tone(1) - 0.5)
    moss = (tufts.at_centre(grows) > 0.95).astype(np.float32)
    bump = np.sqrt(np.clip(1 - (tufts.radius / 0.016) ** 2, 0, 1))
    green = ramp(0.25 + 0.5 * tufts.tone() + 0.25 * bump, "1f2e0c", "3d5a16", "66882a", "9db548")
    height = height + moss * (0.006 + 0.007 * bump)
    return mix(colour, green, moss) * c.shade(height, 0.5, 0.55)[..., None]


def marble(c: Canvas) -> np.ndarray:
    """White marble: soft grey clouds, crisp branching veins, hairlines and a trace of gold."""
    bend = 0.10 * c.noise(1, 2.6, high=40)
    cloud = c.noise(2, 3.4, high=24)
    base = ramp(0.5 + 0.22 * cloud + 0.05 * c.noise(3, 2.0, 8), "bfc0c4", "dcdbda", "efece6", "f8f6f1")

    def vein(key: int, low: float, width: float) -> np.ndarray:
        ridge = np.abs(c.noise(key, 3.6, low, 20) + bend)
        dx, dy = c.slope(ridge)
        distance = ridge / np.maximum(np.hypot(dx, dy), 4.0)
        strength = 0.35 + 0.65 * smooth(-0.6, 0.9, c.noise(key + 1, 3.0, high=8))
        return smooth(width, 0.25 * width, distance) * strength

    halo = np.exp(-np.abs(c.noise(10, 3.6, 1, 20) + bend) * 5)
    colour = mix(base, rgb("8d9099"), 0.45 * halo * smooth(-0.5, 1.0, cloud))
    gold = vein(16, 2, 0.0055)
    colour = mix(colour, rgb("b99a5e"), 0.75 * gold)
    colour = mix(colour, rgb("6b6f7a"), 0.75 * vein(12, 4, 0.004))
    return mix(colour, rgb("363a45"), 0.9 * vein(10, 1, 0.010))


def sandstone(c: Canvas) -> np.ndarray:
    """Layered sandstone: tilted strata that crumble at their edges."""
    bands = 14
    phase = bands * (c.y + 0.030 * c.noise(1, 3.4, high=10)) + 0.16 * c.noise(2, 2.0, 4)
    layer = np.floor(phase).astype(np.int64)
    inside = phase - layer
    tone = c.random(3).random((bands, 2))[layer % bands]
    grain = c.noise(4, 1.6, 6, stretch=(1, 2.5))
    colour = ramp(tone[..., 0] + 0.08 * grain, "8a4f31", "b3703f", "cf9558", "e2b982", "c98a5c")
    ledge = smooth(0.0, 0.16, inside) * smooth(1.0, 0.90, inside)
    fine = np.sin(2 * np.pi * inside * (2 + np.floor(3 * tone[..., 1])))
    colour = colour * (1 + 0.05 * fine + 0.05 * grain)[..., None] * (0.45 + 0.55 * ledge)[..., None]
    pits = c.cells(5, 40, 64)
    pit = smooth(0.0085, 0.004, pits.radius) * (pits.tone() < 0.14)
    height = 0.010 * ledge * (0.6 + 0.4 * tone[..., 1]) + 0.0012 * grain - 0.004 * pit
    return colour * (1 - 0.45 * pit)[..., None] * c.shade(height, 0.55, 0.5)[..., None]


def _mud(c: Canvas) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Plates (tone), their border distance and the finer cracks' border distance: dried mud, cooled lava."""
    wide = c.cells(1, 6, warp=c.warp(2, 0.010))
    fine = c.cells(4, 15, warp=c.warp(5, 0.006))
    jag = 0.0018 * c.noise(7, 1.6, 10)
    return wide.tone(), wide.border + jag, fine.border + jag


def cracked_earth(c: Canvas) -> np.ndarray:
    """Dried mud: curled plates, deep cracks between them, hair cracks across."""
    tone, wide, fine = _mud(c)
    grain = c.noise(8, 1.9, 4)
    plate = smooth(0.004, 0.009, wide)
    hair = smooth(0.0012, 0.0040, fine)
    curl = np.exp(-wide / 0.012)
    height = plate * (0.022 + 0.012 * curl + 0.0022 * grain) * (0.86 + 0.14 * hair)
    colour = ramp(0.2 + 0.6 * tone + 0.10 * grain, "8f6f52", "ad8a66", "c6a57d", "d8bd97")
    colour = colour * (0.62 + 0.38 * hair)[..., None]
    colour = mix(rgb("2a1c14") + 0 * colour, mix(colour, rgb("e3cfae"), 0.35 * curl), plate)
    return colour * c.shade(height, 0.5, 0.5)[..., None]


def lava(c: Canvas) -> np.ndarray:
    """Basalt crust over molten rock: plates, glowing cracks, embers at the rims."""
    tone, wide, fine = _mud(c)
    grain = c.noise(8, 1.9, 5)
    heat = 0.5 + 0.5 * np.tanh(c.noise(9, 3.2, high=6))
    open_crack = 0.005 + 0.012 * heat
    crust = smooth(open_crack, open_crack + 0.005, wide)
    hair = smooth(0.0, 0.0012 + 0.0030 * heat, fine - 0.0004)
    bubbles = c.cells(10, 42)
    bubble = smooth(0.010, 0.006, bubbles.radius) * (bubbles.tone() < 0.22)
    height = crust * (0.016 + 0.020 * np.sqrt(np.clip(wide / 0.06, 0, 1)) + 0.0026 * grain - 0.004 * bubble)
    rock = ramp(0.3 + 0.4 * tone + 0.12 * grain, "1b1719", "2e282a", "453c3b", "5c504b")
    rock = rock * c.shade(height, 0.45, 0.5)[..., None]
    glow = np.exp(-np.clip(wide - open_crack, 0, None) / 0.010) * heat
    rock = mix(rock, rgb("c8300a"), np.clip(0.75 * glow, 0, 1))
    rock = mix(rgb("ef5a10") + 0 * rock, rock, np.clip(hair + 0.55 * (1 - heat), 0, 1))
    core = np.clip(1 - wide / open_crack, 0, 1)
    molten = ramp(0.25 + 0.55 * core + 0.14 * c.noise(11, 2.4, 4), "b01c06", "ee5210", "ff9a1f", "ffdc5e", "fff3b0")
    return mix(molten, rock, crust)


def ice(c: Canvas) -> np.ndarray:
    """Frozen lake: blue depth, white fracture planes, trapped bubbles and frost flowers."""
    deep = c.noise(1, 3.2, high=16)
    colour = ramp(0.5 + 0.24 * deep, "12456e", "2a74a0", "62abc9", "a9d8e6")
    for key, across, width, strength in ((2, 4, 0.006, 0.95), (5, 8, 0.0032, 0.7), (8, 15, 0.0018, 0.4)):
        crack = c.cells(key, across, warp=c.warp(key + 1, 0.004, 2.2, 48))
        side = smooth(0.028 if across < 9 else 0.012, 0.0, crack.border) * (crack.tone() > 0.45)
        colour = mix(colour, rgb("d9f1f7"), 0.38 * side * strength)
        colour = mix(colour, rgb("fbffff"), strength * smooth(width, 0.3 * width, crack.border))
    bubbles = c.cells(12, 26)
    size = 0.004 + 0.009 * bubbles.tone(1)
    ring = smooth(size, size - 0.002, bubbles.radius) * (bubbles.tone() < 0.30)
    dot = smooth(size - 0.001, size - 0.0035, bubbles.radius) * (bubbles.tone() < 0.30)
    colour = mix(colour, rgb("eefaff"), 0.85 * ring)
    return mix(colour, rgb("6fb4cf"), 0.8 * dot)
