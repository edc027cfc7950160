"""A wide image as windows of it: the variable of panorama edits by score distillation (Kim et al. 2023, section 4.1).

Windows at fixed places leave seams, and pixels near a border are seen less than others. Here every step lays a new
tiling over the image, at a random phase: each pixel lies in exactly one window of it, near borders too, because windows
may hang over a border (they show its mirror image there, or, where left meets right, the other side). Around a ring
windows of one size overlap a little unless they divide it; there the mean of their gradients counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.errors import InvalidInput
from weft.methods.score_distillation import Batch, Place
from weft.tasks.instruction import Instruction

__all__ = ["Axis", "WideWindows"]

_CONTEXT = (8, 8)  # units of x around an image that are encoded and decoded with it


@dataclass(frozen=True)
class Axis:
    """How windows of `window` units lie along an axis of `length`; `ring`: its ends meet.

    Canvas units count from where the first window of any tiling may begin.
    """

    length: int
    window: int
    ring: bool = False

    @property
    def count(self) -> int:
        """Windows of a tiling."""
        if self.ring:
            return -(-self.length // self.window)
        if self.window >= self.length:
            return 1
        return -(-(self.length + self.window // 2) // self.window)  # room for phases of half a window at least

    @property
    def phases(self) -> int:
        """How many tilings there are."""
        if self.ring:
            return self.length
        if self.window >= self.length:
            return 1
        return min(self.count * self.window - self.length, self.window - 1) + 1

    def starts(self, phase: int) -> np.ndarray:
        """i8 [count]: the first canvas unit of each window; phases count from 0."""
        steps = np.arange(self.count)
        if self.ring:
            return (steps * self.length // self.count + phase) % self.length
        return steps * self.window + self.phases - 1 - phase

    @property
    def own(self) -> np.ndarray:
        """bool [canvas]: what is no mirror image."""
        before, after = self.around
        own = np.full(before + self.length + after, True)
        if not self.ring:
            own[:before] = own[before + self.length :] = False
        return own

    @property
    def around(self) -> tuple[int, int]:
        """Canvas units before the axis begins, and after its end."""
        if self.ring:
            return 0, self.window
        return self.phases - 1, self.count * self.window - self.length

    def extended(self, around: tuple[int, int], finer: int = 1) -> np.ndarray:
        """i8: the unit of the axis that is seen so far before and after it; `finer`: which of so many parts of it."""
        before, after = around
        mode = "wrap" if self.ring else "symmetric"
        return np.pad(np.arange(self.length * finer), (before * finer, after * finer), mode)


@dataclass(eq=False)
class WideWindows:
    """`PanoramaWindows` of a wide image, of x [1, C, H, W]. A step takes `batch` of a tiling at random (0: all)."""

    instruction: Instruction
    image: np.ndarray  # f4 [H, W, 3] sRGB in [0, 1], as it was
    rows: Axis  # in units of x
    columns: Axis
    batch: int = 0
    mask: np.ndarray | None = None  # bool [H, W], what may change

    @classmethod
    def of(
        cls, instruction: Instruction, image: np.ndarray, window: int, *, wrap: bool, batch: int = 0,
        mask: np.ndarray | None = None,
    ) -> WideWindows:  # fmt: skip
        """In windows of `window` px, or fewer along a shorter side. `wrap`: left meets right; for latents the width
        must then be a multiple of their scale, or it does not. Raises InvalidInput for windows of a size that the model
        does not take."""
        unit, scale = instruction.unit, instruction.scale
        if window < 1 or window % unit:
            raise InvalidInput(f"windows of {window} px do not suit the model", f"use a multiple of {unit} px")
        high, wide = (min(window, -(-length // unit) * unit) // scale for length in image.shape[:2])
        height, width = (-(-length // scale) for length in image.shape[:2])
        ring = wrap and image.shape[1] % scale == 0
        return cls(instruction, image, Axis(height, high), Axis(width, wide, ring), batch, mask)

    def __post_init__(self) -> None:
        scale = self.instruction.scale
        self.source = self._cut_context(self.instruction.encode(self._seen(self.image, _CONTEXT, _CONTEXT)[None]))
        self.x = self.source.clone()
        self._share: Tensor | None = None
        if self.mask is not None:
            share = torch.from_numpy(self._seen(self.mask[..., None].astype(np.float32), _CONTEXT, _CONTEXT)).permute(
                2, 0, 1
            )[None]
            self._share = self._cut_context(functional.avg_pool2d(share, scale))

    @property
    def window(self) -> int:
        return min(self.rows.window, self.columns.window) * self.instruction.scale

    @property
    def wraps(self) -> bool:
        return self.columns.ring

    @property
    def count(self) -> int:
        return min(self.batch or self._tiles, self._tiles)

    @property
    def _tiles(self) -> int:
        return self.rows.count * self.columns.count

    def canvases(self, picture: np.ndarray) -> np.ndarray:
        """One: the image, with what windows show beyond its borders."""
        return self._seen(picture, self.rows.around, self.columns.around)[None]

    def views(self, picture: np.ndarray) -> np.ndarray:
        return picture[None]

    def picture(self) -> np.ndarray:
        rows, columns = (axis.extended(_CONTEXT) for axis in (self.rows, self.columns))
        margin, (height, width) = _CONTEXT[0] * self.instruction.scale, self.image.shape[:2]
        decoded = self.instruction.decode(self.x[:, :, rows][..., columns])[0]
        inner = decoded[margin : margin + height, margin : margin + width]
        return inner if self.mask is None else np.where(self.mask[..., None], inner, self.image)

    def draw(self, generator: torch.Generator) -> Batch:
        tops, lefts = (axis.starts(self.phase(axis, generator)) for axis in (self.rows, self.columns))
        chosen = torch.randperm(self._tiles, generator=generator)[: self.count].sort().values.tolist()
        places = tuple(Place(0, int(tops[i // len(lefts)]), int(lefts[i % len(lefts)])) for i in chosen)
        cells = [self._cells(place)[0] for place in places]
        x, source = (torch.cat([whole[:, :, rows[:, None], columns] for rows, columns in cells])
                     for whole in (self.x, self.source))  # fmt: skip
        return Batch(x, places, source)

    def phase(self, axis: Axis, generator: torch.Generator) -> int:
        """Which tiling of an axis is next."""
        return int(torch.randint(axis.phases, (), generator=generator))

    def descend(self, batch: Batch, gradient: Tensor, rate: float) -> None:
        total, count = torch.zeros_like(self.x[0]), torch.zeros_like(self.x[0, :1])
        for place, one in zip(batch.places, gradient, strict=True):
            (rows, columns), own = self._cells(place)
            index = (rows[:, None] * self.columns.length + columns)[own]
            total.flatten(1).index_add_(1, index, one[:, own])
            count.flatten(1).index_add_(1, index, torch.ones_like(one[:1, own]))
        step = rate * total / count.clamp_min(1)
        self.x -= step if self._share is None else self._share * step
        if self.instruction.clip:
            self.x.clamp_(-self.instruction.clip, self.instruction.clip)

    def _cells(self, place: Place) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Rows and columns of x that a window shows, and bool [h, w]: where it is no mirror image."""
        spans = [(self.rows, place.top), (self.columns, place.left)]
        shown = [torch.from_numpy(axis.extended(axis.around)[first : first + axis.window]) for axis, first in spans]
        own = [torch.from_numpy(axis.own[first : first + axis.window]) for axis, first in spans]
        return (shown[0], shown[1]), own[0][:, None] & own[1]

    def _seen(self, picture: np.ndarray, above: tuple[int, int], beside: tuple[int, int]) -> np.ndarray:
        """[h, w, C]: the picture as whole units of x, with so many units around it."""
        scale, (height, width) = self.instruction.scale, picture.shape[:2]
        rows = self.rows.extended(above, scale).clip(max=height - 1)
        columns = self.columns.extended(beside, scale).clip(max=width - 1)
        return picture[np.ix_(rows, columns)]

    def _cut_context(self, x: Tensor) -> Tensor:
        before, after = _CONTEXT
        return x[..., before:-after, before:-after].contiguous()
