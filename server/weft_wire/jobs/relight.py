"""Put what views show under another light, consistently, and bake it back into textures or splats."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.errors import WireError
from weft_wire.jobs import views
from weft_wire.jobs.task import Task
from weft_wire.parameters import param

__all__ = ["RELIGHT", "RelightParams"]

LIGHTS = "studio, overcast, noon, sunset, rim, moonlight, candle, neon"  # all that are built in


@dataclass(frozen=True, slots=True)
class RelightParams(views.ViewsParams):
    """What a relight job can be asked for."""

    light: str = param("", maximum=80, help=f"a built-in light: {LIGHTS}; empty where an environment map is sent")
    rotation: float = param(0.0, minimum=-360, maximum=360, unit="°", help="turn the light about the up axis")
    exposure: float = param(0.0, minimum=-10, maximum=10, unit="EV", help="brighten or darken the light")
    old_light: str = param(
        "automatic", maximum=80,
        help="the light that the views show: a built-in one, none for textures that hold no light, or automatic",
    )  # fmt: skip
    shadows: bool = param(True, help="let objects shade themselves, where their geometry is known")
    prompt: str = param("", maximum=2000, help="the light in words, for models with trained weights")


def _check(params: RelightParams, names: frozenset[str]) -> None:
    views.check_views(params, names)
    if not params.light.strip() and "environment" not in names and not params.prompt.strip():
        remedy = f"send an environment map, or name a light: {LIGHTS}"
        raise WireError("invalid_input", "there is no light to put the views under", remedy)
    if params.light.strip() and "environment" in names:
        raise WireError("invalid_input", "there are two lights: a name and a map", "choose one of them")


SIDES = {"rows": (2, 8192), "columns": (4, 16384), "old_rows": (2, 8192), "old_columns": (4, 16384)}

RELIGHT = Task(
    name="relight",
    help="put what views show under another light",
    params=RelightParams,
    inputs=(
        *views.INPUTS,
        ArraySpec("environment", "f4", ("rows", "columns", 3), "the light, linear RGB, 2:1, +Z up, middle +X"),
        ArraySpec("old_environment", "f4", ("old_rows", "old_columns", 3), "the light that the views show"),
    ),
    results=views.RESULTS,
    dimensions={**views.DIMENSIONS, **SIDES},
    together=views.TOGETHER,
    least={"mesh": 0},
    check=_check,
)
