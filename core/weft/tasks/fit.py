"""Gaussian splats or a NeRF of photographs with poses.

The measured way to splats is by a voxel NeRF that is trained for a few seconds: its depth is where splats begin.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from weft.errors import InvalidInput, UnknownName
from weft.geometry.camera import Camera
from weft.scenes.kinds import KINDS, Beginning, begin_scene, usual_steps
from weft.scenes.scene import Scene
from weft.scenes.splats import SplatScene
from weft.tasks.events import Event, Progress, Result, Warning
from weft.tasks.fit_training import Training, not_converged, reached
from weft.tasks.painting import Clock
from weft.tasks.scene_input import Dataset, dataset
from weft.tasks.scene_mesh import scene_mesh
from weft.tasks.scene_results import comparison_sheet, held_out_arrays, splat_arrays, turning
from weft.tasks.scene_source import OpenScene, open_scene, scene_array

__all__ = ["fit"]

_START_TOLD = 5  # steps of the first look from one progress to the next


def fit(
    images: np.ndarray,
    cameras: Sequence[Camera],
    *,
    masks: np.ndarray | None = None,
    points: np.ndarray | None = None,
    point_colors: np.ndarray | None = None,
    scene: np.ndarray | bytes | None = None,
    kind: str,
    size: int,
    splats: int,
    degree: int,
    steps: int,
    hold_out: int,
    background: str,
    mesh: bool,
    texture_size: int,
    seed: int,
    report: bool,
) -> Iterator[Event]:
    """Close the generator to cancel.

    images: f4 [N, H, W, 3] sRGB in [0, 1] from `cameras` of the world, pinholes of their size; masks bool [N, H, W],
    True counts (see `scene_input` for transparency). points f4 [P, 3] and point_colors f4 [P, 3] in [0, 1], of
    structure from motion. scene: the bytes of a scene file that goes on, to the bit as if it had never stopped where
    the pictures are the same; its steps, size and seed are taken up unless more steps are asked for. Other parameters
    as in `weft_wire.jobs.fit`.

    Previews are held-out views beside their photographs; a Checkpoint holds the scene as it is. The result has `scene`,
    `splats.*` in the world where it is made of splats, renders of the held-out views with their cameras,
    mesh.0.* and texture.0 with `mesh`, contact_sheet and turntable with `report`. Raises WeftError before any work if
    something is wrong with the input.
    """
    torch.set_num_threads(1)  # the same bytes everywhere; and beside Numba's threads torch's only wait for each other
    clock = Clock()
    if kind not in KINDS:
        raise UnknownName(f"no scene is made of {kind!r}", f"choose one of {', '.join(KINDS)}")
    yield Progress("prepare", 1, 2, "checking the poses")
    with clock.phase("prepare"):
        opened = None if scene is None else _resumed(scene, kind)
        if opened is not None:
            size, seed = size or max(opened.info.size), opened.info.seed if opened.info.step else seed
        data = dataset(
            images, cameras, masks, points, size=size, hold_out=hold_out, background=background, opened=opened
        )
    yield from data.warnings
    yield Progress("prepare", 2, 2, _told(data))
    if opened is None:
        beginning = Beginning(splats, degree, seed, data.background, data.bounded)
        current = yield from _begun(kind, data, beginning, point_colors, clock)
        run = Training(current, data, 0, steps or usual_steps(kind, data.training), seed, clock)
    else:
        run = Training(opened.scene, data, opened.info.step, _further(opened, steps, data), seed, clock)
    yield from run.run()
    yield Progress("finish", 1, 1, "measuring")
    yield from _finished(run, clock, mesh, texture_size, report)


def _resumed(scene: np.ndarray | bytes, kind: str) -> OpenScene:
    opened = open_scene(scene)
    if opened.scene.kind != kind:
        raise InvalidInput(
            f"the scene that is to go on is made of {opened.scene.kind}, and kind = {kind}",
            f"ask for {opened.scene.kind}",
        )
    return opened


def _begun(
    kind: str, data: Dataset, beginning: Beginning, colors: np.ndarray | None, clock: Clock
) -> Generator[Event, None, Scene]:
    """The scene before its first step."""
    made = begin_scene(kind, data.training, beginning, data.points, colors)
    while True:
        try:
            with clock.phase("start"):
                done = next(made)
        except StopIteration as end:
            return end.value
        if done.step % _START_TOLD == 0:
            yield Progress("start", done.step, done.total)


def _further(opened: OpenScene, steps: int, data: Dataset) -> int:
    """Up to which step a scene that is there goes on."""
    total = steps or opened.info.steps or usual_steps(opened.scene.kind, data.training)
    if total <= opened.info.step:
        raise InvalidInput(
            f"the scene has had {opened.info.step} steps, and {total} were asked for", "ask for more than it has had"
        )
    return total


def _told(data: Dataset) -> str:
    height, width = data.training.images.shape[1:3]
    what = "an object" if data.bounded else "a place"
    return f"{what} in {len(data.training.cameras)} views of {width}×{height} px, {len(data.held)} more held out"


def _finished(run: Training, clock: Clock, mesh: bool, texture_size: int, report: bool) -> Iterator[Event]:
    """What is to be said of the scene, and the result."""
    current, data = run.scene, run.data
    with clock.phase("measure"):
        held, train = reached(current, data)
        shown = run.shown
        renders = np.stack([current.render(camera).image.clip(0, 1) for camera in shown.cameras])
        problem = not_converged(held, train, shown)
    if problem is not None:
        yield problem
    arrays = {"scene": scene_array(current, run.info(run.steps))}
    arrays |= held_out_arrays(renders, shown.cameras, data.frame)
    info: dict[str, Any] = {
        "kind": current.kind, "steps": run.steps, "views": len(data.training.cameras), "held_out": len(data.held),
        "held_out_psnr": None if held is None else round(held, 2), "train_psnr": round(train, 2),
        "size": list(run.info(run.steps).size), "splats": None,
    }  # fmt: skip
    if isinstance(current, SplatScene):
        made = data.frame.out_of_splats(current.splats())
        arrays |= splat_arrays(made)
        info["splats"] = made.count
    if mesh:
        yield Progress("mesh", 1, 1)
        try:
            with clock.phase("mesh"):
                arrays |= scene_mesh(current, data.training, data.frame, texture_size=texture_size)
        except InvalidInput as error:  # minutes of training are not lost to it
            yield Warning(f"there is no mesh: {error.message}", error.hint)
    if report:
        yield Progress("report", 1, 1)
        with clock.phase("report"):
            told = f"{train if held is None else held:.1f} dB"
            arrays["contact_sheet"] = comparison_sheet(shown, renders, told)
            arrays["turntable"] = np.stack(list(turning(current, data.training.cameras, around=data.bounded)))
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})
