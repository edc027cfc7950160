"""A video changed frame by frame, and yet as one."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.jobs import parts
from weft_wire.jobs.distillation import DistillationParams
from weft_wire.jobs.networks import view_size_param
from weft_wire.jobs.task import Task
from weft_wire.parameters import param

__all__ = ["EDIT_VIDEO", "EditVideoParams"]


@dataclass(frozen=True, slots=True)
class EditVideoParams(DistillationParams):
    """What an edit-video job can be asked for."""

    size: int = view_size_param()
    batch: int = param(0, minimum=1, maximum=64, zero="what suits the model", help="frames of one step, at random")


def _check(params: EditVideoParams, names: frozenset[str]) -> None:
    parts.check_look(params, names)
    parts.check_noise(params)


EDIT_VIDEO = Task(
    name="edit_video",
    help="change a video by words or a picture, without flicker",
    params=EditVideoParams,
    inputs=(
        ArraySpec("frames", "u1", ("N", "height", "width", 3), "in order, sRGB, row 0 is the top", required=True),
        ArraySpec("masks", "u1", ("N", "height", "width"), "what may change, above 0; everything when absent"),
        parts.EXEMPLAR,
    ),
    results=(
        ArraySpec("frames", "u1", ("N", "height", "width", 3), "the edited frames, as large as the input, sRGB"),
        parts.CONTACT_SHEET,
    ),
    dimensions={**parts.PICTURE_DIMENSIONS, "N": (2, 1000), "height": (32, 2048), "width": (32, 2048)},
    check=_check,
)
