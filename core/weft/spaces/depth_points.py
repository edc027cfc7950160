"""Depth maps of several views as a canonical space: points that the views share.

The first view makes a point of each of its pixels. Every further view makes points only of those pixels on whose
surface none has landed yet, so the points are as dense as the closest view's pixels. A pixel reads the few nearest
points around its centre, on its own surface; a point reads the views that see it, as a texel does (`mesh_texture`).
A view sees a point that lies at its depth there: what its surface hides it does not see, nor what would hide it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_cdt

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.depth_normals import depth_normals
from weft.spaces.gathering import gathering
from weft.spaces.linear import LinearSpace
from weft.spaces.nearest import nearest_of
from weft.spaces.point_kernels import count_in_pixels, land, read_nearest
from weft.spaces.sparse import SparseMatrix
from weft.spaces.texel_kernels import see
from weft.spaces.view_geometry import ViewGeometry

__all__ = ["depth_geometry"]

TOLERANCE = 0.01  # of the depth, by which depth maps that mean the same surface may differ
_KEPT_POINTS, _KEPT_VIEWS = 4, 6
_REACH, _SOFTENING = 1.25, 0.15  # pixels
_STEEP = 5.0  # the greatest slope of a surface that slack is given for
_RAMP = 4  # pixels from a depth jump to full trust
_LEAST_TRUST = 0.02
_POWER = 2.0  # of the cosine of the view angle in a view's weight
_LEAST_COSINE = 0.05
_INSIDE = 1e-3  # pixels by which points stay clear of the frame


def depth_geometry(depths: np.ndarray, cameras: Sequence[Camera], *, tolerance: float = TOLERANCE) -> ViewGeometry:
    """What N views with `depths` f4 [N, H, W] (along the viewing axis, world units; infinite = unknown) show.

    `tolerance`: the part of its depth by which a surface may lie elsewhere in another view. Pixels without depth see
    no point and keep their own values in the space. Raises InvalidInput where no depth is known at all.
    """
    if depths.ndim != 3 or len(cameras) != len(depths):
        raise InvalidInput(f"{len(cameras)} cameras for depth maps of {list(depths.shape)}", "give one camera a map")
    depths = np.where(np.isfinite(depths) & (depths > 0), depths, np.inf).astype(np.float32)
    if not np.isfinite(depths).any():
        raise InvalidInput("the depth maps know no depth anywhere", "expected finite distances above 0")
    normal, solid = depth_normals(depths, cameras)
    lands = _Landing(cameras, depths, normal, tolerance)
    position, cell_normal = _fused(lands, normal)
    projection, candidates = _readings(lands, position)
    sampled = _sampled(lands, position, cell_normal, candidates, _trust(solid))
    fill = _fill_map(position, sampled[-1][:, 0] > 0)
    shape: tuple[int, int, int] = depths.shape  # pyright: ignore[reportAssignmentType]

    def space(exponent: float) -> LinearSpace:
        gather = gathering(*sampled, exponent, taps=4, view_shape=shape)
        return LinearSpace(projection, shape, gather, fill)

    return ViewGeometry("depth", tuple(cameras), depths, normal, space, position, cell_normal)


class _Landing:
    """The views, as the kernels want them."""

    def __init__(self, cameras: Sequence[Camera], depths: np.ndarray, normal: np.ndarray, tolerance: float) -> None:
        self.cameras, self.depths = cameras, depths
        self.views = np.stack([camera.view_matrix for camera in cameras]).astype(np.float32)
        self.lenses = np.array([(c.fx, c.fy, c.cx, c.cy) for c in cameras], np.float32)
        self.slack = np.stack(
            [_slack(*each, tolerance) for each in zip(cameras, depths, normal, strict=True)]
        ).astype(np.float32)  # fmt: skip

    def __call__(self, view: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """at f4 [n, 3] and pixel i4 [n]: see `land`."""
        at, pixel = np.empty((len(points), 3), np.float32), np.empty(len(points), np.int32)
        camera = self.cameras[view]
        land(
            points, self.views[view], not camera.orthographic, np.float32(camera.near), self.lenses[view],
            self.depths[view], self.slack[view], at, pixel,
        )  # fmt: skip
        return at, pixel


def _slack(camera: Camera, depth: np.ndarray, normal: np.ndarray, tolerance: float) -> np.ndarray:
    """f4 [H, W], how far off a pixel's depth a point of its surface may be: by the maps' disagreement, and by what the
    surface's slope makes of a pixel and a half."""
    known = np.isfinite(depth)
    finite = np.where(known, depth, 0)
    cosine = np.abs(normal @ camera.forward.astype(np.float32)).clip(1e-3, 1)
    slope = np.minimum(np.sqrt(1 - cosine**2) / cosine, _STEEP)
    footprint = (1.0 if camera.orthographic else finite) / camera.fx
    return np.where(known, tolerance * finite + footprint * (0.5 + 1.5 * slope), 0)


def _fused(lands: _Landing, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position and normal f4 [cells, 3] of the points, those of earlier views first, rows from above."""
    positions, normals = [np.empty((0, 3), np.float32)], [np.empty((0, 3), np.float32)]
    for view, (camera, depth) in enumerate(zip(lands.cameras, lands.depths, strict=True)):
        bare = np.isfinite(depth)
        for earlier in positions:
            _, pixel = lands(view, earlier)
            bare.reshape(-1)[pixel[pixel >= 0]] = False
        positions.append(_unprojected_inside(camera, depth, bare))
        normals.append(normal[view][bare])
    return np.concatenate(positions), np.concatenate(normals)


def _unprojected_inside(camera: Camera, depth: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """World positions f4 [n, 3] of the `wanted` pixels' centres, clear of the frame's border pixels' outer halves: a
    point that rounding put there would count as outside of its own view."""
    row, column = np.nonzero(wanted)
    along = depth[wanted].astype(np.float64)
    x = (column + 0.5).clip(0.5 + _INSIDE, camera.width - 0.5 - _INSIDE)
    y = (row + 0.5).clip(0.5 + _INSIDE, camera.height - 0.5 - _INSIDE)
    spread = 1.0 if camera.orthographic else along
    local = np.stack([(x - camera.cx) / camera.fx * spread, (camera.cy - y) / camera.fy * spread, -along], -1)
    return (local @ camera.pose[:3, :3].T + camera.center).astype(np.float32)


def _readings(lands: _Landing, position: np.ndarray) -> tuple[SparseMatrix, np.ndarray]:
    """P [N·H·W, cells], and the views on whose surface each point lies: i4 [cells, N], -1 for those it does not."""
    views, height, width = lands.depths.shape
    pixels = height * width
    candidates = np.full((len(position), views), -1, np.int32)
    cell = np.empty((views, pixels, _KEPT_POINTS), np.int32)
    tap = np.empty((views, pixels, _KEPT_POINTS), np.float32)
    for view in range(views):
        at, pixel = lands(view, position)
        hit = pixel >= 0
        candidates[hit, view] = view
        starts, order = np.empty(pixels + 1, np.int32), np.empty(int(hit.sum()), np.int32)
        count_in_pixels(pixel, starts, order)
        read_nearest(
            at, starts, order, lands.depths[view], lands.slack[view], np.float32(_REACH), np.float32(_SOFTENING),
            cell[view], tap[view],
        )  # fmt: skip
    cell, tap = cell.reshape(-1, _KEPT_POINTS), tap.reshape(-1, _KEPT_POINTS)
    used = tap > 0
    starts = np.zeros(len(tap) + 1, np.int32)
    np.cumsum(used.sum(1), out=starts[1:])
    return SparseMatrix(starts, cell[used], tap[used], len(position)), candidates


def _trust(solid: np.ndarray) -> np.ndarray:
    """f4 [N, H, W], from nearly 0 on depth jumps to 1 some pixels away from them."""
    steps = [
        np.full(one.shape, _RAMP) if one.all() else np.asarray(distance_transform_cdt(one, "chessboard"))
        for one in solid
    ]
    return (np.minimum(np.stack(steps), _RAMP) / np.float32(_RAMP)).clip(_LEAST_TRUST).astype(np.float32)


def _sampled(
    lands: _Landing, position: np.ndarray, normal: np.ndarray, candidates: np.ndarray, trust: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """image, x, y, weight [cells, R] of the views that see each point, best first: see `gathering`."""
    n, cameras = len(position), lands.cameras
    eyes = [(*-c.forward, 0.0) if c.orthographic else (*c.center, 1.0) for c in cameras]
    image = np.empty((n, _KEPT_VIEWS), np.int32)
    x, y, weight = (np.empty((n, _KEPT_VIEWS), np.float32) for _ in range(3))
    far = np.where(np.isfinite(lands.depths), lands.depths + lands.slack, np.float32(-1e30)).astype(np.float32)
    see(
        position, normal, candidates, lands.views * np.array([[1], [-1], [1]], np.float32),
        np.array(eyes, np.float32), lands.lenses, far, trust, np.float32(min(c.near for c in cameras)),
        np.float32(0), np.float32(_LEAST_COSINE), np.float32(_POWER), np.float32(0),
        image, x, y, weight, np.empty(n, np.float32),
    )  # fmt: skip
    return image, x, y, weight


def _fill_map(position: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """i4 [cells], itself or, for a point that no view sees well enough, the nearest that one sees; -1 if none is."""
    fill = np.where(seen, np.arange(len(seen), dtype=np.int32), np.int32(-1))
    if seen.any() and not seen.all():
        sources = np.flatnonzero(seen)
        fill[~seen] = sources[nearest_of(position[sources], position[~seen])]
    return fill
