"""Rays through pixels: those of a whole picture, and random ones of all training views at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.rays import ray_grid
from weft.scenes.scene import TrainingViews

__all__ = ["Rays", "TrainingRays", "rays_of"]


@dataclass(frozen=True, eq=False)
class Rays:
    """R rays in the scene's frame. `spans` are the distances from the origin between which a field is looked at."""

    origins: np.ndarray  # f4 [R, 3]
    directions: np.ndarray  # f4 [R, 3], unit
    spans: np.ndarray  # f4 [R, 2], first and last distance; nothing is looked at where last ≤ first

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, some: slice) -> Rays:
        return Rays(self.origins[some], self.directions[some], self.spans[some])


def rays_of(camera: Camera, near: float) -> tuple[Rays, np.ndarray]:
    """A ray for every pixel, row by row, and depth per distance f4 [H·W]: how fast depth grows along each.

    Spans begin where the depth is that of the camera's near plane, but not nearer than `near` scene units.
    """
    origins, directions = (grid.reshape(-1, 3) for grid in ray_grid(camera, camera.height, camera.width))
    slope = directions @ camera.forward
    spans = np.stack([np.maximum(camera.near / slope, near), np.full_like(slope, np.inf)], 1)
    kinds = (np.ascontiguousarray(one, np.float32) for one in (origins, directions, spans, slope))
    origins, directions, spans, slope = kinds
    return Rays(origins, directions, spans), slope


class TrainingRays:
    """The pixels of N views that say something, ready to be drawn from. Views may get other pictures, not cameras."""

    def __init__(self, views: TrainingViews, near: float) -> None:
        self.cameras, self.masks = views.cameras, views.masks
        self._near = near
        self._poses = np.stack([camera.pose[:3] for camera in views.cameras])
        self._lenses = np.array([(c.fx, c.fy, c.cx, c.cy) for c in views.cameras])
        self._shape = views.images.shape[:3]
        self._known = None if views.masks is None else np.flatnonzero(views.masks)
        if self._known is not None and not len(self._known):
            raise InvalidInput("the masks leave nothing of the pictures to learn from", "mask what shall count white")

    def fits(self, views: TrainingViews) -> bool:
        """Whether `views` are those that these rays belong to."""
        return views.cameras is self.cameras and views.masks is self.masks

    def draw(self, count: int, generator: np.random.Generator) -> tuple[np.ndarray, Rays]:
        """`count` pixels, each as likely as any other: their numbers i8 in [N, H, W] taken row by row, and their
        rays."""
        if self._known is None:
            pixels = generator.integers(int(np.prod(self._shape)), size=count)
        else:
            pixels = self._known[generator.integers(len(self._known), size=count)]
        view, row, column = np.unravel_index(pixels, self._shape)
        fx, fy, cx, cy = self._lenses[view].T
        local = np.stack([(column + 0.5 - cx) / fx, (cy - row - 0.5) / fy, -np.ones(count)], 1)
        local /= np.linalg.norm(local, axis=1, keepdims=True)
        directions = (self._poses[view][:, :, :3] @ local[:, :, None])[..., 0]
        spans = np.broadcast_to(np.array([self._near, np.inf], np.float32), (count, 2))
        return pixels, Rays(self._poses[view][:, :, 3].astype(np.float32), directions.astype(np.float32), spans)
