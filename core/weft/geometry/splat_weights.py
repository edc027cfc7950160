"""What every splat adds to every pixel: for fixed geometry and opacity an image is linear in the colours.

    image = W c + T · background,    rows of W sum to 1 - T

W depends on the views alone and is made once, as compressed sparse rows. The semantics are gsplat's (see
`splat_kernels`); that the rasteriser of a training run had the same ones is what makes its opacities fit. Where gsplat
and a GPU are, they do the work (`splat_weights_cuda`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse

from weft.errors import InvalidCamera, InvalidInput
from weft.geometry.accelerators import usable
from weft.geometry.camera import Camera
from weft.geometry.splat_kernels import TILE, bin_tiles, composite, footprints
from weft.geometry.splats import Splats, covariances

__all__ = ["NEGLIGIBLE", "SplatWeights", "render_splats", "splat_weights"]

NEGLIGIBLE = 1e-3  # weights below are left out: 44 % of the entries of a scan, whose views then agree to 57 dB
_MOST_ENTRIES = 400_000_000  # of all views, 3 GB
_MOST_OVERLAPS = 200_000_000  # of splats with tiles of one view, 1 GB


class SplatWeights(NamedTuple):
    """W of some views as compressed sparse rows, one row for each pixel in N, H, W order."""

    row_starts: np.ndarray  # i4 [N·H·W + 1]
    splats: np.ndarray  # i4 [entries], front to back in each row
    weights: np.ndarray  # f4 [entries], in (0, 1)
    transmittance: np.ndarray  # f4 [N, H, W], T: the share of the background

    @property
    def shape(self) -> tuple[int, int, int]:
        """N, H, W."""
        return self.transmittance.shape  # type: ignore[return-value]


def splat_weights(splats: Splats, cameras: Sequence[Camera], *, prune: float = NEGLIGIBLE) -> SplatWeights:
    """W of all `cameras`, which share one image size and stand in the frame of the splats.

    Weights below `prune` are left out and the rest of their row scaled to the same sum; 0 keeps all. The bytes depend
    on where this is computed, not on the number of threads. Raises InvalidCamera for no camera or cameras of several
    sizes, InvalidInput where the entries exceed 32-bit indices.
    """
    sizes = {(camera.height, camera.width) for camera in cameras}
    if len(sizes) != 1:
        raise InvalidCamera(
            f"cameras of {len(sizes)} image sizes, expected one", "give all cameras one width and height"
        )
    cloud = splats.means, covariances(splats), splats.opacity
    views, entries = [], 0
    for camera in cameras:
        views.append(_view_weights(cloud, camera, np.float32(prune)))
        entries += len(views[-1].splats)
        if entries > _MOST_ENTRIES:
            raise InvalidInput(
                f"{len(views)} of {len(cameras)} views alone see {entries:,} weights of splats, expected at most "
                f"{_MOST_ENTRIES:,} in all",
                "use fewer or smaller views",
            )
    counts = np.concatenate([np.diff(view.row_starts) for view in views])
    starts = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=starts[1:])
    return SplatWeights(
        starts,
        np.concatenate([view.splats for view in views]),
        np.concatenate([view.weights for view in views]),
        np.concatenate([view.transmittance for view in views]),
    )


def _view_weights(
    cloud: tuple[np.ndarray, np.ndarray, np.ndarray],  # means f4 [S, 3], covariances f4 [S, 6], opacities f4 [S]
    camera: Camera,
    least: np.float32,
) -> SplatWeights:
    """W of one camera: counted, then filled."""
    if usable("gsplat") and not camera.orthographic:
        from weft.geometry.splat_weights_cuda import view_weights_cuda

        return SplatWeights(*view_weights_cuda(cloud, camera, float(least)))
    drawn, boxes, visible = _footprints(cloud, camera)
    overlaps = int(np.prod(boxes[:, 1::2] // TILE - boxes[:, ::2] // TILE + 1, axis=1, dtype=np.int64).sum())
    if overlaps > _MOST_OVERLAPS:
        raise InvalidInput(
            f"the splats cover {overlaps:,} tiles of one view, expected at most {_MOST_OVERLAPS:,}",
            "move the camera away from them, use smaller views, or clean the scene of huge splats",
        )
    tile_starts, tile_splats = bin_tiles(boxes, camera.width, camera.height)
    pixels = camera.width * camera.height
    counts, through = np.empty(pixels, np.int32), np.empty(pixels, np.float32)
    starts = np.zeros(pixels + 1, np.int32)
    seen, weights = np.empty(0, np.int32), np.empty(0, np.float32)
    tiles = tile_starts, tile_splats, drawn, boxes, camera.width, camera.height, least, counts, through
    composite(*tiles, starts, seen, weights)
    np.cumsum(counts, out=starts[1:])
    seen, weights = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float32)
    composite(*tiles, starts, seen, weights)
    return SplatWeights(starts, visible[seen], weights, through.reshape(1, camera.height, camera.width))


def _footprints(
    cloud: tuple[np.ndarray, np.ndarray, np.ndarray], camera: Camera
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Footprints f4 [M, 6] and boxes i4 [M, 4] of the splats that show, from front to back, and their numbers i4 [M].

    Splats at one depth keep their order.
    """
    count = len(cloud[0])
    drawn, boxes = np.empty((count, 6), np.float32), np.empty((count, 4), np.int32)
    depths = np.empty(count, np.float32)
    lens = np.array([camera.fx, camera.fy, camera.cx, camera.cy, not camera.orthographic], np.float64)
    near = camera.near if not camera.orthographic else -np.inf
    footprints(*cloud, camera.view_matrix, lens, camera.width, camera.height, float(near), drawn, boxes, depths)
    shown = np.flatnonzero((boxes[:, 0] <= boxes[:, 1]) & (boxes[:, 2] <= boxes[:, 3]))
    order = shown[np.argsort(depths[shown], kind="stable")]
    return drawn[order], boxes[order], order.astype(np.int32)


def render_splats(
    splats: Splats,
    camera: Camera,
    colors: np.ndarray | None = None,  # f4 [S, 3]; None: the splats' own, without view-dependent bands
    background: float | Sequence[float] | np.ndarray = 1.0,  # one grey, a colour [3], or an image [H, W, 3]
) -> np.ndarray:
    """f4 [H, W, 3], W c + T · background, of all weights; not clamped."""
    found = splat_weights(splats, [camera], prune=0.0)
    matrix = scipy.sparse.csr_array(
        (found.weights, found.splats, found.row_starts), (camera.width * camera.height, splats.count)
    )
    image = matrix @ (splats.colors if colors is None else np.asarray(colors, np.float32))
    behind = found.transmittance[0][..., None] * np.asarray(background, np.float32)
    return image.reshape(camera.height, camera.width, 3) + behind
