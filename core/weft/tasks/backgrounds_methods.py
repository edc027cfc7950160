"""The ways to keep an object and to change what is around it, as data.

| method | object's noise | noise around it | begins at | beside that |
|---|---|---|---|---|
| coupled          | inverted | repulsive (or ρ) | noise | steps on the object's noise |
| inversion        | inverted | inverted         | noise | |
| object-inversion | inverted | independent      | noise | |
| sdedit           | drawn    | independent      | the photograph, noised | |
| inpainting       | drawn    | independent      | noise | the object is put back at every noise level |

*Couple to Control: Joint Initial Noise Design in Diffusion Models*, 2026, and its baselines. SDEdit: Meng et al. 2022.
Inpainting by a model that never learned to: Lugmayr et al. 2022, "RePaint", without its resampling.
"""

from __future__ import annotations

from dataclasses import dataclass

from weft.errors import InvalidInput

__all__ = ["METHODS", "Method", "find_method"]


@dataclass(frozen=True)
class Method:
    """A row."""

    name: str
    object_noise: str = "drawn"  # or "inverted"
    around: str = "independent"  # or "inverted", or "coupled": as the job asks
    begin: float = 1.0  # part of the steps that is walked, over the noised photograph where it is not all of them
    held: bool = False  # whether the photograph's object replaces the denoiser's in every estimate
    optimized: bool = False  # whether steps are taken on the object's noise


_ROWS = (
    Method("coupled", "inverted", "coupled", optimized=True),
    Method("inversion", "inverted", "inverted"),
    Method("object-inversion", "inverted"),
    Method("sdedit", begin=0.5),
    Method("inpainting", held=True),
)
METHODS: dict[str, Method] = {row.name: row for row in _ROWS}


def find_method(name: str) -> Method:
    if name not in METHODS:
        raise InvalidInput(f"no method is called {name!r}", f"choose one of {', '.join(METHODS)}")
    return METHODS[name]
