"""What edits by score distillation ask of a model, embedded or a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from weft.methods.score_distillation import Batch, Distillation, Estimator, Place
from weft.schedule import NoiseLevel

__all__ = ["Images", "Instruction"]


class Instruction(Protocol):
    """A model that changes pictures as words or an exemplar say: both estimates of CSD-Edit, and the space they are in.

    It is made for one job: words, exemplar and guidance are in it.
    """

    scale: int  # pixels a unit of x, 1 or 8
    unit: int  # pixels that sides of samples must be divisible by
    window: int  # pixels of the side that the model likes best
    clip: float  # |x| is held below it while it moves; 0: it is not
    defaults: Distillation  # what suits it

    def encode(self, images: np.ndarray) -> Tensor:
        """f4 [N, H, W, 3] sRGB in [0, 1] → x [N, C, H/scale, W/scale]."""
        ...

    def decode(self, x: Tensor) -> np.ndarray:
        """The way back, f4 [N, H, W, 3] in [0, 1]."""
        ...

    def level_at(self, t: float) -> NoiseLevel:
        """The level at the part `t` in (0, 1] of the training time."""
        ...

    def estimator(self, sources: np.ndarray, masks: np.ndarray | None, seed: int) -> Estimator:
        """For `sources` f4 [N, H, W, 3] in [0, 1], before the edit, all of them: what ranks pictures together looks at
        every one. `masks` bool [N, H, W]: what may change. `Batch.places` tell which source, and where in it."""
        ...


@dataclass(eq=False)
class Images:
    """A `Variable`: whole images, of which a step takes `batch` at random without replacement (0: all)."""

    x: Tensor  # [N, C, H, W], changed in place
    source: Tensor  # [N, C, H, W]
    batch: int = 0
    clip: float = 0.0  # |x| is held below it; 0: it is not
    mask: Tensor | None = None  # [N, 1, H, W] in [0, 1], how much of a step each x takes; None: all of it

    def draw(self, generator: torch.Generator) -> Batch:
        count = len(self.x)
        chosen = torch.randperm(count, generator=generator)[: self.batch or count].tolist()
        places = tuple(Place(i) for i in chosen)
        return Batch(self.x[chosen].clone(), places, self.source[chosen])

    def descend(self, batch: Batch, gradient: Tensor, rate: float) -> None:
        chosen = [place.image for place in batch.places]
        step = rate * gradient
        moved = batch.x - (step if self.mask is None else self.mask[chosen] * step)
        self.x[chosen] = moved.clamp(-self.clip, self.clip) if self.clip else moved
