"""Several views of one surface: does the texture say what each view says, and do the views agree?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.metrics.images import eroded, psnr

__all__ = ["pairwise_view_psnr", "rerender_psnr"]

_FACING = 0.3  # cosine of the view angle below which a view does not count as seeing the surface
_FEWEST = 500  # pixels that a pair of views must have in common
_DEPTH_PIXELS = 4.0  # a depth may differ by that many pixels' footprint: what a surface at cos 0.3 spans, and a little


def rerender_psnr(
    renders: Sequence[np.ndarray],  # f4 [H, W, 3] renders of the baked texture
    views: Sequence[np.ndarray],  # f4 [H, W, 3] the views' final denoised images
    masks: Sequence[np.ndarray],  # bool [H, W] where the object is
    cosines: Sequence[np.ndarray],  # f4 [H, W] cosine of the view angle
) -> float:
    """Mean over the views of the PSNR between render and view where the surface faces the camera (cos > 0.3)."""
    scores = []
    for render, view, mask, cosine in zip(renders, views, masks, cosines, strict=True):
        trusted = eroded(mask, 1) & (cosine > _FACING)
        if trusted.any():
            scores.append(psnr(render, view, trusted))
    if not scores:
        raise InvalidInput("no view faces the surface anywhere", "check the cameras and the masks")
    return float(np.mean(scores))


def pairwise_view_psnr(
    images: Sequence[np.ndarray],  # f4 [H, W, 3] the views' final images
    cameras: Sequence[Camera],
    positions: Sequence[np.ndarray],  # f4 [H, W, 3] world position each pixel sees
    depths: Sequence[np.ndarray],  # f4 [H, W] along the viewing axis, inf where there is nothing
    cosines: Sequence[np.ndarray],  # f4 [H, W] cosine of the view angle
) -> float | None:
    """Mean PSNR over ordered pairs (i, j) of view i, sampled bilinearly at what j's pixels see, against view j.

    Only pixels that both views see with cos > 0.3, and pairs with at least 500 of them; None without such a pair.
    """
    scores = []
    for j, image in enumerate(images):
        usable = np.isfinite(depths[j]) & (cosines[j] > _FACING)
        points, own = positions[j][usable], image[usable]
        for i in range(len(images)):
            if i == j or not len(points):
                continue
            seen, at = _seen(points, cameras[i], depths[i], cosines[i])
            if seen.sum() >= _FEWEST:
                scores.append(psnr(_bilinear(images[i], at[seen]), own[seen]))
    return float(np.mean(scores)) if scores else None


def _seen(points: np.ndarray, camera: Camera, depth: np.ndarray, cosine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which points [N, 3] a view sees clearly (bool [N]), and where: array coordinates (row, column) f8 [N, 2].

    All four pixels around the place must lie at the point's depth: an occluder or the background in one of them would
    bleed into the bilinear sample.
    """
    pixel, distance = camera.project(points)
    at = pixel[:, ::-1].astype(np.float64) - 0.5
    height, width = depth.shape
    seen = np.isfinite(at).all(1) & (at >= 0).all(1) & (at[:, 0] <= height - 1) & (at[:, 1] <= width - 1)
    corner = np.where(seen[:, None], np.floor(at), 0).astype(np.int64)
    footprint = (1.0 if camera.orthographic else distance) / camera.fx
    for down in (0, 1):
        for right in (0, 1):
            row, column = np.minimum(corner + np.array([down, right]), (height - 1, width - 1)).T
            near = np.abs(depth[row, column] - distance) <= _DEPTH_PIXELS * footprint
            seen &= near & (cosine[row, column] > _FACING)
    return seen, at


def _bilinear(image: np.ndarray, at: np.ndarray) -> np.ndarray:
    """[N, C] values of [H, W, C] at (row, column) array coordinates [N, 2]."""
    channels = [ndimage.map_coordinates(image[..., c], at.T, order=1, mode="nearest") for c in range(image.shape[2])]
    return np.stack(channels, -1)
