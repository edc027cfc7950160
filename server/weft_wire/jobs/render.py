"""Pictures of a scene, from cameras or from all around it."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
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
    views: int = param(36, minimum=1, maximum=1000, help="how many, where no cameras are sent: all around it")
    size: int = param(
        0, minimum=16, maximum=2048, unit="px", zero="the cameras' own, or 512", help="longer side of the pictures"
    )
    up: str = param("-y", choices=("-y", "y", "z"), help="which way is up, for views all around splats; files have -y")


def _check(params: RenderParams, names: frozenset[str]) -> None:
    scenes.check_scene(names)


RENDER = Task(
    name="render",
    help="render a scene, from cameras or from all around",
    params=RenderParams,
    inputs=(*scenes.SCENE, *parts.CAMERAS),
    results=(
        ArraySpec("view.images", "u1", ("N", "height", "width", 3), "what the cameras see, sRGB"),
        ArraySpec("view.opacities", "u1", ("N", "height", "width"), "0 to 255"),
        *parts.CAMERAS,
        ArraySpec("view.depths", "f4", ("N", "height", "width"), "along the viewing axis, 0 where there is nothing"),
    ),
    dimensions=scenes.DIMENSIONS,
    together=scenes.TOGETHER,
    check=_check,
)
