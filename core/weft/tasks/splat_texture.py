"""Recolour Gaussian splats from a prompt or a picture: synchronised denoising of many views, geometry untouched.

See `splat_phases` for the method. What the phases were chosen by was measured on one scan (91k splats).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidCamera, InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.splats import Splats, check_splats, f_dc_of
from weft.spaces.splat_colors import SplatColorSpace, build_splat_colors
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.guide import Guide
from weft.tasks.network import Network
from weft.tasks.painting import CAMERAS_FROM, SNAPSHOTS, Clock, choose_painter, view_side
from weft.tasks.splat_network import NetworkSplats
from weft.tasks.splat_phases import PRUNE, Run, plan_decals, plan_fit
from weft.tasks.splat_preview import in_rows
from weft.tasks.splat_report import FinishedSplats, Outcome, contact_sheet, images_of, measure, turntable
from weft.tasks.splat_views import plan_cameras, turned_up

__all__ = ["splat_texture"]

COARSER = 1.6  # than on meshes, because splats are coarser than texels: finer patterns blur on them
MOST_SCENE_CAMERAS = 120  # evenly chosen among more
WANTED_COVERAGE = 0.8  # of the splats: captures are full of splats that lie inside others


def splat_texture(
    splats: Splats,
    *,
    exemplar: np.ndarray | None,
    cameras: Sequence[Camera],
    prompt: str,
    up: str,
    size: int,
    steps: int,
    seed: int,
    views: int,
    cameras_from: str,
    pattern_scale: float,
    report: bool,
    network: Network | None = None,
) -> Iterator[Event]:
    """New colours for the splats. Close the generator to cancel. The last event is the Result: array `splats.dc` f4
    [S, 3], the new f_dc in the order of the splats, with `report` also `contact_sheet` and `turntable`; info with what
    was painted, seconds, coverage and (with `report`) measures of quality.

    splats: in the frame of their file, in which `up` ("-y", "y", "z") points upwards. cameras: "scene" cameras, in the
    same frame. exemplar: f4 [H, W, 3] sRGB in [0, 1], instead of a prompt. size: pixels of a view's side, rounded up to
    a multiple of 16. views: automatic cameras, at most. pattern_scale: 1 lets the exemplar span 0.96 of a view. Higher
    harmonics than f_dc are neither read nor changed: leave them out when saving, or the old shine stays.
    Previews show the colours row by row, 1024 a row. Raises WeftError before the first event if something is wrong with
    the input. Sets torch to one thread.
    """
    torch.set_num_threads(1)  # the same bytes everywhere; and beside Numba's threads torch's only wait for each other
    clock = Clock()
    _check(splats, cameras, cameras_from, up, views)
    if network is not None:
        yield from network.load(clock, exemplar)
    size = view_side(size) if network is None else network.view_size(size)
    if network is None:
        material, painter = choose_painter(prompt, exemplar, size, COARSER * pattern_scale)
    else:
        material = network.material(prompt)
    used = cameras[:: -(-len(cameras) // MOST_SCENE_CAMERAS)] if cameras else cameras
    with clock.phase("cameras"):
        planned = plan_cameras(splats, up=up, size=size, count=views, cameras_from=cameras_from, scene=used)
    _check_sight(splats, planned)
    yield Progress("prepare", 1, 3, "placing cameras")
    if len(used) < len(cameras):
        yield Warning(f"{len(used)} of the {len(cameras)} cameras are used", "more would only take longer")
    with clock.phase("weights"):
        space = build_splat_colors(splats, planned, prune=PRUNE)
        if not space.seen.any():
            raise InvalidInput("the splats are too transparent to be painted", "check their opacity in a splat viewer")
    yield Progress("prepare", 2, 3, "weighing splats")
    run: SplatRun
    if network is None:
        with clock.phase("placing decals"):
            seen, decals = plan_decals(splats, space, turned_up(up).T[:, 2], seed)
            fit = None if decals is None else plan_fit(space, seen, decals)
        run = Run(space, decals, fit, painter, steps, seed, clock)
    else:
        run = NetworkSplats(space, network, prompt, exemplar, turned_up(up), steps, seed, clock)
    yield Progress("prepare", 3, 3, "placing decals" if network is None else "drawing controls")
    yield from run.warnings()
    if run.coverage < WANTED_COVERAGE:
        yield _unseen(run.coverage)
    for phase, index, total, shown in run.steps(keep=report):
        yield Progress(phase, index, total)
        yield from run.warnings()
        if shown:
            yield Preview(0, in_rows(images_of(run.z)), index, total)
    yield Progress("finish", 1, 1, "measuring" if report else "collecting colours")
    arrays = {"splats.dc": f_dc_of(images_of(run.z))}
    info: dict[str, Any] = {"material": material, "coverage": round(run.coverage, 4), "views": len(planned)}
    info |= {"decals": run.decals}
    info |= {"covered_pixels": round(float(space.mask.mean()), 4), "weights": len(space.projection.values)}
    info |= {"first_preview": clock.first_preview}
    if report:
        with clock.phase("report"):
            finished = _finished(splats, up, run)
            info |= measure(finished)
            arrays |= {"contact_sheet": contact_sheet(finished), "turntable": turntable(finished)}
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})


class SplatRun(Protocol):
    """Splats being painted: `z` are the colours after each of the `steps`."""

    space: SplatColorSpace
    states: list[tuple[float, Tensor]]  # (s, z) of each step, or of the last

    @property
    def z(self) -> Tensor: ...
    @property
    def coverage(self) -> float: ...
    @property
    def decals(self) -> int: ...
    @property
    def guide(self) -> Guide: ...
    def warnings(self) -> Iterator[Warning]: ...
    def steps(self, *, keep: bool) -> Iterator[tuple[str, int, int, bool]]: ...
    def outcome(self) -> Outcome: ...


def _check(splats: Splats, cameras: Sequence[Camera], cameras_from: str, up: str, views: int) -> None:
    if cameras_from not in CAMERAS_FROM:
        raise InvalidInput(f"no cameras are called {cameras_from!r}", f"choose one of {', '.join(CAMERAS_FROM)}")
    if cameras_from == "scene" and not cameras:
        raise InvalidInput("the job has no scene cameras", "add a camera to the scene or choose automatic cameras")
    if views < 1:
        raise InvalidInput(f"{views} views asked for, expected at least 1", "50 are usual")
    turned_up(up)
    check_splats(splats)


def _check_sight(splats: Splats, cameras: Sequence[Camera]) -> None:
    """Raise unless some camera has a splat in its frame."""
    for camera in cameras:
        xy, depth = camera.project(splats.means)
        inside = (xy >= 0).all(1) & (xy[:, 0] <= camera.width) & (xy[:, 1] <= camera.height)
        if (inside & (depth >= camera.near)).any():
            return
    raise InvalidCamera("no camera has a splat in its frame", "give cameras in the frame of the splats' file")


def _finished(splats: Splats, up: str, run: SplatRun) -> FinishedSplats:
    """What the report needs to know of a run."""
    chosen = [run.states[round(part * (len(run.states) - 1))] for part in SNAPSHOTS]
    outcome = run.outcome()
    return FinishedSplats(
        outcome.target, outcome.counted, outcome.estimate, outcome.refit, splats, up, run.space, run.z, run.guide,
        chosen,
    )  # fmt: skip


def _unseen(coverage: float) -> Warning:
    return Warning(
        f"{coverage:.1%} of the splats are seen; the others copy the colour of what lies nearest",
        "more views, or scene cameras that look at what is hidden, see more",
    )
