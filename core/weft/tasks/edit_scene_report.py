"""What an edited scene is worth: whether held-out views show the edit, whether the geometry stayed, and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.depth_normals import depth_normals
from weft.metrics import eroded, pairwise_view_psnr, patch_distance, psnr, sharpness
from weft.scenes.scene import Rendering
from weft.spaces.view_geometry import unprojected
from weft.tasks.sheet import sheet

__all__ = ["Seen", "contact_sheet", "measures", "reached"]

_COMPARED = 12  # views that are compared with each other, and whose patches are
_SHOWN = 6  # views on the sheet


class Seen:
    """N views before and after: pictures f4 [N, H, W, 3] in [0, 1]."""

    def __init__(
        self,
        cameras: Sequence[Camera],
        sources: np.ndarray,  # what was edited
        edited: np.ndarray,  # what became of it
        before: Sequence[Rendering],
        after: Sequence[Rendering],
        masks: np.ndarray,  # bool [N, H, W], what may change
    ) -> None:
        self.cameras, self.sources, self.edited = tuple(cameras), sources, edited
        self.before, self.after = (_images(seen) for seen in (before, after))
        self.depth_before, self.depth_after = (np.stack([seen.depth for seen in some]) for some in (before, after))
        self.masks = masks


def _images(seen: Sequence[Rendering]) -> np.ndarray:
    return np.stack([one.image for one in seen]).clip(0, 1)


def reached(seen: Seen) -> float:
    """How much of the way from the old renders to the edited pictures the new renders are, where views may change: 1
    is all of it, 0 an edit that did nothing."""
    inside = seen.masks
    whole = np.abs(seen.edited - seen.before)[inside].mean()
    return float(1 - np.abs(seen.edited - seen.after)[inside].mean() / max(float(whole), 1e-6))


def measures(seen: Seen, exemplar: np.ndarray | None) -> dict[str, Any]:
    """Numbers by name, None where one cannot be measured.

    psnr: renders against the edited pictures, `psnr_before` those of the scene as it was, `psnr_source` against what
    was edited (dB). `sharpness` of the renders over that of the edited pictures, `sharpness_source` of the sources over
    that. `depth_change`: median relative change of depth. `patch_distance` of the renders to the `exemplar`, and
    `patch_distance_before` of the sources. `consistency` of the edited pictures with each other through the scene's
    depth, `consistency_source` of the sources (dB).
    """
    inside = list(seen.masks)
    compared = {
        "psnr": (seen.after, seen.edited), "psnr_before": (seen.before, seen.edited),
        "psnr_source": (seen.after, seen.sources),
    }  # fmt: skip
    values: dict[str, Any] = {
        name: _measured(2, lambda pair=pair: _psnr(*pair, inside)) for name, pair in compared.items()
    }
    sharp = _measured(6, lambda: _sharpness(seen.edited, inside))
    for name, images in (("sharpness", seen.after), ("sharpness_source", seen.sources)):
        values[name] = _measured(3, lambda images=images: _sharpness(images, inside) / sharp) if sharp else None
    values["depth_change"] = _measured(4, lambda: _depth_change(seen))
    some = slice(None, None, -(-len(seen.cameras) // _COMPARED))
    if exemplar is not None:
        for name, images in (("patch_distance", seen.after), ("patch_distance_before", seen.sources)):
            values[name] = _measured(
                4, lambda images=images: patch_distance(list(images[some]), [exemplar], inside[some])
            )
    surface = _surface(seen.cameras[some], seen.depth_before[some])
    for name, images in (("consistency", seen.edited), ("consistency_source", seen.sources)):
        value = pairwise_view_psnr(list(images[some]), seen.cameras[some], *surface)
        values[name] = None if value is None else round(value, 2)
    return values


def _measured(digits: int, measure: Callable[[], float]) -> float | None:
    try:
        value = measure()
    except InvalidInput:
        return None
    return round(value, digits) if np.isfinite(value) else None


def _psnr(images: np.ndarray, others: np.ndarray, inside: Sequence[np.ndarray]) -> float:
    scores = [psnr(a, b, m) for a, b, m in zip(images, others, inside, strict=True) if m.any()]
    if not scores:
        raise InvalidInput("no view shows what may change", "measure views that do")
    return float(np.mean(scores))


def _sharpness(images: np.ndarray, inside: Sequence[np.ndarray]) -> float:
    shown = [(image, mask) for image, mask in zip(images, inside, strict=True) if eroded(mask, 4).any()]
    if not shown:
        raise InvalidInput("no view shows enough of what may change", "use larger views")
    return float(np.mean([sharpness(*pair) for pair in shown]))


def _depth_change(seen: Seen) -> float:
    known = np.isfinite(seen.depth_before) & np.isfinite(seen.depth_after)
    if not known.any():
        raise InvalidInput("no view has a depth")
    return float(np.median(np.abs(seen.depth_after[known] / seen.depth_before[known] - 1)))


def _surface(
    cameras: Sequence[Camera], depths: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """What each pixel sees: places f4 [H, W, 3], depths and cosines f4 [H, W] of every view."""
    normals, _ = depth_normals(depths, cameras)
    places = [unprojected(*view) for view in zip(cameras, depths, strict=True)]
    cosines = [
        (camera.toward(at.reshape(-1, 3)) * normal.reshape(-1, 3)).sum(1).reshape(at.shape[:2]).clip(0, 1)
        for camera, at, normal in zip(cameras, places, normals, strict=True)
    ]
    return places, list(depths), cosines


def contact_sheet(seen: Seen, exemplar: np.ndarray | None, title: str) -> np.ndarray:
    """f4 [H, W, 3]: views before the edit, as the model edited them, and as the scene shows them now."""
    chosen = np.unique(np.linspace(0, len(seen.cameras) - 1, min(_SHOWN, len(seen.cameras))).round().astype(int))
    last = [] if exemplar is None else [("exemplar", exemplar)]
    return sheet(
        [
            [*((f"{title} {i + 1}", seen.sources[i]) for i in chosen), *last],
            [("edited", seen.edited[i]) for i in chosen],
            [("the scene", seen.after[i]) for i in chosen],
        ]
    )
