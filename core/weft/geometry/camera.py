"""Pinhole and orthographic cameras, and how an object is framed by several of them.

Conventions: `pose` is camera-to-world with OpenGL axes (+X right, +Y up, the camera looks along -Z). Pixel (i, j) of
row j, counted from the top, has its centre at (i + 0.5, j + 0.5). Depth is the distance along the viewing axis,
positive in front. The world is right-handed; an object stands up along +Z and shows its front to -Y, as in Blender.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weft.errors import InvalidCamera, InvalidInput
from weft.geometry.mesh import bounding_sphere

__all__ = ["Camera", "frame_object", "look_at", "orbit", "packed", "standard_ring"]

DISTANCE = 2.9  # of a framing camera, in bounding radii: mild perspective, and every surface point well in front
_UP = (0.0, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Camera:
    """Where an image was taken and with which lens. Raises `InvalidCamera`.

    `fx`, `fy` are the focal lengths in pixels; of an orthographic camera, pixels per world unit.
    Nothing with a depth below `near` (world units) is drawn.
    """

    pose: np.ndarray  # f8 [4, 4], camera to world
    width: int
    height: int
    fx: float
    fy: float
    cx: float  # pixels, of the viewing axis in the image
    cy: float
    near: float = 1e-3
    orthographic: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "pose", np.array(self.pose, np.float64))
        _check_pose(self.pose)
        if self.width < 1 or self.height < 1:
            raise InvalidCamera(f"the camera's image is {self.width}×{self.height} pixels, expected at least 1×1")
        if not np.isfinite([self.fx, self.fy, self.cx, self.cy, self.near]).all():
            raise InvalidCamera(f"fx={self.fx} fy={self.fy} cx={self.cx} cy={self.cy} near={self.near} must be finite")
        if self.fx <= 0 or self.fy <= 0:
            raise InvalidCamera(f"the focal length is {self.fx}, {self.fy} pixels, expected more than 0")
        if self.near <= 0 and not self.orthographic:
            raise InvalidCamera(f"the near plane is at {self.near}, expected more than 0 in front of the camera")

    @property
    def center(self) -> np.ndarray:
        """f8 [3], the eye in the world."""
        return self.pose[:3, 3]

    @property
    def forward(self) -> np.ndarray:
        """f8 [3], the unit viewing direction in the world."""
        return -self.pose[:3, 2]

    @property
    def view_matrix(self) -> np.ndarray:
        """f8 [3, 4], world to (right, up, depth)."""
        rotation = self.pose[:3, :3].T * np.array([[1.0], [1.0], [-1.0]])
        return np.ascontiguousarray(np.concatenate([rotation, -rotation @ self.center[:, None]], 1))

    def scaled(self, factor: float) -> Camera:
        """The same view in `factor` times as many pixels along each side, which must come out whole."""
        width, height = round(self.width * factor), round(self.height * factor)
        fx, fy, cx, cy = (value * factor for value in (self.fx, self.fy, self.cx, self.cy))
        return replace(self, width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy)

    def of_side(self, side: int) -> Camera:
        """The same view with a longer side of `side` pixels; the other is rounded, and pixels with it."""
        factor = side / max(self.width, self.height)
        width, height = max(1, round(self.width * factor)), max(1, round(self.height * factor))
        x, y = width / self.width, height / self.height
        return replace(self, width=width, height=height, fx=self.fx * x, fy=self.fy * y, cx=self.cx * x, cy=self.cy * y)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where `points` [N, 3] appear: pixel coordinates f4 [N, 2] and depth f4 [N].

        Points that are not in front of a perspective camera (depth ≤ 0) have NaN coordinates.
        """
        view = self.view_matrix
        seen = np.asarray(points, np.float64) @ view[:, :3].T + view[:, 3]
        depth = seen[:, 2]
        scale = np.ones_like(depth)
        if not self.orthographic:
            scale = np.divide(1.0, depth, out=np.full_like(depth, np.nan), where=depth > 0)
        xy = np.stack([self.cx + self.fx * seen[:, 0] * scale, self.cy - self.fy * seen[:, 1] * scale], 1)
        return xy.astype(np.float32), depth.astype(np.float32)

    def toward(self, points: np.ndarray) -> np.ndarray:
        """f4 [N, 3], unit vectors from `points` [N, 3] to the camera: their product with normals is cos(view angle)."""
        if self.orthographic:
            return np.broadcast_to(-self.forward, points.shape).astype(np.float32)
        rays = self.center.astype(np.float32) - np.asarray(points, np.float32)
        return rays / np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), np.float32(1e-20))


def packed(cameras: Sequence[Camera]) -> tuple[np.ndarray, np.ndarray]:
    """Perspective cameras as numbers: poses f4 [N, 4, 4], and fx fy cx cy width height, f4 [N, 6], in pixels."""
    lenses = [(c.fx, c.fy, c.cx, c.cy, c.width, c.height) for c in cameras]
    return np.stack([camera.pose for camera in cameras]).astype(np.float32), np.array(lenses, np.float32)


def _check_pose(pose: np.ndarray) -> None:
    if pose.shape != (4, 4):
        raise InvalidCamera(f"a camera's pose has the shape {pose.shape}, expected (4, 4)")
    if not np.isfinite(pose).all():
        raise InvalidCamera("a camera's pose contains NaN or infinity")
    rotation = pose[:3, :3]
    rigid = np.abs(rotation.T @ rotation - np.eye(3)).max() < 1e-3 and np.linalg.det(rotation) > 0
    if not rigid or np.abs(pose[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise InvalidCamera("a camera's pose is not a rotation and a translation", "apply the camera's scale and shear")


def look_at(eye: Sequence[float], target: Sequence[float], up: Sequence[float] = _UP) -> np.ndarray:
    """The pose f8 [4, 4] at `eye` that has `target` on its axis and `up` upwards in the image.

    Where `up` lies along the viewing axis the world axis most across it takes its place.
    """
    back = np.asarray(eye, np.float64) - np.asarray(target, np.float64)
    if not np.linalg.norm(back) > 0:
        raise InvalidCamera(f"the eye {list(eye)} lies on its target")
    back /= np.linalg.norm(back)
    right = np.cross(np.asarray(up, np.float64) / np.linalg.norm(up), back)
    if np.linalg.norm(right) < 1e-6:
        right = np.cross(np.eye(3)[np.argmin(np.abs(back))], back)
    right /= np.linalg.norm(right)
    return _pose(right, np.cross(back, right), back, np.asarray(eye, np.float64))


def _pose(right: np.ndarray, up: np.ndarray, back: np.ndarray, eye: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    pose[:3] = np.stack([right, up, back, eye], 1)
    return pose


def orbit(
    azimuth_deg: float,
    elevation_deg: float,
    distance: float,
    target: Sequence[float] = (0.0, 0.0, 0.0),
    up: Sequence[float] = _UP,
) -> np.ndarray:
    """The pose f8 [4, 4] on a sphere around `target`, looking at it.

    Azimuth 0 sees the front: from -Y where +Z is up (from +Z where +Y is up). It grows counter-clockwise seen from
    above, so that 90 sees from +X. At the poles (elevation ±90) the image's up is the limit, not a guess.
    """
    azimuth, elevation = np.radians([azimuth_deg, elevation_deg])
    outward = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    right = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    back = np.cos(elevation) * outward + np.sin(elevation) * np.array(_UP)
    turn = _turn_z_to(np.asarray(up, np.float64))
    right, back = turn @ right, turn @ back
    return _pose(right, np.cross(back, right), back, np.asarray(target, np.float64) + distance * back)


def _turn_z_to(up: np.ndarray) -> np.ndarray:
    """The smallest rotation [3, 3] that takes +Z to the direction `up`; around +X where that is not unique."""
    z = up / np.linalg.norm(up)
    if z[2] < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    skew = np.array([[0, 0, z[0]], [0, 0, z[1]], [-z[0], -z[1], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + z[2])


def standard_ring(n: int = 10) -> list[tuple[float, float]]:
    """`n` viewing directions (azimuth, elevation) in degrees, 1 ≤ n ≤ 40, always beginning with the front.

    Ten are those of SyncTweedies (Kim et al. 2024): azimuth every 45° at elevation 0, then azimuth 0 and 180 at
    elevation 30. Fewer thin the ring out first. The next two see the bottom and the top, each one more from where the
    others are farthest.
    """
    if not 1 <= n <= 40:
        raise InvalidInput(f"{n} views asked for, expected 1 to 40")
    raised = 0 if n < 5 else 1 if n == 5 else 2
    level = min(n - raised, 8)
    ring = [(360.0 * k / level, 0.0) for k in range(level)] + [(0.0, 30.0), (180.0, 30.0)][:raised]
    ring += [(0.0, -90.0), (0.0, 90.0)][: max(n - 10, 0)]
    pool = [(22.5 * a, 15.0 * e) for e in range(-5, 6) for a in range(16)]
    pool_vectors = _unit_vectors(pool)
    while len(ring) < n:
        nearest = (pool_vectors @ _unit_vectors(ring).T).max(1)
        ring.append(pool[int(np.argmin(nearest.round(9)))])
    return ring


def _unit_vectors(directions: Sequence[tuple[float, float]]) -> np.ndarray:
    azimuth, elevation = np.radians(np.array(directions)).T
    return np.stack([np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)], 1)


def frame_object(
    points: np.ndarray, directions: Sequence[tuple[float, float]], size: int, fill: float = 0.92
) -> list[Camera]:
    """One camera of `size`² pixels per direction (azimuth, elevation): the object centred, large, never cut off.

    `points` [N, 3] are the object's used vertices. All cameras share one focal length, the largest with which the
    object's bounds stay within `fill` of the frame in every direction: a pattern then has the same scale in all views.
    Centring moves the principal point, not the camera, so the views still look at the bounding sphere's centre.
    """
    center, radius = bounding_sphere(points)
    if not radius > 0:
        raise InvalidInput("the object is a single point, expected something with an extent")
    distance = DISTANCE * radius
    unit = [
        Camera(orbit(azimuth, elevation, distance, tuple(center)), size, size, 1.0, 1.0, 0.0, 0.0, 1e-3 * distance)
        for azimuth, elevation in directions
    ]
    low, high = _projected_bounds(points, unit)
    focal = float(fill * size / (high - low).max())
    middle = size / 2 - focal * (low + high) / 2
    return [replace(c, fx=focal, fy=focal, cx=float(x), cy=float(y)) for c, (x, y) in zip(unit, middle, strict=True)]


def _projected_bounds(points: np.ndarray, cameras: Sequence[Camera]) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest image coordinates f8 [N, 2] of the points in every camera; all points lie in front."""
    views = np.stack([camera.view_matrix for camera in cameras], 1).reshape(-1, 4)  # right, up and depth of each
    low, high = np.full((2, len(cameras)), np.inf), np.full((2, len(cameras)), -np.inf)
    for start in range(0, len(points), 4096):  # pieces that stay in the processor's cache
        seen = views[:, :3] @ points[start : start + 4096].T.astype(np.float64) + views[:, 3:]
        right, up, depth = seen.reshape(3, len(cameras), -1)
        xy = np.stack([right, -up]) / depth
        low, high = np.minimum(low, xy.min(2)), np.maximum(high, xy.max(2))
    return low.T, high.T
