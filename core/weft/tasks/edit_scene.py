"""Change splats or a NeRF by words or a picture: their views are edited together, and the scene learns them.

Collaborative Score Distillation (Kim et al. 2023), section 4.3, on scenes of any kind, with Instruct-NeRF2NeRF's
schedule as another row (`edit_rounds`). What the model edits are photographs, or the scene's own renders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.splats import Splats, rgb_of
from weft.methods.score_distillation import Distillation
from weft.scenes.scene import TrainingViews
from weft.scenes.splats import SplatScene
from weft.tasks.edit_learning import Learner, TrainedScene, solved_colors
from weft.tasks.edit_region import Region
from weft.tasks.edit_rounds import EditRounds, chosen_schedule
from weft.tasks.edit_scene_report import Seen, contact_sheet, measures, reached
from weft.tasks.edit_setting import EditSetting, ShownViews, edit_setting
from weft.tasks.edited_views import EditedViews
from weft.tasks.events import Checkpoint, Event, Preview, Progress, Result, Warning
from weft.tasks.instruction import Instruction
from weft.tasks.instruction_choice import choose_instruction
from weft.tasks.instruction_exemplar import ExemplarInstruction
from weft.tasks.network import Network
from weft.tasks.painting import Clock
from weft.tasks.phases import Painter
from weft.tasks.scene_results import held_out_arrays, turning
from weft.tasks.splat_preview import in_rows

__all__ = ["edit_scene"]

_CHANGES = ("automatic", "colors", "all")
_HARDLY = 0.25  # of the way from the old renders to the edited pictures: less is told of
_KEPT = 60.0  # seconds from one checkpoint to the next


def edit_scene(
    scene: np.ndarray | bytes | Splats,
    *,
    images: np.ndarray | None,
    cameras: Sequence[Camera],
    masks: np.ndarray | None,
    exemplar: np.ndarray | None,
    region: Region,
    prompt: str,
    fidelity: float,
    pattern_scale: float,
    rule: str,
    repulsion: bool,
    iterations: int,
    rate: float,
    noise_low: float,
    noise_high: float,
    schedule: str,
    change: str,
    size: int,
    views: int,
    up: str,
    batch: int,
    every: int,
    scene_steps: int,
    anchor: float,
    seed: int,
    report: bool,
    network: Network | None = None,
) -> Iterator[Event]:
    """Close the generator to cancel. Previews of object 0 show the first view, those of object 1 the colours of splats
    (`splat_preview`); a Checkpoint has what there is by then.

    scene: the bytes of a scene file, or splats, in the frame of their file. images f4 [N, H, W, 3] sRGB in [0, 1] and
    masks bool [N, H, W] (what of them counts) from `cameras` of the same world; what is not given is replaced by the
    scene's own renders and by automatic cameras. exemplar: f4 [h, w, 3] sRGB in [0, 1], instead of words. Other
    parameters as in `weft_wire.jobs.edit_scene`.

    The result has `scene`, `splats.*` where it is made of splats (of given splats, what did not change bit for bit),
    `view.images` f4 [N, H, W, 3], renders of what was edited, with its cameras, and with `report` contact_sheet and
    turntable. Raises WeftError before any work if something is wrong with the input. Sets torch to one thread.
    """
    torch.set_num_threads(1)  # the same bytes everywhere; and beside Numba's threads torch's only wait for each other
    clock = Clock()
    if change not in _CHANGES:
        raise InvalidInput(f"nothing is called {change!r} that may change", f"choose one of {', '.join(_CHANGES)}")
    plan = chosen_schedule(schedule, batch=batch, every=every)
    if network is not None:
        yield from network.load(clock, exemplar)
        size = size if size or images is None else network.view_size(0)
        size = size if images is not None else network.view_size(size)
    instruction, settings, material = choose_instruction(
        prompt=prompt, exemplar=exemplar, fidelity=fidelity, pattern_scale=pattern_scale, rule=rule,
        repulsion=repulsion, iterations=iterations, rate=rate, noise_low=noise_low, noise_high=noise_high,
        network=network,
    )  # fmt: skip
    yield Progress("prepare", 1, 2, "opening the scene")
    with clock.phase("prepare"):
        setting = edit_setting(scene, images, cameras, masks, region, size=size, views=views, up=up)
    yield from setting.warnings
    opened, shown = setting.opened, setting.shown
    count = len(shown.views.cameras)
    geometry = change == "all" or (change == "automatic" and setting.photographs and opened.scene.kind == "splats")
    opened.scene.restart(geometry=geometry, trainable=setting.trainable, anchor=anchor)
    learner: Learner = TrainedScene(opened.scene, seed)
    if not geometry and not anchor:
        with clock.phase("prepare"):
            solved, problem = solved_colors(opened.scene, shown.views, setting.trainable)
        if problem is not None:
            yield problem
        if solved is not None:
            learner, plan = solved, replace(plan, every=1)  # more steps would solve the same again
            scene_steps = min(scene_steps, plan.steps(count))
    steps = scene_steps or plan.steps(count)
    yield Progress("prepare", 2, 2, "looking at its views")
    share = replace(settings, steps=max(1, round(settings.steps * plan.share)))
    with clock.phase("prepare"):
        editor = EditedViews(instruction, share, shown.views.images, shown.masks, seed)
    rounds = EditRounds(learner, shown.views, editor, plan, steps, seed, clock)
    yield from _run(rounds, setting, clock)
    if network is not None:
        yield from network.warnings((prompt,))
    yield Progress("finish", 1, 1, "measuring" if report else "collecting the scene")
    seen = _seen(setting, shown, rounds.targets.images)
    info: dict[str, Any] = {
        "material": material, "kind": opened.scene.kind, "schedule": schedule, "views": count,
        "change": "all" if geometry else "colors", "edited_views": int(rounds.edited.sum()), "calls": editor.calls,
        "scene_steps": steps, "reached": round(reached(seen), 3),
    }  # fmt: skip
    yield from _warnings(info)
    arrays = setting.arrays(steps, steps, seed)
    arrays |= held_out_arrays(seen.after, shown.views.cameras, opened.frame)
    if report:
        with clock.phase("report"):
            picture = _exemplar(instruction, shown.views)
            info["edited"] = measures(seen, picture)
            if setting.held_out is not None:
                seen = _held_out(setting, setting.held_out, instruction, settings, seed)
                info["held_out"] = measures(seen, picture)
            title = "view" if setting.held_out is None else "held-out view"
            arrays["contact_sheet"] = contact_sheet(seen, picture, title)
            around = not cameras and not opened.info.cameras  # others may have seen one side alone
            turned = turning(opened.scene, shown.views.cameras, around=around)
            arrays["turntable"] = np.stack(list(turned))
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})


def _run(rounds: EditRounds, setting: EditSetting, clock: Clock) -> Iterator[Event]:
    """The rounds, with a Checkpoint now and then."""
    kept = clock.elapsed()
    for event in rounds.run():
        yield event
        scene = rounds.learner.scene
        if isinstance(event, Preview) and isinstance(scene, SplatScene):
            yield replace(event, object=1, image=in_rows(rgb_of(scene.splats().sh[:, 0]).clip(0, 1)))
        if isinstance(event, Progress) and event.phase == "scene" and clock.elapsed() - kept > _KEPT:
            told = {"step": event.step, "steps": rounds.steps}
            yield Checkpoint(setting.arrays(event.step, rounds.steps, rounds.seed), told)
            kept = clock.elapsed()


def _warnings(info: dict[str, Any]) -> Iterator[Warning]:
    missing = info["views"] - info["edited_views"]
    if missing:
        yield Warning(
            f"{missing} of {info['views']} views were not edited in {info['scene_steps']} steps of the scene",
            "give it more steps, or fewer from one batch to the next",
        )
    if info["reached"] < _HARDLY:
        yield Warning(
            f"the scene went {max(info['reached'], 0):.0%} of the way to what the model made of its views",
            "give it more steps, or let all of it change and not only its colours",
        )


def _held_out(
    setting: EditSetting, held: ShownViews, instruction: Instruction, settings: Distillation, seed: int
) -> Seen:
    """Held-out views beside what the model makes of them, which looks at the others, too, as it did at these."""
    both = (setting.shown, held)
    sources = np.concatenate([some.views.images for some in both])
    masks = np.concatenate([_mask(some) for some in both])
    numbers = range(len(setting.shown.views.images), len(sources))
    run = EditedViews(instruction, settings, sources, masks, seed).edited(numbers, held.views.images)
    while True:
        try:
            next(run)
        except StopIteration as end:
            return _seen(setting, held, end.value)


def _mask(shown: ShownViews) -> np.ndarray:
    """bool [N, H, W], what may change."""
    return np.ones(shown.views.images.shape[:3], bool) if shown.masks is None else shown.masks


def _seen(setting: EditSetting, shown: ShownViews, edited: np.ndarray) -> Seen:
    cameras = shown.views.cameras
    after = tuple(setting.opened.scene.render(camera) for camera in cameras)
    return Seen(cameras, shown.views.images, edited, shown.before, after, _mask(shown))


def _exemplar(instruction: Instruction, views: TrainingViews) -> np.ndarray | None:
    """The exemplar at the scale at which it was painted; None for networks, which go by words."""
    if not isinstance(instruction, ExemplarInstruction):
        return None
    span = instruction.pattern_scale * min(*views.images.shape[1:3], instruction.window)
    return Painter(instruction.exemplar, span).exemplar().image / 2 + 0.5
