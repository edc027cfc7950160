"""Panoramas: wide images and full spheres, from words or a picture, with or without depth."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.errors import WireError
from weft_wire.jobs import parts
from weft_wire.jobs.networks import view_size_param
from weft_wire.jobs.task import Task
from weft_wire.jobs.variants import VariantParams
from weft_wire.parameters import param

__all__ = ["PANORAMA", "PanoramaParams"]


@dataclass(frozen=True, slots=True)
class PanoramaParams(VariantParams):
    """What a panorama job can be asked for."""

    prompt: str = parts.prompt_param()
    shape: str = param("sphere", choices=("sphere", "wide"), help="all around (2:1), or a wide image")
    width: int = param(1024, minimum=256, maximum=8192, unit="px", help="width; a sphere is half as high")
    height: int = param(
        256, minimum=64, maximum=2048, unit="px", help="height of a wide image; at most half its width around meshes"
    )
    window: int = view_size_param()
    steps: int = parts.steps_param()
    seed: int = parts.seed_param()
    pattern_scale: float = param(
        1.0, minimum=0.1, maximum=10, help="size of the exemplar in the panorama; 1 = it spans a view"
    )
    case: str = parts.case_param()
    report: bool = parts.report_param()


def _check(params: PanoramaParams, names: frozenset[str]) -> None:
    parts.check_look(params, names)
    meshes = any(name.startswith("mesh.") for name in names)
    if meshes and params.shape == "wide" and params.height > params.width / 2:
        raise WireError(
            "invalid_input",
            f"a band of {params.width} x {params.height} px around a scene is higher than a sphere",
            "make it at most half as high as wide",
        )
    if meshes and "depth" in names:
        raise WireError("invalid_input", "there are both a depth map and meshes", "send one of them")
    if "viewpoint" in names and not meshes:
        raise WireError("invalid_input", "there is a viewpoint without meshes to stand in", "send the meshes too")


PANORAMA = Task(
    name="panorama",
    help="make a wide or spherical panorama, from words or from a picture",
    params=PanoramaParams,
    inputs=(
        parts.EXEMPLAR,
        ArraySpec(
            "depth",
            "f4",
            ("rows", "columns"),
            "distance of what the panorama shows, 0 or less for sky, as wide as it is",
        ),
        *parts.MESH,
        ArraySpec("viewpoint", "f4", (3,), "where the panorama is taken from; the middle of the meshes when absent"),
    ),
    results=(
        ArraySpec("panorama", "u1", ("H", "W", 3), "the panorama, sRGB; the middle of a sphere looks towards +X"),
        parts.CONTACT_SHEET,
        parts.TURNTABLE,
    ),
    dimensions={**parts.MESH_DIMENSIONS, **parts.PICTURE_DIMENSIONS, "rows": (16, 8192), "columns": (16, 16384)},
    least={"mesh": 0},
    check=_check,
)
