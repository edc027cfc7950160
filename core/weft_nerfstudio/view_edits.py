"""CSD-Edit on the training images of somebody else's trainer: which views are edited when, and at which size.

Kim et al. 2023 (Collaborative Score Distillation) edit batches of 16 training views with 2000 steps between them,
without replacement: every view once in a round. A view goes from what the scene shows of it by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from weft.errors import InvalidInput
from weft.methods.score_distillation import Distillation
from weft.tasks.edited_views import EditedViews
from weft.tasks.instruction import Instruction
from weft_nerfstudio.training_images import TrainingImages, scaled

__all__ = ["ViewEdits", "working_size"]


def working_size(shape: Sequence[int], longer: int, unit: int) -> tuple[int, int]:
    """Height and width, in whole `unit`s, with a longer side of at most about `longer` px."""
    factor = min(1.0, longer / max(shape[:2]))
    return tuple(max(unit, round(side * factor / unit) * unit) for side in shape[:2])  # type: ignore[return-value]


class ViewEdits:
    """Edits `images` in place, a batch whenever it is due."""

    def __init__(
        self, images: TrainingImages, instruction: Instruction, settings: Distillation, *, size: int, batch: int,
        every: int, seed: int,
    ) -> None:  # fmt: skip
        """`size`: px of the longer side that views are edited at. `batch` views, `every` so many steps."""
        if batch < 1 or every < 1:
            raise InvalidInput(f"batches of {batch} views every {every} steps, expected 1 or more of both")
        self.images, self.batch, self.every = images, batch, every
        self._height, self._width = working_size(images.get(0).shape, size, instruction.unit)
        sources = np.concatenate([self._small(images.get(view)) for view in range(len(images))])
        self._editor = EditedViews(instruction, settings, sources, None, seed)
        self._random = np.random.default_rng((seed, 1))
        self._waiting: list[int] = []
        self.edited: list[int] = []  # views, in the order in which it happened

    def due(self, step: int, first: int) -> bool:
        """Whether a batch is edited before this step, of a training that begins at `first`."""
        return (step - first) % self.every == 0

    def edit(self, render: Callable[[int], np.ndarray]) -> list[int]:
        """Edit the next batch and return its views; `render(view)` is what the scene shows of one now, f4 [H, W, 3] in
        [0, 1]."""
        chosen = self._next()
        begin = np.concatenate([self._small(render(view)) for view in chosen])
        run = self._editor.edited(chosen, begin)
        while True:
            try:
                next(run)
            except StopIteration as end:
                pictures = end.value
                break
        for view, picture in zip(chosen, pictures, strict=True):
            height, width = self.images.get(view).shape[:2]
            self.images.put(view, scaled(picture[None], height, width)[0])
        self.edited += chosen
        return chosen

    def _next(self) -> list[int]:
        """The views of the next batch: every one of a round before the first comes again."""
        if not self._waiting:
            self._waiting = self._random.permutation(len(self.images)).tolist()
        chosen, self._waiting = self._waiting[: self.batch], self._waiting[self.batch :]
        return sorted(chosen)

    def _small(self, picture: np.ndarray) -> np.ndarray:
        """f4 [1, h, w, 3], at the size that views are edited at."""
        return scaled(picture[None], self._height, self._width)
