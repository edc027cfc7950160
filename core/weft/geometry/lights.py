"""Built-in lights: environment maps made of a sky and a few soft lamps, one row of a table each.

Azimuth 0 is in front of the object (towards -Y) and grows counter-clockwise seen from above, as cameras have it: 90
shines from +X, the right of who looks at the object's front. All rows are scaled to a mean radiance of their own
`level`, at which white paint that faces the light is about as white as a picture can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from weft.errors import UnknownName
from weft.geometry.environment import LUMINANCE, Environment
from weft.geometry.equirectangular import cell_directions

__all__ = ["LIGHTS", "light_named"]

_HEIGHT = 128  # rows: cells of 1.4°

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Lamp:
    """A round lamp, uniform within `radius`, with a soft rim."""

    azimuth: float  # degrees
    elevation: float
    radius: float  # degrees
    share: float  # of the light of all lamps and sky together, roughly
    colour: Colour


@dataclass(frozen=True, slots=True)
class Light:
    help: str
    zenith: Colour
    horizon: Colour
    ground: Colour
    sky: float  # share of the light of sky and ground
    lamps: tuple[Lamp, ...] = ()
    level: float = 0.5  # mean luminance over all directions


_WHITE = (1.0, 1.0, 1.0)

LIGHTS: dict[str, Light] = {
    "studio": Light(
        "a large key light from the front left, a fill from the right, a rim behind",
        (0.9, 0.95, 1.0), (0.8, 0.8, 0.8), (0.5, 0.48, 0.45), 0.35,
        (
            Lamp(-45, 40, 22, 0.40, (1.0, 0.96, 0.90)), Lamp(65, 15, 28, 0.15, (0.90, 0.95, 1.0)),
            Lamp(160, 45, 14, 0.10, _WHITE),
        ),
    ),
    "overcast": Light(
        "a bright sky without sun, soft from above", (1.0, 1.02, 1.05), (0.55, 0.57, 0.60), (0.22, 0.21, 0.19), 1.0
    ),
    "noon": Light(
        "a high sun in a blue sky", (0.25, 0.45, 0.95), (0.60, 0.75, 1.0), (0.35, 0.32, 0.27), 0.42,
        (Lamp(-25, 62, 2.5, 0.58, (1.0, 0.96, 0.88)),),
    ),
    "sunset": Light(
        "a low orange sun from the right, a violet sky", (0.20, 0.24, 0.50), (0.95, 0.50, 0.35), (0.20, 0.14, 0.13),
        0.45,
        (Lamp(70, 12, 3.0, 0.55, (1.0, 0.50, 0.18)),),
        level=0.45,
    ),
    "rim": Light(
        "two lamps behind, little light in front", (0.30, 0.32, 0.36), (0.20, 0.21, 0.24), (0.10, 0.10, 0.11),
        0.22,
        (Lamp(140, 25, 12, 0.42, (1.0, 0.93, 0.84)), Lamp(-140, 25, 12, 0.36, (0.80, 0.90, 1.0))),
        level=0.4,
    ),
    "moonlight": Light(
        "a dim blue night with a moon on the left", (0.10, 0.16, 0.34), (0.16, 0.22, 0.36), (0.04, 0.05, 0.08), 0.45,
        (Lamp(-65, 42, 3.0, 0.55, (0.62, 0.76, 1.0)),),
        level=0.15,
    ),
    "candle": Light(
        "a warm small light from below the left", (0.10, 0.08, 0.07), (0.16, 0.11, 0.08), (0.14, 0.09, 0.06),
        0.25,
        (Lamp(-35, -12, 8, 0.75, (1.0, 0.55, 0.22)),),
        level=0.28,
    ),
    "neon": Light(
        "magenta from the left, cyan from the right", (0.12, 0.08, 0.20), (0.16, 0.12, 0.24), (0.06, 0.05, 0.10), 0.20,
        (Lamp(-80, 15, 20, 0.42, (1.0, 0.18, 0.75)), Lamp(80, 15, 20, 0.38, (0.12, 0.75, 1.0))),
        level=0.38,
    ),
}  # fmt: skip


@lru_cache(maxsize=16)
def light_named(name: str) -> Environment:
    """The built-in light; raises UnknownName with all names."""
    row = LIGHTS.get(name.strip().lower())
    if row is None:
        raise UnknownName(f"no light is called {name!r}", f"lights: {', '.join(LIGHTS)}, or give an .hdr or .exr file")
    directions = cell_directions(_HEIGHT).astype(np.float64)
    solid = np.cos(np.pi * (0.5 - (np.arange(_HEIGHT) + 0.5) / _HEIGHT))[:, None, None]
    radiance = _shared(_sky(row, directions[..., 2]), solid, row.sky)
    for lamp in row.lamps:
        radiance = radiance + _shared(_disc(lamp, directions), solid, lamp.share)
    radiance *= row.level / ((radiance * solid).sum((0, 1)) / (2 * _HEIGHT * solid.sum()) @ LUMINANCE)
    return Environment(radiance.astype(np.float32), name.strip().lower())


def _shared(radiance: np.ndarray, solid: np.ndarray, share: float) -> np.ndarray:
    """`radiance` scaled to have `share` as its luminous power."""
    return radiance * (share / ((radiance * solid).sum((0, 1)) @ LUMINANCE))


def _sky(row: Light, up: np.ndarray) -> np.ndarray:
    """From the ground over the horizon to the zenith, [H, W, 3]; `up` is the sine of the elevation."""
    zenith, horizon, ground = (np.array(colour) for colour in (row.zenith, row.horizon, row.ground))
    height = up.clip(0, 1)[..., None] ** 0.6
    below = (up[..., None] / 0.06 + 0.5).clip(0, 1)  # a horizon without a hard line
    return below * (horizon + (zenith - horizon) * height) + (1 - below) * ground


def _disc(lamp: Lamp, directions: np.ndarray) -> np.ndarray:
    azimuth, elevation = np.radians([lamp.azimuth, lamp.elevation])
    centre = [np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)]
    angle = np.degrees(np.arccos((directions @ np.array(centre)).clip(-1, 1)))
    rim = max(1.5, 0.35 * lamp.radius)  # of a cell at least, or the disc would be stepped
    return ((lamp.radius + rim / 2 - angle) / rim).clip(0, 1)[..., None] * np.array(lamp.colour)
