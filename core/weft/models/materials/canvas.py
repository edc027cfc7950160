"""The periodic canvas that every material is painted on: noise, cells, relief and colour ramps.

All lengths are fractions of the tile and all randomness hangs on (seed, key), never on the pixel count, so a material
shows the same pattern at every size. Fields are float32 [n, n]; row 0 is the top, columns run to the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft

from weft.models.materials.voronoi import PAD, nearest_cells

__all__ = ["Canvas", "Cells", "mix", "ramp", "rgb", "smooth"]

FINEST = 128  # cycles a tile: nothing finer is ever drawn by noise; a patch denoiser would lose it
_LIGHT = (-0.450, -0.600, 0.661)  # towards the light
_HALFWAY = (-0.247, -0.329, 0.911)  # between the light and the viewer


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
    fine = np.linspace(0.0, 1.0, 1024)
    place = np.linspace(0.0, 1.0, len(stops))
    table = np.stack([np.interp(fine, place, stops[:, channel]) for channel in range(3)], -1).astype(np.float32)
    return table[(np.clip(t, 0, 1) * 1023 + 0.5).astype(np.int32)]


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
        field = np.asarray(scipy.fft.irfft2(full, (self.n, self.n)), np.float32)
        return field * np.float32(self.n**2 / np.sqrt(energy))

    def cells(
        self,
        key: int,
        across: int,
        down: int | None = None,
        *,
        jitter: float = 0.42,
        stagger: bool = False,
        aspect: float = 1.0,
        warp: tuple[np.ndarray, np.ndarray] | None = None,
        border: bool = True,
    ) -> Cells:
        """A Voronoi diagram of `across`×`down` centres, jittered by at most `jitter` of a cell.

        `stagger` moves odd rows by half a cell (`down` is even then). An `aspect` below 1 lengthens the cells up and
        down: distances count y that much less, and `down` is then about `aspect` times `across`. `warp` (dx, dy, in
        tiles) displaces the pixels before they look for their cell. Without `border` its distance stays 0, which is
        faster.
        """
        down = across if down is None else down
        rng = self.random(key)
        offset = rng.uniform(0.5 - jitter, 0.5 + jitter, (down, across, 2)).astype(np.float32)
        shift = 0.5 if stagger else 0.0
        rows, columns = np.arange(-PAD, down + PAD), np.arange(-PAD, across + PAD)
        points = offset[rows % down][:, columns % across]
        points[..., 0] += columns + shift * (rows % 2)[:, None]
        points[..., 1] += rows[:, None]
        points /= np.array([across, down], np.float32)
        x, y = (self.x, self.y) if warp is None else (self.x + warp[0], self.y + warp[1])
        index, edge, dx, dy = nearest_cells(x, y, points, np.float32(shift), np.float32(aspect), border)
        centres = points[PAD:-PAD, PAD:-PAD].reshape(-1, 2) % 1
        return Cells(index, edge, np.hypot(dx, dy), dx, dy, centres, rng.random((across * down, 4), dtype=np.float32))

    def specks(self, key: int, across: int, share: float, size: float) -> np.ndarray:
        """A mask of round dots, at most `size` tiles in radius, in a `share` of across² places."""
        dots = self.cells(key, across, border=False)
        radius = size * (0.6 + 0.4 * dots.tone(1))
        return smooth(radius, 0.55 * radius, dots.radius) * (dots.tone() < share)

    def labyrinth(self, key: int, waves: float, lean: float = 0.0) -> np.ndarray:
        """Stripes of even width that branch and wind, about `waves` a tile; -1 .. 1.

        `lean` > 0 makes them run up and down. Swift & Hohenberg (1977) from noise, on a grid of its own, which is
        interpolated to the canvas by its Fourier series: every size shows the same stripes.
        """
        side, rate, growth = 192, 1.0, 0.6
        ky, kx = np.fft.fftfreq(side)[:, None] * side, np.arange(side // 2 + 1)[None]
        k = np.hypot(kx, ky * (1 + lean))
        damping = (1 / (1 + rate * 2 * ((k / waves) ** 2 - 1) ** 2)).astype(np.float32)
        noise = self.random(key).standard_normal((side, side), dtype=np.float32)
        spectrum = np.asarray(scipy.fft.rfft2(0.3 * noise))
        for _ in range(50):
            field = np.asarray(scipy.fft.irfft2(spectrum * damping, (side, side)))
            spectrum = np.asarray(scipy.fft.rfft2(field + rate * (growth * field - field**3)))
        keep = min(side // 2 - 1, self.n // 2 - 1)
        full = np.zeros((self.n, self.n // 2 + 1), np.complex64)
        rows = np.arange(-keep, keep + 1)
        phase = np.exp(1j * np.pi * (rows[:, None] + kx[:, : keep + 1]) * (1 / self.n - 1 / side))
        full[rows, : keep + 1] = spectrum[rows, : keep + 1] * phase
        stripes = np.asarray(scipy.fft.irfft2(full, (self.n, self.n)), np.float32)
        return stripes / np.abs(stripes).max()

    def warp(self, key: int, amount: float, falloff: float = 3.0, high: float = 24.0) -> tuple[np.ndarray, np.ndarray]:
        """A smooth displacement (dx, dy) of standard deviation `amount` tiles."""
        return amount * self.noise(key, falloff, high=high), amount * self.noise(key + 1, falloff, high=high)

    def blur(self, field: np.ndarray, radius: float) -> np.ndarray:
        """Periodic Gaussian blur; `radius` (standard deviation) in tiles."""
        ky = np.fft.fftfreq(self.n)[:, None].astype(np.float32) * self.n
        kx = np.arange(self.n // 2 + 1, dtype=np.float32)[None]
        pass_band = np.exp(-2 * (np.pi * radius * ky) ** 2) * np.exp(-2 * (np.pi * radius * kx) ** 2)
        return np.asarray(scipy.fft.irfft2(np.asarray(scipy.fft.rfft2(field)) * pass_band, field.shape), np.float32)

    def slope(self, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(∂h/∂x, ∂h/∂y) per tile of a periodic height field."""
        half = np.float32(self.n / 2)
        dx = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) * half
        dy = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) * half
        return dx, dy

    def facing(self, height: np.ndarray, direction: tuple[float, float, float]) -> np.ndarray:
        """Cosine between the surface's normal and `direction` (x right, y down, z to the viewer; of unit length)."""
        dx, dy = self.slope(height)
        x, y, z = (np.float32(value) for value in direction)
        return (z - x * dx - y * dy) / np.sqrt(1 + dx * dx + dy * dy)

    def shade(self, height: np.ndarray, ambient: float = 0.5, cavity: float = 0.0, radius: float = 0.012) -> np.ndarray:
        """Brightness of a height field (in tiles) under a soft light from the upper left; a flat patch gives 1.

        `cavity` darkens what lies below its surroundings (within `radius` tiles), whatever the light's direction.
        """
        lambert = np.clip(self.facing(height, _LIGHT), 0, None) / _LIGHT[2]
        result = ambient + (1 - ambient) * lambert
        if cavity:
            depth = (height - self.blur(height, radius)) / radius
            result = result * (1 + cavity * np.clip(depth, -0.8, 0.4))
        return result

    def gloss(self, height: np.ndarray, power: float = 24.0) -> np.ndarray:
        """The highlight, in [0, 1], of the same light on a shiny height field."""
        return np.clip(self.facing(height, _HALFWAY), 0, 1) ** power
