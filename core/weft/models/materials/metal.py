"""Metal: rust under flaking paint, hammered gold."""

from __future__ import annotations

import numpy as np

from weft.models.materials.canvas import Canvas, mix, ramp, rgb, smooth

__all__ = ["gold", "rust"]


def rust(c: Canvas) -> np.ndarray:
    """Old paint that flakes off rusting iron: crisp paint edges, orange blooms, pits and scale."""
    bloom = c.noise(1, 3.0, high=10) + 0.30 * c.noise(2, 1.7, 8)
    paint = smooth(0.10, 0.16, bloom)
    lip = smooth(0.42, 0.16, bloom) * paint
    stain = smooth(1.0, 0.2, bloom)
    flakes = c.cells(3, 30, warp=c.warp(4, 0.004, 2.0, 48))
    grain = c.noise(6, 1.8, 5)
    iron = ramp(
        0.5 + 0.42 * (flakes.tone() - 0.5) + 0.20 * grain - 0.2 * bloom,
        "35170d",
        "6b2d12",
        "a04d1c",
        "c97430",
        "e0a05a",
    )
    scab = smooth(0.0012, 0.0050, flakes.border)
    iron = iron * (0.62 + 0.38 * scab)[..., None]
    pits = c.cells(7, 48)
    pit = smooth(0.0085, 0.0045, pits.radius) * (pits.tone() < 0.15) * (1 - paint)
    coat = ramp(0.5 + 0.16 * c.noise(8, 3.0, high=8), "4f7f83", "6d9c9b", "8fb5ae")
    scratch = smooth(2.1, 2.5, c.noise(9, 1.2, 6, 110, stretch=(12, 1)))
    coat = mix(coat * (1 + 0.03 * grain)[..., None], rgb("b9683a"), 0.42 * stain * (0.6 + 0.4 * np.tanh(grain)))
    coat = mix(mix(coat, rgb("d7e2da"), 0.55 * lip), rgb("5b3a28"), 0.7 * scratch)
    blister = c.cells(10, 34)
    spot = smooth(0.010, 0.006, blister.radius) * (blister.tone() < 0.12) * paint
    coat = mix(coat, rgb("8a3f18"), 0.9 * spot)
    height = 0.007 * paint + (1 - paint) * (0.004 * scab + 0.0012 * grain - 0.004 * pit) - 0.003 * spot
    return mix(iron * (1 - 0.5 * pit)[..., None], coat, paint) * c.shade(height, 0.55, 0.5)[..., None]


def gold(c: Canvas) -> np.ndarray:
    """Hammered gold: overlapping dents that each catch the light."""
    dents = c.cells(1, 13, jitter=0.36, stagger=True)
    small = c.cells(2, 27)
    depth = 0.40 * dents.radius**2 / 0.04 + 0.10 * small.radius**2 / 0.02
    height = depth + 0.0016 * c.noise(3, 2.6, 2, 40)
    normal = c.normals(height)
    # A striped environment makes metal of a normal map: sky, horizon, ground.
    look = np.clip(0.5 - 0.62 * normal[..., 1] - 0.34 * normal[..., 0], 0, 1)
    colour = ramp(look, "3a1e06", "7a4a0e", "c08a22", "e8bf4a", "fbe9a0", "d9a437", "fff6d2")
    ridge = smooth(0.0020, 0.0006, dents.border)
    return mix(colour, rgb("fff0b8"), 0.35 * ridge) * (0.86 + 0.14 * smooth(0, 0.004, small.border))[..., None]
