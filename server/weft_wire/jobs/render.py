"""Pictures of a scene from cameras."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.errors import WireError
from weft_wire.jobs import parts, scenes
from weft_wire.jobs.task import Task
from weft_wire.parameters import param

__all__ = ["RENDER", "RenderParams"]


@dataclass(frozen=True, slots=True)
class RenderParams:
    """What a render job can be asked for."""

    background: str = param(
        "automatic", choices=("automatic", "grey", "white", "black"), help="behind the scene; automatic: its own"
    )


def _check(params: RenderParams, names: frozenset[str]) -> None:
    scenes.check_scene(names)
    if "camera.poses" not in names:
        raise WireError("invalid_camera", "there are no cameras", "send camera.poses and camera.intrinsics")


RENDER = Task(
    name="render",
    help="render a scene from cameras",
    params=RenderParams,
    inputs=(*scenes.SCENE, *parts.CAMERAS),
    results=(
        ArraySpec("view.images", "u1", ("N", "height", "width", 3), "what the cameras see, sRGB"),
        ArraySpec("view.opacities", "u1", ("N", "height", "width"), "0 to 255"),
        ArraySpec("view.depths", "f4", ("N", "height", "width"), "along the viewing axis, 0 where there is nothing"),
    ),
    dimensions=scenes.DIMENSIONS,
    together=scenes.TOGETHER,
    check=_check,
)
