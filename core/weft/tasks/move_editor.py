"""Views with a moved object, completed from patches of the views themselves: the editor behind `weft move` without
downloaded weights.

What the coarse edit carried over is held (replacement of x0 as in RePaint, Lugmayr et al. 2022) until the noise falls
to where `strength` lets it change (SDEdit, Meng et al. 2022); what it kept is held to the end; its holes are painted
from noise, over their smooth fill. Patches come from all that the coarse edit knows around what is painted. Guides, the
channels that views and patches have in common, keep apart the object, surfaces that stay and the backdrop, and what
faces different ways.

The multi-view prior A' has one picture more: the edited view stands first among them, and is preferred.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.denoiser import Denoiser
from weft.errors import InvalidInput
from weft.models.exemplar import Exemplar, ExemplarDenoiser, ExemplarSettings
from weft.schedule import NoiseLevel, Schedule, from_noise_ratios
from weft.spaces.carried import CoarseEdit
from weft.spaces.linear import LinearSpace
from weft.spaces.moved import Moved
from weft.tasks.views_editor import EmbeddedEditor

__all__ = ["MoveEditor"]

HOLES_BEGIN = 0.8  # s from which holes are painted: their fill says which colour, not which structure
_END = 0.02  # s
_UNIT = 16  # px, what the exemplar denoiser divides
_MARGIN = 24  # px around what is painted whose patches are offered
_MOST = 400_000  # px of all pictures of an exemplar: its memory grows with them
_GAP = 4  # px between them
_FACING = 0.5  # of a normal's difference in the guides; the object's differs from the rest by 1
_NEVER = 4.0  # of what is not to be copied: the smooth fill of a hole looks too much like itself
_PREFERENCE = 0.125  # of the edited view to the others, in the same units
_SETTINGS = ExemplarSettings()


@dataclass(frozen=True, eq=False)
class _Picture:
    """One of an exemplar's: image f4 [h, w, 3] in [0, 1], guide f4 [h, w, G]."""

    image: np.ndarray
    guide: np.ndarray


class MoveEditor(EmbeddedEditor):
    """A `ViewEditor` of sRGB images in [-1, 1], on the CPU.

    `coarse` is what `moved` made of the views. `strength` in [0, 1]: how much of what was carried over is painted anew,
    from s = 0.8 strength² on; of what was kept nothing is.
    """

    def __init__(self, moved: Moved, coarse: CoarseEdit, *, strength: float = 0.3, steps: int = 30) -> None:
        if not 0 <= strength <= 1:
            raise InvalidInput(f"strength = {strength:g} is outside 0 to 1", "0 paints only what nobody saw")
        views, height, width = moved.after.shape
        self.shape: tuple[int, int, int, int] = (views, 3, height, width)
        self.clean: Tensor = (
            torch.from_numpy(np.ascontiguousarray(coarse.images, np.float32)).permute(0, 3, 1, 2) * 2 - 1
        )
        self.open = coarse.holes | (~coarse.kept if strength > 0 else False)
        self._holes = torch.from_numpy(coarse.holes)[:, None]
        self._open = torch.from_numpy(self.open)[:, None]
        self._loosened = HOLES_BEGIN * strength**2
        self.schedule: Schedule = from_noise_ratios(np.geomspace(HOLES_BEGIN, _END, max(2, steps)))
        unsure = np.zeros_like(coarse.holes)
        self._guides = _guides(moved, unsure)
        offered = _guides(moved, coarse.holes)
        boxes = [_box(open_) for open_ in self.open]
        self._pictures = [_Picture(coarse.images[i][box], offered[i][box]) for i, box in enumerate(boxes) if box]

    def editor(self, seed: int) -> Denoiser:
        """A: patches of what is known."""
        return self._denoiser(self._pictures, seed)

    def prior(self, reference: int, edited: Tensor, seed: int) -> Denoiser:
        """A': patches of the edited view before those of the others. The view itself is as it was edited."""
        image = edited.permute(1, 2, 0).numpy() / 2 + 0.5
        box = _box(self.open[reference])
        first = [] if box is None else [_Picture(image[box], self._guides[reference][box])]
        denoise = self._denoiser([*first, *(_aside(one) for one in self._pictures)], seed)

        def told(x: Tensor, level: NoiseLevel, /) -> Tensor:
            x0 = denoise(x, level)
            x0[reference] = edited
            return x0

        return told

    def _denoiser(self, pictures: list[_Picture], seed: int) -> Denoiser:
        if not self.open.any():
            return lambda x, level: self.clean.clone()
        chosen = _affordable(pictures)
        exemplar = Exemplar(*(_in_a_row([getattr(one, name) for one in chosen], name) for name in ("image", "guide")))
        height, width = self.shape[2:]
        down, right = -height % _UNIT, -width % _UNIT
        grown = ((0, 0), (0, down), (0, right))
        padded = ExemplarDenoiser(
            exemplar, settings=_SETTINGS, seed=seed, mask=np.pad(self.open, grown),
            guide=np.pad(self._guides, (*grown, (0, 0)), mode="edge"),
        )  # fmt: skip

        def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
            open_ = self._open if level.s <= self._loosened else self._holes
            x0 = padded(functional.pad(x, (0, right, 0, down), mode="replicate"), level)[..., :height, :width]
            return torch.where(open_, x0, self.clean)

        return denoise

    def agreed(self, space: LinearSpace) -> Callable[[Tensor], Tensor]:
        """F of holes, and of how the rest was changed: what was carried agrees already, and passing its colours through
        the cells would only soften it. What is held keeps its colours, and views that paint it are held to them."""

        def agree(x0: Tensor) -> Tensor:
            held = torch.where(self._open, x0, self.clean)
            together, _ = space.synchronize(torch.cat([held, held - self.clean], 1))
            painted, change = together.split(3, 1)
            return torch.where(self._holes, painted, torch.where(self._open, self.clean + change, self.clean))

        return agree

    def images(self, x0: Tensor) -> Tensor:
        return torch.where(self._open, x0, self.clean)


def _guides(moved: Moved, unsure: np.ndarray) -> np.ndarray:
    """f4 [N, H, W, 7] of the views after the motion: the object or not, a surface or not, where it faces in the world,
    what is not to be copied, what is not first choice."""
    after = moved.after
    flags = [np.asarray(flag, np.float32)[..., None] for flag in (moved.now, after.mask, unsure, np.zeros_like(unsure))]
    flags[2] *= _NEVER
    return np.concatenate([*flags[:2], _FACING * after.normal, *flags[2:]], -1, dtype=np.float32)


def _aside(picture: _Picture) -> _Picture:
    guide = picture.guide.copy()
    guide[..., -1] = _PREFERENCE
    return _Picture(picture.image, guide)


def _box(open_: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of the open pixels bool [H, W] with a margin, not smaller than an exemplar; None without any."""
    if not open_.any():
        return None
    slices = []
    for axis, length in ((1, open_.shape[0]), (0, open_.shape[1])):
        at = np.flatnonzero(open_.any(axis))
        slices.append(slice(max(0, int(at[0]) - _MARGIN), min(length, int(at[-1]) + 1 + _MARGIN)))
    return slices[0], slices[1]


def _affordable(pictures: list[_Picture]) -> list[_Picture]:
    """As many as there is memory for, evenly chosen, the first always."""
    total = sum(one.image[..., 0].size for one in pictures)
    return pictures[:: max(1, -(-total // _MOST))]


def _in_a_row(pictures: list[np.ndarray], name: str) -> np.ndarray:
    """Pictures or guides [h, w, C] side by side; between them grey, in guides what is neither."""
    height = max(one.shape[0] for one in pictures)
    width = sum(one.shape[1] + _GAP for one in pictures) - _GAP
    canvas = np.full((height, width, pictures[0].shape[2]), 0.5, np.float32)
    if name == "guide":
        canvas[:] = 0
        canvas[..., -2] = _NEVER
    column = 0
    for one in pictures:
        canvas[: one.shape[0], column : column + one.shape[1]] = one
        column += one.shape[1] + _GAP
    return canvas
