"""What the strength of coupling means at other step counts, and what coupling itself costs in a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weft.benchmarks.coupled_rows import Recipe, edit
from weft.benchmarks.coupled_scenes import LitScene
from weft.benchmarks.coupled_spheres import SphereEditor
from weft.denoiser import Denoiser
from weft.methods.coupled_sampling import Trajectory, coupled
from weft.metrics import psnr
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel, from_noise_ratios
from weft.tasks.views_editor import ViewEditor

__all__ = ["STEPS", "Cost", "StepsRow", "cost_table", "coupling_cost", "steps_rows", "steps_table"]

STEPS = (15, 30, 50, 100)
LEVELS = (4.0, 1.0, 0.3, 0.05)  # σ/α of the denoisers' calls that are timed: coarse matching to the finest
REPEATS = 200  # of calls so short that other programs leave some of them alone


@dataclass(frozen=True)
class StepsRow:
    recipe: str
    psnr: dict[int, float]  # dB by the number of steps

    @property
    def drift(self) -> float:
        """How much the best and the worst step count differ."""
        return max(self.psnr.values()) - min(self.psnr.values())


def steps_rows(
    scene: LitScene, lights: tuple[str, str], recipes: Sequence[Recipe], *, steps: Sequence[int] = STEPS, seed: int = 0
) -> list[StepsRow]:
    """Sphere editor, PSNR of every recipe at every number of steps."""
    old, new = (scene.lights[name] for name in lights)
    images, truth = (scene.views[name] for name in lights)
    found: dict[str, dict[int, float]] = {recipe.label: {} for recipe in recipes}
    for count in steps:
        editor = SphereEditor(images, scene.geometry, old, new, steps=count)
        for recipe in recipes:
            edited = edit(images, scene.geometry, scene.geometry.mask, editor, recipe, seed)
            pairs = zip(edited, truth, scene.mask, strict=True)
            found[recipe.label][count] = float(np.mean([psnr(*pair) for pair in pairs]))
    return [StepsRow(label, numbers) for label, numbers in found.items()]


def steps_table(rows: Sequence[StepsRow]) -> Iterator[str]:
    counts = list(rows[0].psnr) if rows else list(STEPS)
    yield f"{'PSNR in dB after':<22}" + "".join(f"{f'{count} steps':>12}" for count in counts) + f"{'spread':>12}"
    for row in rows:
        yield f"{row.recipe:<22}" + "".join(f"{row.psnr[count]:>12.2f}" for count in counts) + f"{row.drift:>12.2f}"


@dataclass(frozen=True)
class Cost:
    """Seconds of a step of two coupled models: their denoising, their own steps, and what coupling adds to these."""

    views: int
    size: int
    denoise: float
    step: float
    coupling: float

    @property
    def share(self) -> float:
        """Of coupling in the whole step."""
        return self.coupling / (self.denoise + self.step + self.coupling)


def coupling_cost(editor: ViewEditor, edited: Tensor) -> Cost:
    """`editor` beside its own prior, told of `edited` [C, H, W]: ratios, which a busy machine hardly changes."""
    torch.set_num_threads(1)
    views, channels, height, width = editor.shape
    x = gaussian((views, channels, height, width), generator(0))
    models = [editor.editor(0), editor.prior(0, edited, 0)]
    denoised = sum(_denoise_seconds(model, x) for model in models)
    steps = [_one_step(x, kappa) for kappa in (0.0, 0.4)]
    alone, together = np.min([[_seconds(step) for step in steps] for _ in range(REPEATS)], 0).tolist()
    return Cost(views, width, denoised, alone, max(0.0, together - alone))


def _denoise_seconds(model: Denoiser, x: Tensor) -> float:
    """Mean seconds of a call; the second one is timed, as most steps find the last one's matches."""
    total = 0.0
    for s in LEVELS:
        level = NoiseLevel((1 + s * s) ** -0.5, s * (1 + s * s) ** -0.5)
        noisy = level.sigma * x
        model(noisy, level)
        total += _seconds(lambda noisy=noisy, level=level: model(noisy, level))
    return total / len(LEVELS)


def _one_step(x: Tensor, kappa: float) -> Callable[[], object]:
    """A coupled step, and the last one, which is none, of models that know their answer."""
    schedule = from_noise_ratios([1.0, 0.8])
    answers = [0.5 * x, -0.5 * x]
    parts = [Trajectory(lambda x, level, known=known: known, schedule, x, 1.0, lambda: x) for known in answers]
    return lambda: [None for _ in coupled(parts, kappa)]


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def cost_table(rows: Sequence[Cost]) -> Iterator[str]:
    yield f"{'views':>5}{'size':>6}{'denoise s':>11}{'own steps s':>13}{'coupling s':>12}{'share':>8}"
    for row in rows:
        yield (
            f"{row.views:>5}{row.size:>6}{row.denoise:>11.3f}{row.step:>13.4f}{row.coupling:>12.4f}{row.share:>8.2%}"
        )
