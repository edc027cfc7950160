"""Cloth: tartan twill, Fair Isle knitting, camouflage, leather."""

from __future__ import annotations

import numpy as np

from weft.models.materials.canvas import Canvas, mix, ramp, rgb, smooth

__all__ = ["camouflage", "knitwear", "leather", "woven_fabric"]

_SETT = "rrrrrrnnnrwwrnnnrrrrrrgggggg"  # the tartan's yarns: red, navy, white, green; the same both ways
_DYES = {"r": "b02a2e", "n": "1c2f5c", "w": "efe3bd", "g": "1f5a44"}

# Twenty rows of a motif eight stitches wide, from the top; the letters are wools.
_FAIR_ISLE = (
    "cccccccc", "ncccnccc", "nncnnncn", "nnnnnnnn", "nrnnnrnn",
    "rrrnrrrn", "nrnnnrnn", "nnnnnnnn", "nncnnncn", "ncccnccc",
    "cccccccc", "cccrcccc", "ccrrrccc", "crrcrrcc", "rrcccrrc",
    "crrcrrcc", "ccrrrccc", "cccrcccc", "cccccccc", "gcgcgcgc",
)  # fmt: skip
_WOOLS = {"c": "efe4cc", "n": "24395f", "r": "a8322f", "g": "6f8a6a"}


def woven_fabric(c: Canvas) -> np.ndarray:
    """Tartan twill: every yarn passes over two and under two, so that the weave runs in diagonals."""
    threads = len(_SETT)
    wx, wy = c.warp(1, 0.0012)
    x, y = (c.x + wx) * threads, (c.y + wy) * threads
    column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    place_x, place_y = x - column, y - row
    step = (column + row) % 4
    over = step < 2  # the warp yarn (up and down) lies on top
    side = np.where(over, place_x, place_y) - 0.5
    along = np.where(over, step + place_y, step - 2 + place_x) / 2 - 0.5
    yarn = np.sqrt(np.clip(1 - (side / 0.5) ** 2, 0, 1)) * np.sqrt(np.clip(1 - (along / 0.56) ** 2, 0, 1))
    ply = np.sin(2 * np.pi * (3.0 * along + 1.2 * np.where(over, side, -side)))
    dyes = np.stack([rgb(_DYES[letter]) for letter in _SETT])
    colour = np.where(over[..., None], dyes[column % threads], dyes[row % threads])
    shade = c.random(4).normal(0, 0.05, (2, threads))
    tone = np.where(over, shade[0][column % threads], shade[1][row % threads])
    colour = colour * (1 + tone + 0.13 * ply * yarn)[..., None] * (0.25 + 0.85 * yarn)[..., None]
    lint = smooth(2.3, 2.7, c.noise(6, 1.6, 10, 90, stretch=(4, 1)))
    return mix(colour, rgb("f2e6d2"), 0.35 * lint) * c.shade(0.010 * yarn, 0.7, 0.3)[..., None]


def knitwear(c: Canvas) -> np.ndarray:
    """Fair Isle knitting: rows of V stitches in cream, navy, red and sage wool."""
    across, down = 16, 20
    wx, wy = c.warp(1, 0.0016)
    x, y = (c.x + wx) * across, (c.y + wy) * down
    column = np.floor(x).astype(np.int64)
    place = x - column - 0.5
    leg = np.abs(place) * 2  # 0 in the stitch's middle, 1 at its side
    high = y + 0.85 * leg  # both legs of the V rise to the sides
    row = np.floor(high).astype(np.int64)
    across_yarn = high - row - 0.5
    yarn = np.sqrt(np.clip(1 - (across_yarn / 0.54) ** 2, 0, 1)) * np.sqrt(
        np.clip(1 - ((leg - 0.48) / 0.60) ** 2, 0, 1)
    )
    ply = np.sin(2 * np.pi * (2.2 * leg - 1.6 * across_yarn))
    wools = np.stack([[rgb(_WOOLS[letter]) for letter in line] for line in _FAIR_ISLE])
    tone = c.random(3).normal(0, 0.045, (down, across))[row % down, column % across]
    colour = wools[row % down, column % 8] * (1 + tone + 0.10 * ply * yarn)[..., None]
    colour = colour * (0.22 + 0.82 * smooth(0.0, 0.95, yarn))[..., None]
    fuzz = smooth(2.2, 2.6, c.noise(4, 1.6, 10, 90))
    return mix(colour, rgb("fbf4e6"), 0.30 * fuzz) * c.shade(0.016 * yarn, 0.65, 0.3)[..., None]


def camouflage(c: Canvas) -> np.ndarray:
    """Woodland camouflage on ripstop cloth: four crisp colours, printed over each other."""
    colour = rgb("b7a77c") + np.zeros((*c.x.shape, 3), np.float32)
    for key, code, limit in ((1, "5f6b3a", 0.05), (2, "4c3a28", 0.75), (3, "1f221c", 1.15)):
        blot = c.noise(key, 3.6, 3, 26, stretch=(1.5, 1)) + 0.05 * c.noise(key + 10, 1.8, 12, 60)
        colour = mix(colour, rgb(code), smooth(limit, limit + 0.05, blot))
    threads = 96
    weave = np.cos(2 * np.pi * threads * c.x) * np.cos(2 * np.pi * threads * c.y)
    cell = 12
    ripstop = np.minimum(np.abs((c.x * cell) % 1 - 0.5), np.abs((c.y * cell) % 1 - 0.5)) / cell
    cord = smooth(0.0034, 0.0016, ripstop)
    height = 0.0020 * cord + 0.0006 * weave + 0.004 * c.noise(20, 3.2, high=10)
    return colour * (1 + 0.05 * weave)[..., None] * (1 - 0.10 * cord)[..., None] * c.shade(height, 0.55)[..., None]


def leather(c: Canvas) -> np.ndarray:
    """Cognac leather: rounded grain of mixed size, dark creases, polished tops, a few scars."""
    big = c.cells(1, 12, warp=c.warp(2, 0.008, 2.6, 40))
    small = c.cells(4, 26, jitter=0.36, warp=c.warp(5, 0.004, 2.4, 56))
    edge = np.minimum(big.border + 0.0010, small.border)
    pillow = np.sqrt(np.clip(edge / 0.011, 0, 1))
    crease = smooth(0.0040, 0.0012, edge)
    patina = c.noise(8, 3.0, high=10)
    tone = 0.40 + 0.07 * patina + 0.22 * pillow + 0.16 * (small.tone() - 0.5)
    hide = ramp(tone, "351508", "63290f", "934619", "bd6a2d", "dc9553")
    hide = mix(hide, rgb("2c1007"), 0.70 * crease)
    hide = mix(hide, rgb("1c0a05"), 0.75 * smooth(0.0040, 0.0014, big.border) * smooth(0.3, 0.7, big.tone()))
    scar = smooth(2.1, 2.35, c.noise(9, 2.2, 4, 60, stretch=(1, 5)))
    hide = mix(hide, rgb("d9a069"), 0.55 * scar)
    height = 0.0085 * pillow - 0.0015 * scar
    return hide * c.shade(height, 0.6, 0.45)[..., None] + 0.20 * (pillow * c.gloss(height, 36))[..., None]
