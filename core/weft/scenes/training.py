"""The one training loop: a scene of any kind learns from views, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.scenes.scene import Scene, TrainingViews

__all__ = ["TrainingStep", "psnr_of", "trained"]


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One step is done: `step` of `total`, counted from 1."""

    step: int
    total: int
    loss: float


def trained(scene: Scene, views: TrainingViews, *, steps: int, seed: int, start: int = 0) -> Iterator[TrainingStep]:
    """Fit `scene` to `views`, from step `start` to `steps`. Stopping anywhere and going on from there with a scene that
    was saved then gives the same bytes. Raises InvalidInput when the loss is no number any more."""
    for step in range(start, steps):
        loss = scene.fit(views, step, steps, seed)
        if not np.isfinite(loss):
            raise InvalidInput(
                f"the scene's loss is {loss} after step {step + 1} of {steps}", "check the poses: `weft fit` tells more"
            )
        yield TrainingStep(step + 1, steps, loss)


def psnr_of(scene: Scene, images: np.ndarray, cameras: tuple[Camera, ...], masks: np.ndarray | None = None) -> float:
    """Mean over views of the PSNR in dB (peak 1) of its renders against `images` f4 [N, H, W, 3], inside `masks`."""
    values = []
    for i, (image, camera) in enumerate(zip(images, cameras, strict=True)):
        error = (scene.render(camera).image.clip(0, 1) - image) ** 2
        inside = error if masks is None else error[masks[i]]
        values.append(-10 * np.log10(max(float(inside.mean()), 1e-12)))
    return float(np.mean(values))
