"""Stone: mossy cobbles, marble, sandstone, glazed crackle."""

from __future__ import annotations

import numpy as np

from weft.models.materials.canvas import Canvas, mix, ramp, rgb, smooth

__all__ = ["celadon", "marble", "mossy_stone", "sandstone"]


def _chiselled(c: Canvas, key: int) -> tuple[np.ndarray, np.ndarray]:
    """Relief of broken stone in flat facets (about ±1), and the hair cracks along some of their borders."""
    bend = c.warp(key, 0.0028, 2.4, 40)
    large = c.cells(key + 2, 17, warp=bend)
    small = c.cells(key + 3, 34, warp=bend, border=False)
    relief = np.zeros_like(c.x)
    for facet, steepness in ((large, 17), (small, 17)):
        relief += steepness * ((facet.tone(0) - 0.5) * facet.dx + (facet.tone(1) - 0.5) * facet.dy)
    where = smooth(0.5, 1.0, c.noise(key + 4, 2.4, 3, 16))
    return relief, smooth(0.0022, 0.0008, large.border) * where


def mossy_stone(c: Canvas) -> np.ndarray:
    """Rounded cobbles, chipped and flecked with lichen; moss in clumps fills the joints and climbs the stones."""
    stones = c.cells(1, 7, jitter=0.36, warp=c.warp(2, 0.006))
    edge = stones.border + 0.0016 * c.noise(4, 1.6, 12)
    body = smooth(0.003, 0.009, edge)
    dome = np.sqrt(np.clip(edge / 0.042, 0, 1))
    relief, crack = _chiselled(c, 20)
    grain = c.noise(5, 2.4, 6, 48)
    rock = ramp(stones.tone() + 0.10 * relief + 0.03 * grain, "55534f", "706d66", "8d887d", "aaa192", "8f9190")
    rock = mix(rock, rgb("3a3733"), 0.75 * crack)
    lichen = c.specks(7, 40, 0.10, 0.012)
    rock = mix(rock, rgb("c2bd9c"), 0.55 * lichen)
    colour = mix(rgb("2b2620") + 0 * rock, rock, body)
    tufts = c.cells(8, 58, warp=c.warp(9, 0.002, 2.0, 48))
    grows = 0.8 * c.noise(11, 2.6, 2, 14) + 2.3 * (1 - dome) + 0.5 * (tufts.tone(1) - 0.5)
    moss = (tufts.at_centre(grows) > 1.15).astype(np.float32)
    bump = np.sqrt(np.clip(tufts.border / 0.007, 0, 1))
    green = ramp(0.12 + 0.42 * tufts.tone() + 0.45 * bump, "151f0a", "34491a", "587028", "8a9d3e", "b9c25f")
    height = body * (0.026 * dome + 0.0028 * relief - 0.002 * crack) + moss * (0.004 + 0.006 * bump)
    under = c.blur(moss, 0.006) * (1 - moss)
    return mix(colour * (1 - 0.5 * under)[..., None], green, moss) * c.shade(height, 0.55, 0.5)[..., None]


def marble(c: Canvas) -> np.ndarray:
    """White marble: soft clouds, long slanting veins that fade and branch, hairlines, a trace of gold."""
    bend, ripple = c.noise(1, 3.6, high=8), c.noise(2, 2.2, 8, 64)
    cloud = c.noise(3, 3.2, high=16)
    colour = ramp(0.60 + 0.24 * cloud + 0.03 * ripple, "b4b7c0", "d3d4d6", "ece9e3", "fbf9f4")

    def vein(key: int, slant: tuple[int, int], sway: float, width: float) -> tuple[np.ndarray, np.ndarray]:
        """Opacity of a family of veins along `slant` (waves across, waves down), and its misty surroundings."""
        own = c.noise(key, 3.6, high=7)
        phase = slant[0] * c.x + slant[1] * c.y + sway * (bend + 0.7 * own) + 0.004 * np.hypot(*slant) * ripple
        strength = smooth(-0.9, 0.8, c.noise(key + 1, 2.8, 2, 9))
        swell = width * (0.30 + 1.0 * strength)
        distance = np.abs(phase - np.round(phase)) / np.hypot(*slant)
        return smooth(swell, 0.35 * swell, distance) * (0.25 + 0.75 * strength), np.exp(-distance / 0.018) * strength

    crackle = c.cells(30, 9, warp=c.warp(31, 0.016, 2.4, 40))
    hair = smooth(0.0040, 0.0012, crackle.border) * smooth(0.0, 0.6, crackle.tone())
    colour = colour * (0.93 + 0.08 * crackle.tone(1))[..., None]
    main, mist = vein(10, (2, 3), 0.22, 0.0115)
    branch, branch_mist = vein(13, (6, -2), 0.38, 0.0062)
    gold, _ = vein(16, (3, 5), 0.34, 0.0052)
    colour = mix(colour, rgb("8b8f9b"), np.clip(0.55 * mist + 0.30 * branch_mist, 0, 1))
    colour = mix(colour, rgb("9a9da8"), 0.65 * hair)
    colour = mix(colour, rgb("b8934e"), 0.80 * gold)
    colour = mix(colour, rgb("5d616e"), 0.85 * branch)
    return mix(colour, rgb("2f333f"), 0.92 * main)


def sandstone(c: Canvas) -> np.ndarray:
    """Layered sandstone: strata of uneven thickness, fine cross-bedding, ledges worn back."""
    rng = c.random(1)
    thickness = rng.uniform(0.5, 1.8, 13)
    bounds = np.concatenate([[0.0], np.cumsum(thickness) / thickness.sum()])
    place = (c.y + 0.022 * c.noise(2, 3.4, high=9) + 0.0018 * c.noise(3, 1.8, 8, 60)) % 1
    layer = np.clip(np.searchsorted(bounds, place, side="right") - 1, 0, 12)
    above, below = place - bounds[layer], bounds[layer + 1] - place
    tone, slant, hard = rng.random((3, 13))[:, layer]
    bed = 46 * place + np.where(slant < 0.35, 7, np.where(slant < 0.6, -5, 0)) * c.x + 0.25 * c.noise(4, 2.6, 3, 30)
    lamina = 0.5 + 0.5 * np.sin(2 * np.pi * bed)
    line = smooth(0.75, 0.95, lamina)
    grain = c.noise(5, 2.2, 6, 56, stretch=(2.5, 1))
    palette = ("7d3f28", "a8623a", "c98a52", "e4bd88", "d69a68", "b5714f", "efd6ab")
    colour = ramp(tone + 0.03 * grain, *palette) * (1 - 0.16 * line + 0.03 * grain)[..., None]
    groove = smooth(0.0055, 0.0015, above)
    lip = smooth(0.012, 0.004, above) * (1 - groove)
    height = 0.007 * hard * smooth(0.0, 0.008, above) * smooth(0.0, 0.010, below) - 0.004 * groove - 0.0012 * line
    pits = c.specks(6, 44, 0.10, 0.0075)
    colour = mix(colour, rgb("fff0d0"), 0.35 * lip)
    colour = mix(mix(colour, rgb("3a1c12"), 0.75 * groove), rgb("5a2e1c"), 0.7 * pits)
    return colour * c.shade(height - 0.003 * pits, 0.6, 0.5)[..., None]


def celadon(c: Canvas) -> np.ndarray:
    """Celadon glaze: jade green pooling in a relief of petals under two generations of crackle."""
    wide = c.cells(1, 6, jitter=0.36, warp=c.warp(2, 0.010))
    fine = c.cells(4, 14, warp=c.warp(5, 0.005))
    pool = c.noise(7, 3.2, high=8)
    jade = ramp(
        0.5 + 0.14 * pool + 0.55 * (wide.tone() - 0.5) + 0.30 * (fine.tone() - 0.5),
        "4f8471",
        "7fae96",
        "a9cfb3",
        "d8ebd2",
    )
    stain = np.exp(-wide.border / 0.010)
    colour = mix(jade, rgb("a98f5f"), 0.55 * stain)
    colour = mix(colour, rgb("b08d55"), 0.75 * smooth(0.0034, 0.0014, fine.border))
    colour = mix(colour, rgb("2e211a"), 0.95 * smooth(0.0062, 0.0030, wide.border))
    pinholes = c.specks(8, 30, 0.10, 0.008)
    colour = mix(colour, rgb("e9f4e2"), 0.75 * pinholes)
    height = 0.0035 * smooth(0.0, 0.012, wide.border) + 0.0016 * smooth(0, 0.006, fine.border) + 0.004 * pool
    return colour * c.shade(height, 0.65)[..., None] + 0.10 * c.gloss(height, 60)[..., None]
