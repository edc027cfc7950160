"""The transformation of an illusion, played: from the image to each of its views and back, with rests.

Between rests nothing is a cut: turns turn, flips turn over like a card, pieces fly to their places, the negative sweeps
across, the skew slides. Frames of rests hold the exact pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from weft.spaces.illusion import CIRCLE_RADIUS, SKEW, Transformation
from weft.tasks.illusion_pieces import flying

__all__ = ["FRAMES_PER_SECOND", "animate"]

FRAMES_PER_SECOND = 20
REST, MOVE = 10, 24  # frames
MARGIN = 0.125  # of the side, around the image
LARGEST = 400  # pixels of the image in the animation, about
BACKGROUND = np.array([0.925, 0.915, 0.895], np.float32)
SHADOW = 0.28  # how much darker the background is below the image
_TURNS = {"rotate_90": 90.0, "rotate_180": 180.0, "rotate_270": -90.0}
_SHRINK = 0.13  # while it turns: the corners stay inside the frame
_CAMERA = 3.5  # half frames from the eye to a card that is turned over
_SWEEP = 0.55  # of the way: width of the negative's soft front

Frame = NDArray[np.float32]  # [C, C, 4]: colour, and how much of it covers the background


def animate(image: NDArray[np.float32], views: Sequence[Transformation]) -> NDArray[np.float32]:
    """f4 [F, C, C, 3] in [0, 1]: the image f4 [S, S, 3], then to each view and back. Identities only rest.

    The first frame rests on the image. Images above 400 pixels are played smaller by a whole number.
    """
    factor = max(1, round(len(image) / LARGEST))
    shown = [_rest(image, factor)] * REST
    for view in views:
        if view.name == "identity":
            continue
        moving = _motion(image, view)
        way = [_finished(moving(_eased((k + 1) / (MOVE + 1))), factor) for k in range(MOVE)]
        there = [_rest(_shown(image, view), factor)] * REST
        shown += [*way, *there, *reversed(way)] if view is views[-1] else [*way, *there, *reversed(way), *shown[:REST]]
    return np.stack(shown)


def _shown(image: NDArray[np.float32], view: Transformation) -> NDArray[np.float32]:
    return (view.apply(image * 2 - 1) * np.float32(0.5) + np.float32(0.5)).clip(0, 1)


def _eased(t: float) -> float:
    """From 0 to 1 with no speed and no jolt at the ends (Perlin 2002)."""
    return t * t * t * (t * (6 * t - 15) + 10)


def _motion(image: NDArray[np.float32], view: Transformation) -> Callable[[float], Frame]:
    """The frame at t in (0, 1)."""
    if view.name in _TURNS:
        return lambda t: _turned(_framed(image), _TURNS[view.name] * t, 1 - _SHRINK * np.sin(np.pi * t))
    if view.name.startswith("flip"):
        return lambda t: _turned_over(_framed(image), 180.0 * t, vertical=view.name == "flip_vertical")
    if view.name == "negate":
        return lambda t: _framed(_swept(image, t))
    if view.name == "skew":
        return lambda t: _framed(_slid(image, t))
    if view.name.startswith("inner_circle"):
        angle = float(view.name.rsplit("_", 1)[1])
        return lambda t: _framed(_circle_turned(image, angle * t))
    return flying(image, view, _margin(image))


def _margin(image: NDArray[np.float32]) -> int:
    return round(MARGIN * len(image))


def _framed(image: NDArray[np.float32]) -> Frame:
    """The image in the middle of its frame, the background around it not covered."""
    margin = _margin(image)
    covered = np.concatenate([image, np.ones((*image.shape[:2], 1), np.float32)], -1)
    return np.pad(covered, ((margin, margin), (margin, margin), (0, 0)))


def _rest(image: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    return _finished(_framed(image), factor)


def _finished(frame: Frame, factor: int) -> NDArray[np.float32]:
    """Over the background, with a soft shadow."""
    cover = frame[..., 3:].clip(0, 1)
    floor = BACKGROUND * (1 - np.float32(SHADOW) * _shadow(cover[..., 0]))
    result = frame[..., :3] + (1 - cover) * floor
    if factor > 1:
        planes = functional.avg_pool2d(torch.from_numpy(result).permute(2, 0, 1)[None], factor)
        result = planes[0].permute(1, 2, 0).contiguous().numpy()
    return result.clip(0, 1).astype(np.float32)


def _shadow(cover: NDArray[np.float32]) -> NDArray[np.float32]:
    """[C, C, 1] how much a light from above, far and wide, is kept from the background; blurred at a quarter's size."""
    small = functional.avg_pool2d(torch.from_numpy(cover)[None, None], 4)[0, 0].numpy()
    depth = 0.025 * len(small)
    soft = np.roll(gaussian_filter(small, depth, mode="constant"), round(0.6 * depth), 0)
    return functional.interpolate(torch.from_numpy(soft)[None, None], cover.shape, mode="bilinear")[
        0, 0, ..., None
    ].numpy()


def _sampled(frame: Frame, x: NDArray[np.float32], y: NDArray[np.float32]) -> Frame:
    """[C, C, 4] bilinearly looked up at x right and y up, in [-1, 1]; beyond the frame nothing covers."""
    grid = torch.from_numpy(np.stack([x, -y], -1).astype(np.float32))[None]
    planes = torch.from_numpy(frame).permute(2, 0, 1)[None]
    return functional.grid_sample(planes, grid, align_corners=False)[0].permute(1, 2, 0).numpy()


def _coordinates(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(x right, y up) of the pixels of a frame, in [-1, 1]."""
    axis = ((np.arange(size) + 0.5) * 2 / size - 1).astype(np.float32)
    return np.broadcast_to(axis, (size, size)), np.broadcast_to(-axis[:, None], (size, size))


def _turned(frame: Frame, degrees: float, scale: float) -> Frame:
    """Turned counter-clockwise about the middle, and scaled."""
    x, y = _coordinates(len(frame))
    cos, sin = np.cos(np.radians(degrees)) / scale, np.sin(np.radians(degrees)) / scale
    return _sampled(frame, cos * x + sin * y, cos * y - sin * x)


def _turned_over(frame: Frame, degrees: float, *, vertical: bool) -> Frame:
    """Turned out of the plane like a card, about the axis that a flip leaves in place, seen in perspective."""
    x, y = _coordinates(len(frame))
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    across, along = (axis / (1 - _SHRINK * sin) for axis in ((y, x) if vertical else (x, y)))
    # A point u of the card lies at across = u cos, depth = u sin; the eye sees it at u cos · e / (e + u sin).
    below = _CAMERA * cos - across * sin
    u = across * _CAMERA / np.where(np.abs(below) < 1e-3, 1e-3, below)
    stretch = 1 + u * sin / _CAMERA
    visible = (stretch > 0.1)[..., None]
    seen = _sampled(frame, along * stretch, u) if vertical else _sampled(frame, u, along * stretch)
    shade = np.float32(1 - 0.35 * sin)
    return np.where(visible, seen * np.array([shade, shade, shade, 1], np.float32), 0)


def _swept(image: NDArray[np.float32], t: float) -> NDArray[np.float32]:
    """The negative behind a soft diagonal front that crosses the image."""
    axis = (np.arange(len(image)) + 0.5) / len(image)
    place = (axis[:, None] + axis) / 2
    done = np.clip((t * (1 + _SWEEP) - place) / _SWEEP, 0, 1)[..., None]
    done = done * done * (3 - 2 * done)
    return (image * (1 - done) + (1 - image) * done).astype(np.float32)


def _slid(image: NDArray[np.float32], t: float) -> NDArray[np.float32]:
    """Each column rolled down by t of its way, around the edge, between pixels too."""
    size = len(image)
    shift = t * np.rint(SKEW * (np.arange(size) - size // 2))
    whole = np.floor(shift).astype(int)
    part = (shift - whole)[:, None].astype(np.float32)
    rows, columns = np.arange(size)[:, None] - whole, np.arange(size)
    return image[rows % size, columns] * (1 - part) + image[(rows - 1) % size, columns] * part


def _circle_turned(image: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
    """The disk turned, its rim smoothed over a pixel."""
    whole = np.concatenate([image, np.ones((*image.shape[:2], 1), np.float32)], -1)
    x, y = _coordinates(len(image))
    distance = np.hypot(x, y) / 2 * len(image)
    inside = np.clip(CIRCLE_RADIUS * len(image) - distance + 0.5, 0, 1)[..., None]
    return (image * (1 - inside) + _turned(whole, degrees, 1.0)[..., :3] * inside).astype(np.float32)
