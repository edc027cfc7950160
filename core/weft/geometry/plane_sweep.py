"""One view's depth from its neighbours' pictures: a plane sweep and semi-global matching.

Collins, *A Space-Sweep Approach to True Multi-Image Matching*, CVPR 1996: all pictures are warped to the reference as
if everything lay on one plane, for many planes; where they match is the depth. Here the planes are spaced evenly in
inverse depth, a match is one minus the normalised cross-correlation over windows that keep to the pixel's own colour
(Yoon and Kweon 2006), over the better half of the neighbours: what hides a place hides it in some (Kang, Szeliski and
Chai 2001). Neighbouring pixels agree by semi-global matching (Hirschmüller 2008), a parabola finds the depth between
planes, and depth jumps are moved to where colours change (Ma et al. 2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weft.geometry.stereo_kernels import semi_global, sharpen_jumps, sweep, window_weights
from weft.geometry.stereo_rig import StereoRig

__all__ = ["Matches", "match_depths"]

_REACH = 3  # pixels of a window to each side
_COLOUR_FALLOFF = 0.25  # of the sum of three colour differences
_STEP = 0.75  # pixels that a plane moves the picture by
_PLANES = (24, 160)
_SMALL, _LARGE, _EDGE = 0.03, 0.4, 0.15  # penalties of semi-global matching, and the colour edge that lowers the large
_JUMP_REACH, _JUMP, _JUMP_EDGE = 5, 0.05, 0.12  # pixels, part of the depth, and colour difference


@dataclass(frozen=True, eq=False)
class Matches:
    """What one view's own comparison with its neighbours found, before the views are held against each other."""

    depth: np.ndarray  # f4 [H, W], infinite where no neighbour sees the place at any depth
    cost: np.ndarray  # f4 [H, W] in [0, 1], 1 - correlation at that depth


def match_depths(rig: StereoRig, view: int, near: float, far: float, planes: int | None = None) -> Matches:
    """The depths of one view by its neighbours' pictures."""
    others = rig.sources(view)
    rays, shifts = rig.to(view, others)
    image, grey = rig.images[view], rig.grey[view]
    height, width = grey.shape
    count = planes or _plane_count(rays, shifts, (height, width), near, far)
    inverse = np.linspace(1 / far, 1 / near, count).astype(np.float32)
    padded = np.pad(grey, _REACH, "edge")
    weights = np.empty((height, (2 * _REACH + 1) ** 2, width), np.float32)
    mean, variance = np.empty_like(grey), np.empty_like(grey)
    margins = ((_REACH, _REACH), (_REACH, _REACH), (0, 0))
    window_weights(
        np.pad(image, margins, "edge"), padded, _REACH, np.float32(_COLOUR_FALLOFF), weights, mean, variance
    )  # fmt: skip
    cost, total = np.empty((height, width, count), np.float32), np.zeros((height, width, count), np.float32)
    sweep(padded, weights, mean, variance, rig.grey[others], rays, shifts, inverse, _REACH, cost)
    semi_global(cost, image, np.float32(_SMALL), np.float32(_LARGE), np.float32(_EDGE), total)
    best = total.argmin(-1)
    at = _between(total, best)
    found = np.interp(at, np.arange(count), inverse).astype(np.float32)
    sharp = np.empty_like(found)
    sharpen_jumps(found, image, _JUMP_REACH, np.float32(_JUMP), np.float32(_JUMP_EDGE), sharp)
    lowest = np.take_along_axis(cost, best[..., None], -1)[..., 0]
    blind = cost.min(-1) >= 1
    return Matches(np.where(blind, np.inf, 1 / sharp).astype(np.float32), lowest)


def _between(total: np.ndarray, best: np.ndarray) -> np.ndarray:
    """f8 [H, W], the planes' numbers at the bottom of the parabola through the best plane and those beside it."""
    inner = best.clip(1, total.shape[-1] - 2)
    left, middle, right = (np.take_along_axis(total, (inner + k)[..., None], -1)[..., 0] for k in (-1, 0, 1))
    bend = left - 2 * middle + right
    off = np.divide(left - right, 2 * bend, out=np.zeros_like(bend), where=bend > 1e-9).clip(-0.5, 0.5)
    return np.where(inner == best, best + off, best)


def _plane_count(rays: np.ndarray, shifts: np.ndarray, shape: tuple[int, int], near: float, far: float) -> int:
    """So many that one plane moves the picture by 3/4 of a pixel in the source that it moves most."""
    height, width = shape
    grid = np.stack(np.meshgrid((0.25, 0.5, 0.75), (0.25, 0.5, 0.75)), -1).reshape(-1, 2) * (width, height)
    points = np.concatenate([grid, np.ones((9, 1))], 1)
    steps = np.linspace(1 / far, 1 / near, 9)
    most = 0.0
    for ray, shift in zip(rays, shifts, strict=True):
        at = (points @ ray.T)[:, None] + steps[:, None] * shift
        flat = at[..., :2] / np.maximum(at[..., 2:], 1e-6)
        inside = (flat > 0).all(-1) & (flat < (width, height)).all(-1)
        moved = np.linalg.norm(np.diff(flat, axis=1), axis=-1)
        usual = moved[inside[:, 1:] | inside[:, :-1]]
        most = max(most, float(np.median(usual)) * 8) if len(usual) else most
    return int(np.clip(np.ceil(most / _STEP) + 1, *_PLANES))
