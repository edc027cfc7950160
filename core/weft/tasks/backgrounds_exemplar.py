"""Surroundings painted by the embedded denoiser, from the photograph's own patches and those of a backdrop.

Its exemplar is the photograph itself, or the object cut out and laid on the backdrop with more of the backdrop beside
it. Guides tell object from surroundings in both, and where in the object a patch is: the object can only be made of
itself, its surroundings only of surroundings, and its outline of patches that show both. Nothing else says what goes
where: as of a network, what is painted in one place depends on what is seen around it, up to the coarsest patch.

Results go back to the photograph's size by the same model: enlarged, noised as far as enlarging blurred them, and
denoised with the exemplar at that size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.denoiser import Denoiser, each
from weft.methods.inversion import sampled
from weft.models.exemplar import Exemplar, ExemplarDenoiser, ExemplarSettings
from weft.models.materials import choose_material
from weft.models.networks.image_model import as_planes
from weft.noise import gaussian, generator
from weft.schedule import Schedule, from_noise_ratios
from weft.tasks.backgrounds_outline import mask_share
from weft.tasks.full_size import fitted, working_size
from weft.tasks.material_tile import material_tile
from weft.tasks.phases import EXEMPLAR_SPAN, resized

__all__ = ["FINEST", "SIZE", "Backdrop", "ExemplarSetting", "choose_backdrop"]

SIZE = 256  # px of the longer side, unless a job says otherwise
STEPS = 12
_UNIT = 16  # px, what the exemplar denoiser divides
_NOISE = (10.0, 0.1)  # s = σ/α of the first and the last step: below, inverting a blurred estimate only adds to noise
# Coarsest level up to a longer side: larger patches leave no other layout than the photograph's own.
_COARSEST = ((128, 2), (384, 4), (768, 8), (math.inf, 16))
_GUIDE_NOISE = 0.1  # σ of the guides: tight, or patches with a corner of the object pass for surroundings, and it grows
_REACH = 0.25  # of the longer side: how far apart in the object patches are as different as object and surroundings
_GAP = 4  # px between object and backdrop on the board
FINEST = 768  # px of the longer side up to which results are repainted at the photograph's size
_BLUR = 0.2  # s of a result's noise for every time that it is enlarged
_FINE_END, _FINE_STEPS = 0.05, 6
_FINE = 4  # noise stream of a seed


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What to put behind the object."""

    picture: np.ndarray  # f4 [h, w, 3] in [0, 1]
    span: float  # of the photograph's longer side that its own longer side covers
    seamless: bool  # whether it may be repeated as it is; else every other one is mirrored


def choose_backdrop(
    prompt: str, exemplar: np.ndarray | None, pattern_scale: float
) -> tuple[dict[str, Any], Backdrop | None]:
    """The picture that is given, the material that the prompt names, or None: more of what the photograph shows."""
    if exemplar is not None:
        Exemplar(exemplar)  # refuses what cannot be painted with
        return _told("reference image", prompt), Backdrop(exemplar, pattern_scale, False)
    if prompt.strip():
        choice = choose_material(prompt)
        material = {"name": choice.name, "asked": choice.asked, "exact": choice.exact, "note": choice.note}
        return material, Backdrop(material_tile(choice), EXEMPLAR_SPAN * pattern_scale, True)
    return _told("the photograph's own surroundings", prompt), None


def _told(name: str, prompt: str) -> dict[str, Any]:
    return {"name": name, "asked": prompt, "exact": True, "note": ""}


class ExemplarSetting:
    """A `Setting` in pixels. photograph f4 [H, W, 3] sRGB in [0, 1], mask bool [H, W]. `size`: px of the longer side at
    which it works, 0: 256, and never larger than the photograph; `steps` 0: 12."""

    def __init__(
        self,
        photograph: np.ndarray,
        mask: np.ndarray,
        material: dict[str, Any],
        backdrop: Backdrop | None,
        *,
        size: int,
        steps: int,
        seed: int,
    ) -> None:
        self._photograph, self._whole, self._backdrop, self._seed = photograph, mask, backdrop, seed
        self.material = material
        self._board = _Board.of(photograph, mask, backdrop, min(size or SIZE, max(mask.shape)))
        self.target, self.mask = self._board.target, self._board.mask
        self.schedule: Schedule = from_noise_ratios(np.geomspace(*_NOISE, steps or STEPS))

    def denoiser(self, count: int, *, inverting: bool = False) -> Denoiser:
        return self._board.denoiser(count, self._seed)

    def images(self, x: Tensor) -> np.ndarray:
        return (x.clamp(-1, 1).permute(0, 2, 3, 1).numpy() * np.float32(0.5) + np.float32(0.5)).copy()

    def preview(self, x: Tensor) -> np.ndarray:
        return self.images(x)

    def enlarged(self, x: Tensor) -> np.ndarray:
        height, width = self._photograph.shape[:2]
        times = max(height, width) / max(self.target.shape[1:])
        if times < 1.1:
            return fitted(self.images(x), height, width)[0]
        board = self._fine
        rows, columns = board.mask.shape
        shown = as_planes(fitted(self.images(x), rows, columns))
        times = max(rows, columns) / max(self.mask.shape)
        schedule = from_noise_ratios(np.geomspace(_BLUR * times, _FINE_END, _FINE_STEPS))
        level = schedule.levels[0]
        noise = gaussian(tuple(shown.shape), generator(int(self._seed), _FINE))
        begun = level.alpha / level.sigma * shown + noise
        repainted = sampled(begun, board.holding(board.denoiser(1, self._seed)), schedule)
        return fitted(self.images(repainted), height, width)[0]

    @cached_property
    def _fine(self) -> _Board:
        """At the photograph's own size, or as near as memory and time allow."""
        return _Board.of(self._photograph, self._whole, self._backdrop, min(max(self._whole.shape), FINEST))


@dataclass(frozen=True, eq=False)
class _Board:
    """What the denoiser may take patches from, and what it is shown, at one size."""

    target: Tensor  # [3, h, w] in [-1, 1]
    mask: Tensor  # bool [h, w]
    exemplar: Exemplar
    guide: np.ndarray  # f4 [h, w, 4]: object; where in it, across and down; nothing at all
    settings: ExemplarSettings

    @classmethod
    def of(cls, photograph: np.ndarray, mask: np.ndarray, backdrop: Backdrop | None, longer: int) -> _Board:
        height, width = working_size(photograph.shape[0], photograph.shape[1], longer, _UNIT)
        small = fitted(photograph[None], height, width)[0]
        share = mask_share(mask, height, width)
        inside = share >= 0.5
        coarsest = next(level for side, level in _COARSEST if max(height, width) <= side)
        settings = ExemplarSettings(coarsest=coarsest, guide_noise=_GUIDE_NOISE)
        guide = _guide(inside.numpy())
        exemplar = Exemplar(small, guide)
        if backdrop is not None:
            exemplar = _laid_out(small, share.numpy(), guide, backdrop)
        return cls(as_planes(small[None])[0], inside, exemplar, guide, settings)

    def denoiser(self, count: int, seed: int) -> Denoiser:
        """Each sample alone: how often patches are used is balanced within a picture, not across variants."""
        guide = self.guide[None]
        return each(
            [ExemplarDenoiser(self.exemplar, settings=self.settings, seed=int(seed), guide=guide) for _ in range(count)]
        )

    def holding(self, denoiser: Denoiser) -> Denoiser:
        """The same, with the object as it is in every estimate."""
        return lambda x, level, /: torch.where(self.mask, self.target, denoiser(x, level))


def _guide(inside: np.ndarray) -> np.ndarray:
    height, width = inside.shape
    reach = _REACH * max(height, width)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.stack(
        [inside, inside * (columns - width / 2) / reach, inside * (rows - height / 2) / reach, np.zeros_like(rows)],
        -1, dtype=np.float32,
    )  # fmt: skip


def _laid_out(small: np.ndarray, share: np.ndarray, guide: np.ndarray, backdrop: Backdrop) -> Exemplar:
    """The object on the backdrop, and more of the backdrop on its right."""
    height, width = share.shape
    tile = resized(backdrop.picture, max(Exemplar.SMALLEST, round(backdrop.span * max(height, width))))
    tile = tile[: 2 * height, : 2 * width]
    grown = [(0, max(0, side - own)) for side, own in zip((height, width), tile.shape, strict=False)]
    behind = np.pad(tile, [*grown, (0, 0)], mode="wrap" if backdrop.seamless else "symmetric")[:height, :width]
    laid = behind + share[..., None] * (small - behind)
    tall, more = max(height, len(tile)), _GAP + tile.shape[1]
    # What is neither is flagged, and looks like the backdrop all the same: a patch of it now and then does no harm.
    board = np.pad(tile, ((0, tall - len(tile)), (width + _GAP, 0), (0, 0)), mode="symmetric")
    flags = np.zeros((tall, width + more, guide.shape[2]), np.float32)
    flags[..., -1] = 1
    board[:height, :width], flags[:height, :width] = laid, guide
    flags[: len(tile), width + _GAP :] = 0
    return Exemplar(board, flags)
