"""Change textures that meshes already have: everywhere, inside a painted mask, or on chosen faces."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.jobs import parts
from weft_wire.jobs.networks import view_size_param
from weft_wire.jobs.task import Task
from weft_wire.jobs.variants import VariantParams
from weft_wire.parameters import param

__all__ = ["RETEXTURE", "RetextureParams"]


@dataclass(frozen=True, slots=True)
class RetextureParams(VariantParams):
    """What a retexture job can be asked for."""

    prompt: str = parts.prompt_param()
    strength: float = param(
        0.6, minimum=0.01, maximum=1, help="how far from the old texture; 1 keeps nothing of it where it is repainted"
    )
    size: int = view_size_param()
    steps: int = parts.steps_param()
    seed: int = parts.seed_param()
    views: int = param(10, minimum=4, maximum=40, help="automatic cameras around the objects, at least")
    cameras: str = parts.cameras_param()
    pattern_scale: float = param(
        1.0, minimum=0.1, maximum=10, help="size of the exemplar on the object; 1 = it spans 0.6 of a view"
    )
    decals: bool = param(True, help="denoise fine detail face-on to the surface")
    report: bool = parts.report_param()


def _check(params: RetextureParams, names: frozenset[str]) -> None:
    parts.check_look(params, names)
    parts.check_cameras(params, names)


RETEXTURE = Task(
    name="retexture",
    help="change the texture that meshes have, all of it or inside a mask",
    params=RetextureParams,
    inputs=(
        *parts.MESH,
        ArraySpec("mesh.<i>.uv", "f4", ("F", 3, 2), "texture coordinates of the corners", required=True),
        ArraySpec(
            "mesh.<i>.texture", "u1", ("H", "W", 3), "the texture to change, sRGB, row 0 is v = 1", required=True
        ),
        ArraySpec("mesh.<i>.mask", "u1", ("H", "W"), "where the texture may change: above 0; everywhere when absent"),
        ArraySpec("mesh.<i>.selected", "u1", ("F",), "faces whose texels may change: above 0; all when absent"),
        parts.EXEMPLAR,
        *parts.CAMERAS,
    ),
    results=(
        ArraySpec("texture.<i>", "u1", ("H", "W", 3), "the texture of object i; what may not change is as it came"),
        parts.CONTACT_SHEET,
        parts.TURNTABLE,
    ),
    dimensions={**parts.MESH_DIMENSIONS, **parts.PICTURE_DIMENSIONS, "N": (1, 256)},
    together=(("camera.poses", "camera.intrinsics"),),
    check=_check,
)
