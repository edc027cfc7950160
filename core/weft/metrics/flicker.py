"""Flicker of a video: what changes from frame to frame beyond what moves.

    flicker = mean |I_{k+1} - warp(I_k)|  over the pixels whose flow is known

The flow is that of the frames before an edit: known where they were rendered, and else found by scikit-image's TV-L1
(Zach, Pock & Bischof 2007, "A duality based approach for realtime TV-L1 optical flow") in both directions; a pixel's
flow is known where the way back leads home. It says nothing of sharpness: a grey video does not flicker.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from weft.errors import InvalidImage, InvalidInput
from weft.geometry.optical_flow import agreeing, sampled

__all__ = ["Flow", "flicker", "video_flows"]

_ATTACHMENT = 150  # to the frames, beside smoothness; skimage's own, 15, takes soft matter for flat
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


class Flow(NamedTuple):
    """Where what a frame shows was in the frame before."""

    back: np.ndarray  # f4 [H, W, 2] (right, down), px: p shows what p + back showed
    known: np.ndarray  # bool [H, W]


def video_flows(frames: np.ndarray) -> list[Flow]:
    """N - 1 flows between `frames` f4 [N, H, W, 3] in [0, 1]. Raises InvalidImage for NaN."""
    if frames.ndim != 4 or not np.isfinite(frames).all():
        raise InvalidImage(f"frames of shape {list(frames.shape)}, or with NaN", "give [N, H, W, 3] in [0, 1]")
    grey = frames.astype(np.float32) @ _LUMINANCE
    flows = []
    for before, after in pairwise(grey):
        back = _found(after, before)
        flows.append(Flow(back, agreeing(back, _found(before, after))))
    return flows


def _found(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """f4 [H, W, 2] (right, down): `first` at p shows what `second` shows at p + flow."""
    from skimage.registration import optical_flow_tvl1

    down, right = optical_flow_tvl1(first, second, attachment=_ATTACHMENT, dtype=np.float32)
    return np.stack([right, down], -1)


def flicker(images: np.ndarray, flows: Sequence[Flow]) -> float:
    """Mean over all known pixels and channels of `images` [N, H, W, C]. Raises InvalidInput for flows of other frames,
    or where nothing is known."""
    shapes = {flow.known.shape for flow in flows}
    if len(flows) != len(images) - 1 or shapes != {images.shape[1:3]}:
        raise InvalidInput(
            f"{len(flows)} flows of {sorted(shapes)} px for {len(images)} frames of {images.shape[1:3]} px",
            "give one flow for each two neighbours, of their size",
        )
    total, count = 0.0, 0
    for before, after, flow in zip(images, images[1:], flows, strict=False):
        row, column = np.nonzero(flow.known)
        shown = sampled(before, np.stack([column, row], -1) + flow.back[row, column])
        difference = np.abs(after[row, column].astype(np.float64) - shown)
        total, count = total + difference.sum(), count + difference.size
    if not count:
        raise InvalidInput("no flow is known anywhere", "frames that have nothing in common do not flicker: they cut")
    return total / count
