"""Illusions: one image that shows one picture as it is and another when it is turned, flipped, cut up or inverted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weft.denoiser import each
from weft.errors import InvalidInput
from weft.methods.synchronized import Case, Step, find_case, synchronized
from weft.models.exemplar import Exemplar, ExemplarDenoiser, ExemplarSettings
from weft.models.materials import choose_material, render
from weft.noise import CanonicalNoise, gaussian, generator
from weft.schedule import Schedule, stable_diffusion
from weft.spaces.illusion import VIEW_UNIT, check_view, illusion_space, transformation, weighted
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.illusion_animation import animate
from weft.tasks.illusion_report import FinishedIllusion, contact_sheet, measure
from weft.tasks.illusion_targets import Targets, make_targets
from weft.tasks.painting import Clock

__all__ = ["illusion"]

SLOTS = 3
SIZES = (64, 1024)  # pixels of a side
TILE = 512  # pixels of a rendered material
PLACE = 0.03  # σ of the position guide, in sides: softer bends more and resembles less
SNAPSHOTS = (0.1, 0.4, 0.6, 0.8)  # of the steps: the states on the contact sheet
_NOISE = 1  # stream of a seed


def illusion(
    *,
    exemplars: Sequence[np.ndarray | None],
    prompt_1: str,
    prompt_2: str,
    prompt_3: str,
    view_1: str,
    view_2: str,
    view_3: str,
    size: int,
    steps: int,
    seed: int,
    case: str,
    report: bool,
) -> Iterator[Event]:
    """One image for two or three views. Close the generator to cancel. The last event is the Result: `image`
    f4 [S, S, 3] in [0, 1], `view.<i>` f4 [S, S, 3], what slot i shows, `animation` f4 [F, C, C, 3] at 20 frames a
    second, with `report` also `contact_sheet`; info with what was asked and (with `report`) measures of quality.

    exemplars: up to three pictures f4 [H, W, 3] sRGB in [0, 1], or None, for the slots; a picture goes before the
    slot's prompt; a slot with neither is unused. size: pixels of the side, 64 to 1024, rounded up to a multiple of 16.
    Shuffles are arranged to suit the pictures. Raises WeftError before the first event if something is wrong with the
    input. Sets torch to one thread.
    """
    torch.set_num_threads(1)  # the same bytes everywhere; and beside Numba's threads torch's only wait for each other
    clock = Clock()
    views = (view_1, view_2, view_3)
    chosen, slots = _check(exemplars, (prompt_1, prompt_2, prompt_3), views, size, case)
    names = [views[slot] for slot in slots]
    schedule, source = stable_diffusion(steps), generator(seed, _NOISE)  # refuse what they cannot count
    materials, pictures = zip(*[_picture(prompt, exemplar) for prompt, exemplar in slots.values()], strict=True)
    size = -(-size // VIEW_UNIT) * VIEW_UNIT
    yield from _mistaken(materials)
    yield Progress("prepare", 1, 1, "matching the pictures")
    with clock.phase("prepare"):
        targets = make_targets(pictures, names, size, seed)
        denoising = _denoise(targets, chosen, schedule, source, seed)
    states: list[tuple[float, NDArray[np.float32]]] = []
    while True:
        with clock.phase("denoise"):
            step = next(denoising, None)
        if step is None:
            break
        image = _image(step.z, size)
        states = [*states, (step.level.s, image)] if report else [(step.level.s, image)]
        clock.first_preview = clock.first_preview or clock.elapsed()
        yield Progress("denoise", step.index + 1, step.total)
        yield Preview(0, image, step.index + 1, step.total)
    yield Progress("finish", 1, 1, "playing the transformation")
    image = states[-1][1]
    shown = [(view.apply(image * 2 - 1) * np.float32(0.5) + np.float32(0.5)).clip(0, 1) for view in targets.views]
    with clock.phase("animation"):
        arrays = {"image": image, "animation": animate(image, targets.views)}
    arrays |= {f"view.{slot}": view for slot, view in zip(slots, shown, strict=True)}
    info: dict[str, Any] = {"materials": list(materials), "views": names, "first_preview": clock.first_preview}
    if report:
        with clock.phase("report"):
            kept = [states[round(part * (len(states) - 1))] for part in SNAPSHOTS]
            labels = [material["asked"] or material["name"] for material in materials]
            finished = FinishedIllusion(targets, labels, kept, image, shown)
            info |= measure(finished)
            arrays["contact_sheet"] = contact_sheet(finished)
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})


def _check(
    exemplars: Sequence[np.ndarray | None],
    prompts: Sequence[str],
    views: Sequence[str],
    size: int,
    case: str,
) -> tuple[Case, dict[int, tuple[str, np.ndarray | None]]]:
    """The case, and prompt and picture of each slot in use."""
    chosen = find_case(case)
    if not SIZES[0] <= size <= SIZES[1]:
        raise InvalidInput(f"an illusion of {size} pixels a side", f"choose {SIZES[0]} to {SIZES[1]}")
    if len(exemplars) > SLOTS:
        raise InvalidInput(f"{len(exemplars)} pictures were given", f"an illusion shows at most {SLOTS}")
    pictures = [*exemplars, *[None] * (SLOTS - len(exemplars))]
    slots = {i: (prompts[i], pictures[i]) for i in range(SLOTS) if prompts[i].strip() or pictures[i] is not None}
    for i in range(SLOTS - 1):
        if i not in slots:
            raise InvalidInput(
                f"view {i + 1} has neither a prompt nor a picture",
                "an illusion shows two or three pictures: write a prompt or choose an image for each",
            )
    _check_views([views[i] for i in slots])
    return chosen, slots


def _check_views(names: Sequence[str]) -> None:
    for name in names:
        check_view(name)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InvalidInput(f"two views look at the image alike ({twice[0]!r})", "give every view another look")
    if not any(transformation(name, VIEW_UNIT).invertible for name in names):
        raise InvalidInput(
            f"none of the views {', '.join(names)} can be inverted: some pixels of the image would be seen by none",
            "make one of them the identity, a flip, a turn by 90, 180 or 270 degrees, or a permutation",
        )


def _picture(prompt: str, exemplar: np.ndarray | None) -> tuple[dict[str, Any], np.ndarray]:
    """What a view shows: the given picture, or the material that the prompt names; and the report on it."""
    if exemplar is not None:
        Exemplar(exemplar)  # refuses what cannot be painted with
        return {"name": "reference image", "asked": prompt, "exact": True, "note": ""}, exemplar
    choice = choose_material(prompt)
    info = {"name": choice.name, "asked": choice.asked, "exact": choice.exact, "note": choice.note}
    return info, render(choice.name, TILE, tint=choice.tint)


def _mistaken(materials: Sequence[dict[str, Any]]) -> list[Warning]:
    """One warning if words that name no material gave several views the same one: there is nothing to see in that."""
    names = [material["name"] for material in materials]
    asked = [m["asked"] for m in materials if not m["exact"] and names.count(m["name"]) > 1]
    if not asked:
        return []
    message = f"several views show the same material: none is called {' or '.join(map(repr, asked))}"
    return [Warning(message, "use words that `weft models` lists, or give reference images")]


def _denoise(targets: Targets, case: Case, schedule: Schedule, source: torch.Generator, seed: int) -> Iterator[Step]:
    """Every view by a denoiser of its own, whose patches stay near their places in what the view is asked to show.

    Without the guide, patches of a picture settle anywhere: a stuff, not the picture. The balance of mass, which keeps
    every part of a material in use, would move them too.
    """
    size = targets.views[0].size
    space = weighted(illusion_space(targets.views, size), targets.views, targets.weights)
    settings = ExemplarSettings(guide_noise=PLACE, occupancy=0.0, sinkhorn_iterations=0)
    rows, columns = np.mgrid[:size, :size].astype(np.float32) / size
    place = np.stack([columns, rows], -1)
    denoisers = [
        ExemplarDenoiser(Exemplar(wanted, place), settings=settings, seed=seed + i, guide=place[None])
        for i, wanted in enumerate(targets.wanted)
    ]
    first, beginning = schedule.levels[0].sigma, source.get_state()
    z = first * gaussian((space.cells, 3), source)
    noise = CanonicalNoise(space.nearest, space.cells, space.view_shape, space.signs)
    x = first * noise(3, source.set_state(beginning))  # the views of that z: the field is drawn first
    return synchronized(each(denoisers), space, schedule, x, z=z, case=case)


def _image(z: Tensor, size: int) -> NDArray[np.float32]:
    """Cells [S·S, 3] in [-1, 1] to f4 [S, S, 3] in [0, 1]."""
    return (z.numpy() * np.float32(0.5) + np.float32(0.5)).clip(0, 1).reshape(size, size, 3)
