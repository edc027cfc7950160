"""Paint views anew in the style of a picture or of words, consistently, and bake it back into textures or splats."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.jobs import parts, views
from weft_wire.jobs.task import Task
from weft_wire.parameters import param

__all__ = ["STYLIZE", "StylizeParams"]


@dataclass(frozen=True, slots=True)
class StylizeParams(views.ViewsParams):
    """What a stylize job can be asked for."""

    prompt: str = parts.prompt_param()
    guide: str = param(
        "automatic", choices=("automatic", "luminance", "normals"),
        help="what says where which part of the style goes: the views' lightness, or, for a painted sphere, normals",
    )  # fmt: skip
    fidelity: float = param(
        0.6, minimum=0, maximum=1, help="how closely the views' own shapes are kept; 0 lets the style flow freely"
    )
    pattern_scale: float = param(
        1.0, minimum=0.1, maximum=10, help="size of the style's strokes; 1 = the picture spans a view"
    )


def _check(params: StylizeParams, names: frozenset[str]) -> None:
    views.check_views(params, names)
    parts.check_look(params, names)


STYLIZE = Task(
    name="stylize",
    help="paint views in the style of a picture",
    params=StylizeParams,
    inputs=(*views.INPUTS, parts.EXEMPLAR),
    results=views.RESULTS,
    dimensions=views.DIMENSIONS,
    together=views.TOGETHER,
    least={"mesh": 0},
    check=_check,
)
