"""A model of edits whose answer is known: everything becomes one colour, or lighter."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from weft.methods.score_distillation import Batch, Distillation
from weft.schedule import NoiseLevel

__all__ = ["Painted"]


@dataclass
class Painted:
    """An `Instruction` in pixels that wants all pictures to be of `color`; it knows their sources by heart."""

    color: tuple[float, float, float] = (0.8, 0.2, 0.1)
    scale: int = 1
    unit: int = 1
    window: int = 64
    clip: float = 0.0
    defaults: Distillation = field(default_factory=lambda: Distillation(steps=4, rate=1.0, rate_end=1.0))
    seen: list[tuple[int, ...]] = field(default_factory=list)  # numbers of the views of each estimate

    def encode(self, images: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(images, np.float32)).permute(0, 3, 1, 2) * 2 - 1

    def decode(self, x: Tensor) -> np.ndarray:
        return (x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).contiguous().numpy()

    def level_at(self, t: float) -> NoiseLevel:
        return NoiseLevel(1.0, t)

    def estimator(self, sources: np.ndarray, masks: np.ndarray | None, seed: int) -> Painted:
        assert not sources.shape[1] % self.unit
        assert not sources.shape[2] % self.unit
        return self

    def target(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        self.seen.append(tuple(place.image for place in batch.places))
        return (torch.tensor(self.color) * 2 - 1).reshape(1, 3, 1, 1).expand_as(x)

    def source(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        assert batch.source is not None
        return batch.source
