"""New colours for Gaussian splats; where they are, how large and how opaque stays as it is."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.errors import WireError
from weft_wire.jobs import parts
from weft_wire.jobs.networks import view_size_param
from weft_wire.jobs.task import Task
from weft_wire.jobs.variants import VariantParams
from weft_wire.parameters import param

__all__ = ["SPLAT_TEXTURE", "SplatTextureParams"]


@dataclass(frozen=True, slots=True)
class SplatTextureParams(VariantParams):
    """What a splat-texture job can be asked for."""

    prompt: str = parts.prompt_param()
    up: str = param(
        "-y", choices=("-y", "y", "z"), help="which way is up in the splats' frame; files have -y as a rule"
    )
    size: int = view_size_param()
    steps: int = parts.steps_param()
    seed: int = parts.seed_param()
    views: int = param(50, minimum=8, maximum=200, help="automatic cameras around the splats")
    cameras: str = parts.cameras_param()
    pattern_scale: float = param(
        1.0, minimum=0.1, maximum=10, help="size of the exemplar on the object; 1 = it spans 0.6 of a view"
    )
    report: bool = parts.report_param()


def _check(params: SplatTextureParams, names: frozenset[str]) -> None:
    parts.check_look(params, names)
    parts.check_cameras(params, names)
    if params.synchronize == "latents":
        raise WireError(
            "invalid_parameter", "splats cannot share latents: a view mixes many of them", "leave it at automatic"
        )


SPLAT_TEXTURE = Task(
    name="splat_texture",
    help="give Gaussian splats new colours, from words or from a picture",
    params=SplatTextureParams,
    inputs=(
        *parts.SPLATS,
        parts.EXEMPLAR,
        *parts.CAMERAS,
    ),
    results=(
        ArraySpec(
            "splats.dc", "f4", ("S", 3), "spherical harmonics of degree 0: colour = 0.5 + 0.28209479177387814 dc"
        ),
        parts.CONTACT_SHEET,
        parts.TURNTABLE,
    ),
    dimensions={"S": (1, 5_000_000), **parts.PICTURE_DIMENSIONS, "N": (1, 1024)},
    together=(("camera.poses", "camera.intrinsics"),),
    check=_check,
)
