"""Change a video by words or a picture, without flicker: CSD-Edit over random batches of frames.

Kim et al. 2023, "Collaborative Score Distillation for Consistent Visual Editing", section 4.2. The kernel alone lets
frames agree in tone; what they make up each for itself still flickers. So changes and noises belong to what moves and
not to frames (`moving_frames`). Latents do not move by parts of a cell: there only what stands still is shared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from weft.errors import InvalidImage, InvalidInput
from weft.io.images import to_bytes
from weft.methods.score_distillation import DistillationStep, distill
from weft.noise import generator
from weft.spaces.frames import tracks
from weft.tasks.edit_video_report import contact_sheet, measures, strip
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.full_size import enlarged, fitted, working_size
from weft.tasks.instruction import Instruction
from weft.tasks.instruction_choice import choose_instruction
from weft.tasks.moving_frames import MovingFrames
from weft.tasks.network import Network
from weft.tasks.painting import Clock

__all__ = ["edit_video"]

BATCH = 8
LEAST_SIDE = 32  # px
_VISITS = 10  # steps that each frame takes part in, at least, where nobody says how many steps
_PREVIEWS = 20


def edit_video(
    frames: np.ndarray,
    masks: np.ndarray | None,
    exemplar: np.ndarray | None,
    *,
    prompt: str,
    fidelity: float,
    pattern_scale: float,
    rule: str,
    repulsion: bool,
    iterations: int,
    rate: float,
    noise_low: float,
    noise_high: float,
    size: int,
    batch: int,
    seed: int,
    report: bool,
    network: Network | None = None,
) -> Iterator[Event]:
    """Close the generator to cancel. The last event is the Result: `frames` u1 [N, H, W, 3], as large as they came, and
    with `report` a `contact_sheet`; info with sizes, steps, seconds and (with `report`) `edit_video_report.measures`.

    frames: u1, or f4 in [0, 1], [N, H, W, 3] sRGB, in order. masks: bool, or u1 above 0, [N, H, W], what may change;
    the rest stays as it was, to the bit. exemplar: f4 [h, w, 3] sRGB in [0, 1], or words. Other parameters as in
    `weft_wire.jobs.edit_video`. Raises WeftError before any work if something is wrong with the input. Sets torch to
    one thread.
    """
    torch.set_num_threads(1)
    clock = Clock()
    masks = None if masks is None else masks > 0
    _check(frames, masks)
    if network is not None:
        yield from network.load(clock, exemplar)
    instruction, settings, material = choose_instruction(
        prompt=prompt, exemplar=exemplar, fidelity=fidelity, pattern_scale=pattern_scale, rule=rule,
        repulsion=repulsion, iterations=iterations, rate=rate, noise_low=noise_low, noise_high=noise_high,
        network=network,
    )  # fmt: skip
    together = min(batch or BATCH, len(frames))
    if not iterations:
        settings = replace(settings, steps=max(settings.steps, math.ceil(_VISITS * len(frames) / together)))
    with clock.phase("prepare"):
        height, width = _size(frames, size, instruction)
        sources = fitted(frames, height, width)
        may = None if masks is None else _mask_at(masks, height, width)
        estimator = instruction.estimator(sources, may, seed)
    yield Progress("prepare", 1, 2, "following what moves")
    with clock.phase("tracks"):
        x = torch.cat([instruction.encode(sources[k : k + BATCH]) for k in range(0, len(sources), BATCH)])
        rows, columns = x.shape[2:]
        cells = tracks(fitted(sources, rows, columns), moving=instruction.scale == 1)
        share = None if may is None else functional.adaptive_avg_pool2d(
            torch.from_numpy(may)[:, None].float(), (rows, columns)
        )  # fmt: skip
        moving = MovingFrames(x, cells, together, instruction.clip, share)
    yield Progress("prepare", 2, 2, f"{len(frames)} frames at {width}×{height} px")
    if settings.steps * together < len(frames):
        told = f"{settings.steps} steps of {together} frames do not reach all {len(frames)}"
        yield Warning(told, "the others change where they show the same things; ask for more iterations, or for 0")
    every = max(1, settings.steps // _PREVIEWS)
    for step in _timed(distill(moving, estimator, instruction.level_at, settings, generator(seed)), clock):
        yield Progress("edit", step.index + 1, step.total)
        if (step.index + 1) % every == 0:
            shown = instruction.decode(moving.frames(strip(len(frames))))
            clock.first_preview = clock.first_preview or clock.elapsed()
            yield Preview(0, np.concatenate(list(shown), 1), step.index + 1, step.total)
    yield Progress("finish", 1, 1, "measuring" if report else "")
    with clock.phase("finish"):
        parts = torch.arange(len(frames)).split(BATCH)
        edited = np.concatenate([instruction.decode(moving.frames(some.tolist())) for some in parts])
        if may is not None:
            edited = np.where(may[..., None], edited, sources)
        results = np.stack([enlarged(*each) for each in zip(frames, sources, edited, strict=True)])
        if masks is not None:
            results = np.where(masks[..., None], results, to_bytes(frames))
    if network is not None:
        yield from network.warnings((prompt,))
    arrays = {"frames": results}
    info: dict[str, Any] = {
        "material": material, "frames": len(frames), "size": [width, height], "steps": settings.steps,
        "batch": together, "cells": round(len(moving.change) / cells.size, 3), "first_preview": clock.first_preview,
    }  # fmt: skip
    if report:
        with clock.phase("report"):
            info |= measures(sources, edited, may)
            arrays["contact_sheet"] = contact_sheet(sources, edited, exemplar)
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})


def _check(frames: np.ndarray, masks: np.ndarray | None) -> None:
    if frames.ndim != 4 or frames.shape[3] != 3 or len(frames) < 2:
        raise InvalidInput(
            f"frames of shape {list(frames.shape)}, expected [N, height, width, 3], two or more",
            "one picture is edited by `weft edit-panorama`",
        )
    if min(frames.shape[1:3]) < LEAST_SIDE:
        raise InvalidImage(f"frames of {frames.shape[2]}×{frames.shape[1]} px, expected {LEAST_SIDE} px or more a side")
    if frames.dtype != np.uint8 and not np.isfinite(frames).all():
        raise InvalidImage("the frames hold NaN or infinite values", "fill them before editing")
    if masks is not None and masks.shape != frames.shape[:3]:
        raise InvalidInput(
            f"masks of shape {list(masks.shape)} for frames of {list(frames.shape[:3])}",
            "paint one mask for each frame, of its size",
        )
    if masks is not None and not masks.any():
        raise InvalidInput("the masks are empty: nothing may change", "paint what may change white")


def _size(frames: np.ndarray, size: int, instruction: Instruction) -> tuple[int, int]:
    """(height, width) that the model works at. A network does not see what is much smaller than what it was trained on;
    patches are patches."""
    longer = max(frames.shape[1:3])
    side = size or (instruction.window if instruction.scale > 1 else min(instruction.window, longer))
    return working_size(frames.shape[1], frames.shape[2], side, instruction.unit)


def _mask_at(masks: np.ndarray, height: int, width: int) -> np.ndarray:
    """bool [N, height, width]: at least half of a pixel may change."""
    parts = torch.from_numpy(masks)[:, None].split(BATCH)
    shares = torch.cat([functional.adaptive_avg_pool2d(part.float(), (height, width)) for part in parts])
    return shares[:, 0].numpy() >= 0.5


def _timed(steps: Iterator[DistillationStep], clock: Clock) -> Iterator[DistillationStep]:
    while True:
        with clock.phase("edit"):
            step = next(steps, None)
        if step is None:
            return
        yield step
