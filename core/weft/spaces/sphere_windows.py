"""Perspective windows that look from the centre of a sphere, wherever they are: read from it, and gathered back.

`PanoramaSpace` knows its views beforehand and tables what they see. Here windows move from step to step, and nothing is
tabled: a large panorama under many small windows would need gigabytes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.equirectangular import place
from weft.kernels import kernel
from weft.spaces.panorama import pixel_directions

__all__ = ["covering_directions", "evened", "gathered", "read"]

_SURE = 0.99  # of a window's half side: what it is counted on to see


def covering_directions(fov: float) -> list[tuple[float, float]]:
    """As few rings of viewing directions (azimuth, elevation) in degrees, poles among them, as let upright square
    windows of `fov` degrees cover the sphere. Raises InvalidInput outside 5° to 120°."""
    if not 5 <= fov <= 120:
        raise InvalidInput(f"windows of {fov:.3g}° were asked for, expected 5 to 120", "use windows of another size")
    half = _SURE * math.tan(math.radians(fov / 2))
    plans = (_rings(bands, half) for bands in range(math.ceil(90 / fov), 2 * math.ceil(90 / fov) + 2))
    rings = min((rings for rings in plans if rings is not None), key=lambda rings: sum(n for _, n in rings))
    return [(360.0 * k / count, elevation) for elevation, count in rings for k in range(count)]


def _rings(bands: int, half: float) -> list[tuple[float, int]] | None:
    """(elevation, windows) of rings `90 / bands` degrees apart; None if windows are not higher than that."""
    apart = 90 / bands
    if math.tan(math.radians(apart / 2)) > _SURE * half:
        return None
    rings = []
    for elevation in apart * np.arange(-bands + 1, bands):
        count = next(n for n in itertools.count(3) if _reaches(elevation, apart / 2, math.pi / n, half))
        rings.append((float(elevation), count))
    return [(-90.0, 1), *rings, (90.0, 1)]


def _reaches(elevation: float, beside: float, azimuth: float, half: float) -> bool:
    """Whether a window sees its band's corners, `azimuth` away: great circles through them lie on the band's poleward
    side, and its middle was seen to be high enough."""
    own = math.radians(elevation)
    for corner in (math.radians(elevation - beside), math.radians(elevation + beside)):
        x = math.cos(corner) * math.sin(azimuth)
        y = math.cos(own) * math.sin(corner) - math.sin(own) * math.cos(corner) * math.cos(azimuth)
        depth = math.cos(own) * math.cos(corner) * math.cos(azimuth) + math.sin(own) * math.sin(corner)
        if max(abs(x), abs(y)) > half * depth:
            return False
    return True


def evened(picture: np.ndarray) -> np.ndarray:
    """f4 [H, 2H, C] of it, without what rows near the poles hold beyond the resolution of the equator's. No window
    sees it, and what is changed as windows see it would keep it for ever."""
    height, width = picture.shape[:2]
    level = np.cos(np.pi * (0.5 - (np.arange(height) + 0.5) / height))[:, None, None]
    sigma = 0.5 * np.sqrt(1 / level**2 - 1)  # cells
    waves = np.fft.rfftfreq(width)[None, :, None]  # per cell
    spectrum = np.fft.rfft(picture, axis=1) * np.exp(-2 * (np.pi * sigma * waves) ** 2)
    return np.fft.irfft(spectrum, width, axis=1).astype(np.float32)


def read(picture: np.ndarray, cameras: Sequence[Camera]) -> np.ndarray:
    """f4 [N, h, w, C]: what cameras of one size see of an equirectangular `picture` f4 [H, 2H, C], bilinearly."""
    around = np.pad(picture, ((0, 0), (2, 2), (0, 0)), "wrap")
    seen = []
    for camera in cameras:
        at = np.moveaxis(place(pixel_directions(camera), len(picture)), -1, 0)
        at[1] += 2
        planes = [ndimage.map_coordinates(plane, at, order=1, mode="nearest") for plane in np.moveaxis(around, -1, 0)]
        seen.append(np.stack(planes, -1))
    return np.stack(seen).astype(np.float32)


def gathered(
    values: np.ndarray, cameras: Sequence[Camera], height: int, exponent: float
) -> tuple[np.ndarray, np.ndarray]:
    """What each cell of [height, 2·height] reads of the windows that see it, f4 [H, 2H, C], and whether any does.

    `values` f4 [N, h, w, C] of square windows. The mean of bilinear reads, weighted by exp(-exponent · r²), r the
    distance from a window's middle in half windows: with a high exponent the nearest one counts.
    """
    axes = np.stack([camera.view_matrix[:, :3] for camera in cameras])  # world to right, up, depth
    lenses = np.array([(camera.fx, camera.cx, camera.cy) for camera in cameras])
    total = np.zeros((height, 2 * height, values.shape[-1]), np.float32)
    seen = np.zeros((height, 2 * height), np.bool_)
    _gather(np.ascontiguousarray(values, np.float32), axes, lenses, exponent, total, seen)
    return total, seen


@kernel
def _gather(values, axes, lenses, exponent, total, seen):
    """f4 [N, h, w, C], f8 [N, 3, 3], f8 [N, 3] = focal length and principal point, f8, f4 [H, 2H, C], bool [H, 2H]"""
    count, side, _, channels = values.shape
    height, width = seen.shape
    for row in range(height):
        elevation = np.pi * (0.5 - (row + 0.5) / height)
        z, level = np.sin(elevation), np.cos(elevation)
        norm = np.zeros(width)
        for n in range(count):
            # A window's corner is farthest from its principal point.
            reach = np.sqrt(2.0) * max(abs(lenses[n, 1] - side / 2), abs(lenses[n, 2] - side / 2)) + side / np.sqrt(2.0)
            angle = np.arctan(reach / lenses[n, 0])
            if abs(np.arcsin(min(max(axes[n, 2, 2], -1.0), 1.0)) - elevation) > angle:
                continue
            least = np.cos(angle)
            for column in range(width):
                azimuth = np.pi * ((column + 0.5) / height - 1)
                dx, dy = level * np.cos(azimuth), -level * np.sin(azimuth)
                depth = axes[n, 2, 0] * dx + axes[n, 2, 1] * dy + axes[n, 2, 2] * z
                if depth < least:
                    continue
                right = axes[n, 0, 0] * dx + axes[n, 0, 1] * dy + axes[n, 0, 2] * z
                up = axes[n, 1, 0] * dx + axes[n, 1, 1] * dy + axes[n, 1, 2] * z
                x = lenses[n, 1] + lenses[n, 0] * right / depth
                y = lenses[n, 2] - lenses[n, 0] * up / depth
                if x < 0 or y < 0 or x > side or y > side:
                    continue
                across, down = 2 * x / side - 1, 2 * y / side - 1
                weight = np.exp(-exponent * (across * across + down * down))
                norm[column] += weight
                x, y = min(max(x - 0.5, 0.0), side - 1.0), min(max(y - 0.5, 0.0), side - 1.0)
                x0, y0 = min(int(x), side - 2), min(int(y), side - 2)
                fx, fy = x - x0, y - y0
                for c in range(channels):
                    above = (1 - fx) * values[n, y0, x0, c] + fx * values[n, y0, x0 + 1, c]
                    below = (1 - fx) * values[n, y0 + 1, x0, c] + fx * values[n, y0 + 1, x0 + 1, c]
                    total[row, column, c] += weight * ((1 - fy) * above + fy * below)
        for column in range(width):
            seen[row, column] = norm[column] > 0
            if norm[column] > 0:
                for c in range(channels):
                    total[row, column, c] /= norm[column]
