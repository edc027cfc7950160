"""Move an object in views: as geometry says where it is known, and repainted where nothing was ever seen."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.errors import WireError
from weft_wire.jobs import views
from weft_wire.jobs.task import Task
from weft_wire.parameters import param

__all__ = ["MOVE", "MoveParams"]


@dataclass(frozen=True, slots=True)
class MoveParams(views.ViewsParams):
    """What a move job can be asked for."""

    object: str = param("", maximum=200, help="the name of the mesh that is moved; empty where masks show it")
    strength: float = param(
        0.3, minimum=0, maximum=1, help="how much is painted anew where the views know what is there; holes are always"
    )
    prompt: str = param("", maximum=2000, help="the scene in words, for models with trained weights")


def _check(params: MoveParams, names: frozenset[str]) -> None:
    views.check_views(params, names)
    if not params.object.strip() and "object.masks" not in names:
        raise WireError("invalid_input", "nothing says what is to be moved", "name a mesh, or send masks of the object")
    if params.object.strip() and "object.masks" in names:
        raise WireError("invalid_input", "a mesh is named and masks are sent: which of them moves?", "choose one")
    if "object.masks" in names and "view.images" not in names:
        raise WireError("invalid_array", "object.masks needs view.images beside it", "name the mesh that moves instead")


MOVE = Task(
    name="move",
    help="move an object that views show",
    params=MoveParams,
    inputs=(
        *views.INPUTS,
        ArraySpec("object.masks", "u1", ("N", "height", "width"), "where the object is in every view: above 0"),
        ArraySpec("object.transform", "f4", (4, 4), "the rigid motion, in the world", required=True),
    ),
    results=(*views.RESULTS, ArraySpec("view.holes", "u1", ("N", "height", "width"), "255 where nothing was known")),
    dimensions=views.DIMENSIONS,
    together=views.TOGETHER,
    least={"mesh": 0},
    check=_check,
)
