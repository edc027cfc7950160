"""Texture meshes from words or from a picture."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.jobs import parts
from weft_wire.jobs.networks import view_size_param
from weft_wire.jobs.task import Task
from weft_wire.jobs.variants import VariantParams
from weft_wire.parameters import param

__all__ = ["TEXTURE", "TextureParams"]


@dataclass(frozen=True, slots=True)
class TextureParams(VariantParams):
    """What a texture job can be asked for."""

    prompt: str = parts.prompt_param()
    size: int = view_size_param()
    steps: int = parts.steps_param()
    seed: int = parts.seed_param()
    texture_size: int = param(1024, minimum=128, maximum=4096, unit="px", help="side of the finished textures")
    views: int = param(10, minimum=4, maximum=40, help="automatic cameras around the objects, at least")
    cameras: str = parts.cameras_param()
    pattern_scale: float = param(
        1.0, minimum=0.1, maximum=10, help="size of the exemplar on the object; 1 = it spans 0.6 of a view"
    )
    decals: bool = param(True, help="denoise fine detail face-on to the surface")
    report: bool = parts.report_param()


def _check(params: TextureParams, names: frozenset[str]) -> None:
    parts.check_look(params, names)
    parts.check_cameras(params, names)


TEXTURE = Task(
    name="texture",
    help="texture meshes from words or from a picture",
    params=TextureParams,
    inputs=(
        *parts.MESH,
        ArraySpec("mesh.<i>.uv", "f4", ("F", 3, 2), "texture coordinates of the corners; made with xatlas when absent"),
        parts.EXEMPLAR,
        *parts.CAMERAS,
    ),
    results=(
        ArraySpec("texture.<i>", "u1", ("T", "T", 3), "the texture of object i, sRGB, row 0 is v = 1"),
        ArraySpec("mesh.<i>.uv", "f4", ("F", 3, 2), "the coordinates made for object i, if it came without"),
        parts.CONTACT_SHEET,
        parts.TURNTABLE,
    ),
    dimensions={**parts.MESH_DIMENSIONS, **parts.PICTURE_DIMENSIONS, "N": (1, 256)},
    together=(("camera.poses", "camera.intrinsics"),),
    check=_check,
)
