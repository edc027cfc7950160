"""A multiplane image: views look at the mean of M planes. n-to-1, the kind of projection that splats have too.

P = (1/M) [T … T], one block a plane. For given views the cells are not unique; the one of least norm among the least
squares solutions is meant (Kim et al. 2024, Eq. 12, approach one by gradient descent). Where T is a lookup it is
closed: PᵀP couples only the planes of one cell, all planes are equal, and each is the mean of the pixels that show the
cell. That is D⁻¹Pᵀ with D = diag(PᵀP1): the base class's own unprojection. Cells that no pixel shows stay 0.

Noise does not survive P: the mean of M independent values has variance 1/M. Views draw their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weft.errors import InvalidInput
from weft.spaces.illusion import signed_lookup, transformations
from weft.spaces.linear import LinearSpace
from weft.spaces.sparse import SparseMatrix

__all__ = ["PLANES", "multiplane_space"]

PLANES = 10


def multiplane_space(views: Sequence[str], size: int, seed: int = 0, *, planes: int = PLANES) -> LinearSpace:
    """Views [N, S, S] of `planes` · S·S cells, plane after plane. Views as in `illusion_space`."""
    if planes < 1:
        raise InvalidInput(f"an image of {planes} planes", "planes count from 1")
    found = transformations(views, size, seed)
    single = signed_lookup(found, size * size)
    rows = np.arange(len(single.indices) * planes, dtype=np.int64) // planes
    plane = np.tile(np.arange(planes), len(single.indices))
    columns = plane * size * size + single.indices.repeat(planes)
    values = single.values.repeat(planes) / planes
    projection = SparseMatrix.from_entries(rows, columns, values, (single.shape[0], planes * size * size))
    return LinearSpace(projection, (len(found), size, size))
