"""Ways of editing a video, at equal numbers of denoiser calls, on a turntable whose flow is known.

Kim et al. 2023, Table 2, whose rows are CSD-Edit, without its kernel, and with noise as baseline. Here changes and
noises belong to what moves (`tasks.moving_frames`); a row without that is the paper's method as printed, and *frame by
frame* edits every frame alone: its own noises, its own ranks of lightness.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from weft.benchmarks.turntable import Turntable
from weft.methods.score_distillation import distill
from weft.metrics import detail_correlation, sharpness
from weft.metrics.flicker import Flow, flicker, video_flows
from weft.noise import generator
from weft.spaces.frames import tracks
from weft.tasks.instruction import Images
from weft.tasks.instruction_choice import choose_instruction
from weft.tasks.moving_frames import MovingFrames

__all__ = ["COLUMNS", "WAYS", "VideoRow", "Way", "edited_video", "table", "video_rows"]

BATCH = 8
COLUMNS = {
    "flicker": "flicker", "found": "found flow", "still": "wall", "less": "× less", "sharpness": "sharpness",
    "detail": "detail", "cpu": "CPU s",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """How a video is edited."""

    label: str
    rule: str
    shared: bool = True  # changes and noises between the frames that show one thing
    alone: bool = False  # every frame a job of its own


WAYS = (
    Way("frame by frame", "dds", shared=False, alone=True),
    Way("CSD-Edit as printed", "csd_edit", shared=False),
    Way("CSD-Edit, shared", "csd_edit"),
    Way("no kernel, shared", "dds"),
    Way("random baseline, shared", "csd"),
)


@dataclass(frozen=True, slots=True)
class VideoRow:
    """`numbers` by the keys of COLUMNS. flicker, by the known flow; found: by the flow that scikit-image finds; still:
    of the wall alone, which stands still; less: that of frame by frame over this; sharpness and detail (correlation)
    on the torus, over and with the source's."""

    way: str
    numbers: dict[str, float]


def edited_video(
    scene: Turntable, way: Way, *, prompt: str, fidelity: float = 0.6, visits: int = 14, seed: int = 0
) -> np.ndarray:  # fmt: skip
    """f4 [N, S, S, 3]; every frame takes part in `visits` steps."""

    def run(frames: np.ndarray, steps: int, stream: int) -> np.ndarray:
        instruction, settings, _ = choose_instruction(
            prompt=prompt, exemplar=None, fidelity=fidelity, pattern_scale=1.0, rule=way.rule, repulsion=True,
            iterations=steps, rate=0.0, noise_low=0.0, noise_high=0.0,
        )  # fmt: skip
        x = instruction.encode(frames)
        variable: Images | MovingFrames = Images(x.clone(), x, BATCH, instruction.clip)
        if way.shared:
            variable = MovingFrames(x, tracks(frames), BATCH, instruction.clip)
        estimator = instruction.estimator(frames, None, seed + 1000 * stream)
        for _ in distill(variable, estimator, instruction.level_at, settings, generator(seed, stream)):
            pass
        everything = list(range(len(frames)))
        return instruction.decode(variable.x if isinstance(variable, Images) else variable.frames(everything))

    if way.alone:
        return np.concatenate([run(scene.frames[k : k + 1], visits, k) for k in range(len(scene.frames))])
    count = len(scene.frames)
    return run(scene.frames, round(visits * count / min(BATCH, count)), 0)


def video_rows(
    scene: Turntable, *, prompt: str, ways: Sequence[Way] = WAYS, visits: int = 14, seed: int = 0
) -> Iterator[tuple[VideoRow, np.ndarray]]:  # fmt: skip
    """A row for the video as it is, and one for every way, with its frames f4 [N, S, S, 3]; the first way is what the
    others are compared with."""
    found = video_flows(scene.frames)
    yield VideoRow("as it is", _measured(scene, scene.frames, found) | {"less": np.nan, "cpu": 0.0}), scene.frames
    reference = np.nan
    for way in ways:
        began = time.process_time()
        frames = edited_video(scene, way, prompt=prompt, visits=visits, seed=seed)
        numbers = {"cpu": time.process_time() - began} | _measured(scene, frames, found)
        reference = numbers["flicker"] if np.isnan(reference) else reference
        yield VideoRow(way.label, numbers | {"less": reference / numbers["flicker"]}), frames


def _measured(scene: Turntable, frames: np.ndarray, found: Sequence[Flow]) -> dict[str, float]:
    walls = [a & b for a, b in zip(scene.walls, scene.walls[1:], strict=False)]
    still = [Flow(np.zeros_like(flow.back), wall) for flow, wall in zip(scene.flows, walls, strict=True)]
    pairs = list(zip(frames, scene.frames, scene.masks, strict=True))
    sharp = [sharpness(image, mask) / sharpness(source, mask) for image, source, mask in pairs]
    return {
        "flicker": flicker(frames, scene.flows),
        "found": flicker(frames, found),
        "still": flicker(frames, still),
        "sharpness": float(np.mean(sharp)),
        "detail": float(np.mean([detail_correlation(*pair) for pair in pairs])),
    }


def table(rows: Sequence[VideoRow]) -> Iterator[str]:
    """Lines of text: a heading and a line for every row."""
    yield f"{'way':<26}" + "".join(f"{heading:>12}" for heading in COLUMNS.values())
    for row in rows:
        yield f"{row.way:<26}" + "".join(f"{_shown(row.numbers[key], key):>12}" for key in COLUMNS)


def _shown(value: float, key: str) -> str:
    if np.isnan(value):
        return "-"
    return f"{value:.0f}" if key == "cpu" else f"{value:.{2 if key == 'less' else 4 if value < 0.1 else 3}f}"
