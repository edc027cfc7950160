"""Illusions: one image that shows one picture as it is and another when it is turned, flipped, cut up or inverted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weft.errors import InvalidInput
from weft.methods.cases import Case, find_case
from weft.schedule import stable_diffusion
from weft.spaces.illusion import VIEW_UNIT, Transformation, check_view, transformation
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.illusion_animation import animate
from weft.tasks.illusion_exemplar import ExemplarIllusion
from weft.tasks.illusion_network import NetworkIllusion
from weft.tasks.network import Network
from weft.tasks.painting import VIEW_SIZE, Clock
from weft.tasks.report import StepOf

__all__ = ["illusion"]

SLOTS = 3
SIZES = (64, 1024)  # pixels of a side
SNAPSHOTS = (0.1, 0.4, 0.6, 0.8)  # of the steps: the states on the contact sheet


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
    network: Network | None = None,
) -> Iterator[Event]:
    """One image for two or three views. Close the generator to cancel. The last event is the Result: `image`
    f4 [S, S, 3] in [0, 1], `view.<i>` f4 [S, S, 3], what slot i shows, `animation` f4 [F, C, C, 3] at 20 frames a
    second, with `report` also `contact_sheet`; info with what was asked and (with `report`) measures of quality.

    exemplars: up to three pictures f4 [H, W, 3] sRGB in [0, 1], or None, for the slots; a picture goes before the
    slot's prompt; a slot with neither is unused. size: pixels of the side, 64 to 1024, rounded up to a multiple of 16;
    0: the model's own. Shuffles are arranged to suit the pictures. network: instead of the embedded denoiser; it takes
    words only. Raises WeftError before the first event if something is wrong with the input. Sets torch to one thread.
    """
    torch.set_num_threads(1)  # the same bytes everywhere; and beside Numba's threads torch's only wait for each other
    clock = Clock()
    views = (view_1, view_2, view_3)
    chosen, slots = _check(exemplars, (prompt_1, prompt_2, prompt_3), views, size, case)
    names = [views[slot] for slot in slots]
    painting: Painted
    if network is None:
        painting = ExemplarIllusion(list(slots.values()), names, size or VIEW_SIZE, stable_diffusion(steps), seed)
    else:
        yield from network.load(clock, None)
        painting = NetworkIllusion(network, list(slots.values()), names, size, steps, seed)
    yield from painting.warnings()
    yield Progress("prepare", 1, 1, "matching the pictures" if network is None else "reading the words")
    with clock.phase("prepare"):
        painting.prepare()
        denoising = painting.steps(chosen)
    states: list[tuple[float, NDArray[np.float32]]] = []
    while True:
        with clock.phase("denoise"):
            step = next(denoising, None)
        if step is None:
            break
        yield Progress("denoise", step.index + 1, step.total)
        yield from painting.warnings()
        if step.z is None:
            continue
        image = _image(step.z, painting.size)
        states = [*states, (step.level.s, image)] if report else [(step.level.s, image)]
        clock.first_preview = clock.first_preview or clock.elapsed()
        yield Preview(0, image, step.index + 1, step.total)
    yield Progress("finish", 1, 1, "playing the transformation")
    image = states[-1][1]
    shown = [(view.apply(image * 2 - 1) * np.float32(0.5) + np.float32(0.5)).clip(0, 1) for view in painting.views]
    with clock.phase("animation"):
        arrays = {"image": image, "animation": animate(image, painting.views)}
    arrays |= {f"view.{slot}": view for slot, view in zip(slots, shown, strict=True)}
    info: dict[str, Any] = {"materials": painting.materials, "views": names, "first_preview": clock.first_preview}
    if report:
        with clock.phase("report"):
            kept = [states[round(part * (len(states) - 1))] for part in SNAPSHOTS]
            measures, arrays["contact_sheet"] = painting.report(image, shown, kept)
            info |= measures
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})


class Painted(Protocol):
    """An illusion being painted; `views` are there once it is prepared."""

    size: int  # px, of the image
    materials: list[dict[str, Any]]

    @property
    def views(self) -> list[Transformation]: ...
    def prepare(self) -> None: ...
    def warnings(self) -> Iterator[Warning]: ...
    def steps(self, case: Case) -> Iterator[StepOf]: ...
    def report(
        self,
        image: NDArray[np.float32],
        views: Sequence[NDArray[np.float32]],
        states: Sequence[tuple[float, NDArray[np.float32]]],
    ) -> tuple[dict[str, Any], NDArray[np.float32]]:
        """Measures by name, and the contact sheet."""
        ...


def _check(
    exemplars: Sequence[np.ndarray | None],
    prompts: Sequence[str],
    views: Sequence[str],
    size: int,
    case: str,
) -> tuple[Case, dict[int, tuple[str, np.ndarray | None]]]:
    """The case, and prompt and picture of each slot in use."""
    chosen = find_case(case)
    if size and not SIZES[0] <= size <= SIZES[1]:
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


def _image(z: Tensor, size: int) -> NDArray[np.float32]:
    """Cells [S·S, 3] in [-1, 1] to f4 [S, S, 3] in [0, 1]."""
    return (z.numpy() * np.float32(0.5) + np.float32(0.5)).clip(0, 1).reshape(size, size, 3)
