"""What scenes can be made of, and how each begins. Splats begin on the surfaces of a coarse NeRF, or on given points.

Where a NeRF of some seconds saw surfaces splats are found several times as fast as from random places.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft.errors import UnknownName
from weft.geometry.accelerators import usable
from weft.scenes.scene import Scene, TrainingViews
from weft.scenes.splats import SplatScene
from weft.scenes.tensorf import TensoRF
from weft.scenes.training import TrainingStep, trained
from weft.scenes.voxels import Voxels

__all__ = ["KINDS", "Beginning", "begin_scene", "splat_class", "usual_count", "usual_steps"]

KINDS: dict[str, Any] = {"splats": SplatScene, "voxels": Voxels, "tensorf": TensoRF}  # with `from_arrays`
_QUICK = 72  # vertices a side of the NeRF whose depth splats begin on
_QUICK_STEPS = 160  # about 8 s of two cores
_SPARSE, _DENSE = 140, 700  # splats for every pixel of a side; the second, on GPUs, is not measured
_SMALL = 30_000  # pixels
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

    Raises UnknownName for another kind.
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
        return splat_class().from_points(points, colors, count, degree, seed, background)
    quick = Voxels.begin(views, resolution=_QUICK, **settings)
    yield from trained(quick, views, steps=_QUICK_STEPS, seed=seed)
    depths = np.stack([quick.render(camera).depth for camera in views.cameras])
    if not np.isfinite(depths).any():  # it saw nothing but fog: anywhere around what the cameras look at
        depths = np.random.default_rng((seed, 1)).uniform(0.5, 1.5, depths.shape)
    return splat_class().begin(views, depths, count, degree, seed, background)


def splat_class() -> type[SplatScene]:
    """Splats on the GPU where there are one and gsplat, else on the processor."""
    if not usable("gsplat"):
        return SplatScene
    from weft.scenes.splats_cuda import CudaSplatScene

    return CudaSplatScene


def usual_count(views: TrainingViews) -> int:
    """How many splats suit the pictures: as detail does, their number grows as the pixels along a side do."""
    side = math.sqrt(views.images[0, ..., 0].size)
    return max(2_000, round((_DENSE if usable("gsplat") else _SPARSE) * side))


def usual_steps(kind: str, views: TrainingViews) -> int:
    """How many steps suit the pictures: on two cores a minute for 20,000 pixels, some for more."""
    if kind != "splats":
        return 2_000
    if usable("gsplat"):
        return 15_000
    return 3_000 if views.images[0, ..., 0].size <= _SMALL else 4_000
