"""Sparse matrices times dense columns: compressed rows, int32 indices, float32 values.

int64 indices would be 2.7 times slower. The CPU product is a parallel kernel in which every output row is one thread's
sum in storage order, so its bytes do not depend on the number of threads. Other devices (`sparse_devices`) sum in the
same order. Gradients flow through a product, into the dense factor and into `otherwise`; not into the matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numba
import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor

from weft.errors import InvalidInput
from weft.kernels import parallel_kernel
from weft.spaces.sparse_devices import DeviceRows, rows_on, segment_product

__all__ = ["SparseMatrix", "reference_product"]


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """Compressed sparse rows. The arrays are shared, not copied, and must not change afterwards."""

    row_starts: NDArray[np.int32]  # [R + 1]
    indices: NDArray[np.int32]  # [entries], the column of each entry
    values: NDArray[np.float32]  # [entries]
    columns: int

    def __post_init__(self) -> None:
        if (self.row_starts.dtype, self.indices.dtype, self.values.dtype) != (np.int32, np.int32, np.float32):
            kinds = f"{self.row_starts.dtype}, {self.indices.dtype}, {self.values.dtype}"
            raise InvalidInput(f"sparse arrays of {kinds}, expected int32, int32, float32", "convert them")
        if self.row_starts[-1] != len(self.indices) or len(self.indices) != len(self.values):
            raise InvalidInput(
                f"rows end at {self.row_starts[-1]}, with {len(self.indices)} indices and {len(self.values)} values",
                "give one index and one value for every entry",
            )
        # Negative ones are beyond all columns as unsigned ones: the entries are looked at once.
        if len(self.indices) and self.indices.view(np.uint32).max() >= self.columns:
            raise InvalidInput(f"column indices leave 0 to {self.columns - 1}", "leave out entries that see nothing")

    @classmethod
    def from_entries(
        cls,
        rows: NDArray[np.integer],
        columns: NDArray[np.integer],
        values: NDArray[np.floating],
        shape: tuple[int, int],
    ) -> SparseMatrix:
        """Entries in any order; entries at the same place add up."""
        return cls._from_scipy(scipy.sparse.coo_array((values, (rows, columns)), shape).tocsr(), shape[1])

    @classmethod
    def from_index(cls, index: NDArray[np.integer], columns: int) -> SparseMatrix:
        """Row r holds a single 1 at column index[r], or nothing for -1."""
        kept = index >= 0
        starts = np.zeros(len(index) + 1, np.int32)
        np.cumsum(kept, out=starts[1:])
        indices = index[kept].astype(np.int32)
        return cls(starts, indices, np.ones(len(indices), np.float32), columns)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.row_starts) - 1, self.columns

    @cached_property
    def row_counts(self) -> NDArray[np.int32]:
        """[R] entries in each row."""
        return np.diff(self.row_starts)

    @cached_property
    def row_sums(self) -> NDArray[np.float32]:
        """[R]"""
        return (self @ torch.ones(self.columns, 1))[:, 0].numpy()

    @cached_property
    def transpose(self) -> SparseMatrix:
        """The transpose, built once."""
        return self._from_scipy(self.to_scipy().T.tocsr(), self.shape[0])

    def rows_scaled(self, weights: NDArray[np.float32]) -> SparseMatrix:
        """Row r times weights[r]; shares the structure."""
        if weights.shape != self.row_counts.shape:
            raise InvalidInput(f"{weights.shape} weights for {self.shape[0]} rows", "give one for each row")
        scaled = np.empty_like(self.values)
        _scale_rows(self.row_starts, self.values, weights.astype(np.float32), scaled)
        return replace(self, values=scaled)

    def rows_kept(self, kept: NDArray[np.bool_]) -> SparseMatrix:
        """Without the entries of rows that are not `kept`, bool [R]; itself, if all are."""
        if kept.shape != self.row_counts.shape:
            raise InvalidInput(f"{kept.shape} flags for {self.shape[0]} rows", "give one for each row")
        if kept.all():
            return self
        entries = np.repeat(kept, self.row_counts)
        starts = np.zeros(len(self.row_starts), np.int32)
        np.cumsum(np.where(kept, self.row_counts, 0), out=starts[1:])
        return SparseMatrix(starts, self.indices[entries], self.values[entries], self.columns)

    def rows_normalized(self) -> SparseMatrix:
        """Rows sum to 1; rows that sum to 0 stay."""
        sums = self.row_sums
        return self.rows_scaled(np.divide(1, sums, out=np.zeros_like(sums), where=sums != 0))

    def strongest_columns(self) -> NDArray[np.int32]:
        """[R] the column of each row's largest magnitude (the first of equals), -1 for a row without entries."""
        entries = self._strongest_entries()
        return np.where(entries >= 0, self.indices[entries], -1) if len(self.indices) else entries

    def strongest_signs(self) -> NDArray[np.float32]:
        """[R] the sign of the entry that `strongest_columns` names, -1 or 1; 0 for a row without entries."""
        entries = self._strongest_entries()
        signs = np.sign(self.values)
        return np.where(entries >= 0, signs[entries], 0) if len(signs) else np.zeros(self.shape[0], np.float32)

    def _strongest_entries(self) -> NDArray[np.int32]:
        strongest = np.empty(self.shape[0], np.int32)
        _strongest_entries(self.row_starts, self.values, strongest)
        return strongest

    def __matmul__(self, dense: Tensor) -> Tensor:
        """[columns, C] float32 to [R, C], on the device of `dense`."""
        return self.product(dense)

    def product(self, dense: Tensor, otherwise: Tensor | None = None) -> Tensor:
        """`self @ dense`, where rows without entries are those of `otherwise` [R, C] (0 without it)."""
        if dense.ndim != 2 or dense.shape[0] != self.columns or dense.dtype != torch.float32:
            raise InvalidInput(
                f"{dense.dtype} of shape {tuple(dense.shape)} cannot be multiplied by {self.shape}",
                f"expected float32 [{self.columns}, C]",
            )
        if otherwise is not None and otherwise.shape != (self.shape[0], dense.shape[1]):
            raise InvalidInput(
                f"other rows of shape {tuple(otherwise.shape)} do not fit {self.shape[0]} rows of {dense.shape[1]}",
                "give one for each row",
            )
        return _Product.apply(self, dense, otherwise)  # pyright: ignore[reportReturnType]

    def on(self, device: torch.device) -> DeviceRows:
        """The arrays as tensors there, uploaded once; they are freed with the matrix."""
        if device not in self._on_devices:
            self._on_devices[device] = rows_on(device, self.row_starts, self.indices, self.values)
        return self._on_devices[device]

    @cached_property
    def _on_devices(self) -> dict[torch.device, DeviceRows]:
        return {}

    def _product(self, dense: Tensor, otherwise: Tensor | None) -> Tensor:
        if dense.device.type != "cpu":
            return segment_product(self.on(dense.device), dense, otherwise)
        others = torch.zeros(1, dense.shape[1]) if otherwise is None else otherwise
        out = torch.empty(self.shape[0], dense.shape[1])
        arrays = (each.detach().contiguous().numpy() for each in (dense, others, out))
        _csr_product(self.row_starts, self.indices, self.values, *arrays)
        return out

    def _empty_rows(self, device: torch.device) -> Tensor:
        """bool [R, 1]"""
        if device.type != "cpu":
            return self.on(device).empty
        return torch.from_numpy(self.row_counts == 0)[:, None]

    def to_scipy(self) -> scipy.sparse.csr_array:
        return scipy.sparse.csr_array((self.values, self.indices, self.row_starts), self.shape)

    @classmethod
    def _from_scipy(cls, matrix: scipy.sparse.csr_array, columns: int) -> SparseMatrix:
        if matrix.nnz >= 2**31:
            raise InvalidInput(f"{matrix.nnz} entries are too many for 32-bit indices", "use fewer or smaller views")
        starts, indices = matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32)
        return cls(starts, indices, matrix.data.astype(np.float32), columns)


class _Product(torch.autograd.Function):
    """y = M x, and `otherwise` where M has empty rows: dx = Mᵀ dy; what is `otherwise` gets dy there, 0 elsewhere."""

    @staticmethod
    def forward(ctx: Any, matrix: SparseMatrix, dense: Tensor, otherwise: Tensor | None) -> Tensor:
        ctx.matrix = matrix
        return matrix._product(dense, otherwise)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        matrix, (gradient,) = ctx.matrix, gradients
        to_dense = matrix.transpose @ gradient if ctx.needs_input_grad[1] else None
        empty = matrix._empty_rows(gradient.device)
        return None, to_dense, torch.where(empty, gradient, 0.0) if ctx.needs_input_grad[2] else None


def reference_product(matrix: SparseMatrix, dense: Tensor) -> Tensor:
    """`matrix @ dense` by torch's own product, on the device of `dense`: what tests hold the others to."""
    rows = torch.from_numpy(np.repeat(np.arange(matrix.shape[0]), matrix.row_counts))
    places = torch.stack([rows, torch.from_numpy(matrix.indices).long()])
    values = torch.from_numpy(matrix.values)
    sparse = torch.sparse_coo_tensor(places, values, matrix.shape, is_coalesced=True, check_invariants=False)
    return sparse.to(dense.device) @ dense


@parallel_kernel
def _csr_product(row_starts, indices, values, dense, otherwise, out):
    """i4 [R+1], i4 [E], f4 [E], f4 [columns, C], f4 [R or 1, C], f4 [R, C]"""
    channels, single = dense.shape[1], len(otherwise) == 1
    for row in numba.prange(len(row_starts) - 1):
        if row_starts[row] == row_starts[row + 1]:
            for channel in range(channels):
                out[row, channel] = otherwise[0, channel] if single else otherwise[row, channel]
        elif channels == 3:  # Colours: three sums at once are twice as fast as one after the other.
            a = b = c = np.float32(0)
            for entry in range(row_starts[row], row_starts[row + 1]):
                column, value = indices[entry], values[entry]
                a += value * dense[column, 0]
                b += value * dense[column, 1]
                c += value * dense[column, 2]
            out[row, 0], out[row, 1], out[row, 2] = a, b, c
        else:
            for channel in range(channels):
                total = np.float32(0)
                for entry in range(row_starts[row], row_starts[row + 1]):
                    total += values[entry] * dense[indices[entry], channel]
                out[row, channel] = total


@parallel_kernel
def _scale_rows(row_starts, values, weights, out):  # i4 [R+1], f4 [E], f4 [R], f4 [E]
    for row in numba.prange(len(row_starts) - 1):
        for entry in range(row_starts[row], row_starts[row + 1]):
            out[entry] = values[entry] * weights[row]


@parallel_kernel
def _strongest_entries(row_starts, values, out):  # i4 [R+1], f4 [E], i4 [R]
    for row in numba.prange(len(row_starts) - 1):
        best = -1
        for entry in range(row_starts[row], row_starts[row + 1]):
            if best < 0 or abs(values[entry]) > abs(values[best]):
                best = entry
        out[row] = best
