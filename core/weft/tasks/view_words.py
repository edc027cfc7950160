"""Which side of an object each view sees: the words that say so in a prompt, and the views that should agree with it.

An object stands up along +Z and shows its front to -Y; azimuths and elevations are those of `geometry.camera.orbit`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weft.geometry.camera import Camera
from weft.models.networks.image_model import ViewNeighbours

__all__ = ["direction_words", "neighbours_of", "prompt_of", "view_angles", "words_of"]

_SIDE, _STEEP = 45.0, 60.0  # degrees: the bounds of Poole et al. 2022 (DreamFusion)
_LEVEL = 25.0  # degrees of elevation up to which a view belongs to the ring
_WIDEST = 120.0  # degrees between neighbours of a ring, at most
_DIGITS = 3  # of a degree, to which angles count: views at one of the bounds must not fall to either side by rounding


def direction_words(azimuth: float, elevation: float) -> str:
    """What a view in this direction (degrees) shows.

    "top view" and "bottom view" beyond 60° of elevation; else "front view" within less than 45° of azimuth 0, "back
    view" within less than 45° of azimuth 180, "side view" between.
    """
    if abs(round(elevation, _DIGITS)) > _STEEP:
        return "top view" if elevation > 0 else "bottom view"
    off = round(abs((azimuth + 180) % 360 - 180), _DIGITS)
    return "front view" if off < _SIDE else "back view" if off > 180 - _SIDE else "side view"


def view_angles(cameras: Sequence[Camera], middle: np.ndarray) -> np.ndarray:
    """f8 [N, 2]: azimuth in [0, 360) and elevation, degrees, of each camera seen from the object's `middle` [3]; of an
    orthographic camera, or one in the middle, those of the opposite of its viewing direction."""
    x, y, z = _outward(cameras, middle).T
    azimuth = np.degrees(np.arctan2(x, -y)).round(_DIGITS) % 360
    return np.stack([azimuth, np.degrees(np.arcsin(z.clip(-1, 1))).round(_DIGITS)], 1)


def words_of(cameras: Sequence[Camera], middle: np.ndarray) -> tuple[str, ...]:
    """The direction words of each camera around an object's `middle` [3]."""
    return tuple(direction_words(azimuth, elevation) for azimuth, elevation in view_angles(cameras, middle))


def prompt_of(prompt: str, words: str) -> str:
    """The prompt with the direction words behind it."""
    return ", ".join(part for part in (prompt.strip().rstrip(","), words) if part)


def neighbours_of(cameras: Sequence[Camera], middle: np.ndarray) -> ViewNeighbours:
    """Whose keys each view attends to, itself among them, and the front view.

    Cameras make a ring where at least three of them are within 25° of the horizon and no gap between these exceeds
    120°. Then each of these has the previous and the next by azimuth, and each of the others the front or the back
    view, the one nearer in azimuth (Kim et al. 2024). Cameras that make no ring have the two others whose directions
    are nearest. Of equal ones the first counts.
    """
    angles, outward = view_angles(cameras, middle), _outward(cameras, middle)
    front, back = (_nearest(outward, azimuth) for azimuth in (0.0, 180.0))
    level = np.flatnonzero(np.abs(angles[:, 1]) <= _LEVEL)
    ring = level[np.argsort(angles[level, 0], kind="stable")]
    if _is_ring(angles[ring, 0]):
        keys = {int(view): (int(a), int(view), int(b)) for a, view, b in _in_threes(ring)}
        ends = np.where(_apart(angles[:, 0], angles[front, 0]) <= _apart(angles[:, 0], angles[back, 0]), front, back)
        chosen = [keys.get(view) or _distinct(int(ends[view]), view) for view in range(len(cameras))]
    else:
        chosen = [_closest(outward, view) for view in range(len(cameras))]
    return ViewNeighbours(tuple(chosen), (front,) * len(cameras))


def _outward(cameras: Sequence[Camera], middle: np.ndarray) -> np.ndarray:
    """f8 [N, 3]: unit vectors towards the cameras."""
    rows = []
    for camera in cameras:
        away = camera.center - np.asarray(middle, np.float64)
        length = np.linalg.norm(away)
        rows.append(-camera.forward if camera.orthographic or not length > 0 else away / length)
    return np.array(rows).reshape(-1, 3)


def _nearest(outward: np.ndarray, azimuth: float) -> int:
    """The view nearest to a level direction."""
    direction = np.array([np.sin(np.radians(azimuth)), -np.cos(np.radians(azimuth)), 0.0])
    return int(np.argmax((outward @ direction).round(6)))


def _is_ring(azimuths: np.ndarray) -> bool:
    """Whether sorted azimuths go all the way round."""
    return len(azimuths) >= 3 and bool(np.diff(azimuths, append=azimuths[0] + 360).max() <= _WIDEST)


def _in_threes(ring: np.ndarray) -> zip[tuple[int, int, int]]:
    """Each of a cycle between the previous and the next."""
    return zip(np.roll(ring, 1), ring, np.roll(ring, -1), strict=True)


def _apart(azimuths: np.ndarray, other: float) -> np.ndarray:
    """Degrees in [0, 180] between directions."""
    return np.abs((azimuths - other + 180) % 360 - 180).round(_DIGITS)


def _closest(outward: np.ndarray, view: int) -> tuple[int, ...]:
    """The view and the two others, if there are, whose directions are nearest to its."""
    likeness = (outward @ outward[view]).round(6)
    others = [int(other) for other in np.argsort(-likeness, kind="stable") if other != view]
    return _distinct(view, *others[:2])


def _distinct(*views: int) -> tuple[int, ...]:
    return tuple(dict.fromkeys(views))
