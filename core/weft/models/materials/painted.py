"""What painters make of a surface: oil, watercolour, pencil, stained glass. From dark to light, so that they can paint
any picture."""

from __future__ import annotations

import numpy as np

from weft.models.materials.blades import draw_blades
from weft.models.materials.canvas import Canvas, mix, ramp, rgb, smooth

__all__ = ["oil_paint", "pencil_hatching", "stained_glass", "watercolour"]

_BLUNT = np.float32(14)  # a brush is lifted at once


def _ranked(field: np.ndarray) -> np.ndarray:
    """The field's values replaced by their ranks in [0, 1]: every tone then covers the same area."""
    ranks = np.empty(field.size, np.float32)
    ranks[np.argsort(field, axis=None, kind="stable")] = np.linspace(0, 1, field.size, dtype=np.float32)
    return ranks.reshape(field.shape)


def _forms(c: Canvas, key: int) -> np.ndarray:
    """What is depicted: soft light over shapes with edges, which the edges of pictures are painted with."""
    shapes = c.cells(key, 9, jitter=0.42, warp=c.warp(key + 1, 0.022, 3.4, 12), border=False)
    return c.blur(0.75 * c.noise(key + 3, 4.2, high=7) + 2.6 * (shapes.tone() - 0.5), 0.004)


def _at(field: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The field's values at `place` [M, 2] (x, y) in tiles."""
    n = field.shape[0]
    x, y = (np.floor(place * n).astype(np.int64) % n).T
    return field[y, x]


def oil_paint(c: Canvas) -> np.ndarray:
    """Thick strokes that swirl, from indigo through teal and ochre to cream; the bristles' grooves catch the light."""
    form = _forms(c, 1)
    tone = _ranked(form)
    dx, dy = c.slope(c.blur(form, 0.022))
    rng = c.random(5)
    count = 2600
    middle = rng.random((count, 2), dtype=np.float32)
    order = np.linspace(0, 1, count, dtype=np.float32)  # broad strokes first
    length = (0.15 - 0.07 * order) * rng.uniform(0.75, 1.25, count).astype(np.float32)
    width = (0.036 - 0.018 * order) * rng.uniform(0.8, 1.2, count).astype(np.float32)
    angle = np.arctan2(_at(-dx, middle), _at(dy, middle)) + 0.22 * rng.standard_normal(count, dtype=np.float32)
    half = 0.5 * length[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    bend = (0.10 * length * rng.standard_normal(count)).astype(np.float32)
    stroke, along, across = draw_blades(c.n, middle - half, middle + half, bend, width, _BLUNT)
    own = _at(tone, middle) + 0.075 * rng.standard_normal(count, dtype=np.float32)
    phase, warmth = rng.random((2, count), dtype=np.float32)
    streak = np.sin(9 * across + 6.28 * phase[stroke] + 2 * along) + 0.7 * np.sin(17 * across + 19 * phase[stroke])
    t = own[stroke] + 0.035 * streak + 0.03 * (along - 0.5)
    cool = ramp(t, "10142e", "1d2f66", "2a5c96", "4a8fa8", "93b98f", "e3c766", "f7ecc4")
    warm = ramp(t, "1c1026", "3a2a5a", "33707f", "7a9a5a", "cf9d3a", "f0cf62", "fff6d8")
    colour = mix(cool, warm, (warmth[stroke] > 0.62).astype(np.float32))
    ridge = 0.35 * streak + 1.6 * smooth(0.55, 0.9, np.abs(across)) - 1.2 * smooth(0.9, 1.0, np.abs(across))
    height = 0.0011 * (ridge + 0.8 * smooth(0.8, 0.98, along))
    return mix(colour * c.shade(height, 0.62)[..., None], rgb("fffdf2"), 0.16 * c.gloss(height, 30))


def watercolour(c: Canvas) -> np.ndarray:
    """Washes over washes on rough paper: rims where they dried, blooms, pigment that settled in the grain."""
    paper = c.noise(1, 1.2, 24, 100)
    wet = c.noise(2, 2.2, 6, 48)
    common = c.noise(3, 3.2, high=12)
    levels = (-1.0, -0.6, -0.25, 0.1, 0.45, 0.8, 1.2)
    depth = np.zeros((c.n, c.n), np.float32)
    for layer, level in enumerate(levels):
        field = 0.80 * common + 0.55 * c.noise(10 + layer, 2.8, high=22) + 0.05 * wet
        body = smooth(level, level + 0.05, field)
        depth += (body * (1 + 0.10 * wet) + 0.55 * body * smooth(level + 0.20, level + 0.03, field)) / len(levels)
    t = depth * (1 + 0.05 * paper)
    warm = ramp(t, "fcf8ee", "f8e3b4", "f2bd8f", "e38f78", "c25f6b", "8a3d60", "4f2348", "2a1530")
    cool = ramp(t, "fcf8ee", "d8e9e4", "a3cfdb", "6ba8cd", "4478b4", "2d4f92", "1f2f66", "141a3c")
    hue = smooth(-0.25, 0.25, c.noise(4, 3.2, high=10) + 0.10 * wet)
    return mix(warm, cool, hue) * (1 + 0.018 * paper)[..., None]


def pencil_hatching(c: Canvas) -> np.ndarray:
    """Graphite on paper: hatched and cross-hatched, the more the darker, pressed harder in the depths."""
    tone = _ranked(_forms(c, 1))
    grain = c.noise(2, 0.9, 24, 120)
    sheet = rgb("f6f2e8") * (1 + 0.012 * grain)[..., None]
    dark = np.zeros((c.n, c.n), np.float32)
    for layer, (angle, start) in enumerate(((0.80, 0.90), (0.72, 0.66), (2.35, 0.48), (1.55, 0.30), (0.05, 0.16))):
        rng = c.random(10 + layer)
        count = 1500
        middle = rng.random((count, 2), dtype=np.float32)
        lean = angle + 0.05 * rng.standard_normal(count, dtype=np.float32)
        length = rng.uniform(0.05, 0.12, count).astype(np.float32)
        half = 0.5 * length[:, None] * np.stack([np.cos(lean), -np.sin(lean)], 1)
        bend = (0.03 * length * rng.standard_normal(count)).astype(np.float32)
        width = rng.uniform(0.0055, 0.0085, count).astype(np.float32)
        press = smooth(start + 0.10, start - 0.16, _at(tone, middle)) * rng.uniform(0.55, 1.0, count).astype(np.float32)
        drawn = press > 0.08
        parts = (part[drawn] for part in (middle - half, middle + half, bend, width))
        line, along, across = draw_blades(c.n, *parts, np.float32(5))
        ink = press[drawn][line] * smooth(1.0, 0.35, np.abs(across)) * smooth(0.0, 0.10, along)
        dark = 1 - (1 - dark) * (1 - np.where(line >= 0, 0.62 * ink * (1 + 0.28 * grain).clip(0.2, 1.4), 0))
    smudge = 0.16 * smooth(0.55, 0.0, tone)
    return mix(sheet, rgb("23242a"), np.clip(dark + smudge * (1 - dark), 0, 0.96))


def stained_glass(c: Canvas) -> np.ndarray:
    """Panes of coloured glass in lead, lit from behind: streaks, seeds, a glow in the middle of each."""
    panes = c.cells(1, 13, jitter=0.40, stagger=False, warp=c.warp(2, 0.006, 3.2, 10))
    tone = panes.at_centre(_ranked(c.noise(4, 3.4, high=8)))
    streak = c.noise(5, 2.2, 3, 40, stretch=(1, 4))
    t = tone + 0.14 * (panes.tone() - 0.5) + 0.025 * streak
    reds = ramp(t, "16060f", "4a0d22", "8f1526", "c8351f", "ea7a1e", "f8bd3c", "fff0b0")
    blues = ramp(t, "060a1e", "10205a", "163f94", "1f73b8", "35b0b4", "8fdca8", "f2fbd8")
    glass = mix(blues, reds, (panes.tone(1) < 0.45).astype(np.float32))
    glow = 0.82 + 0.30 * smooth(0.0, 0.035, panes.border) + 0.04 * streak
    glass = glass * glow[..., None]
    seeds = c.specks(7, 60, 0.10, 0.0065)
    glass = mix(glass, np.minimum(1.25 * glass + 0.08, 1), seeds)
    lead = smooth(0.0072, 0.0048, panes.border)
    solder = rgb("1b1c1f") * (1 + 1.1 * smooth(0.003, 0.0, panes.border))[..., None]
    return mix(glass, solder, lead)
