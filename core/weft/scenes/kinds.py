"""What scenes can be made of, and how each begins. Splats begin on the surfaces of a coarse NeRF, or on given points.

Measured on photographs at 108×192: from the depth of a quick voxel NeRF splats reach 28.8 dB in the time in which they
reach 22.8 dB from random places.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft.errors import InvalidInput, UnknownName
from weft.scenes.scene import Scene, TrainingViews
from weft.scenes.splats import SplatScene
from weft.scenes.training import TrainingStep, trained
from weft.scenes.voxels import Voxels

__all__ = ["KINDS", "Beginning", "begin_scene", "usual_count", "usual_steps"]

KINDS: dict[str, Any] = {"splats": SplatScene, "voxels": Voxels}  # name → class with `from_arrays`
_QUICK = 72  # vertices a side of the NeRF whose depth splats begin on
_QUICK_STEPS = 320  # 15 s of two cores
_FEWEST_POINTS = 500  # of structure from motion; fewer say too little of where surfaces are


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a scene begins. `count` splats at most (0: what suits the pictures), `bounded`: an object before
    `background` (sRGB), not a place that goes on."""

    count: int = 0
    degree: int = 1
    seed: int = 0
    background: Sequence[float] = (0.5, 0.5, 0.5)
    bounded: bool = False


def begin_scene(
    kind: str,
    views: TrainingViews,
    beginning: Beginning,
    points: np.ndarray | None = None,  # f4 [P, 3] of structure from motion, in the scene's frame
    colors: np.ndarray | None = None,  # f4 [P, 3] sRGB in [0, 1] of these
) -> Generator[TrainingStep, None, Scene]:
    """The scene before its first step, which is what the generator returns: `scene = yield from begin_scene(…)`. It
    yields the steps of the quick NeRF that splats begin on where there are not enough `points`.

    Raises UnknownName for another kind, InvalidInput where nothing tells where splats are to begin.
    """
    if kind not in KINDS:
        raise UnknownName(f"no scene is made of {kind!r}", f"choose from {', '.join(KINDS)}")
    degree, seed, bounded = beginning.degree, beginning.seed, beginning.bounded
    settings: dict[str, Any] = {"degree": degree, "seed": seed, "bounded": bounded, "background": beginning.background}
    if kind != "splats":
        return KINDS[kind].begin(views, **settings)
    background = np.array(beginning.background, np.float32)
    count = beginning.count or usual_count(views)
    if points is not None and len(points) >= _FEWEST_POINTS:
        if colors is None:
            colors = np.full_like(points, 0.5)
        return SplatScene.from_points(points, colors, count, degree, seed, background)
    quick = Voxels.begin(views, resolution=_QUICK, **settings)
    yield from trained(quick, views, steps=_QUICK_STEPS, seed=seed)
    depths = np.stack([quick.render(camera).depth for camera in views.cameras])
    if not np.isfinite(depths).any():
        raise InvalidInput("a first look at the pictures found no surface", "check the poses: `weft fit` tells more")
    return SplatScene.begin(views, depths, count, degree, seed, background)


def usual_count(views: TrainingViews) -> int:
    """How many splats suit the pictures: one for every other pixel of a view, at most 20,000."""
    return int(np.clip(views.images[0, ..., 0].size // 2, 2_000, 20_000))


def usual_steps(kind: str, views: TrainingViews) -> int:
    """How many steps suit the pictures: a minute of two cores for small ones, five for larger ones."""
    if kind != "splats":
        return 2_000
    return 4_500 if views.images[0, ..., 0].size < 30_000 else 7_500
