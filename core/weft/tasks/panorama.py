"""Panoramas from a prompt or a picture: a wide image through windows, or the whole sphere through perspective views.

One phase of SyncTweedies. As for textures η = 1, with noise looked up in the panorama, and a view counts the more
near its centre the further the denoising is. With depth, the material that is denoised follows the scene's distances
and creases (see `panorama_light`) and the result is lit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.errors import UnknownName
from weft.geometry.mesh import Mesh
from weft.methods.cases import Case, find_case
from weft.methods.synchronized import Step, synchronized
from weft.models.exemplar import Exemplar, ExemplarDenoiser
from weft.noise import CanonicalNoise, gaussian, generator
from weft.schedule import NoiseLevel, Schedule, stable_diffusion
from weft.spaces.linear import LinearSpace
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.painting import MODELS, PREVIEW_SIDE, Clock, choose_painter
from weft.tasks.panorama_light import SETTINGS, guide_of, guided, lit
from weft.tasks.panorama_report import Finished, contact_sheet, measure, turntable
from weft.tasks.panorama_setting import Setting, build_setting, fitted
from weft.tasks.phases import EXEMPLAR_SPAN, Painter

__all__ = ["panorama"]

EXPONENTS = (6.0, 40.0)  # of a view's weight, from the first to the last step
FIXED_EXPONENT = 12.0  # where the case denoises the panorama itself, whose space cannot change
SPAN = 1.0  # of a window's side that the exemplar covers at pattern scale 1: no decals add detail later
MOST_SHARP = 2**22  # cells, up to which the last step reads the views by Catmull-Rom: it takes 16 taps a cell
SNAPSHOTS = (0.15, 0.35, 0.55, 0.8)  # of the way: the states on the contact sheet
_NOISE = 5  # noise stream of a seed


def panorama(
    *,
    exemplar: np.ndarray | None,
    depth: np.ndarray | None,
    meshes: Sequence[Mesh],
    viewpoint: np.ndarray | None,
    prompt: str,
    shape: str,
    width: int,
    height: int,
    window: int,
    steps: int,
    seed: int,
    pattern_scale: float,
    case: str | int,
    report: bool,
    model: str,
) -> Iterator[Event]:
    """Close the generator to cancel. The last event is the Result: `panorama` f4 [H, W, 3] in [0, 1], with `report`
    also `contact_sheet` and `turntable`; info with what was painted, seconds, coverage and (with `report`) measures.

    exemplar: f4 [h, w, 3] sRGB in [0, 1], instead of a prompt. shape: "sphere" ([width/2, width], equirectangular, the
    middle looks along +X, +Z is up) or "wide" ([height, width]; its borders meet unless it follows a depth map). Sides
    are rounded up to multiples of 16. depth: f4 [h, w] of the same aspect, any unit, larger is farther, infinite or
    ≤ 0 is sky; of a sphere the distance to the viewer, of a wide image along its axis. meshes: instead of depth, world
    space, seen from viewpoint f4 [3]. window: px of a view's side. pattern_scale: 1 lets the exemplar span a view.
    Raises WeftError before the first event if something is wrong with the input. Sets torch to one thread.
    """
    torch.set_num_threads(1)
    clock = Clock()
    if model not in MODELS:
        raise UnknownName(f"no model is called {model!r}", f"models here: {', '.join(MODELS)}")
    chosen = find_case(case)
    schedule = stable_diffusion(steps)
    with clock.phase("scene"):
        setting = build_setting(shape, width, height, window, depth=depth, meshes=meshes, viewpoint=viewpoint)
    material, painter = choose_painter(prompt, exemplar, setting.window, pattern_scale * SPAN / EXEMPLAR_SPAN)
    yield Progress("prepare", 1, 1, "placing views")
    if meshes and viewpoint is None:
        yield Warning("no viewpoint was given: the panorama is seen from the middle of the meshes", "give a viewpoint")
    with clock.phase("prepare"):
        painting = _Painting(setting, painter, seed)
    shown: list[tuple[float, np.ndarray]] = []
    z = torch.zeros(0)
    for step in _timed(painting.steps(schedule, chosen), clock):
        z = step.z
        yield Progress("views", step.index + 1, step.total)
        preview = painting.picture(z, setting.fine * -(-setting.width // PREVIEW_SIDE))
        if report and step.index in {round(part * (step.total - 1)) for part in SNAPSHOTS}:
            shown.append((step.level.s, preview))
        yield Preview(0, preview, step.index + 1, step.total)
    yield Progress("finish", 1, 1, "measuring" if report else "")
    arrays = {"panorama": painting.picture(z)}
    info: dict[str, Any] = {
        "material": material, "coverage": round(float(painting.last_space.coverage), 4),
        "views": painting.last_space.view_shape[0], "size": [setting.width, setting.height],
        "window": setting.window, "depth": setting.scene is not None, "first_preview": clock.first_preview,
    }  # fmt: skip
    if report:
        with clock.phase("report"):
            finished = Finished(
                setting,
                painting.last_space,
                painting.estimate,
                z,
                painter.picture,
                painting.exemplar,
                arrays["panorama"],
                shown,
            )
            info |= measure(finished)
            arrays |= {"contact_sheet": contact_sheet(finished), "turntable": turntable(finished)}
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})


def _timed(steps: Iterator[Step], clock: Clock) -> Iterator[Step]:
    while True:
        with clock.phase("views"):
            step = next(steps, None)
        if step is None:
            return
        if clock.first_preview is None:
            clock.first_preview = clock.elapsed()
        yield step


@dataclass
class _Painting:
    """A panorama being painted; `estimate` is the views' last x0 before it was synchronised, [N, 3, h, w]."""

    setting: Setting
    painter: Painter
    seed: int
    estimate: Tensor = field(default_factory=lambda: torch.zeros(0))
    last_space: LinearSpace = field(init=False)

    def __post_init__(self) -> None:
        exemplar = self.painter.exemplar()
        self.exemplar = exemplar.image * np.float32(0.5) + np.float32(0.5)  # f4 [h, w, 3] at the views' scale

    def steps(self, schedule: Schedule, case: Case) -> Iterator[Step]:
        space, source = self.setting.space, generator(self.seed, _NOISE)
        draw = CanonicalNoise(space.index, space.cells, space.view_shape)
        denoiser, sigma = self._denoiser(), schedule.levels[0].sigma

        def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
            self.estimate = denoiser(x, level)
            return self.estimate

        if case.variable == "views" and case.psi == "views":
            yield from synchronized(
                denoise, self._linear(0.0), schedule, sigma * draw(3, source), case=case, eta=1.0,
                noise=lambda: draw(3, source), space_at=self._linear,
            )  # fmt: skip
            return
        # These cases are deterministic, and denoise, or step in, the panorama itself.
        self.last_space = space.linear(FIXED_EXPONENT)
        z = sigma * gaussian((space.cells, 3), source)
        x = self.last_space.views_of(self.last_space.project(z))
        yield from synchronized(denoise, self.last_space, schedule, x, z=z, case=case)

    def _linear(self, progress: float) -> LinearSpace:
        first, last = EXPONENTS
        taps = 4 if progress == 1 and self.setting.space.cells <= MOST_SHARP else 2
        self.last_space = self.setting.space.linear(first + (last - first) * progress, taps=taps)
        return self.last_space

    def _denoiser(self) -> ExemplarDenoiser:
        scene, space = self.setting.cell_scene, self.setting.space
        if scene is None:
            return ExemplarDenoiser(Exemplar(self.exemplar), seed=self.seed)
        guide = guide_of(scene).reshape(space.cells, -1)[space.index].reshape(*space.view_shape, -1)
        mask = ~scene.sky.reshape(-1)[space.index].reshape(space.view_shape)
        return ExemplarDenoiser(guided(self.exemplar), seed=self.seed, guide=guide, mask=mask, settings=SETTINGS)

    def picture(self, z: Tensor, coarser: int = 1) -> np.ndarray:
        """f4 [h, w, 3] in [0, 1]: the panorama of z [cells, 3], lit; its size that of the lit scene / `coarser`,
        averaged down to the panorama's own where it is larger."""
        setting, rows, columns = self.setting, *self.setting.grid
        material = (z.numpy() * np.float32(0.5) + np.float32(0.5)).clip(0, 1).reshape(rows, columns, 3)
        shape = (-(-setting.height * setting.fine // coarser), -(-setting.width * setting.fine // coarser))
        if setting.scene is not None:
            material = lit(fitted(material, shape), setting.scene.thinned(coarser), self.exemplar.mean((0, 1)))
        return fitted(material, (min(shape[0], setting.height), min(shape[1], setting.width)))
