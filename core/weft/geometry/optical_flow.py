"""Where the pixels of one picture went in the next: dense Lucas-Kanade, coarse to fine.

Lucas & Kanade 1981, in the pyramid of Bouguet 2001. With A the first picture and B the second, warped by the flow that
is known so far, the increment d of each pixel solves, over a Gaussian window and all channels,

    Σ ∇I ∇Iᵀ d = -Σ ∇I (B - A),     I = (A + B)/2

damped, so that where nothing is to be seen the flow of the coarser level stays. A median drops what stands alone.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from weft.errors import InvalidImage

__all__ = ["agreeing", "optical_flow", "sampled"]

COARSEST = 12  # px, of the shorter side
ITERATIONS = 5  # a level
WINDOW = 2.0  # px, standard deviation
_DAMPING = 2e-5  # of squared contrasts: noise of 8 bits is below
_LONGEST = 1.0  # px, an increment
_MEDIAN = 3  # px, a side
_TOLERANCE, _SHARE = 0.5, 0.05  # px, and of the distance: what forward and backward may miss each other by


def optical_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """f4 [H, W, 2] (right, down) in pixels: `first` at p shows what `second` shows at p + flow. Pictures f4 [H, W, C]
    in [0, 1]. Raises InvalidImage for pictures of two sizes."""
    if first.shape != second.shape or first.ndim != 3:
        raise InvalidImage(f"pictures of shapes {list(first.shape)} and {list(second.shape)} have no common pixels")
    levels = [(np.asarray(first, np.float32), np.asarray(second, np.float32))]
    while min(levels[-1][0].shape[:2]) >= 2 * COARSEST:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    flow = np.zeros((*levels[-1][0].shape[:2], 2), np.float32)
    for a, b in reversed(levels):
        flow = _doubled(flow, a.shape[:2]) if flow.shape[:2] != a.shape[:2] else flow
        for _ in range(ITERATIONS):
            flow = ndimage.median_filter(flow + _increment(a, b, flow), (_MEDIAN, _MEDIAN, 1))
    return flow


def agreeing(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """bool [H, W]: pixels that come back to where they were: `forward` and `backward` f4 [H, W, 2]. What was covered,
    or left the frame, does not."""
    at = _moved(forward)
    back = sampled(backward, at)
    missed = np.linalg.norm(forward + back, axis=-1)
    length = np.linalg.norm(forward, axis=-1) + np.linalg.norm(back, axis=-1)
    return (missed <= _TOLERANCE + _SHARE * length) & _inside(at, forward.shape[:2])


def sampled(picture: np.ndarray, at: np.ndarray) -> np.ndarray:
    """f4 [..., C]: `picture` [H, W, C] at index coordinates `at` [..., 2] (right, down), bilinear, edges repeated."""
    where = [at[..., 1], at[..., 0]]
    planes = [ndimage.map_coordinates(plane, where, order=1, mode="nearest") for plane in np.moveaxis(picture, -1, 0)]
    return np.stack(planes, -1)


def _increment(a: np.ndarray, b: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """f4 [H, W, 2]: by how much better `flow` should be, no more than _LONGEST."""
    at = _moved(flow)
    warped = sampled(b, at)
    mean = (a + warped) / 2
    down, right = np.gradient(mean, axis=(0, 1))
    missed = (warped - a) * _inside(at, flow.shape[:2])[..., None]
    weight = _inside(at, flow.shape[:2]).astype(np.float32)[..., None]

    def window(product: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter((weight * product).sum(-1), WINDOW, mode="nearest")

    xx, xy, yy = window(right * right) + _DAMPING, window(right * down), window(down * down) + _DAMPING
    x, y = window(right * missed), window(down * missed)
    step = -np.stack([yy * x - xy * y, xx * y - xy * x], -1) / (xx * yy - xy * xy)[..., None]
    length = np.linalg.norm(step, axis=-1, keepdims=True)
    return (step * (_LONGEST / np.maximum(length, _LONGEST))).astype(np.float32)


def _moved(flow: np.ndarray) -> np.ndarray:
    """f4 [H, W, 2], index coordinates (right, down) of where pixels go."""
    row, column = np.indices(flow.shape[:2], np.float32)
    return np.stack([column, row], -1) + flow


def _inside(at: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """bool [...]: whether coordinates lie on pixels of a picture of `shape` (H, W)."""
    return ((at > -0.5) & (at < np.array([shape[1], shape[0]]) - 0.5)).all(-1)


def _halved(picture: np.ndarray) -> np.ndarray:
    """Blurred, then the means of 2 x 2 pixels; an odd last row or column counts twice."""
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
    smooth = ndimage.gaussian_filter(padded, (0.7, 0.7, 0), mode="nearest")
    return (smooth[::2, ::2] + smooth[1::2, ::2] + smooth[::2, 1::2] + smooth[1::2, 1::2]) / 4


def _doubled(flow: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The flow of a level half as large at `shape`."""
    row, column = np.indices(shape, np.float32)
    return 2 * sampled(flow, np.stack([column, row], -1) / 2 - 0.25)
