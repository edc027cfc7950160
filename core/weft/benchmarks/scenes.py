"""Radiance fields beside each other: how well they meet views that they never saw, and what that costs.

Every kind of scene learns from the same views of a folder and is measured on its test set, or else on every eighth
view. Processor seconds are told beside those of the clock, because a busy machine stretches the latter alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import frame_object, standard_ring
from weft.geometry.splats import Splats, f_dc_of
from weft.io.images import save_image
from weft.io.view_folder import load_views
from weft.scenes.frame import frame_of
from weft.scenes.kinds import KINDS, Beginning, begin_scene, splat_class, usual_steps
from weft.scenes.scene import Scene, TrainingViews
from weft.scenes.splats import SplatScene
from weft.scenes.training import psnr_of, trained

__all__ = ["QUICK_STEPS", "Case", "Row", "case_of", "measure", "quick_case", "save_renders", "table"]

HELD_OUT = 8  # every so many-th view
QUICK_STEPS = 60
_GREY = np.full(3, 0.5, np.float32)
_SHOWN = 6  # held-out views of a picture
_TEST = "transforms_test.json"
_PEAK = Path("/proc/self/clear_refs")  # 5 begins the peak of the memory anew


@dataclass(frozen=True, eq=False)
class Case:
    """Views in the scene's frame."""

    name: str
    training: TrainingViews
    held_out: TrainingViews
    bounded: bool
    background: float  # grey


@dataclass(frozen=True, slots=True)
class Row:
    case: str
    kind: str
    size: str
    steps: int
    psnr: float  # dB, held out
    train_psnr: float  # dB, of as many training views
    seconds: float  # by the clock, the quick NeRF of splats included
    core_seconds: float
    view_ms: float  # by the clock, of a held-out view
    memory_mb: float  # the most that the process held
    scene: Scene


def case_of(folder: Path, size: int = 0) -> Case:
    """The views of `folder` with a longer side of `size` px (0: as they are). What is transparent makes it an object
    before white; else it is a place, and grey lies behind it."""
    test = folder / _TEST
    given = load_views(folder, size=size)
    cut_out = given.masks is not None and _is_blender(folder)
    others = load_views(test, size=size) if test.is_file() else given
    held = range(len(others.cameras)) if test.is_file() else range(0, len(given.cameras), HELD_OUT)
    kept = [i for i in range(len(given.cameras)) if test.is_file() or i not in held]
    if len(kept) < 2:
        raise InvalidInput(f"{str(folder)!r} leaves {len(kept)} views to learn from, expected 2 or more")
    frame = frame_of([given.cameras[i] for i in kept])
    training, held_out = (
        TrainingViews(
            source.images[some],
            tuple(frame.into(source.cameras[i]) for i in some),
            None if cut_out or source.masks is None else source.masks[some],
        )
        for source, some in ((given, kept), (others, list(held)))
    )
    return Case(folder.name, training, held_out, cut_out, 1.0 if cut_out else 0.5)


def _is_blender(folder: Path) -> bool:
    """Whether it is Blender's variant of the file, whose pictures show an object before nothing."""
    file = folder / "transforms_train.json"
    return file.is_file() and "camera_angle_x" in json.loads(file.read_bytes())


def quick_case(size: int = 40, views: int = 24) -> Case:
    """A striped ball of splats, for where there are no photographs and no time."""
    cloud = _ball()
    ball, cameras = SplatScene.from_splats(cloud, _GREY), frame_object(cloud.means, standard_ring(views), size, 0.7)
    images = np.stack([ball.render(camera).image for camera in cameras]).clip(0, 1)
    held = np.arange(views) % HELD_OUT == HELD_OUT - 1
    training, held_out = (
        TrainingViews(images[some], tuple(cameras[i] for i in np.flatnonzero(some))) for some in (~held, held)
    )
    return Case("ball", training, held_out, True, 0.5)


def _ball(count: int = 800) -> Splats:
    normals = np.random.default_rng(0).normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    turns = np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1))
    small, solid = np.full((count, 3), -3.5, np.float32), np.full(count, 4, np.float32)
    stripes = f_dc_of(0.5 + 0.4 * np.sin(6 * normals))
    return Splats((0.4 * normals).astype(np.float32), turns, small, solid, stripes[:, None])


def measure(case: Case, kinds: Sequence[str], *, steps: int = 0, seed: int = 0) -> Iterator[Row]:
    """A row for each of `kinds`, of so many steps (0: as many as suit it). Kernels are compiled before."""
    height, width = case.training.images.shape[1:3]
    beginning = Beginning(seed=seed, background=(case.background,) * 3, bounded=case.bounded)
    for kind in kinds:
        if kind not in KINDS:
            raise InvalidInput(f"no scene is made of {kind!r}", f"choose from {', '.join(KINDS)}")
        _warm(kind)
        total = steps or usual_steps(kind, case.training)
        with suppress(OSError):  # elsewhere the peak is that of all that was measured so far
            _PEAK.write_text("5")
        clock, cores = time.perf_counter(), time.process_time()
        scene = _fitted(kind, case.training, beginning, total, seed)
        seconds, core_seconds = time.perf_counter() - clock, time.process_time() - cores
        memory = _peak_memory()
        clock = time.perf_counter()
        psnr = psnr_of(scene, case.held_out.images, case.held_out.cameras, case.held_out.masks)
        view_ms = 1000 * (time.perf_counter() - clock) / len(case.held_out.cameras)
        some = np.unique(np.linspace(0, len(case.training.cameras) - 1, len(case.held_out.cameras)).astype(int))
        masks = None if case.training.masks is None else case.training.masks[some]
        own = psnr_of(scene, case.training.images[some], tuple(case.training.cameras[i] for i in some), masks)
        size = f"{width}×{height}"
        yield Row(case.name, kind, size, total, psnr, own, seconds, core_seconds, view_ms, memory, scene)


def _fitted(kind: str, views: TrainingViews, beginning: Beginning, steps: int, seed: int) -> Scene:
    made = begin_scene(kind, views, beginning)
    while True:
        try:
            next(made)
        except StopIteration as begun:
            scene = begun.value
            break
    for _ in trained(scene, views, steps=steps, seed=seed):
        pass
    return scene


def _warm(kind: str) -> None:
    """Two steps and a look, of a small scene."""
    views = quick_case(32, 9).training
    scene: Scene
    if kind == "splats":
        scene = splat_class().from_points(_ball().means, np.full((800, 3), 0.5, np.float32), 500, 1, 0, _GREY)
    else:
        scene = KINDS[kind].begin(views, resolution=16, bounded=True)
    for step in range(2):
        scene.fit(views, step, 2, 0)
    scene.render(views.cameras[0])


def _peak_memory() -> float:
    """MB of this process, at most, since the peak began anew; NaN where nobody counts."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1000
    return float("nan")


def save_renders(row: Row, case: Case, folder: Path) -> None:
    """A picture of some held-out views above what was rendered of them."""
    folder.mkdir(parents=True, exist_ok=True)
    views = case.held_out
    some = np.unique(np.linspace(0, len(views.cameras) - 1, _SHOWN).astype(int))
    renders = [row.scene.render(views.cameras[i]).image.clip(0, 1) for i in some]
    rows = [np.concatenate(list(views.images[some]), 1), np.concatenate(renders, 1)]
    save_image(folder / f"{case.name}-{row.size.replace('×', 'x')}-{row.kind}.png", np.concatenate(rows))


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of text: a heading, then the rows."""
    yield (
        f"{'scene':<14}  {'pixels':>9}  {'kind':<8}  {'steps':>6}  {'held out':>8}  {'learned':>8}  {'seconds':>7}  "
        f"{'core-s':>7}  {'ms a view':>9}  {'MB':>6}"
    )
    for row in rows:
        yield (
            f"{row.case:<14}  {row.size:>9}  {row.kind:<8}  {row.steps:>6}  {row.psnr:>5.1f} dB  "
            f"{row.train_psnr:>5.1f} dB  {row.seconds:>7.0f}  {row.core_seconds:>7.0f}  {row.view_ms:>9.0f}  "
            f"{row.memory_mb:>6.0f}"
        )
