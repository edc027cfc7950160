"""Depth of photographs from each other: every view's own (`plane_sweep`), and what the views say to one another.

A depth that no other view's depth confirms is dropped, the mean of those that agree is taken; what is missing is filled
along colours (`depth_filling`), unless it would hide what another view sees; and a place that looks nothing alike in
the views that should see it is not known after all (fringes at silhouettes, mirrors).

The order of the views makes no difference, and scaling the world scales the depth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import maximum_filter

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.cross_view_kernels import compare_colours, compare_depths
from weft.geometry.depth_filling import enlarged, filled
from weft.geometry.plane_sweep import Matches, match_depths
from weft.geometry.stereo_rig import StereoRig, shrunk, viewing_distance

__all__ = ["LEAST_MATCHED", "coarse_matches", "depth_range", "estimate_depths"]

_WITNESSES = 8  # views that are asked about another's depth
_AGREE_PIXELS, _AGREE_SHARE = 1.5, 0.03
_LARGEST_SIDE = 288  # px that are compared
_LEAST = 0.01  # confidence of any depth
_FARTHEST, _GUESSED = 0.1, 0.25  # of the longer side, up to which depth is filled in, and its confidence
_BEHIND = 4  # pixels
_UNLIKE = 0.3  # sum of three colour differences
_COARSE_SIDE, _COARSE_PLANES = 96, 64
_RANGE = (0.1, 12.0)  # of the distance that the cameras look at: where depth is looked for at all
_WELL, _FLAT = 0.4, 0.95  # 1 - correlation of a good match, and above which there is nothing to match
LEAST_MATCHED = 0.04  # of all pixels with contrast, below which pictures and poses do not fit together


def estimate_depths(
    images: np.ndarray,  # f4 [N, H, W, 3]
    cameras: Sequence[Camera],
    near: float | None = None,
    far: float | None = None,
    masks: np.ndarray | None = None,  # bool [N, H, W], False where depth is not wanted: an empty background
) -> tuple[np.ndarray, np.ndarray]:
    """depth f4 [N, H, W] along the viewing axes, world units, infinite where unknown, and confidence f4 [N, H, W] in
    [0, 1]: above 0.5 where other views confirm it, below where it was filled in, 0 where it is unknown.

    Between `near` and `far`, or where a coarse pass finds something. Pictures of more than 288 px a side are compared
    in a smaller size, and depth is enlarged along their colours. Raises InvalidInput for fewer than two views and
    for pictures that match nowhere, InvalidCamera for orthographic cameras.
    """
    rig = StereoRig(images, cameras)
    if near is None or far is None:
        found = depth_range(images, cameras)
        near, far = near or found[0], far or found[1]
    if not 0 < near < far:
        raise InvalidInput(f"depths from {near:g} to {far:g}", "give near and far with 0 < near < far")
    factor = -(-max(images.shape[1:3]) // _LARGEST_SIDE)
    wanted = np.ones(images.shape[:3], bool) if masks is None else masks
    small = rig if factor == 1 else StereoRig(*shrunk(images, cameras, factor))
    middle = slice(factor // 2, None, factor)
    shown = wanted[:, middle, middle][:, : small.grey.shape[1], : small.grey.shape[2]]
    matches = [match_depths(small, view, near, far) for view in range(len(cameras))]
    depths, confidence = _completed(small, *_confirmed(small, matches, shown))
    if factor > 1:
        depths = np.stack([enlarged(*each, factor) for each in zip(depths, rig.images, strict=True)])
        confidence = np.stack([_repeated(one, factor, images.shape[1:3]) for one in confidence])
    depths = np.where(wanted, depths, np.float32(np.inf))
    return depths, np.where(np.isfinite(depths), np.maximum(confidence, np.float32(_LEAST)), 0).astype(np.float32)


def _repeated(values: np.ndarray, factor: int, shape: tuple[int, ...]) -> np.ndarray:
    """[H, W], each value for the pixels that it was shrunk from; the last one's for what was left over."""
    rows, columns = (np.minimum(np.arange(n) // factor, m - 1) for n, m in zip(shape, values.shape, strict=True))
    return values[rows[:, None], columns]


def _confirmed(rig: StereoRig, matches: Sequence[Matches], shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """depth f4 [N, H, W], the mean of those that agree, infinite where none does or nothing is `shown`, bool
    [N, H, W], and confidence."""
    own = np.where(shown, np.stack([match.depth for match in matches]), np.float32(np.inf))
    depths, confidence = np.empty_like(own), np.empty_like(own)
    for view, match in enumerate(matches):
        agree, contradicted, total = _compared(rig, view, own)
        kept = (agree >= 1) & (agree >= contradicted)
        depths[view] = np.where(kept, (own[view] + total) / (1 + agree), np.inf)
        confidence[view] = np.where(kept, 1 - 0.5 * match.cost.clip(0, 1) ** agree.clip(1, 3), 0)
    return depths, confidence


def _compared(rig: StereoRig, view: int, depths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """See `compare_depths`; with the views around."""
    others = rig.sources(view, _WITNESSES)
    back = [rig.to(k, [view]) for k in others]
    shape = depths[view].shape
    agree, contradicted, total = np.empty(shape, np.int32), np.empty(shape, np.int32), np.empty(shape, np.float32)
    compare_depths(
        depths[view], *rig.to(view, others), depths[others], np.concatenate([rays for rays, _ in back]),
        np.concatenate([shifts for _, shifts in back]), np.float32(_AGREE_PIXELS), np.float32(_AGREE_SHARE), agree,
        contradicted, total,
    )  # fmt: skip
    return agree, contradicted, total


def _completed(rig: StereoRig, depths: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Filled along colours, but where that would hide what another view is sure of, or where no view looks alike:
    there with what lies behind, or nothing."""
    farthest = _FARTHEST * max(depths.shape[1:])
    whole = np.stack([filled(*each, farthest=farthest) for each in zip(depths, confidence, rig.images, strict=True)])
    for view, own in enumerate(whole):
        _retreat(own, (confidence[view] == 0) & _hiding(rig, view, own, depths))
        own[(confidence[view] == 0) & _hiding(rig, view, own, depths)] = np.inf
    seen = whole.copy()
    for view, own in enumerate(whole):
        _retreat(own, _unlike(rig, view, own, seen))
        own[_unlike(rig, view, own, seen)] = np.inf
    held = (whole == seen) & (confidence > 0)
    return whole, np.where(np.isfinite(whole), np.where(held, confidence, np.float32(_GUESSED)), 0)


def _retreat(depth: np.ndarray, wrong: np.ndarray) -> None:
    """What is `wrong`, bool [H, W], takes the greatest other depth a few pixels around, or none."""
    depth[wrong] = np.inf
    greatest = maximum_filter(np.where(np.isfinite(depth), depth, 0), 2 * _BEHIND + 1)
    depth[wrong] = np.where(greatest > 0, greatest, np.inf)[wrong]


def _hiding(rig: StereoRig, view: int, own: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """bool [H, W], where `own` depth of a view lies before what more other views measured than agree with it."""
    held = depths.copy()
    held[view] = own
    agree, contradicted, _ = _compared(rig, view, held)
    return contradicted > agree


def _unlike(rig: StereoRig, view: int, own: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """bool [H, W], where `own` depth of a view is that of a place of another colour in the views that see it."""
    others = rig.sources(view, _WITNESSES)
    off = np.empty(own.shape, np.float32)
    compare_colours(
        own, *rig.to(view, others), depths[others], rig.images[view], rig.images[others], np.float32(_AGREE_SHARE), off
    )
    return off > _UNLIKE


def depth_range(images: np.ndarray, cameras: Sequence[Camera]) -> tuple[float, float]:
    """Nearest and farthest depth that views confirm in each other, with some room; from small pictures. Raises
    InvalidInput where they confirm hardly any."""
    depths, share = coarse_matches(images, cameras)
    if share < LEAST_MATCHED:
        raise InvalidInput(
            f"the views match each other in {share:.1%} of what they show, expected far more",
            "check that the poses are those of these pictures, or give views that lie closer together",
        )
    low, high = np.quantile(depths, (0.01, 0.99))
    return float(low / 1.2), float(high * 1.3)


def coarse_matches(images: np.ndarray, cameras: Sequence[Camera]) -> tuple[np.ndarray, float]:
    """The depths f4 [n] of the pixels of small pictures that match well and that two other views confirm (one, if there
    are but two views), and how many of all pixels with any contrast these are, in [0, 1]."""
    factor = max(1, -(-max(images.shape[1:3]) // _COARSE_SIDE))
    rig = StereoRig(*shrunk(images, cameras, factor))
    near, far = (viewing_distance(cameras) * part for part in _RANGE)
    matches = [match_depths(rig, view, near, far, _COARSE_PLANES) for view in range(len(cameras))]
    own, cost = (np.stack([getattr(match, part) for match in matches]) for part in ("depth", "cost"))
    agree = np.stack([_compared(rig, view, own)[0] for view in range(len(own))])
    good = (cost < _WELL) & (agree >= min(2, len(own) - 1))
    return own[good], float(good.sum() / max(int((cost < _FLAT).sum()), 1))
