"""Quality and time of textured meshes: every mesh with every material, one row each, and the mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weft.geometry.mesh import Mesh
from weft.io.images import save_image
from weft.tasks.events import Result
from weft.tasks.texture import texture, warm_up

__all__ = ["COLUMNS", "Row", "measure_textures", "table"]

COLUMNS: dict[str, str] = {  # key of the result's info -> heading
    "rerender_psnr": "re-render",
    "view_psnr": "views",
    "pairwise_psnr": "pairwise",
    "sharpness": "sharp",
    "sharpness_own_resolution": "sharp own",
    "seam_energy": "seam",
    "seam_energy_with_rims": "with rims",
    "patch_distance": "patch",
    "coverage": "seen",
    "unfilled": "unfilled",
    "seconds": "seconds",
}


@dataclass(frozen=True)
class Row:
    mesh: str
    material: str
    numbers: dict[str, float]  # by the keys of COLUMNS; seconds without the measuring itself


def measure_textures(
    meshes: Mapping[str, Sequence[Mesh]],
    materials: Sequence[str],
    *,
    size: int,
    steps: int,
    seed: int,
    texture_size: int,
    sheets: str | None = None,
) -> Iterator[Row]:
    """A row for every mesh and material (a prompt); contact sheets go to the folder `sheets` if it is given."""
    warm_up()
    for name, parts in meshes.items():
        for material in materials:
            *_, last = texture(
                parts, exemplar=None, cameras=[], prompt=material, size=size, steps=steps, seed=seed,
                texture_size=texture_size, views=10, cameras_from="automatic", pattern_scale=1.0, decals=True,
                report=True,
            )  # fmt: skip
            assert isinstance(last, Result)
            if sheets is not None:
                save_image(f"{sheets}/{name}-{material.replace(' ', '-')}.png", last.arrays["contact_sheet"])
            seconds = last.info["seconds"]
            numbers = last.info | {"seconds": seconds["total"] - seconds["report"]}
            yield Row(name, material, {key: float(np.nan if numbers[key] is None else numbers[key]) for key in COLUMNS})


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of text: a heading, the rows, their mean."""
    yield f"{'mesh':<12} {'material':<14}" + "".join(f"{heading:>10}" for heading in COLUMNS.values())
    mean = {key: float(np.nanmean([row.numbers[key] for row in rows])) for key in COLUMNS}
    for row in [*rows, Row("mean", f"of {len(rows)}", mean)]:
        yield f"{row.mesh:<12} {row.material:<14}" + "".join(f"{row.numbers[key]:>10.3f}" for key in COLUMNS)
