"""A scene changed by words or a picture: its views are edited together, and it learns them."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.jobs import parts, scenes
from weft_wire.jobs.distillation import DistillationParams
from weft_wire.jobs.networks import view_size_param
from weft_wire.jobs.task import Task
from weft_wire.parameters import param

__all__ = ["EDIT_SCENE", "EditSceneParams"]


@dataclass(frozen=True, slots=True)
class EditSceneParams(DistillationParams):
    """What an edit-scene job can be asked for."""

    schedule: str = param(
        "csd", choices=("csd", "one_by_one"),
        help="csd: batches of views are edited together; one_by_one: single views in turn, as IN2N and IGS2GS do",
    )  # fmt: skip
    change: str = param(
        "automatic", choices=("automatic", "colors", "all"),
        help="colors: positions, sizes and opacities stay as they are, to the bit; automatic: colors of splats alone",
    )  # fmt: skip
    size: int = view_size_param()
    views: int = param(24, minimum=2, maximum=200, help="automatic cameras, where the scene comes without views")
    up: str = param("-y", choices=("-y", "y", "z"), help="which way is up, for automatic cameras; splats have -y")
    batch: int = param(16, minimum=1, maximum=64, help="views that are edited together")
    every: int = param(
        0, minimum=1, maximum=100_000, zero="what suits the schedule", help="scene steps from one batch to the next"
    )
    scene_steps: int = param(
        0, minimum=1, maximum=100_000, zero="what suits the schedule", help="steps of the scene altogether"
    )
    anchor: float = param(0.0, minimum=0, maximum=100, help="how strongly splats are held where they were")


def _check(params: EditSceneParams, names: frozenset[str]) -> None:
    scenes.check_scene(names)
    parts.check_look(params, names)
    parts.check_noise(params)


EDIT_SCENE = Task(
    name="edit_scene",
    help="change splats or a NeRF by words or a picture",
    params=EditSceneParams,
    inputs=(
        *scenes.SCENE,
        *scenes.VIEWS,
        parts.EXEMPLAR,
        ArraySpec("region.box", "f4", (2, 3), "only what lies between these corners may change"),
        ArraySpec("region.selected", "u1", ("S",), "only splats above 0 may change"),
        ArraySpec("mesh.<i>.vertices", "f4", ("V", 3), "closed meshes: only what lies inside one may change"),
        ArraySpec("mesh.<i>.faces", "i4", ("F", 3), "their triangles", index_of="V"),
    ),
    results=scenes.RESULTS,
    dimensions=scenes.DIMENSIONS,
    together=scenes.TOGETHER,
    check=_check,
)
