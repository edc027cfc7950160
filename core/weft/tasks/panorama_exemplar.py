"""A panorama painted by the embedded denoiser: one phase of SyncTweedies, lit where the distances are known.

As for textures η = 1, with noise looked up in the panorama, and a view counts the more near its centre the further the
denoising is. With depth, the material that is denoised follows the scene's distances and creases (`panorama_light`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.methods.cases import Case
from weft.methods.synchronized import Step, synchronized
from weft.models.exemplar import Exemplar, ExemplarDenoiser
from weft.noise import CanonicalNoise, gaussian, generator
from weft.schedule import NoiseLevel, Schedule
from weft.spaces.linear import LinearSpace
from weft.tasks.events import Warning
from weft.tasks.guide import Guide
from weft.tasks.panorama_light import SETTINGS, guide_of, guided, lit
from weft.tasks.panorama_setting import Setting, fitted
from weft.tasks.phases import Painter

__all__ = ["ExemplarPanorama"]

EXPONENTS = (6.0, 40.0)  # of a view's weight, from the first to the last step
FIXED_EXPONENT = 12.0  # where the case denoises the panorama itself, whose space cannot change
MOST_SHARP = 2**22  # cells, up to which the last step reads the views by Catmull-Rom: it takes 16 taps a cell
_NOISE = 5  # noise stream of a seed


@dataclass
class ExemplarPanorama:
    """A panorama being painted; `estimate` is the views' last x0 before it was synchronised, [N, 3, h, w]."""

    setting: Setting
    painter: Painter
    material: dict[str, Any]
    schedule: Schedule
    seed: int
    estimate: Tensor = field(default_factory=lambda: torch.zeros(0))
    last_space: LinearSpace = field(init=False)

    def __post_init__(self) -> None:
        exemplar = self.painter.exemplar()
        self.exemplar = exemplar.image * np.float32(0.5) + np.float32(0.5)  # f4 [h, w, 3] at the views' scale

    @property
    def guide(self) -> Guide:
        return Guide("exemplar", self.painter.picture, self.painter)

    def warnings(self) -> Iterator[Warning]:
        return iter(())

    def steps(self, case: Case) -> Iterator[Step]:
        schedule, space, source = self.schedule, self.setting.space, generator(self.seed, _NOISE)
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
