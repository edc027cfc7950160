"""The object of a photograph kept, and what is around it varied."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.jobs import parts
from weft_wire.jobs.networks import NetworkParams
from weft_wire.jobs.task import Task
from weft_wire.jobs.variants import MOST, rho_of
from weft_wire.parameters import param

__all__ = ["BACKGROUNDS", "METHODS", "BackgroundsParams"]

METHODS = ("coupled", "inversion", "object-inversion", "sdedit", "inpainting")


@dataclass(frozen=True, slots=True)
class BackgroundsParams(NetworkParams):
    """What a backgrounds job can be asked for. One job makes all variants: they share the object."""

    prompt: str = param(
        "", maximum=2000, help="what is to be around the object, in words; empty: more of what the photograph shows"
    )
    variants: int = param(4, minimum=2, maximum=MOST, help="how many backgrounds there are to be")
    correlation: str = param(
        "repulsive", maximum=40,
        help="of their noises: repulsive, independent, identical, or a number between -1/(variants-1) and 1",
    )  # fmt: skip
    method: str = param(
        "coupled", choices=METHODS, help="how the object is kept; all but the first are to compare with"
    )
    optimize: int = param(25, minimum=0, maximum=200, help="steps that make the object what it was; coupled only")
    rate: float = param(0.1, minimum=0.001, maximum=1, help="how much such a step changes of the noise")
    steps: int = param(
        0, minimum=4, maximum=200, zero="what suits the model, 12 without weights", help="denoising steps"
    )
    size: int = param(
        0, minimum=96, maximum=2048, unit="px", zero="what the model likes, 256 px without weights",
        help="longer side at which backgrounds are made; they come back as large as the photograph",
    )  # fmt: skip
    pattern_scale: float = param(
        1.0, minimum=0.1, maximum=10, help="size of the pattern around the object; networks go by words"
    )
    compare: bool = param(False, help="measure all methods, after several numbers of steps, too")
    seed: int = parts.seed_param()
    report: bool = param(False, help="measure quality and return a contact sheet")


def _check(params: BackgroundsParams, names: frozenset[str]) -> None:
    rho_of(params.variants, params.correlation)


BACKGROUNDS = Task(
    name="backgrounds",
    help="keep the object of a photograph, vary what is around it",
    params=BackgroundsParams,
    inputs=(
        ArraySpec("image", "u1", ("rows", "columns", 3), "the photograph, sRGB, row 0 is the top", required=True),
        ArraySpec("mask", "u1", ("rows", "columns"), "where the object is, above 0", required=True),
        parts.EXEMPLAR,
    ),
    results=(
        ArraySpec("backgrounds", "u1", ("N", "H", "W", 3), "the photograph with each of them, sRGB, as large as it"),
        parts.CONTACT_SHEET,
    ),
    dimensions={**parts.PICTURE_DIMENSIONS, "rows": (64, 4096), "columns": (64, 4096)},
    check=_check,
)
