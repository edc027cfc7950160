"""Panoramas from a prompt or a picture: a wide image through windows, or the whole sphere through perspective views.

One run of SyncTweedies, by the embedded denoiser (`panorama_exemplar`) or by a network (`panorama_network`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from weft.geometry.mesh import Mesh
from weft.methods.cases import Case, find_case
from weft.models.cards import Card
from weft.schedule import stable_diffusion
from weft.spaces.linear import LinearSpace
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.guide import Guide
from weft.tasks.network import Network
from weft.tasks.painting import PREVIEW_SIDE, VIEW_SIZE, Clock, choose_painter
from weft.tasks.panorama_exemplar import ExemplarPanorama
from weft.tasks.panorama_network import NetworkPanorama
from weft.tasks.panorama_report import Finished, contact_sheet, measure, turntable
from weft.tasks.panorama_setting import Setting, build_setting, check_window, largest_window
from weft.tasks.phases import EXEMPLAR_SPAN
from weft.tasks.report import StepOf

__all__ = ["panorama"]

SPAN = 1.0  # of a window's side that the exemplar covers at pattern scale 1: no decals add detail later
SNAPSHOTS = (0.15, 0.35, 0.55, 0.8)  # of the way: the states on the contact sheet


def panorama(
    *,
    exemplar: np.ndarray | None,
    depth: np.ndarray | None,
    meshes: Sequence[Mesh],
    viewpoint: np.ndarray | None,
    prompt: str,
    shape: str,
    width: int,
    height: int,
    window: int,
    steps: int,
    seed: int,
    pattern_scale: float,
    case: str | int,
    report: bool,
    network: Network | None = None,
) -> Iterator[Event]:
    """Close the generator to cancel. The last event is the Result: `panorama` f4 [H, W, 3] in [0, 1], with `report`
    also `contact_sheet` and `turntable`; info with what was painted, seconds, coverage and (with `report`) measures.

    exemplar: f4 [h, w, 3] sRGB in [0, 1], instead of a prompt. shape: "sphere" ([width/2, width], equirectangular, the
    middle looks along +X, +Z is up) or "wide" ([height, width]; its borders meet unless it follows a depth map). Sides
    are rounded up to multiples of 16. depth: f4 [h, w] of the same aspect, any unit, larger is farther, infinite or
    ≤ 0 is sky; of a sphere the distance to the viewer, of a wide image along its axis. meshes: instead of depth, world
    space, seen from viewpoint f4 [3]. window: px of a view's side. pattern_scale: 1 lets the exemplar span a view.
    Raises WeftError before the first event if something is wrong with the input. Sets torch to one thread.
    """
    torch.set_num_threads(1)
    clock = Clock()
    chosen = find_case(case)
    if network is not None:
        network.check_case(chosen)
        check_window(shape, width, height, window)
        yield from network.load(clock, exemplar)
        given, window = window, network.view_size(window, at_most=largest_window(shape, width, height))
        if not given and window < network.card.resolution:
            yield _small(network.card, window)
    with clock.phase("scene"):
        setting = build_setting(
            shape, width, height, window or VIEW_SIZE, depth=depth, meshes=meshes, viewpoint=viewpoint
        )  # fmt: skip
    painting: Painted
    with clock.phase("prepare"):
        if network is None:
            material, painter = choose_painter(prompt, exemplar, setting.window, pattern_scale * SPAN / EXEMPLAR_SPAN)
            painting = ExemplarPanorama(setting, painter, material, stable_diffusion(steps), seed)
        else:
            painting = NetworkPanorama(setting, network, prompt, exemplar, steps, seed)
    yield from painting.warnings()
    yield Progress("prepare", 1, 1, "placing views")
    if meshes and viewpoint is None:
        yield Warning("no viewpoint was given: the panorama is seen from the middle of the meshes", "give a viewpoint")
    shown: list[tuple[float, np.ndarray]] = []
    z = torch.zeros(0)
    for step in _timed(painting.steps(chosen), clock):
        yield Progress("views", step.index + 1, step.total)
        yield from painting.warnings()
        if step.z is None:
            continue
        z = step.z
        preview = painting.picture(z, setting.fine * -(-setting.width // PREVIEW_SIDE))
        if report and len(shown) < len(SNAPSHOTS) and step.index >= round(SNAPSHOTS[len(shown)] * (step.total - 1)):
            shown.append((step.level.s, preview))
        yield Preview(0, preview, step.index + 1, step.total)
    yield Progress("finish", 1, 1, "measuring" if report else "")
    arrays = {"panorama": painting.picture(z)}
    info: dict[str, Any] = {
        "material": painting.material, "coverage": round(float(painting.last_space.coverage), 4),
        "views": painting.last_space.view_shape[0], "size": [setting.width, setting.height],
        "window": setting.window, "depth": setting.scene is not None, "first_preview": clock.first_preview,
    }  # fmt: skip
    if report:
        with clock.phase("report"):
            finished = Finished(
                setting, painting.last_space, painting.estimate, z, painting.guide, arrays["panorama"], shown
            )  # fmt: skip
            info |= measure(finished)
            arrays |= {"contact_sheet": contact_sheet(finished), "turntable": turntable(finished)}
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})


def _small(card: Card, window: int) -> Warning:
    return Warning(
        f"views of {window} px are smaller than those of {card.resolution} px that {card.name} was trained on",
        f"a panorama at least {card.resolution} px high shows more",
    )


class Painted(Protocol):
    """A panorama being painted. `estimate` are the views' last own images [N, 3, h, w], `last_space` theirs."""

    setting: Setting
    material: dict[str, Any]
    estimate: Tensor
    last_space: LinearSpace

    @property
    def guide(self) -> Guide: ...
    def warnings(self) -> Iterator[Warning]: ...
    def steps(self, case: Case) -> Iterator[StepOf]: ...
    def picture(self, z: Tensor, coarser: int = 1) -> np.ndarray:
        """f4 [h, w, 3] in [0, 1]: the panorama of z [cells, 3], every side divided by `coarser`."""
        ...


def _timed(steps: Iterator[StepOf], clock: Clock) -> Iterator[StepOf]:
    while True:
        with clock.phase("views"):
            step = next(steps, None)
        if step is None:
            return
        if clock.first_preview is None:
            clock.first_preview = clock.elapsed()
        yield step
