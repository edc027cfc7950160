"""One image that shows another picture when it is turned, flipped, cut up or inverted."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.errors import WireError
from weft_wire.jobs import parts
from weft_wire.jobs.networks import view_size_param
from weft_wire.jobs.task import Task
from weft_wire.jobs.variants import VariantParams
from weft_wire.parameters import param

__all__ = ["ILLUSION", "VIEWS", "IllusionParams"]

VIEWS = (
    "identity", "flip_horizontal", "flip_vertical", "rotate_90", "rotate_180", "rotate_270", "negate", "skew",
    "patch_permutation", "pixel_permutation", "jigsaw", *(f"inner_circle_{angle}" for angle in range(45, 180, 10)),
)  # fmt: skip
_SLOTS = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class IllusionParams(VariantParams):
    """What an illusion job can be asked for."""

    prompt_1: str = param("", maximum=2000, help="what the first view shows, in words")
    view_1: str = param("identity", choices=VIEWS, help="how the image is looked at first")
    prompt_2: str = param("", maximum=2000, help="what the second view shows, in words")
    view_2: str = param("rotate_180", choices=VIEWS, help="how the image is looked at next")
    prompt_3: str = param("", maximum=2000, help="what the third view shows, in words; empty for two views")
    view_3: str = param(
        "flip_vertical", choices=VIEWS, help="how the image is looked at last, if there are three views"
    )
    size: int = view_size_param()
    steps: int = parts.steps_param()
    seed: int = parts.seed_param()
    case: str = parts.case_param()
    report: bool = parts.report_param()


def _check(params: IllusionParams, names: frozenset[str]) -> None:
    pictures = {name for name in names if name.startswith("exemplar.")}
    for name in sorted(pictures - {f"exemplar.{i - 1}.image" for i in _SLOTS}):
        raise WireError("invalid_array", f"there is no view for {name}", f"an illusion has {len(_SLOTS)} views at most")
    shown = [i for i in _SLOTS if getattr(params, f"prompt_{i}").strip() or f"exemplar.{i - 1}.image" in names]
    for i in _SLOTS[:2]:
        if i not in shown:
            raise WireError(
                "invalid_input",
                f"view {i} has neither a prompt nor a reference image",
                "an illusion shows two or three pictures: write a prompt or choose an image for each",
            )
    looks = [getattr(params, f"view_{i}") for i in shown]
    if len(set(looks)) < len(looks):
        twice = next(look for look in looks if looks.count(look) > 1)
        raise WireError("invalid_input", f"two views look at the image alike ({twice})", "give every view another look")


ILLUSION = Task(
    name="illusion",
    help="make an image that shows something else when it is turned, flipped or cut up",
    params=IllusionParams,
    inputs=(
        ArraySpec("exemplar.<i>.image", "u1", ("H", "W", 3), "reference image of view i + 1, sRGB, row 0 is the top"),
    ),
    results=(
        ArraySpec("image", "u1", ("S", "S", 3), "the image, sRGB"),
        ArraySpec("view.<i>", "u1", ("S", "S", 3), "the image as view i + 1 looks at it"),
        ArraySpec("animation", "u1", ("N", "H", "W", 3), "the image changing from view to view"),
        parts.CONTACT_SHEET,
    ),
    dimensions=parts.PICTURE_DIMENSIONS,
    least={"exemplar": 0},
    check=_check,
)
