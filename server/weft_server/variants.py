"""Which variant of a gallery a job is, out of its parameters and arrays. Imported inside the worker only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from weft.methods.coupled_noise import Coupling, equicorrelated, row_normalised
from weft.noise import Variant
from weft_wire.jobs.networks import NetworkParams
from weft_wire.jobs.variants import VariantParams, rho_of
from weft_wire.parameters import params_of

__all__ = ["NAMES", "seed_of", "told_of"]

NAMES = frozenset(field.name for field, _, _ in params_of(VariantParams)) - frozenset(
    field.name for field, _, _ in params_of(NetworkParams)
)  # of parameters that become part of the seed


def seed_of(params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> int:
    """The job's seed; of one of several variants, with the row of the coupling that is its own.

    An anchor takes the place of the first noise, and the others are moved beyond those that it is made of. Raises
    InvalidInput for rows of zeros.
    """
    if params["variants"] == 1:
        return params["seed"]
    coupling = row_normalised(arrays["coupling"]) if "coupling" in arrays else _equicorrelated(params)
    row = coupling.triangular.matrix[params["variant"] - 1]
    if "anchor" in arrays:
        (anchor,) = row_normalised(arrays["anchor"][None]).matrix
        row = np.concatenate([row[0] * anchor, row[1:]])
    return Variant(params["seed"], row.tolist())


def _equicorrelated(params: Mapping[str, Any]) -> Coupling:
    return equicorrelated(params["variants"], _rho(params))


def _rho(params: Mapping[str, Any]) -> float:
    return rho_of(params["variants"], params["correlation"])


def told_of(params: Mapping[str, Any], seed: int, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the result says of it: `row` can be sent as the anchor of other variants."""
    if not isinstance(seed, Variant):
        return {}
    told = {"number": params["variant"], "of": params["variants"], "row": list(seed.row)}
    return {"variant": told | {"correlation": None if "coupling" in arrays else _rho(params)}}
