"""A set of images edited whole, by score distillation: the simplest variable there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from weft.methods.score_distillation import Distillation, DistillationStep, distill
from weft.noise import generator
from weft.tasks.instruction import Images, Instruction

__all__ = ["DistilledImages", "distilled_images"]


@dataclass(frozen=True, eq=False)
class DistilledImages:
    """A step, and the images as it left them, decoded when they are asked for."""

    step: DistillationStep
    instruction: Instruction
    variable: Images
    before: np.ndarray  # f4 [N, H, W, 3]
    masks: np.ndarray | None  # bool [N, H, W]

    def images(self) -> np.ndarray:
        """f4 [N, H, W, 3] sRGB in [0, 1]; what may not change is as it was. Those of now, not of this step, once the
        next step was taken."""
        decoded = self.instruction.decode(self.variable.x)
        return decoded if self.masks is None else np.where(self.masks[..., None], decoded, self.before)


def distilled_images(
    instruction: Instruction,
    images: np.ndarray,
    settings: Distillation,
    batch: int = 0,
    masks: np.ndarray | None = None,
    seed: int = 0,
) -> Iterator[DistilledImages]:
    """Every step of the edit of `images` f4 [N, H, W, 3] sRGB in [0, 1], sides divisible by `instruction.unit`.

    A step moves `batch` of them, at random (0: all). `masks` bool [N, H, W]: what may change.
    """
    source = instruction.encode(images)
    share = None
    if masks is not None:
        height, width = source.shape[2:]
        share = functional.adaptive_avg_pool2d(torch.from_numpy(masks)[:, None].float(), (height, width))
    variable = Images(source.clone(), source, batch, instruction.clip, share)
    estimator = instruction.estimator(images, masks, seed)
    for step in distill(variable, estimator, instruction.level_at, settings, generator(seed)):
        yield DistilledImages(step, instruction, variable, images, masks)
