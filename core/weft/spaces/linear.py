"""A canonical space is a sparse linear map: views = P z. Everything a method needs of it follows from P.

Rows of P are the pixels of all views in N, H, W order, columns the cells of the canonical space (texels, panorama
pixels, splats, planes). A concrete space only builds P, once per job, and may build its own `gather`.

- project     z -> P z
- unproject   views -> G rows, with G = D⁻¹Pᵀ, D = diag(Pᵀ P 1) by default: G P 1 = 1, so constants survive;
              cells that no view sees are then copied from the cell that `fill` names
- solve       argmin_z ‖P z - rows‖² + λ‖z - z0‖² by a few preconditioned conjugate-gradient steps
- aggregate   unproject, or where `iterations` > 0 the solution from there: for pixels that mix many cells (splats)
- synchronize F = P ∘ aggregate on the pixels that see a cell; the others keep their own values
All are linear, but for `solve`, whose step lengths depend on the views (scaling and constants pass through it all the
same). Where every pixel sees one cell (P is a lookup), F∘F = F.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weft.errors import InvalidInput
from weft.spaces.resident import Resident
from weft.spaces.sparse import SparseMatrix

__all__ = ["LinearSpace", "SparseMatrix", "identity", "lookup", "permutation"]


@dataclass(frozen=True, eq=False)
class LinearSpace:
    """See the module. Sharper where pixels mix cells: `residual_passes` ≥ 0 adds z += G (w - P z) so often,
    `iterations` ≥ 0 solves so long from there, held near it by `damping` ≥ 0."""

    projection: SparseMatrix  # P [N·H·W, cells]; a row without entries is a pixel that sees nothing
    view_shape: tuple[int, int, int]  # N, H, W
    gather: SparseMatrix | None = None  # G [cells, N·H·W], rows sum to 1 or have no entry; None: D⁻¹Pᵀ
    fill: NDArray[np.int32] | None = None  # [cells], the seen cell that an unseen one copies, itself, or -1 (stays 0)
    residual_passes: int = 0
    iterations: int = 0
    damping: float = 1.0

    def __post_init__(self) -> None:
        rows, cells = self.projection.shape
        views, height, width = self.view_shape
        if rows != views * height * width:
            raise InvalidInput(f"{rows} rows do not fit views of {self.view_shape}", "P has one row for every pixel")
        if self.gather is not None and self.gather.shape != (cells, rows):
            raise InvalidInput(
                f"a gather matrix of {self.gather.shape} does not fit P of {(rows, cells)}",
                "G has one row for every cell",
            )
        if self.fill is not None and self.fill.shape != (cells,):
            raise InvalidInput(f"a fill map of {self.fill.shape} does not fit {cells} cells", "give one per cell")

    @property
    def cells(self) -> int:
        return self.projection.shape[1]

    @cached_property
    def covered(self) -> NDArray[np.bool_]:
        """[N·H·W] whether a pixel sees any cell."""
        return self.projection.row_counts > 0

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """[cells] whether any pixel reaches a cell, before filling."""
        return self._unprojection.row_counts > 0

    @cached_property
    def nearest(self) -> NDArray[np.int32]:
        """[N·H·W] the cell that counts most for a pixel, -1 for none: the index that `noise.projected` wants."""
        return self.projection.strongest_columns()

    @cached_property
    def signs(self) -> NDArray[np.float32]:
        """[N·H·W] with which sign a pixel shows that cell: -1 in a negative, 1 elsewhere, 0 where it sees nothing."""
        return self.projection.strongest_signs()

    @property
    def coverage(self) -> float:
        """Fraction of the cells that are seen, in [0, 1]."""
        return float(self.seen.mean())

    def project(self, z: Tensor, otherwise: Tensor | None = None) -> Tensor:
        """Cells [cells, C] to pixels [N·H·W, C]; pixels that see nothing are those of `otherwise` [N·H·W, C], or 0."""
        return self.projection.product(z, otherwise)

    def unproject(self, rows: Tensor) -> Tensor:
        """Pixels [N·H·W, C] to cells [cells, C], unseen cells filled."""
        return self._filled(self._unprojection @ rows)

    def aggregate(self, rows: Tensor) -> Tensor:
        """`unproject`, then the residual passes, then the iterations."""
        z = self.unproject(rows)
        covered = self._covered_column(rows)
        for _ in range(self.residual_passes):
            z += self.unproject(covered * (rows - self.project(z)))
        if self.iterations:
            z = self._filled(self.solve(rows, z, iterations=self.iterations, damping=self.damping))
        return z

    def solve(self, rows: Tensor, z0: Tensor | None = None, *, iterations: int = 2, damping: float = 1.0) -> Tensor:
        """Approach argmin_z ‖P z - rows‖² + damping ‖z - z0‖² from `z0` [cells, C] (default: `unproject`).

        Conjugate gradients on (PᵀP + λI) d = Pᵀ(rows - P z0), preconditioned with Pᵀ P 1 + λ, the row sums of the
        matrix and not its diagonal: for weights ≥ 0 they bound its eigenvalues, so one step never overshoots. Two or
        three iterations are meant; solving inconsistent views to the end costs quality.
        """
        start = self.unproject(rows) if z0 is None else z0
        adjoint = self.projection.transpose
        scale = self._gram_column.on(rows.device) + damping
        scale = torch.where(scale > 0, scale, 1.0)
        step = torch.zeros_like(start)
        residual = adjoint @ (self._covered_column(rows) * (rows - self.project(start)))
        preconditioned = residual / scale
        direction, energy = preconditioned, _dot(residual, preconditioned)
        for _ in range(iterations):
            image = adjoint @ self.project(direction) + damping * direction
            length = _ratio(energy, _dot(direction, image))
            step = step + length * direction
            residual = residual - length * image
            preconditioned = residual / scale
            energy, before = _dot(residual, preconditioned), energy
            direction = preconditioned + _ratio(energy, before) * direction
        return start + step

    def solving(self, iterations: int, damping: float) -> LinearSpace:
        """This space with other `iterations` and `damping`; they share their matrices."""
        return replace(self, gather=self._unprojection, iterations=iterations, damping=damping)

    def synchronize(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """F: views [N, C, H, W] to the views of their common z, and z [cells, C] itself."""
        rows = self.rows_of(views)
        z = self.aggregate(rows)
        return self.views_of(self.project(z, rows)), z

    def rows_of(self, views: Tensor) -> Tensor:
        """[N, C, H, W] to [N·H·W, C]."""
        if (views.shape[0], *views.shape[2:]) != self.view_shape:
            expected = "[{}, C, {}, {}]".format(*self.view_shape)
            raise InvalidInput(f"views of shape {list(views.shape)}, expected {expected}", "build the space for them")
        return views.permute(0, 2, 3, 1).reshape(-1, views.shape[1])

    def views_of(self, rows: Tensor) -> Tensor:
        """[N·H·W, C] to [N, C, H, W], a view whose channels are adjacent in memory, as in `rows`."""
        return rows.reshape(*self.view_shape, -1).permute(0, 3, 1, 2)

    @cached_property
    def _row_sums_of_gram(self) -> NDArray[np.float32]:
        """Pᵀ P 1 [cells]."""
        sums = torch.from_numpy(self.projection.row_sums)[:, None]
        return (self.projection.transpose @ sums)[:, 0].numpy()

    @cached_property
    def _unprojection(self) -> SparseMatrix:
        if self.gather is not None:
            return self.gather
        d = self._row_sums_of_gram
        return self.projection.transpose.rows_scaled(np.divide(1, d, out=np.zeros_like(d), where=d > 0))

    def _filled(self, z: Tensor) -> Tensor:
        """`z` [cells, C] itself, unseen cells overwritten by the seen ones that they copy."""
        if self._fill_map is not None:
            targets, sources = self._fill_map
            z[targets.on(z.device)] = z[sources.on(z.device)]
        return z

    @cached_property
    def _fill_map(self) -> tuple[Resident, Resident] | None:
        """(unseen cells, the cells they copy)."""
        if self.fill is None:
            return None
        targets = np.nonzero((self.fill >= 0) & ~self.seen)[0]
        sources = self.fill[targets].astype(np.int64)
        if not self.seen[sources].all():
            raise InvalidInput("the fill map copies from cells that no view sees", "name the nearest seen cell")
        return (Resident(targets), Resident(sources)) if len(targets) else None

    def _covered_column(self, rows: Tensor) -> Tensor:
        return self._covered.on(rows.device)

    @cached_property
    def _covered(self) -> Resident:
        return Resident(self.covered[:, None])

    @cached_property
    def _gram_column(self) -> Resident:
        return Resident(self._row_sums_of_gram[:, None])


def identity(view_shape: tuple[int, int, int]) -> LinearSpace:
    """Every pixel is its own cell: nothing is shared, synchronising changes nothing."""
    return permutation(np.arange(np.prod(view_shape), dtype=np.int32), view_shape)


def permutation(index: NDArray[np.int32], view_shape: tuple[int, int, int]) -> LinearSpace:
    """Pixel r shows cell index[r], each view all cells once: an illusion. `index` [N·H·W]."""
    return lookup(index, int(index.max(initial=-1)) + 1, view_shape)


def lookup(
    index: NDArray[np.int32], cells: int, view_shape: tuple[int, int, int], *, fill: NDArray[np.int32] | None = None
) -> LinearSpace:
    """Pixel r shows cell index[r], or nothing for -1: nearest-sampled panoramas and textures. `index` [N·H·W]."""
    return LinearSpace(SparseMatrix.from_index(index, cells), view_shape, fill=fill)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each channel [C], summed in double precision: float32 would stall the iteration."""
    return (a * b).sum(0, dtype=torch.float64)


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """numerator / denominator, 0 once a channel is solved exactly."""
    return torch.where(denominator > 0, numerator / denominator, 0.0).to(torch.float32)
