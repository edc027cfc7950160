"""Metal: rust under flaking paint, hammered gold, steel tread plate."""

from __future__ import annotations

import numpy as np

from weft.models.materials.canvas import Canvas, mix, ramp, rgb, smooth

__all__ = ["gold", "rust", "tread_plate"]


def rust(c: Canvas) -> np.ndarray:
    """Old paint flaking off iron that rusts in crisp layers, with blooms, runs and pits."""
    wear = c.noise(1, 2.6, 2, 40)
    paint = smooth(0.02, 0.07, wear)
    lip = smooth(0.24, 0.07, wear) * paint
    scale = 1.6 * c.noise(2, 2.4, 4, 60) - 1.2 * wear
    layers = np.floor(scale)
    step = scale - layers
    ledge = smooth(0.16, 0.04, step)
    grain = c.noise(3, 2.0, 10, 60)
    iron = ramp(0.42 + 0.13 * layers + 0.10 * step + 0.03 * grain, "2a120b", "5e2710", "96471a", "c8722d", "e6a865")
    iron = iron * (1 - 0.45 * ledge)[..., None]
    pits = c.specks(4, 46, 0.14, 0.0080) * (1 - paint)
    iron = mix(iron, rgb("26100a"), 0.75 * pits)
    fade = c.noise(5, 3.0, high=8)
    coat = ramp(0.5 + 0.20 * fade + 0.02 * grain, "47787d", "659795", "8ab3ab", "b2cdbf")
    runs = smooth(0.6, 1.6, c.noise(6, 2.0, 2, 50, stretch=(1, 7))) * smooth(1.3, 0.1, wear)
    coat = mix(coat, rgb("b5642f"), 0.65 * runs)
    scratch = smooth(2.0, 2.3, c.noise(7, 1.4, 6, 90, stretch=(11, 1)))
    coat = mix(mix(coat, rgb("dde8df"), 0.60 * lip), rgb("50382b"), 0.75 * scratch)
    blister = c.specks(8, 26, 0.16, 0.013) * paint
    coat = mix(coat, rgb("8a3f18"), 0.95 * blister)
    height = 0.006 * paint + (1 - paint) * (0.0022 * np.clip(layers, -3, 3) - 0.004 * pits) - 0.003 * blister
    return mix(iron, coat, paint) * c.shade(height, 0.6, 0.5)[..., None]


def _mirrored(c: Canvas, height: np.ndarray, *codes: str) -> np.ndarray:
    """Polished metal: the normal looks up colours from ground (0) to sky (1), turned to the upper left."""
    return ramp(0.5 + 0.62 * c.facing(height, (-0.55, -0.835, 0.0)), *codes)


def gold(c: Canvas) -> np.ndarray:
    """Hammered gold: round dents that each mirror a dark ground, a horizon and a bright sky."""
    large = c.cells(1, 9, jitter=0.40, warp=c.warp(2, 0.006))
    small = c.cells(4, 17, jitter=0.40, warp=c.warp(5, 0.004))
    # The deeper of two generations of blows shows: flat facets between round ones.
    bowl = np.maximum(5.5 * (large.radius**2 - 0.0030), 8.0 * (small.radius**2 - 0.0012 - 0.0006 * small.tone()))
    height = bowl + 0.0040 * c.noise(7, 3.0, 3, 24)
    studio = (
        "1d0b02",
        "6b3606",
        "f0b638",
        "fff3bd",
        "c07c14",
        "5a2c05",
        "a8690f",
        "ffe07a",
        "fffbe8",
        "d99a22",
        "7a430a",
    )
    colour = _mirrored(c, height, *studio)
    ridge = smooth(0.0035, 0.0008, np.minimum(large.border, small.border))
    colour = mix(colour, rgb("fff0b4"), 0.30 * ridge)
    scratch = smooth(1.9, 2.2, c.noise(8, 1.6, 8, 100, stretch=(1, 9)))
    tarnish = c.specks(9, 30, 0.08, 0.008)
    return mix(mix(colour, rgb("fff6d8"), 0.35 * scratch), rgb("4a2505"), 0.70 * tarnish)


def tread_plate(c: Canvas) -> np.ndarray:
    """Steel tread plate: raised lozenges in alternating directions on scratched, oil-stained metal."""
    across = 8
    column, row = np.floor(c.x * across), np.floor(c.y * across)
    x, y = (c.x * across - column - 0.5) / across, (c.y * across - row - 0.5) / across
    turn = np.where((column + row) % 2 == 0, 1.0, -1.0).astype(np.float32)
    u, v = (x + turn * y) * 0.7071, (y - turn * x) * 0.7071
    bar = 1 - np.abs(u) / 0.059 - (v / 0.020) ** 2
    raised = smooth(0.0, 0.34, bar)
    brushed = c.noise(1, 1.4, 4, 100, stretch=(12, 1))
    stain = c.noise(2, 3.0, high=10)
    height = 0.014 * np.sqrt(raised) + 0.0003 * brushed
    steel = _mirrored(c, 1.4 * height, "23272b", "4c5358", "7d868c", "98a2a8", "aab4ba", "dfe7eb", "ffffff")
    steel = steel * (0.94 + 0.05 * brushed + 0.16 * raised - 0.10 + 0.04 * stain)[..., None]
    wear = smooth(0.55, 0.95, raised) * smooth(0.2, 0.6, bar)
    steel = mix(steel, rgb("e6edf0"), 0.45 * wear)
    rim = smooth(-0.55, -0.05, bar) * (1 - raised)
    steel = mix(steel, rgb("211b1a"), 0.80 * rim)
    rust_spots = smooth(1.1, 1.5, c.noise(3, 2.4, 4, 40) + 0.8 * rim) * (1 - raised)
    scratch = smooth(2.1, 2.4, c.noise(4, 1.4, 6, 90, stretch=(1, 10)))
    return mix(mix(steel, rgb("8a4a20"), 0.7 * rust_spots), rgb("f4f8fa"), 0.5 * scratch)
