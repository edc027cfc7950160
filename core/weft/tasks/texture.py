"""Texture meshes from a prompt or a picture: synchronised denoising of views, then of face-on decals."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.errors import InvalidInput, UnknownName
from weft.geometry.camera import Camera
from weft.geometry.mesh import Mesh, check_mesh
from weft.geometry.unwrap import unwrap
from weft.geometry.uv import uv_problems
from weft.models.exemplar import Exemplar
from weft.models.materials import choose_material, render
from weft.spaces.mesh_texture import LEAST_COSINE, MeshTextureSpace
from weft.spaces.surface import Surface, build_surface
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.phases import EXEMPLAR_SPAN, Painter, Phase, decal_phase, view_phase
from weft.tasks.report import Finished, contact_sheet, measure, turntable
from weft.tasks.view_plan import WANTED_COVERAGE, plan_views

__all__ = ["texture", "warm_up"]

MODELS = ("exemplar",)
CAMERAS_FROM = ("automatic", "scene", "both")
TILE = 512  # pixels of a rendered material
VIEW_UNIT = 16  # pixels: views divide evenly into the denoiser's coarsest cells
PREVIEW_SIDE = 1024  # pixels of a preview, at most
SNAPSHOTS = (0.1, 0.4, 0.6, 0.75)  # of the way: the states on the contact sheet


class _Clock:
    """Seconds of each phase, and when the first preview was there."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.seconds: dict[str, float] = {}
        self.first_preview: float | None = None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)

    def elapsed(self) -> float:
        return round(time.perf_counter() - self.started, 3)


def texture(
    meshes: Sequence[Mesh],
    *,
    exemplar: np.ndarray | None,
    cameras: Sequence[Camera],
    prompt: str,
    size: int,
    steps: int,
    seed: int,
    texture_size: int,
    views: int,
    cameras_from: str,
    pattern_scale: float,
    decals: bool,
    report: bool,
    model: str,
) -> Iterator[Event]:
    """One texture per mesh. Close the generator to cancel. The last event is the Result: arrays `texture.<i>`
    f4 [T, T, 3] in [0, 1], `mesh.<i>.uv` where UVs were made, with `report` also `contact_sheet` and `turntable`; info
    with what was painted, seconds, coverage and (with `report`) measures of quality.

    meshes: world space, Z up, front towards -Y. exemplar: f4 [H, W, 3] sRGB in [0, 1], instead of a prompt. size:
    pixels of a view's side, rounded up to a multiple of 16. views: ring cameras; more are added for coverage.
    pattern_scale: 1 lets the exemplar span 0.6 of a view. Raises WeftError before the first event if something is wrong
    with the input. Sets torch to one thread.
    """
    torch.set_num_threads(1)  # the same bytes everywhere; and beside Numba's threads torch's only wait for each other
    clock = _Clock()
    _check(meshes, cameras, cameras_from, model)
    material, picture = _choose(prompt, exemplar)
    size = -(-size // VIEW_UNIT) * VIEW_UNIT
    painter = Painter(picture, EXEMPLAR_SPAN * size * pattern_scale)
    Exemplar(picture)  # refuses what cannot be painted with
    yield Progress("prepare", 1, 2, "reading UVs")
    with clock.phase("unwrap"):
        ready, made, warnings = _with_uvs(meshes, texture_size)
    yield from warnings
    yield Progress("prepare", 2, 2, "placing cameras")
    with clock.phase("cameras"):
        surface = build_surface(ready, texture_size)
        space = plan_views(surface, size=size, count=views, cameras_from=cameras_from, scene=cameras)
    phase = view_phase(painter, space, steps=steps, seed=seed, alone=not decals)
    states: list[tuple[float, Tensor]] = []
    yield from _run(phase, clock, surface, states, keep=report)
    if decals:
        with clock.phase("decal placing"):
            phase = decal_phase(painter, surface, space, states[-1][1], steps=steps, seed=seed)
        yield from _run(phase, clock, surface, states, keep=report)
    coverage = _coverage(space, phase)
    if coverage < WANTED_COVERAGE:
        yield _unseen(coverage)
    yield Progress("finish", 1, 1, "measuring" if report else "baking")
    z = states[-1][1]
    arrays = {f"texture.{i}": _image(surface, z, i) for i in range(len(ready))}
    arrays |= {f"mesh.{i}.uv": uv for i, uv in made.items()}
    info: dict[str, Any] = {"material": material, "coverage": round(coverage, 4), "unfilled": _unfilled(phase)}
    info |= {"camera_coverage": round(space.coverage, 4), "views": len(space.views.cameras)}
    info |= {"first_preview": clock.first_preview}
    if report:
        with clock.phase("report"):
            chosen = [states[round(part * (len(states) - 1))] for part in SNAPSHOTS]
            finished = Finished(surface, space, phase, z, painter, tuple(chosen), seed)
            info |= measure(finished)
            arrays |= {"contact_sheet": contact_sheet(finished), "turntable": turntable(finished)}
    yield Result(arrays, info | {"seconds": clock.seconds | {"total": clock.elapsed()}})


def _check(meshes: Sequence[Mesh], cameras: Sequence[Camera], cameras_from: str, model: str) -> None:
    if model not in MODELS:
        raise UnknownName(f"no model is called {model!r}", f"models here: {', '.join(MODELS)}")
    if cameras_from not in CAMERAS_FROM:
        raise InvalidInput(f"no cameras are called {cameras_from!r}", f"choose one of {', '.join(CAMERAS_FROM)}")
    if cameras_from == "scene" and not cameras:
        raise InvalidInput("the job has no scene cameras", "add a camera to the scene or choose automatic cameras")
    if not meshes:
        raise InvalidInput("the job has no mesh", "select at least one mesh object")
    for mesh in meshes:
        check_mesh(mesh)


def _choose(prompt: str, exemplar: np.ndarray | None) -> tuple[dict[str, Any], np.ndarray]:
    """What to paint with: the given picture, or the material that the prompt names."""
    if exemplar is not None:
        return {"name": "reference image", "asked": prompt, "exact": True, "note": ""}, exemplar
    choice = choose_material(prompt)
    info = {"name": choice.name, "asked": choice.asked, "exact": choice.exact, "note": choice.note}
    return info, render(choice.name, TILE, tint=choice.tint)


def _with_uvs(meshes: Sequence[Mesh], texture_size: int) -> tuple[list[Mesh], dict[int, np.ndarray], list[Warning]]:
    """The meshes with usable UVs, the UVs that were made, and why."""
    ready, made, warnings = list(meshes), {}, []
    for i, mesh in enumerate(meshes):
        problem = uv_problems(mesh)
        if problem is None:
            continue
        if mesh.corner_uv is not None:
            warnings.append(
                Warning(f"{mesh.name!r} was unwrapped anew: {problem}", "unwrap it yourself to keep its UVs")
            )
        ready[i] = unwrap(replace(mesh, corner_uv=None), texture_size)
        uv = ready[i].corner_uv
        assert uv is not None
        made[i] = uv
    return ready, made, warnings


def _coverage(views: MeshTextureSpace, phase: Phase) -> float:
    """Fraction of the chart texels that a camera or a decal sees with a cosine above 0.1."""
    best = np.maximum(views.sampling.cosine, phase.space.sampling.cosine)
    return float((best > LEAST_COSINE).mean())


def _unseen(coverage: float) -> Warning:
    return Warning(
        f"{coverage:.1%} of the texels are seen; the others copy what lies nearest",
        "faces inside the object stay unseen from everywhere: delete them, or add scene cameras that look at them",
    )


def _run(
    phase: Phase, clock: _Clock, surface: Surface, states: list[tuple[float, Tensor]], *, keep: bool
) -> Iterator[Event]:
    """Run a phase; `states` gets (s, z) of each step, or only of the last unless `keep`."""
    steps = phase.steps()
    while True:
        with clock.phase(phase.name):
            step = next(steps, None)
        if step is None:
            return
        if not keep:
            states.clear()
        states.append((step.level.s, step.z))
        if clock.first_preview is None:
            clock.first_preview = clock.elapsed()
        yield Progress(phase.name, step.index + 1, step.total)
        stride = -(-surface.size // PREVIEW_SIDE)
        for i in range(len(surface.meshes)):
            yield Preview(i, _image(surface, step.z, i, stride), step.index + 1, step.total)


def _image(surface: Surface, z: Tensor, index: int, stride: int = 1) -> np.ndarray:
    """The texture f4 [T, T, 3] in [0, 1], every `stride`-th texel."""
    colours = (z.numpy() * np.float32(0.5) + np.float32(0.5)).clip(0, 1)
    return colours[surface.nearest[index, ::stride, ::stride]]


def _unfilled(phase: Phase) -> float:
    """Fraction of the chart texels that hold no value: neither seen nor near anything seen on any object."""
    return float((phase.space.fill < 0).mean())


def warm_up() -> None:
    """Compile or load every kernel, by texturing a tetrahedron small."""
    corners = np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    tile = np.random.default_rng(0).random((64, 64, 3), np.float32)
    events = texture(
        [Mesh("warm-up", corners, faces)], exemplar=tile, cameras=[], prompt="", size=128, steps=16, seed=0,
        texture_size=128, views=4, cameras_from="automatic", pattern_scale=1.0, decals=True, report=False,
        model="exemplar",
    )  # fmt: skip
    for _ in events:
        pass
