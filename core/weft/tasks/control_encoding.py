"""Depths and normals as the pictures that ControlNets were trained on, whatever the geometry they come from.

Depth: inverse depth, as MiDaS estimates it: 1 where a view is nearest, black background. MiDaS knows depths only up to
scale and shift; here a view's own range is stretched over [FARTHEST, 1], so that the farthest part of an object stays
well apart from the background. The range is never stretched so much that rounding shows on a flat surface.

Normals: as Bae et al. 2021 colour them, which is what `control_v11p_sd15_normalbae` and the union ControlNet of SDXL
were trained on. Red is left, green is up, blue is towards the viewer, each from 0 (the opposite) over ½ to 1: "blue is
front, red is left, green is top" (README of ControlNet 1.1). Red is thus the opposite of OpenGL's. An estimator gives
every pixel a normal, so the background is a wall that faces the viewer, (½, ½, 1).

Canny: white edges of a soft grey picture. It was trained with random thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from weft.errors import UnknownName
from weft.geometry.camera import Camera
from weft.geometry.canny import canny

__all__ = ["FARTHEST", "KINDS", "Shown", "check_kinds", "control_pictures", "nearness"]

FARTHEST = 0.2  # value of an object's farthest pixel, 51 of 255: estimated backgrounds are darker
_LEAST_RELIEF = 0.02  # of the frame's width: a view with less of it is not stretched to the full range
_LAMP = np.array([-0.5, 0.6, 0.75]) / np.linalg.norm([-0.5, 0.6, 0.75])  # right, up, towards the viewer
_AMBIENT = 0.5  # of the shaded picture's light comes from everywhere
_FOG = 0.35  # of the brightness is lost between a view's nearest and farthest pixels
_WEAK, _STRONG = 0.04, 0.1  # contrasts of edges in the shaded picture


@dataclass(frozen=True, eq=False)
class Shown:
    """The geometry that N views of H x W pixels show."""

    mask: np.ndarray  # bool [N, H, W], pixels that show something
    near: np.ndarray  # f4 [N, H, W], see `nearness`
    find_normals: Callable[[], np.ndarray]  # f4 [N, 3, H, W], unit: right, up, towards the viewer; 0 off the mask
    light: np.ndarray | None = None  # f4 [N, H, W] in [0, 1], the scene's own, which shows shadows

    @cached_property
    def normals(self) -> np.ndarray:
        return self.find_normals()

    @cached_property
    def grey(self) -> np.ndarray:
        """f4 [N, H, W] in [0, 1]: a white thing in the light of a lamp at the viewer's upper left, and, where the scene
        has light of its own, half in that; darker with the distance, before black. Outlines show as steps, and so do
        parts that stand before others. By its own light alone a closed room would be one grey."""
        lamp = _lamplight(self.normals)
        light = lamp if self.light is None else (lamp + self.light) / 2
        bright = (_AMBIENT + (1 - _AMBIENT) * light) * (1 - _FOG * (1 - self.near))
        return np.where(self.mask, bright, 0).astype(np.float32)


def check_kinds(kinds: Sequence[str]) -> None:
    """Raise UnknownName unless all are control pictures that geometry gives."""
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownName(f"no control picture is called {kind!r}", f"choose from {', '.join(KINDS)}")


def control_pictures(kinds: Sequence[str], shown: Shown) -> dict[str, Tensor]:
    """[N, 3, H, W] in [0, 1] for each of `kinds`. Raises UnknownName."""
    check_kinds(kinds)
    return {kind: _PICTURES[kind](shown) for kind in kinds}


def nearness(depth: np.ndarray, mask: np.ndarray, cameras: Sequence[Camera], clipped: float = 0.0) -> np.ndarray:
    """f4 [N, H, W]: inverse depth, stretched view by view over [FARTHEST, 1] on `mask` [N, H, W]; 0 elsewhere.

    `depth` [N, H, W] counts along the viewing axis and is positive on the mask of perspective cameras. An orthographic
    camera is taken for a very far one, whose inverse depths are straight in depth. `clipped` is the share of the
    pixels that may saturate at each end.
    """
    result = np.zeros(depth.shape, np.float32)
    for view, camera in enumerate(cameras):
        own = depth[view][mask[view]].astype(np.float64)
        if not len(own):
            continue
        inverse = -own if camera.orthographic else 1 / own
        low, high = np.quantile(inverse, [clipped, 1 - clipped]) if clipped else (inverse.min(), inverse.max())
        least = _LEAST_RELIEF * camera.width / camera.fx * (1 if camera.orthographic else high)
        fallen = (high - inverse) / max(high - low, least)
        result[view][mask[view]] = (1 - (1 - FARTHEST) * fallen).clip(FARTHEST, 1)
    return result


def _lamplight(normals: np.ndarray) -> np.ndarray:
    """f4 [N, H, W] in [0, 1]: how much of the lamp's light falls on `normals` f4 [N, 3, H, W]."""
    x, y, z = (np.float32(part) for part in _LAMP)
    return (normals[:, 0] * x + normals[:, 1] * y + normals[:, 2] * z).clip(0, 1)


def _depth(shown: Shown) -> Tensor:
    return _three(torch.from_numpy(shown.near))


def _normal(shown: Shown) -> Tensor:
    signs, background = torch.tensor([[-0.5, 0.5, 0.5], [0.5, 0.5, 1.0]])[:, :, None, None]
    colours = (torch.from_numpy(shown.normals) * signs).add_(0.5).clamp_(0, 1)
    return torch.where(torch.from_numpy(shown.mask)[:, None], colours, background)


def _canny(shown: Shown) -> Tensor:
    return _three(torch.from_numpy(canny(shown.grey, _WEAK, _STRONG)).float())


def _three(planes: Tensor) -> Tensor:
    return planes[:, None].repeat(1, 3, 1, 1)


_PICTURES: dict[str, Callable[[Shown], Tensor]] = {"depth": _depth, "normal": _normal, "canny": _canny}
KINDS = tuple(_PICTURES)
