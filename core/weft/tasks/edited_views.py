"""Views of a scene edited by score distillation, some of them at a time: what the scene is then to learn."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.methods.score_distillation import Batch, Distillation, Place, distill
from weft.noise import generator
from weft.tasks.instruction import Instruction

__all__ = ["EditedViews"]


class EditedViews:
    """N views, and a model that edits them. Every edit has the sources, the views before any edit, to go by."""

    def __init__(
        self,
        instruction: Instruction,
        settings: Distillation,
        sources: np.ndarray,  # f4 [N, H, W, 3] sRGB in [0, 1]
        masks: np.ndarray | None = None,  # bool [N, H, W], what may change; None: everything
        seed: int = 0,
    ) -> None:
        self.instruction, self.settings, self.seed = instruction, settings, seed
        self.sources, self.masks = sources, masks
        self.calls = 0  # estimates of single views so far, of target and of source
        self._edits = 0
        padded = _padded(sources, instruction.unit)
        held = None if masks is None else _padded(masks, instruction.unit)
        self._estimator = instruction.estimator(padded, held, seed)
        self._encoded = instruction.encode(padded)
        self._share = None
        if held is not None:
            planes = torch.from_numpy(held)[:, None].float()
            height, width = self._encoded.shape[2:]
            self._share = functional.adaptive_avg_pool2d(planes, (height, width))

    def edited(self, views: Sequence[int], begin: np.ndarray) -> Generator[tuple[int, int], None, np.ndarray]:
        """Move the pictures `begin` f4 [B, H, W, 3], of the views of these numbers, together.

        Yields the step, from 1, and their count. Returns the pictures f4 [B, H, W, 3]; what may not change is as in the
        sources.
        """
        chosen = list(views)
        variable = _Chosen(
            self.instruction.encode(_padded(begin, self.instruction.unit)),
            self._encoded[chosen],
            tuple(Place(view) for view in chosen),
            self.instruction.clip,
            None if self._share is None else self._share[chosen],
        )
        noise = generator(self.seed, self._edits)
        self._edits += 1
        estimates = 2 if self.settings.rule.source else 1
        for step in distill(variable, self._estimator, self.instruction.level_at, self.settings, noise):
            self.calls += estimates * len(chosen)
            yield step.index + 1, step.total
        pictures = self.instruction.decode(variable.x)[:, : begin.shape[1], : begin.shape[2]]
        if self.masks is None:
            return pictures
        return np.where(self.masks[chosen][..., None], pictures, self.sources[chosen])


def _padded(images: np.ndarray, unit: int) -> np.ndarray:
    """[N, H, W, ...] with sides grown to multiples of `unit` by repeating the last row and column."""
    sides = [(0, 0)] * images.ndim
    sides[1], sides[2] = (0, -images.shape[1] % unit), (0, -images.shape[2] % unit)
    return np.pad(images, sides, mode="edge")


@dataclass(eq=False)
class _Chosen:
    """A `Variable`: some of all views, every one of them in every step."""

    x: Tensor  # [B, C, h, w]
    source: Tensor  # [B, C, h, w]
    places: tuple[Place, ...]  # of each among all views
    clip: float
    share: Tensor | None  # [B, 1, h, w] in [0, 1], how much of a step each x takes

    def draw(self, generator: torch.Generator) -> Batch:
        return Batch(self.x, self.places, self.source)

    def descend(self, batch: Batch, gradient: Tensor, rate: float) -> None:
        step = rate * gradient if self.share is None else self.share * (rate * gradient)
        self.x = (batch.x - step).clamp(-self.clip, self.clip) if self.clip else batch.x - step
