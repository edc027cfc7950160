"""What jobs on many views of one scene are asked and given alike."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.errors import WireError
from weft_wire.jobs import parts
from weft_wire.jobs.networks import NETWORK, view_size_param
from weft_wire.jobs.variants import VariantParams
from weft_wire.parameters import param

__all__ = ["DIMENSIONS", "INPUTS", "RESULTS", "TOGETHER", "ViewsParams", "check_views"]

WAYS = (
    "automatic", "synchronized", "synchronized_once", "coupled", "per_view", "single_edit", "averaging",
    "averaging_mcmc", "sdedit",
)  # fmt: skip

ALONE = ("synchronized", "synchronized_once", "per_view")  # those that ask nothing of a prior


@dataclass(frozen=True, slots=True)
class ViewsParams(VariantParams):
    """How views are edited together."""

    way: str = param(
        "automatic", choices=WAYS,
        help="how views are kept consistent; automatic: synchronized, or coupled where prior names a model",
    )  # fmt: skip
    prior: str = param(
        "automatic", maximum=120, section=NETWORK,
        help="what makes the other views of an edited one: automatic is the geometry; or a multi-view model",
    )  # fmt: skip
    coupling: float = param(
        0.4, minimum=0, maximum=1, help="how much coupled models take of each other's estimate at every step"
    )
    coupling_lambda: float = param(
        0.0, minimum=0, maximum=100, zero="coupling counts", help="the paper's lambda instead; it depends on steps"
    )  # fmt: skip
    reference: int = param(
        0, minimum=1, maximum=64, zero="the one that sees most", help="the view that is edited first, from 1"
    )
    views: int = param(8, minimum=2, maximum=40, help="automatic cameras, where meshes come without views")
    size: int = view_size_param()
    texture_size: int = param(1024, minimum=128, maximum=4096, unit="px", help="side of the baked textures")
    steps: int = parts.steps_param()
    seed: int = parts.seed_param()
    report: bool = parts.report_param()


INPUTS = (
    ArraySpec(
        "view.images", "u1", ("N", "height", "width", 3),
        "the views, sRGB, row 0 is the top; when absent, views of the textured meshes are drawn",
    ),
    ArraySpec("view.masks", "u1", ("N", "height", "width"), "what may change, above 0; everything when absent"),
    ArraySpec("view.depths", "f4", ("N", "height", "width"), "depth along the viewing axis, 0 or less where unknown"),
    *parts.CAMERAS,
    *parts.MESH,
    ArraySpec("mesh.<i>.uv", "f4", ("F", 3, 2), "texture coordinates of the corners; made with xatlas when absent"),
    ArraySpec("mesh.<i>.texture", "u1", ("H", "W", 3), "the texture of object i, sRGB, row 0 is v = 1"),
    *(ArraySpec(spec.name, spec.dtype, spec.shape, spec.help) for spec in parts.SPLATS),
)  # fmt: skip
RESULTS = (
    ArraySpec("view.images", "u1", ("N", "height", "width", 3), "the edited views, sRGB"),
    ArraySpec("camera.poses", "f4", ("N", 4, 4), "of the views, camera to world, as in the input"),
    ArraySpec("camera.intrinsics", "f4", ("N", 6), "fx fy cx cy width height, in pixels"),
    ArraySpec("texture.<i>", "u1", ("H", "W", 3), "the edit baked into a texture of object i, sRGB, row 0 is v = 1"),
    ArraySpec("mesh.<i>.uv", "f4", ("F", 3, 2), "the coordinates made for object i, if it came without"),
    ArraySpec("splats.dc", "f4", ("S", 3), "the edit baked into the splats' harmonics of degree 0"),
    parts.CONTACT_SHEET,
    parts.TURNTABLE,
)
DIMENSIONS = {
    **parts.MESH_DIMENSIONS, **parts.PICTURE_DIMENSIONS, "N": (1, 64), "height": (32, 2048), "width": (32, 2048),
    "S": (1, 5_000_000),
}  # fmt: skip
TOGETHER = (
    ("camera.poses", "camera.intrinsics"),
    ("splats.means", "splats.quaternions", "splats.log_scales", "splats.logits"),
)


def check_views(params: ViewsParams, names: frozenset[str]) -> None:
    """Raise what no single field or array can know."""
    meshes = any(name.startswith("mesh.") for name in names)
    if "view.images" in names:
        if "camera.poses" not in names:
            raise WireError(
                "invalid_camera", "the views come without poses", "send camera.poses and camera.intrinsics beside them"
            )
    elif not meshes:
        raise WireError("invalid_input", "there are neither views nor meshes to take views of", "send one of them")
    for name in ("view.masks", "view.depths"):
        if name in names and "view.images" not in names:
            raise WireError("invalid_array", f"{name} needs view.images beside it", "send both or neither")
    if params.prior.strip() not in ("", "automatic") and params.way in ALONE:
        raise WireError(
            "invalid_parameter", f"way = {params.way} asks no prior, and {params.prior!r} is named as one",
            "leave way at automatic, or choose coupled",
        )  # fmt: skip
    if meshes and "splats.means" in names:
        raise WireError("invalid_input", "there are both meshes and splats", "send one of them")
