"""What new splat colours are worth: weight-free measures, a contact sheet and a turntable."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.geometry.camera import Camera, frame_object
from weft.geometry.splat_weights import render_splats
from weft.geometry.splats import Splats
from weft.metrics import eroded, patch_distance, psnr, relative_sharpness
from weft.spaces.linear import LinearSpace
from weft.spaces.splat_colors import SplatColorSpace
from weft.tasks.phases import Painter
from weft.tasks.report import NEW_ANGLES
from weft.tasks.sheet import sheet
from weft.tasks.splat_views import core_points, turned_up

__all__ = ["FinishedSplats", "contact_sheet", "held_out_psnr", "images_of", "measure", "turntable"]

HELD_OUT = 8  # every so many-th view
BACKGROUND = 0.93
_UNKNOWN = 0.05  # share of splats that only held-out views see beyond which a pixel says nothing
_FRAMES = 36
_MEASURED = 12  # views whose patches are compared


@dataclass(frozen=True)
class FinishedSplats:
    """A run that has ended."""

    splats: Splats
    up: str
    space: SplatColorSpace
    fit: Callable[[SplatColorSpace], LinearSpace]  # how views became colours in the last step
    estimate: Tensor  # [N, 3, H, W] in [-1, 1], the views' last own x0, before they were synchronised
    z: Tensor  # [S, 3] in [-1, 1]
    painter: Painter
    states: Sequence[tuple[float, Tensor]]  # (s, z) on the way

    @cached_property
    def renders(self) -> np.ndarray:
        """f4 [N, H, W, 3], the views of z without their background."""
        rows = self.space.projection @ self.z
        return images_of(rows).reshape(*self.space.shape, 3)

    def seen_from(self, z: Tensor, camera: Camera) -> np.ndarray:
        return render_splats(self.splats, camera, images_of(z), BACKGROUND)

    def cameras(self, directions: Sequence[tuple[float, float]], size: int) -> list[Camera]:
        """The whole object from these directions (azimuth, elevation)."""
        pose = np.eye(4)
        pose[:3, :3] = turned_up(self.up).T
        framed = frame_object(core_points(self.splats, self.up), directions, size)
        return [replace(camera, pose=pose @ camera.pose) for camera in framed]


def images_of(values: Tensor) -> np.ndarray:
    """[-1, 1] to f4 in [0, 1]."""
    return (values.numpy() * np.float32(0.5) + np.float32(0.5)).clip(0, 1)


def measure(finished: FinishedSplats) -> dict[str, Any]:
    """Numbers by name, None where one cannot be measured: `held_out_psnr` (dB), `sharpness` of the rendered views
    relative to the exemplar at the scale shown, `patch_distance` to it (0 is ideal)."""
    masks = finished.space.mask
    clear = [v for v in range(len(masks)) if eroded(masks[v], 4).any()]
    shown = finished.painter.exemplar().image * np.float32(0.5) + np.float32(0.5)
    some = clear[:: max(1, len(clear) // _MEASURED)]
    own = images_of(finished.estimate.permute(0, 2, 3, 1))

    def sharpness(images: np.ndarray) -> float:
        if not clear:
            raise InvalidInput("no view shows more than an edge of the object", "use larger views")
        return relative_sharpness([images[v] for v in clear], [masks[v] for v in clear], shown)

    return {
        "held_out_psnr": _measured(2, lambda: held_out_psnr(finished.space, finished.fit, finished.estimate)),
        "sharpness": _measured(3, lambda: sharpness(finished.renders)),
        "sharpness_of_views": _measured(3, lambda: sharpness(own)),
        "patch_distance": _measured(
            4, lambda: patch_distance([finished.renders[v] for v in some], [shown], [masks[v] for v in some])
        ),
    }


def _measured(digits: int, measure: Callable[[], float]) -> float | None:
    """The rounded value; None where the pictures do not allow it (nothing covered, exemplars of one colour)."""
    try:
        value = measure()
    except InvalidInput:
        return None
    return round(value, digits) if math.isfinite(value) else None


def held_out_psnr(space: SplatColorSpace, fit: Callable[[SplatColorSpace], LinearSpace], estimate: Tensor) -> float:
    """Colours are fitted to the views' final x0 estimates (before they were synchronised) without every eighth view;
    the mean over these eighth views of the PSNR between their own final estimate and the render of those colours, over
    covered pixels (except those that mainly show splats which only held-out views see). In dB, peak 1."""
    held = range(0, len(estimate), HELD_OUT)
    linear = fit(space.without(held))
    rows = linear.rows_of(estimate)
    rendered = images_of(linear.views_of(linear.project(linear.aggregate(rows))).permute(0, 2, 3, 1))
    own = images_of(estimate.permute(0, 2, 3, 1))
    lost = linear.project(torch.from_numpy(~linear.seen).float()[:, None])[:, 0].numpy().reshape(space.shape)
    known = space.mask & (lost < _UNKNOWN)
    scores = [psnr(rendered[v], own[v], known[v]) for v in held if known[v].any()]
    if not scores:
        raise InvalidInput("no held-out view shows splats that others see too", "use more views")
    return float(np.mean(scores))


def contact_sheet(finished: FinishedSplats) -> np.ndarray:
    """f4 [H, W, 3]: exemplar, the splats as they were, views; the colours on their way; five new angles.

    Seen from the broadest side, and the new angles from there on: captures rarely know where their front is.
    """
    size = 2 * finished.space.shape[1]
    broadest = _broadest_side(core_points(finished.splats, finished.up))
    directions = [(broadest + azimuth, elevation) for azimuth, elevation in NEW_ANGLES]
    front, *new = finished.cameras([(broadest, 0.0), *directions], size)
    chosen = range(0, len(finished.renders), max(1, len(finished.renders) // 4))
    mask = finished.space.mask[..., None]
    views = [(f"view {v}", np.where(mask[v], finished.renders[v], np.float32(BACKGROUND))) for v in chosen][:4]
    way = [(f"s = {s:.2f}", finished.seen_from(z, front)) for s, z in finished.states]
    before = render_splats(finished.splats, front, background=BACKGROUND)
    labels = [f"new {azimuth % 360:.0f}/{elevation:.0f}" for azimuth, elevation in directions]
    return sheet(
        [
            [("exemplar", finished.painter.picture), ("before", before), *views],
            [*way, ("final", finished.seen_from(finished.z, front))],
            [(label, finished.seen_from(finished.z, camera)) for label, camera in zip(labels, new, strict=True)],
        ]
    )


def _broadest_side(points: np.ndarray) -> float:
    """The azimuth in degrees, of eight, from which points [P, 3] spread most across; the first of equals."""
    azimuths = np.radians(np.arange(0, 360, 45))
    across = points[:, :2] @ np.stack([np.cos(azimuths), np.sin(azimuths)])
    return float(45 * np.argmax(np.ptp(across, axis=0).round(3)))


def turntable(finished: FinishedSplats) -> np.ndarray:
    """f4 [36, H, W, 3]: once around, twice the size of a view."""
    directions = [(360.0 * k / _FRAMES, 15.0) for k in range(_FRAMES)]
    cameras = finished.cameras(directions, 2 * finished.space.shape[1])
    return np.stack([finished.seen_from(finished.z, camera) for camera in cameras])
