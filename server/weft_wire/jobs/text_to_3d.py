"""A scene from words, or from a proxy's shape and a material: score distillation without a picture to begin with."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.jobs import parts, scenes
from weft_wire.jobs.task import Task
from weft_wire.jobs.variants import VariantParams
from weft_wire.parameters import param

__all__ = ["TEXT_TO_3D", "TextTo3dParams"]


@dataclass(frozen=True, slots=True)
class TextTo3dParams(VariantParams):
    """What a text-to-3d job can be asked for."""

    prompt: str = parts.prompt_param()
    kind: str = param("splats", choices=scenes.KINDS, help="what the scene is made of")
    rule: str = param("csd", choices=("csd", "sds"), help="csd: the views of a step together; sds: each alone")
    size: int = param(64, minimum=32, maximum=1024, unit="px", help="side of the renders")
    batch: int = param(4, minimum=1, maximum=64, help="views of one step")
    splats: int = param(10_000, minimum=100, maximum=1_000_000, help="how many splats at most")
    steps: int = param(0, minimum=1, maximum=100_000, zero="what suits the model", help="steps of the distillation")
    view_words: bool = param(True, help="say in the prompt where it is looked from")
    pattern_scale: float = param(
        1.0, minimum=0.1, maximum=10, help="size of the material's detail; 1 = the picture spans a view"
    )
    seed: int = parts.seed_param()
    report: bool = parts.report_param()


def _check(params: TextTo3dParams, names: frozenset[str]) -> None:
    parts.check_look(params, names)


TEXT_TO_3D = Task(
    name="text_to_3d",
    help="make splats or a NeRF from words, or from a proxy mesh and a material",
    params=TextTo3dParams,
    inputs=(*parts.MESH, parts.EXEMPLAR),
    results=scenes.RESULTS,
    dimensions=scenes.DIMENSIONS,
    least={"mesh": 0},
    check=_check,
)
