"""Gaussian splats as a scene: the rasteriser of gsplat on the processor, with its exact backward.

One step looks at one whole view (Kerbl et al. 2023). A scene that is made has `capacity` and forms: splats are moved to
where they are needed and more are added, until there are so many. One that was loaded or restarted keeps its splats,
their number and their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.splats import Splats, check_splats
from weft.scenes.coarse_views import halved
from weft.scenes.picture_loss import picture_loss
from weft.scenes.scene import Rendering, TrainingViews
from weft.scenes.splat_drawing import Drawing, draw, parameter_gradients
from weft.scenes.splat_growth import grown, relocate
from weft.scenes.splat_optimiser import EDITING, FORMING, Held, SplatOptimiser
from weft.scenes.splat_projection import BLUR, LOGIT, QUATERNION, SCALE, SH
from weft.scenes.splat_start import splats_at, unprojected

__all__ = ["EVERY", "NEAR", "REGULAR", "UNTIL", "Look", "SplatScene", "packed", "unpacked"]

NEAR = 0.05  # scene units: a scene that forms puts nothing nearer to a camera
REGULAR = 0.005  # weight of the mean opacity and of the mean scale while a scene forms
EVERY, UNTIL = 100, 0.8  # steps from one relocation to the next, and the share of a run after which there are none
_COARSE, _SMALLEST = 0.4, 32  # the share of a run in half the pixels a side, if that leaves so many
_FIRST = 0.4  # the share of its splats that a scene begins with
_ARRAYS = ("parameters", "background", "settings")


class Look(NamedTuple):
    """One picture that a step learns from."""

    camera: Camera
    picture: np.ndarray  # f4 [H, W, 3]
    mask: np.ndarray | None  # bool [H, W]
    blur: float = BLUR  # px²


class SplatScene:
    """Splats, `parameters` f4 [N, 11 + 3 K] (`splat_projection`), and their optimiser. A `weft.scenes.scene.Scene`."""

    kind = "splats"

    def __init__(self, splats: Splats, background: np.ndarray, *, capacity: int = 0, near: float = 0.0) -> None:
        """`background` f4 [3] sRGB. `capacity`: the scene forms, up to so many splats; 0: it keeps those it has."""
        check_splats(splats)
        self.background = np.asarray(background, np.float32).reshape(3)
        self.parameters = packed(splats)
        self.capacity, self.near = capacity, near
        self.optimiser = SplatOptimiser(self.parameters)

    @classmethod
    def begin(
        cls, views: TrainingViews, depths: np.ndarray, count: int, degree: int, seed: int, background: np.ndarray
    ) -> Self:
        """Splats on the surfaces that `depths` f4 [N, H, W] of the views tell of (inf: unknown): two fifths of `count`
        now, `count` in the end."""
        first = max(1, int(_FIRST * count))
        return cls.from_points(*unprojected(views, depths, first, seed), count, degree, seed, background)

    @classmethod
    def from_points(
        cls, points: np.ndarray, colors: np.ndarray, count: int, degree: int, seed: int, background: np.ndarray
    ) -> Self:
        """Splats at `points` f4 [P, 3] of `colors` f4 [P, 3], at most two fifths of `count` now, `count` in the end."""
        first = max(1, int(_FIRST * count))
        return cls(splats_at(points, colors, degree, first, seed), background, capacity=count, near=NEAR)

    @classmethod
    def from_splats(cls, splats: Splats, background: np.ndarray) -> Self:
        """Splats that are there, to be edited. Raises InvalidInput for broken ones."""
        return cls(splats, background)

    def splats(self) -> Splats:
        """What the scene is now."""
        return unpacked(self.parameters)

    def render(self, camera: Camera) -> Rendering:
        drawing = self._draw(camera)
        opacity = 1 - drawing.transmittance
        depth = np.full_like(opacity, np.inf)
        np.divide(drawing.depth, opacity, out=depth, where=opacity >= 0.5)
        return Rendering(drawing.image, opacity, depth)

    def fit(self, views: TrainingViews, step: int, total: int, seed: int) -> float:
        look = self._look(views, step, total, seed)
        drawing = self._draw(look.camera, look.blur)
        loss, wanted = picture_loss(drawing.image, look.picture, look.mask)
        self._learn(parameter_gradients(drawing, wanted, geometry=self.optimiser.geometry), step, total, seed)
        return loss

    def descend(self, cameras: Sequence[Camera], gradients: np.ndarray, step: int, total: int, seed: int) -> None:
        summed = np.zeros_like(self.parameters)
        for camera, wanted in zip(cameras, gradients, strict=True):
            summed += parameter_gradients(self._draw(camera), wanted, geometry=self.optimiser.geometry)
        self._learn(summed, step, total, seed)

    def places(self) -> np.ndarray:
        return self.parameters[:, :SCALE].copy()

    def shift_colors(self, change: np.ndarray) -> None:
        """Add `change` f4 [N, 3] to f_dc, on which pictures depend linearly: for who solves for colours."""
        changed, parameters = change.any(1), self.parameters
        parameters[changed, SH : SH + 3] += change[changed]
        self.parameters = parameters

    def restart(
        self, *, geometry: bool = True, rate: float = 1.0, trainable: np.ndarray | None = None, anchor: float = 0.0
    ) -> None:
        """Besides: splats outside of `trainable` bool [N] stay as they are, to the bit; `anchor` is the λ of
        λ/2 · the mean squared distance from today's parameters (positions in 0.02 scene units)."""
        self.capacity = 0
        self.optimiser = SplatOptimiser(self.parameters, geometry=geometry, rate=rate, held=Held(trainable, anchor))

    def arrays(self) -> dict[str, np.ndarray]:
        settings = np.array([self.capacity, self.near], np.float64)
        mine = dict(zip(_ARRAYS, (self.parameters, self.background, settings), strict=True))
        return mine | self.optimiser.arrays()

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Self:
        """The scene whose `arrays` these are. Raises InvalidInput where they make no scene."""
        try:
            parameters, background, settings = (arrays[name] for name in _ARRAYS)
            capacity, near = settings
            scene = cls(unpacked(parameters), background, capacity=int(capacity), near=float(near))
            scene.optimiser = SplatOptimiser.from_arrays(scene.parameters, arrays)
        except (KeyError, ValueError, IndexError) as error:
            raise InvalidInput(f"the arrays make no scene of splats: {error}", "the file is damaged") from None
        return scene

    def _look(self, views: TrainingViews, step: int, total: int, seed: int) -> Look:
        """The view of this step. While a scene is rough, it has half the pixels a side."""
        k = _turn(len(views.cameras), step, seed)
        mask = None if views.masks is None else views.masks[k]
        look = Look(views.cameras[k], views.images[k], mask)
        if not self.capacity or step >= _COARSE * total or min(look.picture.shape[:2]) < 2 * _SMALLEST:
            return look
        return Look(*halved(look.camera, look.picture, mask), BLUR / 4)  # the same footprint in the scene

    def _draw(self, camera: Camera, blur: float = BLUR) -> Drawing:
        return draw(self.parameters, camera, self.background, self.near, blur)

    def _learn(self, gradients: np.ndarray, step: int, total: int, seed: int) -> None:
        fraction = step / total
        if self.capacity:
            self._regularise(gradients)
        self.optimiser.step(self.parameters, gradients, fraction, FORMING if self.capacity else EDITING)
        if self.capacity and (step + 1) % EVERY == 0 and fraction < UNTIL:
            source = np.random.default_rng([seed, step])
            relocate(self.parameters, self.optimiser, source)
            self.parameters = grown(self.parameters, self.optimiser, self.capacity, source)

    def _regularise(self, gradients: np.ndarray) -> None:
        """Add the gradients of the mean opacity and of the mean scale: what is not needed fades."""
        share = np.float32(REGULAR / len(gradients))
        opacity = 1 / (1 + np.exp(-self.parameters[:, LOGIT]))
        gradients[:, LOGIT] += share * opacity * (1 - opacity)
        gradients[:, SCALE:QUATERNION] += share / 3 * np.exp(self.parameters[:, SCALE:QUATERNION])


def _turn(count: int, step: int, seed: int) -> int:
    """Which of `count` views a step looks at: all of them once, in an order of their own, then again."""
    epoch, place = divmod(step, count)
    return int(np.random.default_rng([seed, epoch, count]).permutation(count)[place])


def packed(splats: Splats) -> np.ndarray:
    """f4 [N, 11 + 3 K], rows of parameters."""
    sh = splats.sh.reshape(splats.count, -1)
    parts = (splats.means, splats.log_scales, splats.quaternions, splats.logits[:, None], sh)
    return np.concatenate(parts, 1).astype(np.float32)


def unpacked(parameters: np.ndarray) -> Splats:
    """The splats of such rows."""
    means, log_scales = parameters[:, :SCALE], parameters[:, SCALE:QUATERNION]
    quaternions, sh = parameters[:, QUATERNION:LOGIT], parameters[:, SH:].reshape(len(parameters), -1, 3)
    return Splats(*(part.copy() for part in (means, quaternions, log_scales, parameters[:, LOGIT], sh)))
