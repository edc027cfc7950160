"""A panorama, or any image too large for the model, changed as one; regions of it each in their own way."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.errors import WireError
from weft_wire.jobs import parts
from weft_wire.jobs.distillation import DistillationParams
from weft_wire.jobs.networks import view_size_param
from weft_wire.jobs.task import Task
from weft_wire.parameters import param

__all__ = ["EDIT_PANORAMA", "REGIONS", "EditPanoramaParams"]

REGIONS = 4


@dataclass(frozen=True, slots=True)
class EditPanoramaParams(DistillationParams):
    """What an edit-panorama job can be asked for."""

    shape: str = param(
        "automatic", choices=("automatic", "sphere", "wide"),
        help="all around, where left meets right, or a wide image; automatic: 2:1 is a sphere",
    )  # fmt: skip
    window: int = view_size_param()
    batch: int = param(0, minimum=1, maximum=64, zero="what suits the model", help="windows of one step")
    prompt_1: str = param("", maximum=2000, help="what region 1 should look like, in words")
    prompt_2: str = param("", maximum=2000, help="what region 2 should look like, in words")
    prompt_3: str = param("", maximum=2000, help="what region 3 should look like, in words")
    prompt_4: str = param("", maximum=2000, help="what region 4 should look like, in words")


def _check(params: EditPanoramaParams, names: frozenset[str]) -> None:
    parts.check_noise(params)
    regions = [i for i in range(REGIONS) if f"region.{i}.mask" in names]
    for i in range(REGIONS):
        words = getattr(params, f"prompt_{i + 1}").strip()
        looks = bool(words) or f"region.{i}.exemplar" in names
        if looks and i not in regions:
            raise WireError("invalid_input", f"region {i + 1} has no mask", "paint one, as large as the panorama")
        if i in regions and not looks:
            message = f"region {i + 1} has neither a prompt nor a reference image"
            raise WireError("invalid_input", message, "write a prompt or choose an image for it")
    known = {f"region.{i}.{part}" for i in range(REGIONS) for part in ("mask", "exemplar")}
    for name in sorted(names):
        if name.startswith("region.") and name not in known:
            raise WireError("invalid_array", f"there is no {name}", f"there are at most {REGIONS} regions")
    if not regions:
        parts.check_look(params, names)


EDIT_PANORAMA = Task(
    name="edit_panorama",
    help="change a panorama or a large image as one, by words or a picture",
    params=EditPanoramaParams,
    inputs=(
        ArraySpec("image", "u1", ("rows", "columns", 3), "what is edited, sRGB, row 0 is the top", required=True),
        ArraySpec("mask", "u1", ("rows", "columns"), "what may change, above 0; everything when absent"),
        parts.EXEMPLAR,
        ArraySpec("region.<i>.mask", "u1", ("rows", "columns"), "where region i is, above 0"),
        ArraySpec("region.<i>.exemplar", "u1", ("H", "W", 3), "reference image of region i, sRGB"),
    ),
    results=(
        ArraySpec("panorama", "u1", ("H", "W", 3), "the edited image, sRGB, as large as the input"),
        parts.CONTACT_SHEET,
    ),
    dimensions={**parts.PICTURE_DIMENSIONS, "rows": (64, 4096), "columns": (64, 8192)},
    check=_check,
)
