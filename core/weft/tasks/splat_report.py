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
from weft.spaces.splat_colors import SplatColorSpace
from weft.tasks.guide import Guide
from weft.tasks.report import NEW_ANGLES
from weft.tasks.sheet import sheet
from weft.tasks.splat_views import core_points, turned_up

__all__ = [
    "FinishedSplats",
    "Outcome",
    "contact_sheet",
    "held_out_psnr",
    "images_of",
    "measure",
    "turntable",
]

HELD_OUT = 8  # every so many-th view
BACKGROUND = 0.93
_UNKNOWN = 0.05  # share of splats that only held-out views see beyond which a pixel says nothing
_FRAMES = 36
_MEASURED = 12  # views whose patches are compared


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run left in the pixels of its views."""

    target: Tensor  # [N·H·W, 3] in [-1, 1], what the views should show: what z was fitted to
    counted: np.ndarray  # bool [N·H·W], pixels that have a target
    estimate: Tensor  # [N·H·W, 3], x0 of the views, each denoised for itself from the last noise on
    refit: Callable[[Tensor, Sequence[int]], tuple[Tensor, np.ndarray]]  # colours [S, 3] for pixels [N·H·W, 3] of all
    # but these views, and which splats bool [S] they determine


@dataclass(frozen=True, eq=False)
class FinishedSplats(Outcome):
    """A run that has ended."""

    splats: Splats
    up: str
    space: SplatColorSpace
    z: Tensor  # [S, 3] in [-1, 1]
    guide: Guide
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
    """Numbers by name, None where one cannot be measured.

    `held_out_psnr` (dB): the views' own x0 of the last noise level are met so well by colours fitted to seven eighths
    of them, in the eighth that was left out. `held_out_painted_psnr`: the same for what was painted; `painted_psnr`:
    how well all colours together meet it. Both are bounded by the detail that the splats can carry. `sharpness` of the
    renders and `sharpness_painted` are relative to the exemplar at the scale shown; `patch_distance` to it, 0 is ideal.
    """
    masks = finished.space.mask
    painted = images_of(finished.target).reshape(*masks.shape, 3)
    counted = finished.counted.reshape(masks.shape)
    shown = finished.guide.shown
    return {
        "held_out_psnr": _measured(2, lambda: held_out_psnr(finished, finished.estimate)),
        "held_out_painted_psnr": _measured(2, lambda: held_out_psnr(finished, finished.target)),
        "painted_psnr": _measured(2, lambda: _mean_psnr(finished.renders, painted, counted)),
        **({} if shown is None else _likeness(finished, shown, painted, counted)),
    }


def _likeness(
    finished: FinishedSplats, shown: np.ndarray, painted: np.ndarray, counted: np.ndarray
) -> dict[str, float | None]:
    """How near the renders, and what was painted, come to the exemplar."""
    masks = finished.space.mask
    clear = [v for v in range(len(masks)) if eroded(masks[v], 4).any()]
    some = clear[:: max(1, len(clear) // _MEASURED)]

    def sharpness(images: np.ndarray, masks: np.ndarray) -> float:
        chosen = [v for v in clear if eroded(masks[v], 4).any()]
        if not chosen:
            raise InvalidInput("no view shows more than an edge of the object", "use larger views")
        return relative_sharpness([images[v] for v in chosen], [masks[v] for v in chosen], shown)

    return {
        "sharpness": _measured(3, lambda: sharpness(finished.renders, masks)),
        "sharpness_painted": _measured(3, lambda: sharpness(painted, counted)),
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


def held_out_psnr(finished: FinishedSplats, pixels: Tensor) -> float:
    """Colours are fitted to `pixels` [N·H·W, 3] without every eighth view; the mean PSNR of their render in these.
    Pixels count that have a target, except those that mainly show splats which only held-out views see. In dB."""
    space = finished.space
    held = range(0, space.shape[0], HELD_OUT)
    z, known = finished.refit(pixels, held)
    rendered = images_of(space.projection @ z).reshape(*space.shape, 3)
    own = images_of(pixels).reshape(*space.shape, 3)
    lost = (space.projection @ torch.from_numpy(~known).float()[:, None])[:, 0].numpy()
    compared = (finished.counted & (lost < _UNKNOWN)).reshape(space.shape)
    return _mean_psnr(rendered[:: held.step], own[:: held.step], compared[:: held.step])


def _mean_psnr(images: np.ndarray, others: np.ndarray, masks: np.ndarray) -> float:
    scores = [psnr(a, b, mask) for a, b, mask in zip(images, others, masks, strict=True) if mask.any()]
    if not scores:
        raise InvalidInput("no view shows splats that others see too", "use more views")
    return float(np.mean(scores))


def contact_sheet(finished: FinishedSplats) -> np.ndarray:
    """f4 [H, W, 3]: guide, the splats as they were, views; the colours on their way; five new angles.

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
            [(finished.guide.title, finished.guide.picture), ("before", before), *views],
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
