"""A scene from photographs: Gaussian splats or a NeRF."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.errors import WireError
from weft_wire.jobs import parts, scenes
from weft_wire.jobs.task import Task
from weft_wire.parameters import param

__all__ = ["FIT", "FitParams"]


@dataclass(frozen=True, slots=True)
class FitParams:
    """What a fit job can be asked for."""

    kind: str = param("splats", choices=scenes.KINDS, help="what the scene is made of; tensorf is slow, for reading")
    size: int = param(
        0, minimum=32, maximum=2048, unit="px", zero="192, or 1600 on a GPU", help="longer side of the pictures"
    )
    splats: int = param(
        0, minimum=100, maximum=5_000_000, zero="what suits size and device", help="how many splats at most"
    )
    degree: int = param(1, minimum=0, maximum=3, help="of the harmonics: how finely colours depend on the direction")
    steps: int = param(0, minimum=1, maximum=100_000, zero="what suits the kind", help="steps of the optimiser")
    hold_out: int = param(8, minimum=2, maximum=1000, help="every so manieth picture is held out, to measure by")
    background: str = param(
        "automatic", choices=("automatic", "grey", "white", "black"),
        help="behind everything; automatic: white under pictures with transparency, grey else",
    )  # fmt: skip
    mesh: bool = param(False, help="make a textured mesh of it, too")
    texture_size: int = param(1024, minimum=128, maximum=4096, unit="px", help="side of that mesh's texture")
    seed: int = parts.seed_param()
    report: bool = parts.report_param()


def _check(params: FitParams, names: frozenset[str]) -> None:
    for name in ("view.images", "camera.poses"):
        if name not in names:
            raise WireError("invalid_input", f"{name} is missing", "send pictures and the poses they were taken from")


FIT = Task(
    name="fit",
    help="make Gaussian splats or a NeRF of photographs with poses",
    params=FitParams,
    inputs=(
        *scenes.VIEWS,
        ArraySpec("points.positions", "f4", ("P", 3), "of structure from motion, if known"),
        ArraySpec("points.colors", "u1", ("P", 3), "of these, sRGB"),
        scenes.SCENE[0],
    ),
    results=scenes.RESULTS,
    dimensions=scenes.DIMENSIONS,
    together=(("camera.poses", "camera.intrinsics"), ("points.positions", "points.colors")),
    check=_check,
    resumes=("scene",),
)
