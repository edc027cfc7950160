"""What edited views are worth: numbers, a sheet of before and after, and the baked object turning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from weft.geometry.camera import frame_object
from weft.metrics import pairwise_view_psnr, sharpness
from weft.spaces.surface import Surface
from weft.tasks.events import Event, Progress
from weft.tasks.rendering import render_surface
from weft.tasks.report import textures_of
from weft.tasks.sheet import sheet
from weft.tasks.view_plan import used_vertices
from weft.tasks.views_job import ViewsJob

__all__ = ["measure", "report_of"]

SHOWN = 6  # views on the sheet
TURNED = 256  # px of the turntable
_FRAMES = 36
_ELEVATION = 15.0


def report_of(
    job: ViewsJob,
    arrays: dict[str, np.ndarray],
    info: dict[str, Any],
    full: bool,
    *,
    guide: np.ndarray | None = None,
    before: np.ndarray | None = None,
) -> Iterator[Event]:
    """Fill `info`; if `full`, measure, and add pictures to `arrays`. `guide` f4 [h, w, 3]: what was to be followed.
    `before` f4 [N, H, W, 3]: the views as they were, if not those of the stage."""
    yield Progress("finish", 1, 1, "measuring" if full else "collecting views")
    geometry = job.stage.geometry
    info |= {
        "way": job.way.name,
        "views": len(job.images),
        "geometry": geometry.kind,
        "known_pixels": round(float(geometry.mask.mean()), 4),
        "first_preview": job.clock.first_preview,
    }
    if job.way.needs_prior:
        info["reference"] = job.reference + 1
    if not full:
        return
    with job.clock.phase("report"):
        info |= measure(job)
        arrays["contact_sheet"] = _contact_sheet(job, guide, job.stage.images if before is None else before)
        if job.stage.surface is not None and any(name.startswith("texture.") for name in arrays):
            arrays["turntable"] = _turntable(job.stage.surface, textures_of(job.stage.surface, job.cells))


def measure(job: ViewsJob) -> dict[str, Any]:
    """Numbers by name; None where one cannot be measured. `pairwise_psnr` in dB, before and after; `sharpness` of the
    edited views over that of what they were."""
    geometry = job.stage.geometry
    known = (list(geometry.cameras), list(geometry.position), list(geometry.depth), list(geometry.facing))
    before, after = (pairwise_view_psnr(list(images), *known) for images in (job.stage.images, job.images))
    sharp = _sharpness(job.stage.images)
    return {
        "pairwise_psnr": None if after is None else round(after, 2),
        "pairwise_psnr_before": None if before is None else round(before, 2),
        "sharpness": round(_sharpness(job.images) / sharp, 3) if sharp > 0 else None,
    }


def _sharpness(images: np.ndarray) -> float:
    return float(np.mean([sharpness(image) for image in images]))


def _contact_sheet(job: ViewsJob, guide: np.ndarray | None, old: np.ndarray) -> np.ndarray:
    """f4 [H, W, 3]: views as they were over views as they are."""
    chosen = np.unique(np.linspace(0, len(job.images) - 1, min(SHOWN, len(job.images))).round().astype(int))
    before = [(f"view {i + 1}", old[i]) for i in chosen]
    after = [("edited", job.images[i]) for i in chosen]
    return sheet([before, after] if guide is None else [before, after, [("guide", guide)]])


def _turntable(surface: Surface, textures: list[np.ndarray]) -> np.ndarray:
    """f4 [36, H, W, 3]: once around, unlit, because the light may be in the texture."""
    directions = [(360.0 * k / _FRAMES, _ELEVATION) for k in range(_FRAMES)]
    cameras = frame_object(used_vertices(surface), directions, TURNED)
    return np.stack([render_surface(surface, textures, camera, supersample=2)[0] for camera in cameras])
