"""Which cameras a splat job uses: rings around the object, so close that its longer side takes several windows.

All share one focal length, because a pattern must have the same size in every view; a window is a part of a larger
image from the same eye. Splats stand in the frame of their file, the cameras are returned in that frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import Camera, frame_object
from weft.geometry.splats import Splats

__all__ = ["UPS", "core_points", "directions_around", "plan_cameras", "turned_up"]

# File to world: the rotation that makes `up` +Z, and the direction that captures look along +Y.
UPS = {
    "-y": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "y": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "z": np.eye(3),
}
FILL = 0.92  # of a frame, or of all windows together
OVERLAP = 0.15  # of a window with the next, at least
FEWEST_DIRECTIONS = 16  # that are worth more than coming closer
_ZOOMS = np.arange(4.0, 1.0, -0.1)  # tried, relative to the object in one frame
_ELEVATIONS = (0.0, 25.0, -20.0, 50.0)  # taken in turns: every fourth view of a ring is on one of these
_VISIBLE = 0.1  # opacity from which a splat counts as part of the object
_STRAYS = 0.002  # fraction of the splats that may lie outside the bounds, on each side of each axis
_SUPPORTS = 400  # directions in which the outermost splat is kept: together they bound all others


def turned_up(up: str) -> np.ndarray:
    """f8 [3, 3], file to a world with +Z up and the front towards -Y. Raises InvalidInput for an unknown `up`."""
    if up not in UPS:
        raise InvalidInput(f"no direction is called {up!r}", f"up is one of {', '.join(UPS)}")
    return UPS[up]


def core_points(splats: Splats, up: str) -> np.ndarray:
    """f4 [P, 3], the outermost centres of the visible splats, without strays, in the Z-up world."""
    visible = splats.opacity >= _VISIBLE
    points = splats.means[visible if visible.any() else slice(None)] @ turned_up(up).T.astype(np.float32)
    low, high = np.quantile(points, [_STRAYS, 1 - _STRAYS], axis=0)
    inside = ((points >= low) & (points <= high)).all(1)
    points = points[inside] if inside.any() else points
    outward = np.random.default_rng(0).standard_normal((3, _SUPPORTS)).astype(np.float32)
    return points[np.unique((points @ outward).argmax(0))]


def directions_around(count: int) -> list[tuple[float, float]]:
    """`count` directions (azimuth, elevation) in degrees, evenly turning, the front first."""
    return [(360.0 * k / count, _ELEVATIONS[k % len(_ELEVATIONS)] if count > 4 else 0.0) for k in range(count)]


def plan_cameras(
    splats: Splats, *, up: str, size: int, count: int, cameras_from: str, scene: Sequence[Camera]
) -> list[Camera]:
    """At most `count` automatic cameras ("automatic"), the `scene` cameras ("scene", in the frame of the splats), or
    both, of `size`² pixels. A scene camera keeps its eye, direction and focal length relative to its shorter side."""
    own = [_squared(camera, size) for camera in scene] if cameras_from in ("scene", "both") else []
    if cameras_from == "scene":
        return own
    pose = np.eye(4)
    pose[:3, :3] = turned_up(up).T
    return [*(replace(c, pose=pose @ c.pose) for c in _ring(core_points(splats, up), size, count)), *own]


def _squared(camera: Camera, size: int) -> Camera:
    """The middle square of the camera's image, resampled to `size`² pixels."""
    side = min(camera.width, camera.height)
    factor = size / side
    left, top = (camera.width - side) / 2, (camera.height - side) / 2
    return replace(
        camera, width=size, height=size, fx=camera.fx * factor, fy=camera.fy * factor,
        cx=(camera.cx - left) * factor, cy=(camera.cy - top) * factor,
    )  # fmt: skip


def _ring(points: np.ndarray, size: int, count: int) -> list[Camera]:
    """As close as `FEWEST_DIRECTIONS` directions allow, then as many directions as there are views for."""
    if not np.ptp(points, axis=0).any():
        raise InvalidInput("all visible splats lie in one point", "check the file in a splat viewer")
    zoom = 1.0
    for tried in _ZOOMS:
        if len(_Windows(points, size, min(count, FEWEST_DIRECTIONS), tried).cameras) <= count:
            zoom = float(tried)
            break
    fewest = min(count, FEWEST_DIRECTIONS) if zoom > 1 else count
    best = _Windows(points, size, fewest, zoom).cameras
    for directions in range(fewest + 1, count + 1):
        more = _Windows(points, size, directions, zoom).cameras
        if len(more) > count:
            break
        best = more
    return best


@dataclass(frozen=True)
class _Windows:
    """Cameras of `directions` views, `zoom` times as close as the whole object in one frame."""

    points: np.ndarray
    size: int
    directions: int
    zoom: float

    @property
    def cameras(self) -> list[Camera]:
        whole = frame_object(self.points, directions_around(self.directions), self.size, FILL)
        return [window for camera in whole for window in self._windows(camera)]

    def _windows(self, camera: Camera) -> list[Camera]:
        """Parts of the image of one direction that together show the object's bounds in it."""
        xy, _ = camera.project(self.points)
        extent = np.ptp(xy, axis=0) * self.zoom / FILL
        columns, rows = (self._offsets(float(side)) for side in extent)
        near = replace(camera, fx=camera.fx * self.zoom, fy=camera.fy * self.zoom)
        middle = self.size / 2
        x, y = middle + self.zoom * (camera.cx - middle), middle + self.zoom * (camera.cy - middle)
        return [replace(near, cx=x - right, cy=y - down) for down in rows for right in columns]

    def _offsets(self, extent: float) -> np.ndarray:
        """Where the middles of the windows lie that span `extent` pixels, relative to its middle."""
        if extent <= self.size * 1.001:
            return np.zeros(1)
        count = int(np.ceil((extent - OVERLAP * self.size) / ((1 - OVERLAP) * self.size)))
        return np.linspace(-1, 1, count) * (extent - self.size) / 2
