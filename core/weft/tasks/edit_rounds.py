"""The loop that edits a scene: some of its views are edited, the scene learns them, others follow.

Every published schedule is a row: Kim et al. 2023 (CSD) edit batches of 16 views with thousands of scene steps between
them, Haque et al. 2023 (Instruct-NeRF2NeRF) and Vachha & Haque 2024 (Instruct-GS2GS) one view every ten steps. A view
is edited from what the scene shows of it by then, and goes by the picture that it was before any edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from weft.errors import InvalidInput
from weft.scenes.scene import TrainingViews
from weft.tasks.edit_learning import Learner
from weft.tasks.edited_views import EditedViews
from weft.tasks.events import Event, Preview, Progress
from weft.tasks.painting import Clock

__all__ = ["SCHEDULES", "EditRounds", "EditSchedule", "chosen_schedule"]

_TOLD = 10  # scene steps from one progress to the next
_SHOWN = 20  # from one preview to the next


@dataclass(frozen=True, slots=True)
class EditSchedule:
    """Which views are edited together, and when."""

    batch: int  # views edited together
    every: int  # scene steps from one batch to the next
    rounds: int  # how often each view is edited
    share: float  # of the steps of a whole distillation, that a view is moved by in a round

    def batches(self, views: int, random: np.random.Generator) -> list[np.ndarray]:
        """Numbers of the views of each batch: every round is an epoch without replacement, in equal parts."""
        parts = -(-views // self.batch)
        return [part for _ in range(self.rounds) for part in np.array_split(random.permutation(views), parts)]

    def steps(self, views: int) -> int:
        """Scene steps altogether."""
        return self.rounds * -(-views // self.batch) * self.every


SCHEDULES = {
    "csd": EditSchedule(batch=16, every=100, rounds=4, share=0.25),
    "one_by_one": EditSchedule(batch=1, every=10, rounds=4, share=0.25),
}


def chosen_schedule(name: str, *, batch: int, every: int) -> EditSchedule:
    """The schedule of this name; `batch` views are edited together where views are, `every` is 0 for what suits it."""
    if name not in SCHEDULES:
        raise InvalidInput(f"no schedule is called {name!r}", f"choose one of {', '.join(SCHEDULES)}")
    if batch < 1:
        raise InvalidInput(f"batches of {batch} views, expected at least 1", "16 are usual")
    row = SCHEDULES[name]
    return replace(row, batch=min(batch, row.batch) if row.batch == 1 else batch, every=every or row.every)


@dataclass(eq=False)
class EditRounds:
    """A scene being edited. Iterate `run`; the scene changes in place, `targets` are what it learned last."""

    learner: Learner  # its scene restarted
    views: TrainingViews  # what it learned, in its frame
    editor: EditedViews  # its first views are `views`
    schedule: EditSchedule
    steps: int  # of the learner, altogether
    seed: int
    clock: Clock

    def __post_init__(self) -> None:
        self.targets = replace(self.views, images=self.views.images.copy())
        self.edited = np.zeros(len(self.views.cameras), bool)

    def run(self) -> Iterator[Event]:
        random = np.random.default_rng((self.seed, 1))
        batches = self.schedule.batches(len(self.views.cameras), random)[: -(-self.steps // self.schedule.every)]
        for step in range(self.steps):
            turn, rest = divmod(step, self.schedule.every)
            if rest == 0 and turn < len(batches):
                yield from self._edit(batches[turn], turn, len(batches))
            with self.clock.phase("scene"):
                loss = self.learner.learn(self.targets, step, self.steps)
            if not np.isfinite(loss):
                raise InvalidInput(f"the scene's loss is {loss} after step {step + 1}", "lower the rate of the edit")
            few = self.steps <= _SHOWN or step + 1 == self.steps
            if few or (step + 1) % _TOLD == 0:
                yield Progress("scene", step + 1, self.steps)
            if few or (step + 1) % _SHOWN == 0:
                image = self.learner.scene.render(self.views.cameras[0]).image.clip(0, 1)
                yield Preview(0, image, step + 1, self.steps)

    def _edit(self, batch: np.ndarray, turn: int, turns: int) -> Iterator[Event]:
        """Replace the pictures of a batch."""
        with self.clock.phase("renders"):
            cameras = [self.views.cameras[view] for view in batch]
            begin = np.stack([self.learner.scene.render(camera).image for camera in cameras]).clip(0, 1)
        run = self.editor.edited(batch.tolist(), begin)
        while True:
            try:
                with self.clock.phase("edit"):
                    step, total = next(run)
            except StopIteration as end:
                self.targets.images[batch] = end.value
                self.edited[batch] = True
                return
            yield Progress("edit", turn * total + step, turns * total)
