"""Keep the object of a photograph and vary what is around it.

*Couple to Control: Joint Initial Noise Design in Diffusion Models*, 2026, "Fixed-object backgrounds": the photograph is
inverted to noise; m noises share it where the object is and repel each other around it; and a few steps of Adam on the
object's noise alone keep the object what it was. Its baselines are rows of `backgrounds_methods`.

The object that is returned is the photograph's own: the samples' is near enough to it that the two can be joined.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import BadCheckpoint
from weft.io.images import to_bytes
from weft.methods.coupled_noise import Coupling, equicorrelated
from weft.methods.foreground import Generate, Keeping, fixed_object, kept
from weft.methods.inversion import inverted, sampled
from weft.metrics.boundary import mask_seam
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel, Schedule
from weft.tasks.backgrounds_exemplar import FINEST, SIZE, ExemplarSetting, choose_backdrop
from weft.tasks.backgrounds_input import check_memory, checked_coupling, checked_object
from weft.tasks.backgrounds_methods import METHODS, Method, find_method
from weft.tasks.backgrounds_network import NetworkSetting
from weft.tasks.backgrounds_outline import joined
from weft.tasks.backgrounds_report import Row, contact_sheet, measured
from weft.tasks.backgrounds_setting import Setting
from weft.tasks.events import Event, Preview, Progress, Result
from weft.tasks.full_size import working_size
from weft.tasks.network import Network
from weft.tasks.painting import PREVIEW_SIDE, Clock

__all__ = ["CHECKPOINTS", "backgrounds"]

CHECKPOINTS = (0, 10, 25, 50, 100)  # steps on the object's noise after which a comparison measures
_INVERSION, _AROUND = 1, 2  # noise streams of a seed
_PREVIEWS = 8  # of a run


def backgrounds(
    image: np.ndarray,
    mask: np.ndarray,
    exemplar: np.ndarray | None = None,
    *,
    prompt: str,
    variants: int,
    correlation: float,
    method: str,
    optimize: int,
    rate: float,
    steps: int,
    size: int,
    pattern_scale: float,
    compare: bool,
    seed: int,
    report: bool,
    network: Network | None = None,
) -> Iterator[Event]:
    """Close the generator to cancel. The last event is the Result: `backgrounds` u1 [variants, H, W, 3], as large as
    the image, with `report` or `compare` also `contact_sheet`; info with what was painted, seconds and measures; with
    `compare` `comparison`, a row of measures for each method and number of steps.

    image: f4 [H, W, 3] sRGB in [0, 1]. mask: bool [H, W], the object. exemplar: f4 [h, w, 3], what is to be around it,
    instead of the prompt; without either, more of what is there. correlation: of every two variants' noises.
    Other parameters as in `weft_wire.jobs.backgrounds`. Raises WeftError before any work if something is wrong with the
    input. Sets torch to one thread.
    """
    torch.set_num_threads(1)  # the same bytes everywhere; and beside Numba's threads torch's only wait for each other
    clock = Clock()
    checked_object(image, mask)
    coupling, chosen = checked_coupling(variants, correlation), find_method(method)
    keeping = Keeping(optimize, rate)
    height, width = image.shape[:2]
    worked = _worked(image, size, network)
    patches = worked + min(height * width, FINEST**2) if network is None else 0
    check_memory(variants, height, width, worked=worked, patches=patches)
    setting: Setting
    if network is None:
        material, backdrop = choose_backdrop(prompt, exemplar, pattern_scale)
        with clock.phase("prepare"):
            setting = ExemplarSetting(image, mask, material, backdrop, size=size, steps=steps, seed=seed)
    else:
        yield from network.load(clock, exemplar)
        style = exemplar if network.sees_reference else None
        setting = NetworkSetting(network, image, mask, prompt, style, size, steps)
    yield Progress("prepare", 1, 1, "inverting")
    job = _Job(setting, coupling, keeping, seed, clock, image.shape[1])
    with clock.phase("prepare"):
        job.invert()
    others = [row for row in METHODS.values() if row != chosen] if compare else []
    for row in (*others, chosen):  # the chosen one last: it is what remains
        yield from job.run(row, compare or report)
    if network is not None:
        yield from network.warnings([prompt])
    made = np.empty((variants, *image.shape), np.uint8)
    for i in range(variants):
        yield Progress("finish", i + 1, variants, "as large as the photograph")
        with clock.phase("finish"):
            painted = setting.enlarged(job.samples[chosen.name][i : i + 1])
            made[i] = to_bytes(joined(image, painted, mask, job.coarseness))
    arrays: dict[str, np.ndarray] = {"backgrounds": made}
    info: dict[str, Any] = {
        "material": setting.material, "method": chosen.name, "variants": variants,
        "correlation": round(float(coupling.correlation[0, 1]), 4), "size": list(image.shape[1::-1]),
        "worked_at": list(job.photograph.shape[1::-1]), "first_preview": clock.first_preview,
    }  # fmt: skip
    if compare or report:
        info |= job.told(chosen)
        finished = [(chosen.name, [each.astype(np.float32) / 255 for each in made])]
        raw = [(name, list(setting.images(x))) for name, x in job.samples.items()]
        arrays["contact_sheet"] = contact_sheet(image, mask, [*finished, *raw])
    if compare:
        info["comparison"] = [row.plain() for row in job.rows]
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})


@dataclass
class _Job:
    """A photograph whose surroundings are varied, in one way after the other."""

    setting: Setting
    coupling: Coupling
    keeping: Keeping
    seed: int
    clock: Clock
    width: int  # px of the photograph
    noise: Tensor = field(default_factory=lambda: torch.zeros(0))  # [C, h, w], the photograph's
    photograph: np.ndarray = field(default_factory=lambda: np.zeros(0))  # f4 [h', w', 3], as the model can show it
    mask: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))  # bool [h', w']
    samples: dict[str, Tensor] = field(default_factory=dict)  # [m, C, h, w] of each method that has run
    rows: list[Row] = field(default_factory=list)

    @property
    def coarseness(self) -> float:
        """px of the photograph for one of the model's mask."""
        return self.width / self.setting.mask.shape[1]

    def invert(self) -> None:
        """Begin at the photograph with a little noise: a denoiser that knows it by heart would find none."""
        setting, target = self.setting, self.setting.target[None]
        start = gaussian(tuple(target.shape), generator(int(self.seed), _INVERSION))
        denoiser = setting.denoiser(1, inverting=True)
        *_, last = inverted(target, denoiser, setting.schedule, noise=start)
        self.noise = last.noise[0]
        self.photograph = setting.images(target)[0]
        factor = len(self.photograph) // len(setting.mask)
        self.mask = setting.mask.numpy().repeat(factor, 0).repeat(factor, 1)

    def run(self, method: Method, measuring: bool) -> Iterator[Event]:
        setting, steps = self.setting, self.keeping.steps if method.optimized else 0
        walk = kept(
            self._noises(method), setting.mask, setting.target, self._generator(method),
            Keeping(steps, self.keeping.rate),
        )  # fmt: skip
        every, spent = max(1, -(-steps // _PREVIEWS)), 0.0
        best = torch.full((self.coupling.count,), torch.inf)
        samples = torch.zeros(0)
        while True:
            started = time.perf_counter()
            with self.clock.phase(method.name):
                step = next(walk, None)
            spent += time.perf_counter() - started
            if step is None:
                return
            if not torch.isfinite(step.losses).all():
                raise BadCheckpoint(
                    f"the model's numbers overflowed in {method.name}", "its files may be damaged: `weft models check`"
                )
            # A denoiser that looks patches up jumps: of each variant the step counts that kept the object best.
            better = (step.losses < best)[:, None, None, None]
            best = torch.minimum(best, step.losses)
            samples = torch.where(better, step.samples, samples if step.index else step.samples)
            self.samples[method.name] = samples
            yield Progress(method.name, step.index + 1, steps + 1)
            if step.index % every == 0 or step.index == steps:
                if self.clock.first_preview is None:
                    self.clock.first_preview = self.clock.elapsed()
                shown = setting.preview(samples)
                coarser = -(-max(shown.shape[1:3]) // PREVIEW_SIDE)
                for i, each in enumerate(shown[:, ::coarser, ::coarser]):
                    yield Preview(i, each, step.index + 1, steps + 1)
            if measuring and (step.index in CHECKPOINTS or step.index == steps):
                images = setting.images(samples)
                self.rows.append(measured(method.name, step.index, images, self.photograph, self.mask, spent))

    def told(self, method: Method) -> dict[str, Any]:
        """Measures of what `method` came to."""
        last = [row for row in self.rows if row.method == method.name][-1]
        own = round(mask_seam(self.photograph, self.mask), 3)
        return {"rmse_f": last.rmse_f, "diversity": last.diversity, "boundary": last.boundary, "boundary_before": own}

    def _noises(self, method: Method) -> Tensor:
        """[m, C, h, w]"""
        shape, mask, count = tuple(self.noise.shape), self.setting.mask, self.coupling.count
        source = generator(self.seed, _AROUND)
        if method.around == "inverted":
            return self.noise.expand(count, *shape).clone()
        if method.object_noise == "inverted":
            coupling = self.coupling if method.around == "coupled" else equicorrelated(count, 0.0)
            return fixed_object(self.noise, mask, coupling, source)
        return gaussian((count, *shape), source)

    def _generator(self, method: Method) -> Generate:
        """G: noises [m, C, h, w] to samples, over the part of the schedule that the method walks."""
        setting, count = self.setting, self.coupling.count
        walked = max(1, round(method.begin * len(setting.schedule)))
        schedule = Schedule(setting.schedule.alphas[-walked - 1 :], setting.schedule.sigmas[-walked - 1 :])
        level = schedule.levels[0]
        begun = 0.0 if method.begin == 1 else level.alpha / level.sigma * setting.target

        def generate(noises: Tensor) -> Tensor:
            denoiser = setting.denoiser(count)
            return sampled(begun + noises, self._held(denoiser) if method.held else denoiser, schedule)

        return generate

    def _held(self, denoiser: Denoiser) -> Denoiser:
        def denoise(x: Tensor, level: NoiseLevel, /) -> Tensor:
            return torch.where(self.setting.mask, self.setting.target, denoiser(x, level))

        return denoise


def _worked(image: np.ndarray, size: int, network: Network | None) -> int:
    """Pixels that a model paints at once of every variant."""
    longer = max(image.shape[:2])
    side = min(size or SIZE, longer) if network is None else size or network.card.view_size
    height, width = working_size(image.shape[0], image.shape[1], side, 16)
    return height * width
