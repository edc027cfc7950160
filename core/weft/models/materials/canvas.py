"""The periodic canvas that every material is painted on: noise, cells, relief and colour ramps.

All lengths are fractions of the tile and all randomness hangs on (seed, key), never on the pixel count, so a material
shows the same pattern at every size. Fields are float32 [n, n]; row 0 is the top, columns run to the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy import ndimage

from weft.models.materials.voronoi import nearest_cells

__all__ = ["Canvas", "Cells", "mix", "ramp", "rgb", "smooth"]

FINEST = 128  # cycles a tile: nothing finer is ever drawn by noise; a patch denoiser would lose it


def smooth(start: float | np.ndarray, end: float | np.ndarray, x: np.ndarray) -> np.ndarray:
    """The cubic step from 0 at `start` to 1 at `end` (which may lie below `start`)."""
    t = np.clip((x - start) / (end - start), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def rgb(code: str) -> np.ndarray:
    """ "a1b2c3" → float32 [3] in [0, 1]."""
    return np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / 255


def ramp(t: np.ndarray, *codes: str) -> np.ndarray:
    """Colours [..., 3] of `t` in [0, 1] along evenly spaced stops; values outside are clamped."""
    stops = np.stack([rgb(code) for code in codes])
    place = np.linspace(0.0, 1.0, len(stops))
    return np.stack([np.interp(t, place, stops[:, channel]) for channel in range(3)], -1).astype(np.float32)


def mix(below: np.ndarray, above: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`above` over `below` [..., 3] with opacity `mask` [...]."""
    return below + (above - below) * mask[..., None]


@dataclass(frozen=True, slots=True)
class Cells:
    """A periodic Voronoi diagram seen by every pixel."""

    index: np.ndarray  # i4 [n, n] which cell
    border: np.ndarray  # f4 [n, n] distance to the nearest border, in tiles
    radius: np.ndarray  # f4 [n, n] distance to the cell's centre, in tiles
    dx: np.ndarray  # f4 [n, n] offset from the cell's centre, in tiles
    dy: np.ndarray  # f4 [n, n]
    centres: np.ndarray  # f4 [cells, 2] (x, y) in [0, 1)
    random: np.ndarray  # f4 [cells, 4] independent uniforms of each cell

    def tone(self, channel: int = 0) -> np.ndarray:
        """One uniform number per cell, at every pixel of it."""
        return self.random[self.index, channel]

    def at_centre(self, field: np.ndarray) -> np.ndarray:
        """The field's value at the centre of each pixel's cell: what gives a threshold the cells' own outline."""
        n = field.shape[0]
        x, y = (np.floor(self.centres * n).astype(np.int64) % n).T
        return field[y, x][self.index]


class Canvas:
    """A tile of n×n pixels; `x`, `y` are the pixel centres in [0, 1)."""

    def __init__(self, n: int, seed: int) -> None:
        self.n = n
        self.seed = seed
        centre = (np.arange(n, dtype=np.float32) + 0.5) / n
        self.y, self.x = (np.ascontiguousarray(a) for a in np.meshgrid(centre, centre, indexing="ij"))

    def random(self, key: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, key))

    def noise(
        self,
        key: int,
        falloff: float = 2.4,
        low: float = 1.0,
        high: float = 72.0,
        stretch: tuple[float, float] = (1.0, 1.0),
    ) -> np.ndarray:
        """Gaussian noise of unit variance with amplitude k^(-falloff/2) between `low` and `high` cycles a tile.

        `stretch` (x, y) makes the features longer in that direction.
        """
        rows, columns = 2 * FINEST + 1, FINEST + 1
        draw = self.random(key).standard_normal((2, rows, columns), dtype=np.float32)
        ky = np.arange(-FINEST, FINEST + 1)[:, None]
        kx = np.arange(columns)[None]
        k = np.hypot(kx * stretch[0], ky * stretch[1])
        k[FINEST, 0] = 1.0
        band = 1.0 / (1.0 + np.exp(np.clip((k - high) / (0.06 * high), -30, 30)))
        amplitude = np.where(k < low, 0.0, k ** (-falloff / 2) * band)
        amplitude[FINEST, 0] = 0.0
        # The half pixel: samples lie at pixel centres, so that sizes agree about where a feature is.
        phase = np.exp(1j * np.pi * (kx + ky) / self.n)
        spectrum = (draw[0] + 1j * draw[1]) * amplitude * phase
        energy = (amplitude[:, 1:] ** 2).sum() * 4 + (amplitude[:, 0] ** 2).sum() * 2
        keep = min(FINEST, self.n // 2 - 1)
        full = np.zeros((self.n, self.n // 2 + 1), np.complex64)
        window = slice(FINEST - keep, FINEST + keep + 1)
        full[np.arange(-keep, keep + 1), : keep + 1] = spectrum[window, : keep + 1]
        full[:, 0] += np.conj(np.roll(full[::-1, 0], 1))
        full[:, 0] /= np.sqrt(2)
        field = scipy.fft.irfft2(full, (self.n, self.n)) * (self.n**2 / np.sqrt(energy))
        return field.astype(np.float32)

    def cells(
        self,
        key: int,
        across: int,
        down: int | None = None,
        jitter: float = 0.42,
        stagger: bool = False,
        warp: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Cells:
        """A Voronoi diagram of `across`×`down` jittered centres; `stagger` shifts odd rows by half a cell.

        `warp` (dx, dy, in tiles) displaces the pixels before they look for their cell.
        """
        down = across if down is None else down
        rng = self.random(key)
        offset = rng.uniform(-jitter, jitter, (down, across, 2)) + 0.5
        if stagger:
            offset[1::2, :, 0] += 0.5
        grid = np.stack(np.meshgrid(np.arange(across), np.arange(down)), -1)
        points = ((grid + offset) / (across, down)).astype(np.float32)
        x, y = (self.x, self.y) if warp is None else (self.x + warp[0], self.y + warp[1])
        index, border, dx, dy = nearest_cells(x.astype(np.float32), y.astype(np.float32), points)
        random = rng.random((across * down, 4), dtype=np.float32)
        return Cells(index, border, np.hypot(dx, dy), dx, dy, points.reshape(-1, 2) % 1, random)

    def warp(self, key: int, amount: float, falloff: float = 3.0, high: float = 24.0) -> tuple[np.ndarray, np.ndarray]:
        """A smooth displacement (dx, dy) of standard deviation `amount` tiles."""
        return amount * self.noise(key, falloff, high=high), amount * self.noise(key + 1, falloff, high=high)

    def blur(self, field: np.ndarray, radius: float) -> np.ndarray:
        """Periodic Gaussian blur; `radius` (standard deviation) in tiles."""
        return ndimage.gaussian_filter(field, radius * self.n, mode="wrap", truncate=3.0)

    def slope(self, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(∂h/∂x, ∂h/∂y) per tile of a periodic height field."""
        half = self.n / 2
        dx = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) * half
        dy = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) * half
        return dx, dy

    def normals(self, height: np.ndarray) -> np.ndarray:
        """Unit normals [n, n, 3] (x right, y down, z towards the viewer) of a height field in tiles."""
        dx, dy = self.slope(height)
        normal = np.stack([-dx, -dy, np.ones_like(dx)], -1)
        return normal / np.linalg.norm(normal, axis=-1, keepdims=True)

    def shade(self, height: np.ndarray, ambient: float = 0.5, cavity: float = 0.0, radius: float = 0.012) -> np.ndarray:
        """Brightness of a height field (in tiles) under a soft light from the upper left; a flat patch gives 1.

        `cavity` darkens what lies below its surroundings (within `radius` tiles), whatever the light's direction.
        """
        light = np.array([-0.45, -0.60, 0.66], np.float32)
        lambert = np.clip(self.normals(height) @ light, 0, None) / light[2]
        result = ambient + (1 - ambient) * lambert
        if cavity:
            depth = (height - self.blur(height, radius)) / radius
            result = result * (1 + cavity * np.clip(depth, -0.8, 0.4))
        return result

    def gloss(self, height: np.ndarray, power: float = 24.0) -> np.ndarray:
        """The highlight, in [0, 1], of the same light on a shiny height field."""
        half = np.array([-0.25, -0.34, 0.91], np.float32)
        return np.clip(self.normals(height) @ half, 0, 1) ** power
