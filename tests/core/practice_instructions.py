"""Models that edit pictures in a line or two, whose estimates are known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weft.methods.score_distillation import Batch, Distillation
from weft.schedule import NoiseLevel, stable_diffusion

LEVELS = stable_diffusion(100).levels


@dataclass
class Painted:
    """An `Instruction` that wants all pixels to be of one colour in [0, 1], and an `Estimator` that knows its source.

    `scale` 1: x are pixels; more: means of so many pixels, decoded bilinearly.
    """

    colour: tuple[float, float, float]
    scale: int = 1
    unit: int = 1
    window: int = 32
    clip: float = 0.0
    defaults: Distillation = field(default_factory=lambda: Distillation(steps=12, rate=0.9, rate_end=0.9))
    sources: np.ndarray | None = None  # what the last estimator was made for

    def encode(self, images: np.ndarray) -> Tensor:
        planes = torch.from_numpy(np.ascontiguousarray(images, np.float32)).permute(0, 3, 1, 2) * 2 - 1
        return functional.avg_pool2d(planes, self.scale)

    def decode(self, x: Tensor) -> np.ndarray:
        if self.scale > 1:
            x = functional.interpolate(x, scale_factor=self.scale, mode="bilinear")
        return (x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).contiguous().numpy()

    def level_at(self, t: float) -> NoiseLevel:
        return LEVELS[-1 - min(int(t * 100), 99)]

    def estimator(self, sources: np.ndarray, masks: np.ndarray | None, seed: int) -> Painted:
        self.sources = sources
        return self

    def target(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        return (torch.tensor(self.colour)[:, None, None] * 2 - 1).expand_as(x)

    def source(self, x: Tensor, level: NoiseLevel, batch: Batch, /) -> Tensor:
        assert batch.source is not None
        return batch.source
