"""What every job is asked alike that may be one of several variants: a gallery is as many jobs as it has variants.

Their noises are coupled, ε_i = Σ_j B_ij ξ_j with rows of B of length 1, and nothing else differs between them; so each
job can be run by itself, again, or on another server. What counts of B is B Bᵀ; of all that have it, the triangular one
is taken, so the first variant is what the seed makes by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from weft_wire.arrays import ArraySpec
from weft_wire.errors import WireError
from weft_wire.jobs.networks import NetworkParams
from weft_wire.parameters import param

__all__ = [
    "ARRAYS", "CORRELATIONS", "DIMENSIONS", "GALLERY", "MOST", "THUMBNAIL", "VariantParams", "check_variant", "rho_of",
    "rho_range",
]  # fmt: skip

GALLERY = "gallery"  # the section of these parameters
MOST = 16  # variants of a gallery
CORRELATIONS = ("repulsive", "independent", "identical")  # that have names
_SLACK = 1e-6  # by which a correlation in text may be beyond the range: -0.3333333 is meant for -1/3

ARRAYS = (
    ArraySpec(
        "coupling", "f4", ("variants", "noises"),
        "B, a row for each variant, instead of correlation; the rows' products are the variants' correlations",
    ),
    ArraySpec(
        "anchor", "f4", ("kept",),
        "the row of an earlier variant, which takes the place of the first noise: variants like it, or unlike it",
    ),
)  # fmt: skip
THUMBNAIL = ArraySpec(
    "thumbnail", "u1", ("height", "width", 3), "the result from one side, small (of one of several variants), sRGB"
)
DIMENSIONS = {"variants": (2, MOST), "noises": (1, 256), "kept": (1, 256)}


@dataclass(frozen=True, slots=True)
class VariantParams(NetworkParams):
    """Which of how many variants a job makes, beside the model that makes it."""

    variants: int = param(
        1, minimum=1, maximum=MOST, section=GALLERY, help="how many variants of the result there are to be"
    )
    variant: int = param(
        1, minimum=1, maximum=MOST, section=GALLERY,
        help="which of them this job makes; the first is what the seed makes by itself",
    )  # fmt: skip
    correlation: str = param(
        "repulsive", maximum=40, section=GALLERY,
        help="of the variants' noises: repulsive, independent, identical, or a number between -1/(variants-1) and 1",
    )  # fmt: skip


def rho_range(variants: int) -> tuple[float, float]:
    """The correlations that so many noises can all have with each other; two or more."""
    return -1 / (variants - 1), 1.0


def rho_of(variants: int, correlation: str) -> float:
    """The correlation of so many noises by its name, or the number in range. Raises for all else, naming the range."""
    low, high = rho_range(variants)
    named = dict(zip(CORRELATIONS, (low, 0.0, high), strict=True))
    text = correlation.strip().lower()
    if text in named:
        return named[text]
    try:
        rho = float(text)
    except ValueError:
        message = f"correlation = {correlation!r} is neither a number nor {', '.join(CORRELATIONS)}"
        raise WireError("invalid_parameter", message, "repulsive gives the most different variants") from None
    if not low - _SLACK <= rho <= high:
        message = f"{variants} variants cannot all be correlated by {text}"
        raise WireError("invalid_parameter", message, f"choose a correlation between {low:.4g} and {high:g}")
    return max(rho, low)


def check_variant(params: VariantParams, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise what no single field can know; `shapes` of the arrays that came."""
    if params.variant > params.variants:
        message = f"variant = {params.variant}, and there are {params.variants} variants"
        raise WireError("invalid_parameter", message, "raise variants, or count within them")
    if params.variants == 1:
        if given := [name for name in ("coupling", "anchor") if name in shapes]:
            raise WireError("invalid_parameter", f"{given[0]} is given for 1 variant", "set variants to 2 or more")
        return
    rho_of(params.variants, params.correlation)
    if "coupling" in shapes and shapes["coupling"][0] != params.variants:
        rows = f"coupling has {shapes['coupling'][0]} rows for {params.variants} variants"
        raise WireError("invalid_array", rows, "set variants to the number of rows")
