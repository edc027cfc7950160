"""Change a panorama, or any image too large for the model, as one; regions of it each in their own way.

Collaborative Score Distillation (Kim et al. 2023), "Panorama image editing" and "Compositional editing": what is edited
together are windows of the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from weft.methods.score_distillation import Estimator, distill
from weft.noise import generator
from weft.tasks.compositional import Compositional, Part, Region, region_shares
from weft.tasks.edit_panorama_input import Look, checked_image, checked_looks, checked_shape, meets_itself
from weft.tasks.edit_panorama_report import EditedPanorama, contact_sheet, measure
from weft.tasks.events import Event, Preview, Progress, Result
from weft.tasks.instruction import Instruction
from weft.tasks.instruction_choice import choose_instruction
from weft.tasks.instruction_exemplar import ExemplarInstruction
from weft.tasks.network import Network
from weft.tasks.painting import PREVIEW_SIDE, Clock
from weft.tasks.panorama_setting import fitted
from weft.tasks.panorama_windows import PanoramaWindows
from weft.tasks.sphere_windows import SphereWindows
from weft.tasks.wide_windows import WideWindows

__all__ = ["edit_panorama"]

_SOFTNESS = 1 / 32  # of a window: standard deviation of the transition between regions
_GOOD_UNIT = 16  # px, what the exemplar denoiser divides without a rest
_LATENT_BATCH = 4  # windows of a step (Kim et al. 2023), where they are not all of them
_LATENT_PREVIEWS = 20  # of a run: decoding everything takes as long as a step


def edit_panorama(
    image: np.ndarray,
    mask: np.ndarray | None = None,
    exemplar: np.ndarray | None = None,
    regions: Sequence[Region | None] = (),
    *,
    prompt: str,
    prompt_1: str,
    prompt_2: str,
    prompt_3: str,
    prompt_4: str,
    shape: str,
    window: int,
    batch: int,
    fidelity: float,
    pattern_scale: float,
    rule: str,
    repulsion: bool,
    iterations: int,
    rate: float,
    noise_low: float,
    noise_high: float,
    seed: int,
    report: bool,
    network: Network | None = None,
) -> Iterator[Event]:
    """Close the generator to cancel. The last event is the Result: `panorama` f4 [H, W, 3] in [0, 1], as large as the
    image, with `report` also `contact_sheet`; info with what was painted, seconds and (with `report`) measures.

    image: f4 [H, W, 3] sRGB in [0, 1]. mask: bool [H, W], what may change; the rest keeps its bytes. exemplar: f4
    [h, w, 3], what all should look like, instead of the prompt; regions, up to four, each with a mask bool [H, W] and
    an exemplar or a prompt of its number, follow their own. Parts of no region stay as they are unless there is a
    prompt or an exemplar for all. Other parameters as in `weft_wire.jobs.edit_panorama`. A wide image whose borders
    meet keeps that. Raises WeftError before any work if something is wrong with the input. Sets torch to one thread.
    """
    torch.set_num_threads(1)  # the same bytes everywhere; and beside Numba's threads torch's only wait for each other
    clock = Clock()
    checked_image(image)
    form = checked_shape(shape, image)
    looks = checked_looks(image, mask, prompt, exemplar, regions, (prompt_1, prompt_2, prompt_3, prompt_4))
    if network is not None:
        yield from network.load(clock, next((look.exemplar for look in looks if look.exemplar is not None), None))
    chosen = [
        choose_instruction(
            prompt=look.prompt, exemplar=look.exemplar, fidelity=fidelity, pattern_scale=pattern_scale, rule=rule,
            repulsion=repulsion, iterations=iterations, rate=rate, noise_low=noise_low, noise_high=noise_high,
            network=network,
        )
        for look in looks
    ]  # fmt: skip
    model, settings, _ = chosen[0]  # of one kind, they share all but what they want
    with clock.phase("prepare"):
        variable = _windows(model, image, looks, form, window, batch)
        instructions = [_seen_through(variable, instruction) for instruction, _, _ in chosen]
        estimator = _estimator(instructions, looks, variable, image, seed)
    yield Progress("prepare", 1, 1, "placing windows")
    every = 1 if model.scale == 1 else -(-settings.steps // _LATENT_PREVIEWS)
    steps = distill(variable, estimator, model.level_at, settings, generator(seed))
    while True:
        with clock.phase("edit"):
            step = next(steps, None)
        if step is None:
            break
        yield Progress("edit", step.index + 1, step.total)
        if step.index % every == 0 or step.index + 1 == step.total:
            if clock.first_preview is None:
                clock.first_preview = clock.elapsed()
            yield Preview(0, _shown(variable.picture()), step.index + 1, step.total)
    if network is not None:
        yield from network.warnings([look.prompt for look in looks])
    yield Progress("finish", 1, 1, "measuring" if report else "")
    arrays = {"panorama": variable.picture()}
    info: dict[str, Any] = {
        "material": chosen[0][2],
        "materials": [material for _, _, material in chosen], "looks": [look.name for look in looks],
        "shape": form, "wraps": variable.wraps, "size": [image.shape[1], image.shape[0]],
        "windows": variable.count, "steps": settings.steps, "first_preview": clock.first_preview,
    }  # fmt: skip
    if report:
        with clock.phase("report"):
            edited = EditedPanorama(image, arrays["panorama"], variable, looks, instructions)
            info |= measure(edited)
            arrays["contact_sheet"] = contact_sheet(edited)
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})


def _windows(
    model: Instruction, image: np.ndarray, looks: Sequence[Look], shape: str, window: int, batch: int
) -> PanoramaWindows:
    changing = np.any([look.mask for look in looks], 0)
    mask = None if changing.all() else changing
    batch = batch or (0 if model.scale == 1 else _LATENT_BATCH)
    if shape == "sphere" and model.scale == 1 and not window:
        window = SphereWindows.best_window(len(image), model.window, _GOOD_UNIT)
    window = -(-(window or model.window) // model.unit) * model.unit
    if shape == "sphere":
        return SphereWindows(model, image, window, batch, mask)
    return WideWindows.of(model, image, window, wrap=meets_itself(image), batch=batch, mask=mask)


def _seen_through(variable: PanoramaWindows, instruction: Instruction) -> Instruction:
    """What windows show is what patterns are scaled to."""
    return replace(instruction, window=variable.window) if isinstance(instruction, ExemplarInstruction) else instruction


def _estimator(
    instructions: Sequence[Instruction], looks: Sequence[Look], variable: PanoramaWindows, image: np.ndarray, seed: int
) -> Estimator:
    sources = variable.canvases(image)
    if len(looks) == 1:
        mask = looks[0].mask
        return instructions[0].estimator(sources, None if mask.all() else _cut(variable, mask) > 0.5, seed)
    shares = region_shares([look.mask for look in looks], _SOFTNESS * variable.window, wrap=variable.wraps)
    parts = []
    for i, (instruction, share) in enumerate(zip(instructions, shares, strict=True)):
        own = _cut(variable, share)
        estimator = instruction.estimator(sources, own > 0, seed + i)
        parts.append(Part(estimator, functional.avg_pool2d(torch.from_numpy(own)[:, None], instruction.scale)))
    return Compositional(parts)


def _cut(variable: PanoramaWindows, plane: np.ndarray) -> np.ndarray:
    """f4 [N, h, w] of [H, W]: what the canvases show of it."""
    return np.ascontiguousarray(variable.canvases(plane[..., None].astype(np.float32))[..., 0])


def _shown(picture: np.ndarray) -> np.ndarray:
    """No larger than previews are."""
    coarser = -(-max(picture.shape[:2]) // PREVIEW_SIDE)
    return fitted(picture, (max(picture.shape[0] // coarser, 1), max(picture.shape[1] // coarser, 1)))
