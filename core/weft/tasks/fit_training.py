"""A scene that learns from photographs while somebody watches: previews, checkpoints, and what it has reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from weft.io.scene_files import SceneInfo
from weft.scenes.scene import Scene, TrainingViews
from weft.scenes.training import psnr_of, trained
from weft.tasks.events import Checkpoint, Event, Preview, Progress, Warning
from weft.tasks.painting import Clock
from weft.tasks.scene_input import Dataset
from weft.tasks.scene_results import beside
from weft.tasks.scene_source import scene_array

__all__ = ["Training", "not_converged", "reached"]

TOLD, LOOKED, KEPT = 0.25, 4.0, 45.0  # seconds from one progress, preview and checkpoint to the next
_MEASURED = 8  # training views that their PSNR is of
_POOR = 4.0  # dB above a single colour for each view; with exchanged poses photographs reach 0.1, with true ones 11
_APART = 9.0  # dB by which training views are met better, where pictures were learned and no scene


@dataclass(eq=False)
class Training:
    """Iterate `run`: `scene` changes in place, until it has done `steps` steps."""

    scene: Scene
    data: Dataset
    start: int  # steps that are done
    steps: int
    seed: int
    clock: Clock

    @property
    def shown(self) -> TrainingViews:
        """Views to measure by: held out, where there are any."""
        return self.data.held_out or self.data.training

    def info(self, step: int) -> SceneInfo:
        """What a file says of the scene after so many steps."""
        height, width = self.data.training.images.shape[1:3]
        frame, cameras = self.data.frame, self.data.training.cameras
        seen = tuple(frame.out_of(camera) for camera in cameras)
        return SceneInfo(frame.matrix, step, self.steps, self.seed, (width, height), seen)

    def run(self) -> Iterator[Event]:
        told = looked = kept = self.clock.elapsed()
        views = trained(self.scene, self.data.training, steps=self.steps, seed=self.seed, start=self.start)
        turn = 0
        while True:
            with self.clock.phase("train"):
                done = next(views, None)
            if done is None:
                return
            now, last = self.clock.elapsed(), done.step == done.total
            if last or now - looked >= LOOKED:
                yield from self._look(turn, done.step)
                turn, looked, told = turn + 1, self.clock.elapsed(), self.clock.elapsed()
            elif now - told >= TOLD:
                yield Progress("train", done.step, done.total)
                told = now
            if now - kept >= KEPT and not last:
                arrays = {"scene": scene_array(self.scene, self.info(done.step))}
                yield Checkpoint(arrays, {"step": done.step, "steps": done.total})
                kept = self.clock.elapsed()

    def _look(self, turn: int, step: int) -> Iterator[Event]:
        """One of the shown views beside its photograph, and how well it is met."""
        views = self.shown
        k = turn % len(views.cameras)
        with self.clock.phase("previews"):
            image = self.scene.render(views.cameras[k]).image
            inside = slice(None) if views.masks is None else views.masks[k]
            error = float(((image.clip(0, 1) - views.images[k]) ** 2)[inside].mean())
        yield Preview(0, beside(image, views.images[k]), step, self.steps)
        what = "a held-out view" if self.data.held_out is not None else "a view"
        yield Progress("train", step, self.steps, f"{-10 * np.log10(max(error, 1e-12)):.1f} dB on {what}")


def reached(scene: Scene, data: Dataset) -> tuple[float | None, float]:
    """PSNR in dB on the held-out views, None without any, and on some of the training views."""
    held, training = data.held_out, data.training
    some = np.unique(np.linspace(0, len(training.cameras) - 1, _MEASURED).round().astype(int))
    masks = None if training.masks is None else training.masks[some]
    train = psnr_of(scene, training.images[some], tuple(training.cameras[i] for i in some), masks)
    return None if held is None else psnr_of(scene, held.images, held.cameras, held.masks), train


def _flat_psnr(views: TrainingViews) -> float:
    """What a single colour for each of the views would reach, in dB: the least that means anything."""
    values = []
    for i, image in enumerate(views.images):
        inside = image.reshape(-1, 3) if views.masks is None else image[views.masks[i]]
        values.append(-10 * np.log10(max(float(inside.var(0).mean()), 1e-12)) if len(inside) else np.inf)
    return float(np.mean(values))


def not_converged(held: float | None, train: float, views: TrainingViews) -> Warning | None:
    """What to say of a scene that shows hardly anything of its views, or only of those that it learned from."""
    measured = train if held is None else held
    which = "its own views" if held is None else "held-out views"
    flat = _flat_psnr(views)
    if measured < flat + _POOR:
        return Warning(
            f"the scene did not converge: {measured:.1f} dB on {which}, {train:.1f} dB on those it learned from, where "
            f"a single colour for each reaches {flat:.1f} dB",
            "check the poses and the lens, that nothing moved between pictures, and give it more steps",
        )
    if held is not None and train - held > _APART:
        return Warning(
            f"the scene learned pictures more than a place: {train:.1f} dB on them, {held:.1f} dB on held-out views",
            "add pictures between those that there are, and check the poses",
        )
    return None
