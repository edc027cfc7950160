"""Some of many cameras: spread over what they see together, and each close enough to another to be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weft.geometry.camera import Camera

__all__ = ["choose_views", "focus", "parallaxes"]

_CLOSE = 12.0  # degrees of parallax between neighbours at which stereo finds most
_FARTHER = 1.3  # of the usual distance to the second neighbour, where cameras stand farther apart
_SCALE = 30.0  # degrees that a view from e times as far counts as
_FEWEST_PARALLEL = 1e-4


def focus(cameras: Sequence[Camera]) -> np.ndarray | None:
    """f8 [3], the point nearest to all viewing axes; None where they hardly converge, or most look away from it."""
    centers, forward = np.stack([c.center for c in cameras]), np.stack([c.forward for c in cameras])
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]
    total = across.sum(0)
    if np.linalg.eigvalsh(total)[0] < _FEWEST_PARALLEL * len(cameras):
        return None
    point = np.linalg.solve(total, np.einsum("nij,nj->i", across, centers))
    return point if np.median(((point - centers) * forward).sum(1)) > 0 else None


def parallaxes(cameras: Sequence[Camera]) -> np.ndarray:
    """f8 [N, N], degrees: how differently each two cameras see the scene, by angle and by distance."""
    centers, forward = np.stack([c.center for c in cameras]), np.stack([c.forward for c in cameras])
    turned = _angles(forward)
    point = focus(cameras)
    if point is None:  # side by side, or looking outwards: shifts count by the rig's own extent
        apart = np.linalg.norm(centers[:, None] - centers[None], axis=-1)
        return turned + 45 * apart / max(apart.max(), 1e-12)
    away = np.maximum(np.linalg.norm(centers - point, axis=1), 1e-12)
    scale = np.abs(np.log(away[:, None] / away[None]))
    return np.maximum(_angles((centers - point) / away[:, None]), turned) + _SCALE * scale


def choose_views(cameras: Sequence[Camera], count: int) -> list[int]:
    """Numbers of `count` cameras (all, if there are no more), in order.

    From the camera in the middle on always the one farthest from those chosen is taken that is still close to one of
    them: within 12°, or more where cameras stand farther apart.
    """
    if count >= len(cameras):
        return list(range(len(cameras)))
    apart = parallaxes(cameras).round(6)
    neighbors = np.sort(apart, 1)[:, min(2, len(cameras) - 1)]
    limit = max(_CLOSE, _FARTHER * float(np.median(neighbors)))
    chosen = [int(apart.sum(1).argmin())]
    while len(chosen) < count:
        nearest = apart[:, chosen].min(1)
        nearest[chosen] = np.inf
        close = nearest <= limit
        chosen.append(int(np.where(close, nearest, -1).argmax() if close.any() else nearest.argmin()))
    return sorted(chosen)


def _angles(directions: np.ndarray) -> np.ndarray:
    """Degrees between each two of the unit vectors [N, 3]."""
    return np.degrees(np.arccos((directions @ directions.T).clip(-1, 1)))
