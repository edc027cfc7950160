"""The frames of a video as one variable of score distillation: what the edit changes travels with what moves.

Every cell of a track (`spaces.frames`) has one change for all frames that show it,

    x_k = x̃_k + m_k P_k z,        z ← z - rate · mean over the batch of g_k(pixels that show the cell)

and one noise in each step, so a still background stays still whatever the model makes up, and frames that a batch
leaves out move with those that are in it. The source keeps its own light and grain.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from weft.methods.score_distillation import Batch, Place
from weft.noise import gaussian

__all__ = ["MovingFrames"]


@dataclass(eq=False)
class MovingFrames:
    """A `Variable` of N frames, of which a step takes `batch` at random: each once before any comes again."""

    source: Tensor  # [N, C, h, w]
    cells: np.ndarray  # i4 [N, h, w], what each pixel shows; no cell twice in a frame
    batch: int
    clip: float = 0.0  # |x| is held below it; 0: it is not
    mask: Tensor | None = None  # [N, 1, h, w] in [0, 1], how much of a change each pixel takes; None: all of it
    change: Tensor = field(init=False)  # z [cells, C]
    _waiting: list[int] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.change = torch.zeros(int(self.cells.max()) + 1, self.source.shape[1])

    def frames(self, chosen: list[int]) -> Tensor:
        """x [B, C, h, w] of these frames."""
        x = self.source[chosen] + self._share(chosen) * self._seen(self.change, chosen)
        return x.clamp(-self.clip, self.clip) if self.clip else x

    def draw(self, generator: torch.Generator) -> Batch:
        chosen = self._next(generator)
        noise = gaussian((len(self.change), self.source.shape[1]), generator)
        places = tuple(Place(k) for k in chosen)
        return Batch(self.frames(chosen), places, self.source[chosen], self._seen(noise, chosen))

    def descend(self, batch: Batch, gradient: Tensor, rate: float) -> None:
        chosen = [place.image for place in batch.places]
        cell, share = self._lookup(chosen), self._share(chosen).expand(len(chosen), 1, *gradient.shape[2:])
        total = torch.zeros_like(self.change).index_add_(0, cell, _rows(share * gradient))
        weight = torch.zeros(len(self.change), 1).index_add_(0, cell, _rows(share))
        self.change -= rate * total / torch.where(weight > 0, weight, 1.0)

    def _next(self, generator: torch.Generator) -> list[int]:
        chosen: list[int] = []
        while len(chosen) < min(self.batch, len(self.source)):
            if not self._waiting:
                drawn = torch.randperm(len(self.source), generator=generator).tolist()
                self._waiting = sorted(drawn, key=chosen.__contains__)  # no frame twice in a batch
            chosen.append(self._waiting.pop(0))
        return chosen

    def _lookup(self, chosen: list[int]) -> Tensor:
        return torch.from_numpy(self.cells[chosen].reshape(-1)).long()

    def _seen(self, values: Tensor, chosen: list[int]) -> Tensor:
        """[cells, C] as these frames show it, [B, C, h, w]."""
        shape = (len(chosen), *self.source.shape[2:], -1)
        return values[self._lookup(chosen)].reshape(shape).permute(0, 3, 1, 2)

    def _share(self, chosen: list[int]) -> Tensor:
        return torch.ones(1, 1, 1, 1) if self.mask is None else self.mask[chosen]


def _rows(planes: Tensor) -> Tensor:
    """[B, C, h, w] as [B·h·w, C]"""
    return planes.permute(0, 2, 3, 1).reshape(-1, planes.shape[1])
