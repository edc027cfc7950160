"""The jobs that Weft does, declared once: parameters, input arrays, results.

The server validates by these declarations, the command line and Blender's panel are generated from them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from weft_wire.arrays import ArrayRef, ArraySpec
from weft_wire.errors import WireError
from weft_wire.parameters import param

__all__ = ["TASKS", "TEXTURE", "Task", "TextureParams", "check_inputs", "task_named"]


@dataclass(frozen=True, slots=True)
class TextureParams:
    """What a texture job can be asked for."""

    prompt: str = param("", maximum=2000, help="what the surface should look like, in words")
    size: int = param(256, minimum=64, maximum=1024, unit="px", help="side of the views that are denoised")
    steps: int = param(30, minimum=4, maximum=200, help="denoising steps; more are finer and slower")
    seed: int = param(0, minimum=0, maximum=2**31 - 1, help="the same seed gives the same texture")
    texture_size: int = param(1024, minimum=128, maximum=4096, unit="px", help="side of the finished textures")
    views: int = param(10, minimum=4, maximum=40, help="automatic cameras around the objects, at least")
    cameras: str = param(
        "automatic", choices=("automatic", "scene", "both"), help="a ring of cameras, those of the scene, or both"
    )
    pattern_scale: float = param(
        1.0, minimum=0.1, maximum=10, help="size of the exemplar on the object; 1 = it spans 0.6 of a view"
    )
    decals: bool = param(True, help="denoise fine detail face-on to the surface")
    report: bool = param(False, help="measure quality and return contact sheet and turntable")
    model: str = param("exemplar", maximum=80, help="the denoiser; `weft models` lists them")


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of job. `dimensions`: least and greatest size of every named dimension; `together`: names that only
    make sense in company; `check(params, names)` raises what no single field can know."""

    name: str
    help: str
    params: type[Any]
    inputs: tuple[ArraySpec, ...]
    results: tuple[ArraySpec, ...]
    dimensions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    together: tuple[tuple[str, ...], ...] = ()
    check: Callable[[Any, frozenset[str]], None] = lambda params, names: None

    def spec_of(self, name: str) -> ArraySpec:
        """The declaration behind the array `name`; unknown names raise."""
        for spec in self.inputs:
            if spec.matches(name):
                return spec
        known = ", ".join(spec.name for spec in self.inputs)
        raise WireError("invalid_array", f"{name!r} is no input of {self.name}", f"its inputs: {known}")


def _check_texture(params: TextureParams, names: frozenset[str]) -> None:
    if not params.prompt.strip() and "exemplar" not in names:
        raise WireError(
            "invalid_input", "there is neither a prompt nor a reference image", "write a prompt or choose an image"
        )
    if params.cameras != "automatic" and "camera.poses" not in names:
        raise WireError(
            "invalid_camera", f"cameras = {params.cameras} but the scene has no camera", "add a camera or use automatic"
        )


TEXTURE = Task(
    name="texture",
    help="texture meshes from words or from a picture",
    params=TextureParams,
    inputs=(
        ArraySpec("mesh.<i>.vertices", "f4", ("V", 3), "positions in the world", required=True),
        ArraySpec("mesh.<i>.faces", "i4", ("F", 3), "triangles, as indices of vertices", required=True, index_of="V"),
        ArraySpec("mesh.<i>.uv", "f4", ("F", 3, 2), "texture coordinates of the corners; made with xatlas when absent"),
        ArraySpec("exemplar", "u1", ("H", "W", 3), "reference image, sRGB, row 0 is the top"),
        ArraySpec("camera.poses", "f4", ("N", 4, 4), "camera to world, +X right, +Y up, looking along -Z"),
        ArraySpec("camera.intrinsics", "f4", ("N", 6), "fx fy cx cy width height, in pixels"),
    ),
    results=(
        ArraySpec("texture.<i>", "u1", ("T", "T", 3), "the texture of object i, sRGB, row 0 is v = 1"),
        ArraySpec("mesh.<i>.uv", "f4", ("F", 3, 2), "the coordinates made for object i, if it came without"),
        ArraySpec("contact_sheet", "u1", ("H", "W", 3), "exemplar, views, steps and new angles in one image (report)"),
        ArraySpec("turntable", "u1", ("N", "H", "W", 3), "the textured objects, turning (report)"),
    ),
    dimensions={"V": (3, 50_000_000), "F": (1, 50_000_000), "H": (16, 8192), "W": (16, 8192), "N": (1, 256)},
    together=(("camera.poses", "camera.intrinsics"),),
    check=_check_texture,
)

TASKS: dict[str, Task] = {TEXTURE.name: TEXTURE}


def task_named(name: str, tasks: Mapping[str, Task] = TASKS) -> Task:
    """The declaration of a task; unknown names raise."""
    if name not in tasks:
        raise WireError("unknown_task", f"there is no task {name!r}", f"tasks: {', '.join(tasks)}")
    return tasks[name]


def check_inputs(task: Task, params: Any, refs: Iterable[ArrayRef]) -> dict[str, dict[str, int]]:
    """Check names, types and shapes without touching a byte; return the dimensions of every group of arrays."""
    groups: dict[str, dict[str, int]] = {}
    by_name: dict[str, ArrayRef] = {}
    for ref in refs:
        if ref.name in by_name:
            raise WireError("invalid_array", f"{ref.name} is given twice", "give every array once")
        by_name[ref.name] = ref
        _fit_shape(task, ref, groups.setdefault(group_of(ref.name), {}))
    _check_company(task, by_name)
    task.check(params, frozenset(by_name))
    return groups


def group_of(name: str) -> str:
    """Arrays whose names agree up to the last dot share their dimensions."""
    return name.rpartition(".")[0]


def _fit_shape(task: Task, ref: ArrayRef, dimensions: dict[str, int]) -> None:
    spec = task.spec_of(ref.name)
    expected = f"{spec.dtype} [{', '.join(map(str, spec.shape))}]"
    actual = f"{ref.dtype} [{', '.join(map(str, ref.shape))}]"
    if ref.dtype != spec.dtype or len(ref.shape) != len(spec.shape):
        raise WireError("invalid_array", f"{ref.name} must be {expected}, not {actual}", spec.help)
    for side, size in zip(spec.shape, ref.shape, strict=True):
        wanted = side if isinstance(side, int) else dimensions.setdefault(side, size)
        if size != wanted:
            where = "" if isinstance(side, int) else f" with {side} = {wanted}, as in the arrays beside it"
            raise WireError("invalid_array", f"{ref.name} must be {expected}{where}, not {actual}", spec.help)
        low, high = task.dimensions.get(str(side), (0, size))
        if not low <= size <= high:
            message = f"{side} of {ref.name} must be between {low} and {high}, not {size}"
            raise WireError("invalid_array", message, spec.help)


def _check_company(task: Task, by_name: Mapping[str, ArrayRef]) -> None:
    """Required arrays are there, objects are counted 0, 1, 2 … without gaps, companions come together."""
    numbers = {int(match[1]) for name in by_name if (match := re.match(r"\w+\.(\d+)(\.|$)", name))}
    for number in range(max(len(numbers), 1)):
        for spec in task.inputs:
            wanted = spec.name.replace("<i>", str(number))
            if spec.required and wanted not in by_name:
                raise WireError("invalid_array", f"{wanted} is missing", spec.help)
    for names in task.together:
        present = [name for name in names if name in by_name]
        if present and len(present) < len(names):
            absent = next(name for name in names if name not in by_name)
            raise WireError("invalid_array", f"{present[0]} needs {absent} beside it", "send both or neither")
