"""Products on other devices are the CPU's, and gradients flow through both."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from torch import Tensor

from weft.noise import gaussian, generator
from weft.spaces import sparse_devices
from weft.spaces.linear import LinearSpace
from weft.spaces.sparse import SparseMatrix, reference_product
from weft.spaces.sparse_devices import segment_product

HERE = torch.device("cpu")
META = torch.device("meta")  # computes shapes and devices, no values


def random_matrix(rows: int = 300, columns: int = 80, entries: int = 2000, seed: int = 0) -> SparseMatrix:
    """Entries of both signs, in places that may repeat; every tenth row empty."""
    rng = np.random.default_rng(seed)
    places = rng.integers(0, rows, entries)
    places[places % 10 == 0] += 1
    values = rng.normal(size=entries)
    return SparseMatrix.from_entries(places, rng.integers(0, columns, entries), values, (rows, columns))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return gaussian(shape, generator(seed))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_segment_sums_are_the_kernels_to_the_bit(channels):
    matrix, dense, other = random_matrix(), normal(80, channels), normal(300, channels, seed=1)
    rows = matrix.on(HERE)
    assert torch.equal(segment_product(rows, dense), matrix @ dense)
    assert torch.equal(segment_product(rows, dense, other), matrix.product(dense, other))


@pytest.mark.parametrize("piece", [2, 3, 7])
def test_long_rows_are_summed_in_pieces(monkeypatch, piece):
    monkeypatch.setattr(sparse_devices, "PIECE", piece)
    matrix, dense = random_matrix(rows=12, entries=900), normal(80, 3)
    rows = matrix.on(HERE)
    assert len(rows.levels) >= 2
    assert torch.allclose(segment_product(rows, dense), reference_product(matrix, dense), atol=1e-4)


def test_chunks_change_no_bit(monkeypatch):
    matrix, dense = random_matrix(), normal(80, 3)
    monkeypatch.setattr(sparse_devices, "CHUNK", 5)  # some rows are longer
    rows = matrix.on(HERE)
    assert len(rows.chunks) > 100
    assert torch.equal(segment_product(rows, dense), matrix @ dense)


@pytest.mark.parametrize("shape", [(0, 5), (4, 5)])
def test_matrices_without_entries(shape):
    none = np.zeros(0, np.int32)
    matrix = SparseMatrix(np.zeros(shape[0] + 1, np.int32), none, none.astype(np.float32), 5)
    dense, other = normal(5, 2), normal(shape[0], 2)
    assert torch.equal(segment_product(matrix.on(HERE), dense), torch.zeros(shape[0], 2))
    assert torch.equal(segment_product(matrix.on(HERE), dense, other), other)


def test_another_device_gets_its_arrays_once_and_gives_them_back():
    matrix = random_matrix()
    uploaded = matrix.on(META)
    assert matrix.on(META) is uploaded
    found = matrix.product(torch.empty(80, 3, device=META), torch.empty(300, 3, device=META))
    assert (found.device, tuple(found.shape)) == (META, (300, 3))
    gone = weakref.ref(uploaded)
    del matrix, uploaded
    gc.collect()
    assert gone() is None


def _through_kernel(matrix: SparseMatrix, dense: Tensor, other: Tensor) -> Tensor:
    return matrix.product(dense, other)


def _through_segments(matrix: SparseMatrix, dense: Tensor, other: Tensor) -> Tensor:
    return segment_product(matrix.on(HERE), dense, other)


@pytest.mark.parametrize("product", [_through_kernel, _through_segments], ids=["kernel", "segments"])
def test_gradients_are_those_of_the_dense_product(product, monkeypatch):
    matrix, weight = random_matrix(), normal(300, 3, seed=2)
    if product is _through_segments:  # as on another device: the same autograd function around the other product
        monkeypatch.setattr(SparseMatrix, "_product", _through_segments)
    found = [normal(80, 3).requires_grad_(), normal(300, 3, seed=1).requires_grad_()]
    expected = [each.detach().clone().requires_grad_() for each in found]
    (matrix.product(*found) * weight).sum().backward()
    dense = torch.from_numpy(matrix.to_scipy().toarray())
    empty = torch.from_numpy(matrix.row_counts == 0)[:, None]
    (torch.where(empty, expected[1], dense @ expected[0]) * weight).sum().backward()
    for own, reference in zip(found, expected, strict=True):
        assert own.grad is not None
        assert reference.grad is not None
        assert torch.allclose(own.grad, reference.grad, atol=1e-4)


def test_the_gradient_of_a_gradient_flows_too():
    matrix = random_matrix(rows=30, entries=100)
    x, v = normal(80, 1).requires_grad_(), normal(30, 1, seed=3).requires_grad_()
    (gradient,) = torch.autograd.grad((matrix @ x * v).sum(), x, create_graph=True)  # Mᵀ v
    (again,) = torch.autograd.grad((gradient * x.detach()).sum(), v)
    assert torch.allclose(again, matrix @ x.detach(), atol=1e-5)


@pytest.mark.parametrize("change", [{}, {"residual_passes": 2}, {"iterations": 2}])
def test_a_whole_space_is_differentiable(change):
    """Against central differences, along one direction."""
    matrix = SparseMatrix.from_entries(*_positive(), (240, 60)).rows_normalized()
    fill = np.minimum(np.arange(60), 49).astype(np.int32)
    space = LinearSpace(matrix, (3, 8, 10), fill=fill, **change)
    views, direction, weight = normal(3, 2, 8, 10), normal(3, 2, 8, 10, seed=1), normal(3, 2, 8, 10, seed=2)
    x = views.clone().requires_grad_()
    (space.synchronize(x)[0] * weight).sum().backward()
    assert x.grad is not None
    step = 1e-2
    ahead, behind = (space.synchronize(views + sign * step * direction)[0] for sign in (1, -1))
    expected = ((ahead - behind).double() * weight).sum() / (2 * step)
    assert (x.grad.double() * direction).sum().item() == pytest.approx(expected.item(), rel=2e-3, abs=2e-2)


def _positive() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entries ≥ 0 of a [240, 60] matrix whose last rows and columns are empty."""
    rng = np.random.default_rng(7)
    return rng.integers(0, 220, 900), rng.integers(0, 50, 900), rng.random(900)
