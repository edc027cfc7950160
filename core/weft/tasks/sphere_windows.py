"""A full sphere as perspective windows of it: the variable of panorama edits where left meets right.

An equirectangular image is stretched towards its poles, and what is painted into windows cut out of it is pinched when
somebody looks up. So windows are photographs that a camera inside the sphere would take, as `spaces.sphere_windows`
reads them. They cover the sphere; every step shifts each of them at random. What they want is gathered back: a cell
moves by what the windows that see it moved by, above all the one that sees it nearest to its middle.

Latents are no pictures that could be looked at from elsewhere: the sphere is held in colours, and models that work in
latents encode each window and decode both what it was and what it became. Only the difference moves the sphere, so that
what a codec loses is not lost again at every step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.methods.score_distillation import Batch, Place
from weft.spaces.panorama import look_along
from weft.spaces.sphere_windows import covering_directions, evened, gathered, read
from weft.tasks.instruction import Instruction

__all__ = ["SphereWindows"]

_MARGIN = 8  # a window is shifted by up to this part of its side to each side
_WIDEST = 80.0  # degrees of a window: beyond it the corners are drawn out
_EXPONENT = 12.0  # of a window's weight


@dataclass(eq=False)
class SphereWindows:
    """`PanoramaWindows` of the sphere `image` f4 [H, 2H, 3] sRGB in [0, 1], of `window` px each, of which a step takes
    `batch` at random (0: all). They are as fine as the image is at its equator, or finer if they would be too wide.

    `mask` bool [H, 2H]: what may change. Raises InvalidInput for windows that the model does not take.
    """

    instruction: Instruction
    image: np.ndarray
    window: int
    batch: int = 0
    mask: np.ndarray | None = None
    now: np.ndarray = field(init=False)  # f4 [H, 2H, 3]
    cameras: tuple[Camera, ...] = field(init=False)  # of what windows are cut out of

    def __post_init__(self) -> None:
        unit, scale = self.instruction.unit, self.instruction.scale
        if self.window < 1 or self.window % unit:
            raise InvalidInput(f"windows of {self.window} px do not suit the model", f"use a multiple of {unit} px")
        self._source = self.now = evened(self.image)
        self._margin = max(self.window // (_MARGIN * scale), 1)  # units of x
        focal = max(len(self.image) / math.pi, self.window / 2 / math.tan(math.radians(_WIDEST / 2)))
        margin = self._margin * scale
        always, side = self.window - 2 * margin, self.window + 2 * margin
        directions = covering_directions(math.degrees(2 * math.atan(always / 2 / focal)))
        self.cameras = tuple(
            replace(look_along(*direction, size=side, fov=90.0), fx=focal, fy=focal) for direction in directions
        )

    @staticmethod
    def best_window(height: int, most: int, unit: int) -> int:
        """px of the largest window up to `most` that is no wider than good and no finer than the image."""
        return max(min(most, int(2 * height / math.pi * math.tan(math.radians(_WIDEST / 2)))) // unit, 1) * unit

    @property
    def wraps(self) -> bool:
        return True

    @property
    def count(self) -> int:
        return min(self.batch or len(self.cameras), len(self.cameras))

    def canvases(self, picture: np.ndarray) -> np.ndarray:
        return read(evened(picture), self.cameras)

    def views(self, picture: np.ndarray) -> np.ndarray:
        return self.canvases(picture)

    def picture(self) -> np.ndarray:
        now = self.now.clip(0, 1)
        return now if self.mask is None else np.where(self.mask[..., None], now, self.image)

    def draw(self, generator: torch.Generator) -> Batch:
        chosen = torch.randperm(len(self.cameras), generator=generator)[: self.count].sort().values
        shifts = torch.randint(2 * self._margin + 1, (len(chosen), 2), generator=generator)
        places = tuple(Place(int(i), int(top), int(left)) for i, (top, left) in zip(chosen, shifts, strict=True))
        cameras = self._cut(places)
        x, source = (self.instruction.encode(read(picture, cameras)) for picture in (self.now, self._source))
        return Batch(x, places, source)

    def descend(self, batch: Batch, gradient: Tensor, rate: float) -> None:
        moved = batch.x - rate * gradient
        if self.instruction.clip:
            moved = moved.clamp(-self.instruction.clip, self.instruction.clip)
        change = self.instruction.decode(moved) - self.instruction.decode(batch.x)
        step, _ = gathered(change, self._cut(batch.places), len(self.image), _EXPONENT)
        self.now = self.now + (step if self.mask is None else self.mask[..., None] * step)

    def _cut(self, places: Sequence[Place]) -> tuple[Camera, ...]:
        """The windows' own cameras."""
        scale = self.instruction.scale
        return tuple(
            replace(
                self.cameras[place.image], width=self.window, height=self.window,
                cx=self.cameras[place.image].cx - place.left * scale,
                cy=self.cameras[place.image].cy - place.top * scale,
            )
            for place in places
        )  # fmt: skip
