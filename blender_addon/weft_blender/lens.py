"""Lenses of real cameras: pinholes with OpenCV's distortion, and pictures as a pinhole would have them. NumPy only.

A point (x, y) of the image plane at distance 1, y down, appears at x (1 + k1 r² + k2 r⁴ + k3 r⁶ + k4 r⁸) + 2 p1 xy +
p2 (r² + 2x²), likewise y with p1 and p2 exchanged (Brown 1966, as OpenCV and nerfstudio have it).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from .errors import SceneError
from .pixels import shrink

__all__ = ["Lens", "picture_of", "pinhole_of"]

ZOOMS = np.linspace(1, 2, 101)


@dataclass(frozen=True)
class Lens:
    """In pixels of a picture of `width` × `height`; pixel centres at +0.5, row 0 on top."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0
    p1: float = 0.0
    p2: float = 0.0

    @property
    def distorts(self) -> bool:
        return any((self.k1, self.k2, self.k3, self.k4, self.p1, self.p2))

    @property
    def pinhole(self) -> Lens:
        return Lens(self.fx, self.fy, self.cx, self.cy, self.width, self.height)

    @property
    def numbers(self) -> np.ndarray:
        """f4 [6], as the wire has it."""
        return np.array([self.fx, self.fy, self.cx, self.cy, self.width, self.height], np.float32)

    def scaled(self, width: int, height: int) -> Lens:
        """The same view in a picture of that size."""
        across, down = width / self.width, height / self.height
        return replace(
            self, width=width, height=height, fx=self.fx * across, cx=self.cx * across, fy=self.fy * down,
            cy=self.cy * down,
        )  # fmt: skip

    def positions(self, seen: Lens, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """f8 [2, ...], row and column in this lens' picture of what the pinhole `seen` has at (row, column)."""
        x, y = (column - seen.cx) / seen.fx, (row - seen.cy) / seen.fy
        r = x * x + y * y
        radial = 1 + r * (self.k1 + r * (self.k2 + r * (self.k3 + r * self.k4)))
        across = x * radial + 2 * self.p1 * x * y + self.p2 * (r + 2 * x * x)
        down = y * radial + 2 * self.p2 * x * y + self.p1 * (r + 2 * y * y)
        return np.stack([self.cy + self.fy * down, self.cx + self.fx * across])


@lru_cache(maxsize=8)
def pinhole_of(lens: Lens) -> Lens:
    """The pinhole in the lens' place: zoomed, at most twice, until all of its frame was in the picture.

    Raises SceneError where that is not enough.
    """
    if not lens.distorts:
        return lens
    side = np.linspace(0, 1, 65)  # of the frame, from the first pixel's centre to the last one's
    sides = 0.5 + (lens.height - 1) * side, 0.5 + (lens.width - 1) * side
    row, column = (axis.ravel() for axis in np.meshgrid(*sides, indexing="ij"))
    for zoom in ZOOMS:
        seen = replace(lens.pinhole, fx=lens.fx * zoom, fy=lens.fy * zoom)
        at = lens.positions(seen, row, column)
        grid = at.reshape(2, len(side), len(side))
        # Beyond some radius polynomials fold back: then positions no longer grow along their axis.
        grows = (np.diff(grid[0], axis=0) > 0).all() and (np.diff(grid[1], axis=1) > 0).all()
        if grows and (at >= -1e-6).all() and at[0].max() <= lens.height + 1e-6 and at[1].max() <= lens.width + 1e-6:
            return seen
    raise SceneError(
        "bad_lens",
        f"a lens that distorts by k1 = {lens.k1:g}, k2 = {lens.k2:g} leaves no frame",
        "undistort the pictures first, for example with COLMAP's image_undistorter",
    )


def picture_of(image: np.ndarray, lens: Lens, width: int, height: int) -> tuple[np.ndarray, Lens]:
    """`image` u1 [H, W, 3] of `lens` as its pinhole would have taken it at width × height, and that pinhole."""
    seen = pinhole_of(lens.scaled(width, height))
    scaled = lens.scaled(width, height)
    rows, columns = image.shape[:2]
    factor = max(1, min(rows // height, columns // width))
    smaller = shrink(image, -(-max(rows, columns) // factor))
    row, column = np.mgrid[:height, :width] + 0.5
    at = scaled.positions(seen, row, column)
    at *= np.array([rows / height, columns / width])[:, None, None] / factor
    return bilinear(smaller, at[0] - 0.5, at[1] - 0.5), seen


def bilinear(image: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """u1 [h, w, 3] of `image` at index coordinates [h, w]."""
    height, width = image.shape[:2]
    row, column = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
    top, left = np.minimum(row.astype(int), max(height - 2, 0)), np.minimum(column.astype(int), max(width - 2, 0))
    down, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    y, x = (row - top)[..., None].astype(np.float32), (column - left)[..., None].astype(np.float32)
    upper = image[top, left] * (1 - x) + image[top, right] * x
    lower = image[down, left] * (1 - x) + image[down, right] * x
    return np.rint(upper * (1 - y) + lower * y).astype(np.uint8)
