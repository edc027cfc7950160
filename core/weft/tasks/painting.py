"""What the tasks that paint meshes share: checks, time, the phases one after the other, and the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.geometry.mesh import Mesh, check_mesh
from weft.models.exemplar import Exemplar
from weft.models.materials import choose_material
from weft.spaces.mesh_texture import LEAST_COSINE, MeshTextureSpace
from weft.spaces.surface import Surface
from weft.tasks.edit import Edit
from weft.tasks.events import Event, Preview, Progress, Warning
from weft.tasks.guide import Guide
from weft.tasks.material_tile import material_tile
from weft.tasks.phases import EXEMPLAR_SPAN, Painter, decal_phase, view_phase
from weft.tasks.report import Finished, Phase, contact_sheet, measure, turntable
from weft.tasks.view_plan import WANTED_COVERAGE

__all__ = [
    "Brush",
    "Clock",
    "ExemplarBrush",
    "Painting",
    "check_request",
    "choose_painter",
    "preview_stride",
    "view_side",
]

CAMERAS_FROM = ("automatic", "scene", "both")
VIEW_UNIT = 16  # pixels: views divide evenly into the exemplar denoiser's coarsest cells
VIEW_SIZE = 256  # pixels of its views, unless a job says otherwise
PREVIEW_SIDE = 1024  # pixels of a preview, at most
SNAPSHOTS = (0.1, 0.4, 0.6, 0.75)  # of the way: the states on the contact sheet


class Clock:
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


def check_request(meshes: Sequence[Mesh], cameras: Sequence[Camera], cameras_from: str) -> None:
    if cameras_from not in CAMERAS_FROM:
        raise InvalidInput(f"no cameras are called {cameras_from!r}", f"choose one of {', '.join(CAMERAS_FROM)}")
    if cameras_from == "scene" and not cameras:
        raise InvalidInput("the job has no scene cameras", "add a camera to the scene or choose automatic cameras")
    if not meshes:
        raise InvalidInput("the job has no mesh", "select at least one mesh object")
    for mesh in meshes:
        check_mesh(mesh)


def view_side(size: int) -> int:
    """`size`, or for 0 the usual one, rounded up to what the exemplar denoiser can divide."""
    return -(-(size or VIEW_SIZE) // VIEW_UNIT) * VIEW_UNIT


def choose_painter(
    prompt: str, exemplar: np.ndarray | None, side: int, pattern_scale: float
) -> tuple[dict[str, Any], Painter]:
    """What to paint with: the given picture, or the material that the prompt names; and the report on it."""
    if exemplar is not None:
        material, picture = {"name": "reference image", "asked": prompt, "exact": True, "note": ""}, exemplar
    else:
        choice = choose_material(prompt)
        material = {"name": choice.name, "asked": choice.asked, "exact": choice.exact, "note": choice.note}
        picture = material_tile(choice)
    Exemplar(picture)  # refuses what cannot be painted with
    return material, Painter(picture, EXEMPLAR_SPAN * side * pattern_scale)


class Brush(Protocol):
    """What a surface is painted with."""

    @property
    def guide(self) -> Guide:
        """What the result is to be compared with."""
        ...

    def warnings(self, space: MeshTextureSpace) -> Iterator[Warning]:
        """What a user should know by now, each thing once."""
        ...

    def phases(self, painting: Painting) -> Iterator[Phase]:
        """The phases, each asked for when the one before has ended."""
        ...


@dataclass(frozen=True, eq=False)
class ExemplarBrush:
    """The embedded denoiser: views, then decals, or only one of them."""

    painter: Painter
    steps: int
    decals: bool

    @property
    def guide(self) -> Guide:
        return Guide("exemplar", self.painter.picture, self.painter)

    def warnings(self, space: MeshTextureSpace) -> Iterator[Warning]:
        return iter(())

    def phases(self, painting: Painting) -> Iterator[Phase]:
        edit = painting.edit
        if not self.decals or edit is None or edit.from_noise:
            yield view_phase(
                self.painter, painting.views, alone=not self.decals, steps=self.steps, seed=painting.seed, edit=edit
            )
        if self.decals:
            start = painting.z if painting.states or edit is None else edit.z
            with painting.clock.phase("decal placing"):
                phase = decal_phase(
                    self.painter, painting.surface, painting.views, start, steps=self.steps, seed=painting.seed,
                    edit=edit,
                )  # fmt: skip
            yield phase


@dataclass
class Painting:
    """A surface being painted. Iterate `run`, then `finish`; the result is `z`."""

    surface: Surface
    views: MeshTextureSpace
    brush: Brush
    clock: Clock
    seed: int
    report: bool
    preview: Callable[[Tensor, int], np.ndarray]  # (z, object) -> f4 [h, w, 3]
    edit: Edit | None = None
    states: list[tuple[float, Tensor]] = field(
        default_factory=list
    )  # (s, z) of each step that is shown; without report, of the last
    phase: Phase | None = None  # the last one that began

    @property
    def z(self) -> Tensor:
        return self.states[-1][1]

    def run(self) -> Iterator[Event]:
        """All phases of the brush, with a preview of every object at each step."""
        yield from self.brush.warnings(self.views)
        for phase in self.brush.phases(self):
            yield from self._run(phase)
        if self.edit is not None and self.edit.is_partial and self.phase is not None:
            s, z = self.states[-1]
            self.states[-1] = s, self.edit.softened(self.phase.space, z)

    def _run(self, phase: Phase) -> Iterator[Event]:
        self.phase = phase
        steps = phase.steps()
        while True:
            with self.clock.phase(phase.name):
                step = next(steps, None)
            if step is None:
                return
            yield Progress(phase.name, step.index + 1, step.total)
            yield from self.brush.warnings(self.views)
            if step.z is None:
                continue
            if not self.report:
                self.states.clear()
            self.states.append((step.level.s, step.z))
            if self.clock.first_preview is None:
                self.clock.first_preview = self.clock.elapsed()
            for i in range(len(self.surface.meshes)):
                yield Preview(i, self.preview(step.z, i), step.index + 1, step.total)

    def finish(self, info: dict[str, Any], arrays: dict[str, np.ndarray]) -> Iterator[Event]:
        """Warn of what stayed unseen; add coverage, seconds and, if asked for, measures and pictures."""
        assert self.phase is not None
        coverage = self._coverage(self.phase)
        if coverage < WANTED_COVERAGE:
            yield _unseen(coverage)
        yield Progress("finish", 1, 1, "measuring" if self.report else "baking")
        info |= {"coverage": round(coverage, 4), "unfilled": self._unfilled(self.phase)}
        info |= {"camera_coverage": round(self._share(self.views.sampling.cosine > LEAST_COSINE), 4)}
        info |= {"views": len(self.views.views.cameras), "first_preview": self.clock.first_preview}
        if self.report:
            with self.clock.phase("report"):
                chosen = [self.states[round(part * (len(self.states) - 1))] for part in SNAPSHOTS]
                finished = Finished(
                    self.surface, self.views, self.phase, self.z, self.brush.guide, tuple(chosen), self.seed, self.edit
                )
                info |= measure(finished)
                arrays |= {"contact_sheet": contact_sheet(finished), "turntable": turntable(finished)}
        info |= {"seconds": self.clock.seconds | {"total": self.clock.elapsed()}}

    def _coverage(self, phase: Phase) -> float:
        """Fraction of the painted texels that a camera or a decal sees with a cosine above 0.1."""
        return self._share(np.maximum(self.views.sampling.cosine, phase.space.sampling.cosine) > LEAST_COSINE)

    def _unfilled(self, phase: Phase) -> float:
        """Fraction of the painted texels that hold no value: neither seen nor near anything seen on any object."""
        return self._share(phase.space.fill < 0)

    def _share(self, cells: np.ndarray) -> float:
        return float((cells if self.edit is None else cells[self.edit.cells]).mean())


def preview_stride(side: int) -> int:
    """Every how many-th texel a preview shows."""
    return -(-side // PREVIEW_SIDE)


def _unseen(coverage: float) -> Warning:
    return Warning(
        f"{coverage:.1%} of the texels are seen; the others copy what lies nearest",
        "faces inside the object stay unseen from everywhere: delete them, or add scene cameras that look at them",
    )
