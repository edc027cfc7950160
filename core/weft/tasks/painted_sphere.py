"""A painted sphere in a picture: a round thing on a plain ground, found by its outline. Its normals follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

__all__ = ["Sphere", "find_sphere"]

_CORNER = 0.06  # of the shorter side: what the ground looks like
_LEAST_CONTRAST = 0.08  # a colour difference from the ground, [0, 1]
_SMALLEST = 0.15  # radius in shorter sides
_ROUND = 0.93  # intersection over union with a disc
_STRAY = 0.03  # of the ground that may look otherwise
_RIM = 0.985  # of the radius: paint does not end on a line


@dataclass(frozen=True, slots=True)
class Sphere:
    """Where a sphere is seen, along the axis of an orthographic camera; in pixels of its picture."""

    row: float  # of the centre, pixel centres at .5
    column: float
    radius: float

    def normals(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Unit normals f4 [height, width, 3] (right, up, towards the viewer), 0 beside the sphere, and bool
        [height, width] on it."""
        rows, columns = np.indices((height, width))
        x = (columns + 0.5 - self.column) / (_RIM * self.radius)
        y = (self.row - rows - 0.5) / (_RIM * self.radius)
        inside = x**2 + y**2 < 1
        z = np.sqrt(np.where(inside, 1 - x**2 - y**2, 0))
        return np.where(inside[..., None], np.stack([x, y, z], -1), 0).astype(np.float32), inside

    def cropped(self, picture: np.ndarray) -> tuple[np.ndarray, Sphere]:
        """The picture's part that shows the sphere, and the sphere in it."""
        height, width = picture.shape[:2]
        top, left = (max(0, int(np.floor(c - self.radius)) - 1) for c in (self.row, self.column))
        bottom = min(height, int(np.ceil(self.row + self.radius)) + 1)
        right = min(width, int(np.ceil(self.column + self.radius)) + 1)
        return picture[top:bottom, left:right], Sphere(self.row - top, self.column - left, self.radius)

    def scaled(self, factor: float) -> Sphere:
        return Sphere(self.row * factor, self.column * factor, self.radius * factor)


def find_sphere(picture: np.ndarray) -> Sphere | None:
    """The sphere in a picture f4 [h, w, 3] in [0, 1], if there is one; None for every other picture.

    The ground is what the four corners look like. All that looks otherwise must be one disc, up to a ragged outline;
    parts of it that look like the ground (a highlight before white) are filled in.
    """
    side = min(picture.shape[:2])
    size = max(1, round(_CORNER * side))
    corners = np.concatenate(
        [picture[rows, columns].reshape(-1, 3) for rows in (slice(size), slice(-size, None))
         for columns in (slice(size), slice(-size, None))]
    )  # fmt: skip
    ground = np.median(corners, 0)
    spread = float(np.quantile(np.abs(corners - ground).max(-1), 0.95))
    smooth = ndimage.gaussian_filter(picture, (0.006 * side, 0.006 * side, 0), mode="nearest")
    threshold = max(_LEAST_CONTRAST, 1.5 * spread)
    other = np.abs(smooth - ground).max(-1) > threshold
    if not other.any():
        return None
    labels = np.zeros(other.shape, np.int32)
    ndimage.label(other, output=labels)
    largest = int(np.argmax(np.bincount(labels.ravel())[1:])) + 1
    shape = np.asarray(ndimage.binary_fill_holes(labels == largest))
    rows, columns = np.nonzero(shape)
    sphere = Sphere(rows.mean() + 0.5, columns.mean() + 0.5, float(np.sqrt(len(rows) / np.pi)))
    stray = other & ~shape
    return sphere if _is_round(sphere, shape) and stray.mean() < _STRAY * (1 - shape.mean()) else None


def _is_round(sphere: Sphere, shape: np.ndarray) -> bool:
    rows, columns = np.indices(shape.shape)
    disc = np.hypot(rows + 0.5 - sphere.row, columns + 0.5 - sphere.column) < sphere.radius
    return sphere.radius > _SMALLEST * min(shape.shape) and (disc & shape).sum() > _ROUND * (disc | shape).sum()
