"""The sphere of directions as an equirectangular image: where its cells lie, and integrals over them.

Directions are Blender's for a World texture: +Z is up and the image's middle looks along +X, its left quarter line
along +Y, its right one along -Y, so longitudes grow to the right as seen from inside. Row 0 is the zenith.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["cell_directions", "integrated", "place"]


def cell_directions(height: int) -> np.ndarray:
    """f4 [H, 2H, 3]: the unit direction of each cell's centre."""
    elevation = np.pi * (0.5 - (np.arange(height) + 0.5) / height)[:, None]
    azimuth = np.pi * ((np.arange(2 * height) + 0.5) / height - 1)[None]
    x, y = np.cos(elevation) * np.cos(azimuth), -np.cos(elevation) * np.sin(azimuth)
    return np.stack([x, y, np.broadcast_to(np.sin(elevation), x.shape)], -1).astype(np.float32)


def place(directions: np.ndarray, height: int) -> np.ndarray:
    """f8 [..., 2]: (row, column) in pixel index coordinates (0 is the first centre) of directions [..., 3] of any
    length. Columns lie in [-0.5, 2H - 0.5]."""
    x, y, z = np.moveaxis(np.asarray(directions, np.float64), -1, 0)
    u = 0.5 - np.arctan2(y, x) / (2 * np.pi)
    v = 0.5 - np.arctan2(z, np.hypot(x, y)) / np.pi
    return np.stack([v * height - 0.5, u * 2 * height - 0.5], -1)


def integrated(image: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray]:
    """∫ L dω f8 [h, 2h, C] and ∫ L ω dω f8 [h, 2h, C, 3] over each of h × 2h cells, of an image L [H, W, C] that is
    constant within its own cells. Exact for any two sizes, finer or coarser."""
    zenith, around = np.linspace(0, np.pi, height + 1), np.linspace(-np.pi, np.pi, 2 * height + 1)
    own_zenith, own_around = (np.linspace(*ends, n + 1) for ends, n in zip(_ENDS, image.shape[:2], strict=True))
    rows = {name: _overlaps(zenith, own_zenith, function) for name, function in _ROWS.items()}
    columns = {name: _overlaps(around, own_around, function) for name, function in _COLUMNS.items()}
    values = np.asarray(image, np.float64)

    def over(row: str, column: str) -> np.ndarray:
        return np.einsum("hi,ijc,wj->hwc", rows[row], values, columns[column], optimize=True)

    moments = [over("across", "toward_x"), over("across", "toward_y"), over("along_z", "1")]
    return over("1", "1"), np.stack(moments, -1)


# Antiderivatives over the angle t from the zenith (dω = sin t dt dβ) and over the azimuth β, which runs to the right:
# ω = (sin t cos β, -sin t sin β, cos t).
_ENDS = ((0, np.pi), (-np.pi, np.pi))
_ROWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "1": lambda t: -np.cos(t),
    "across": lambda t: (t - np.sin(t) * np.cos(t)) / 2,
    "along_z": lambda t: np.sin(t) ** 2 / 2,
}
_COLUMNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"1": lambda b: b, "toward_x": np.sin, "toward_y": np.cos}


def _overlaps(coarse: np.ndarray, fine: np.ndarray, antiderivative: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """f8 [coarse, fine]: the integral over what each coarse interval shares with each fine one; both by their ends."""
    low = np.maximum(coarse[:-1, None], fine[None, :-1])
    high = np.maximum(np.minimum(coarse[1:, None], fine[None, 1:]), low)
    return antiderivative(high) - antiderivative(low)
