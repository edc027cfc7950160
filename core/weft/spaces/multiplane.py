"""A multiplane image: views look at the mean of M planes. n-to-1, the kind of projection that splats have too.

P = (1/M) [T … T], one block a plane. For given views the cells are not unique; the one of least norm among the least
squares solutions is meant (Kim et al. 2024, Eq. 12, approach one by gradient descent). Where T is a lookup it is
closed: PᵀP couples only the planes of one cell, all planes are equal, and each is the mean of the pixels that show the
cell. That is D⁻¹Pᵀ with D = diag(PᵀP1): the base class's own unprojection. Cells that no pixel shows stay 0.

Noise does not survive P: the mean of M independent values has variance 1/M. Views draw their own.

Seen from places side by side, near planes move more than far ones, by fractions of a pixel: then views mix cells as
those of splats do, least squares has no closed form, and F costs the views some of their finest detail.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weft.errors import InvalidInput
from weft.spaces.illusion import signed_lookup, transformations
from weft.spaces.linear import LinearSpace
from weft.spaces.sparse import SparseMatrix

__all__ = ["PLANES", "multiplane_space", "parallax_space"]

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


def parallax_space(
    views: int, size: int, *, planes: int = PLANES, disparity: float = 0.25, iterations: int = 2, damping: float = 0.1
) -> LinearSpace:
    """Views [N, S, S] from places side by side on `planes` · S·S cells, columns wrapping around.

    Plane m moves by (v - (N-1)/2) (m - (M-1)/2) `disparity` pixels in view v, linearly between columns. Least squares
    by `iterations` of conjugate gradients (`LinearSpace.solve`).
    """
    if planes < 1 or views < 1:
        raise InvalidInput(f"{views} views of {planes} planes", "both count from 1")
    pixel = np.arange(size * size, dtype=np.int64).reshape(size, size)
    rows, columns, values = [], [], []
    for view in range(views):
        for plane in range(planes):
            shift = (view - (views - 1) / 2) * (plane - (planes - 1) / 2) * disparity
            whole = int(np.floor(shift))
            for step, weight in ((whole, 1 - (shift - whole)), (whole + 1, shift - whole)):
                rows.append(view * size * size + pixel.ravel())
                columns.append(plane * size * size + np.roll(pixel, -step, axis=1).ravel())
                values.append(np.full(size * size, weight / planes, np.float32))
    entries = (np.concatenate(rows), np.concatenate(columns), np.concatenate(values))
    projection = SparseMatrix.from_entries(*entries, (views * size * size, planes * size * size))
    return LinearSpace(projection, (views, size, size), iterations=iterations, damping=damping)
