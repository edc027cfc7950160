"""The laws of canonical spaces, on the base class that all concrete spaces share."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import torch

from weft.errors import InvalidInput
from weft.noise import gaussian, generator
from weft.spaces.linear import LinearSpace, identity, lookup, permutation
from weft.spaces.sparse import SparseMatrix, reference_product

VIEW = (3, 8, 10)
ROWS = 240


def random_matrix(rows: int, columns: int, per_row: int, seed: int = 0) -> SparseMatrix:
    """`per_row` entries ≥ 0 in each row, some at the same place, the last tenth of the rows empty."""
    rng = np.random.default_rng(seed)
    full = rows - rows // 10
    places = np.repeat(np.arange(full), per_row), rng.integers(0, columns, full * per_row)
    return SparseMatrix.from_entries(*places, rng.random(full * per_row), (rows, columns))


def nearest(cells: int = 60) -> LinearSpace:
    """Cells seen several times and once; the last ten never, they copy the one before. Some pixels see nothing."""
    fill = np.minimum(np.arange(cells), cells - 11).astype(np.int32)
    return lookup(nearest_index(cells - 10), cells, VIEW, fill=fill)


def nearest_index(seen: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.permutation(np.concatenate([np.arange(seen), rng.integers(-1, seen, ROWS - seen)])).astype(np.int32)


def illusion() -> LinearSpace:
    rng = np.random.default_rng(2)
    return permutation(np.concatenate([rng.permutation(80) for _ in range(3)]).astype(np.int32), VIEW)


def mixing(passes: int = 0) -> LinearSpace:
    """Four weighted cells a pixel: what splats and bilinear lookups do."""
    return LinearSpace(random_matrix(ROWS, 60, 4).rows_normalized(), VIEW, residual_passes=passes)


def gathering() -> LinearSpace:
    """A lookup with a weighted gather of its own: what textures do."""
    gather = random_matrix(60, ROWS, 5, seed=3).rows_normalized()
    fill = np.minimum(np.arange(60), 53).astype(np.int32)
    return LinearSpace(SparseMatrix.from_index(nearest_index(50), 60), VIEW, gather=gather, fill=fill)


SPACES = {
    "identity": identity(VIEW),
    "permutation": illusion(),
    "nearest": nearest(),
    "weighted": mixing(),
    "residual": mixing(2),
    "own gather": gathering(),
}
every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
closed_form = pytest.mark.parametrize("space", [SPACES[name] for name in ("identity", "permutation", "nearest")])


def views(seed: int = 0, channels: int = 3) -> torch.Tensor:
    return gaussian((VIEW[0], channels, *VIEW[1:]), generator(seed))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_kernel_equals_reference(channels):
    matrix = random_matrix(500, 200, 7)
    dense = gaussian((200, channels), generator(0))
    assert torch.allclose(matrix @ dense, reference_product(matrix, dense), atol=1e-5)
    assert np.allclose((matrix @ dense).numpy(), matrix.to_scipy() @ dense.numpy(), atol=1e-5)
    strided = gaussian((channels, 200), generator(0)).T
    assert torch.equal(matrix @ strided, matrix @ strided.contiguous())


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_rows_without_entries_are_those_of_the_other(channels):
    index = np.random.default_rng(3).integers(-1, 20, 60).astype(np.int32)
    matrix = SparseMatrix.from_index(index, 20)
    dense, other = gaussian((20, channels), generator(0)), gaussian((60, channels), generator(1))
    expected = torch.where(torch.from_numpy(index < 0)[:, None], other, matrix @ dense)
    assert torch.equal(matrix.product(dense, other), expected)
    assert (matrix.product(dense)[torch.from_numpy(index < 0)] == 0).all()


def test_products_do_not_depend_on_the_number_of_threads():
    matrix, dense = random_matrix(5_000, 2_000, 9), gaussian((2_000, 3), generator(0))
    many, threads = matrix @ dense, numba.get_num_threads()
    numba.set_num_threads(1)
    assert torch.equal(matrix @ dense, many)
    numba.set_num_threads(threads)


def test_nearest_is_the_cell_of_the_largest_weight():
    dense = mixing().projection.to_scipy().toarray()
    expected = np.where(dense.any(1), dense.argmax(1), -1)
    assert np.array_equal(mixing().nearest, expected)
    assert np.array_equal(nearest().nearest, nearest_index(50))


def test_matrix_of_sums_and_scales():
    matrix = random_matrix(50, 20, 6)
    dense = matrix.to_scipy().toarray()
    assert np.allclose(matrix.row_sums, dense.sum(1), atol=1e-5)
    assert np.allclose(matrix.transpose.to_scipy().toarray(), dense.T)
    weights = np.linspace(0, 2, 50, dtype=np.float32)
    assert np.allclose(matrix.rows_scaled(weights).to_scipy().toarray(), weights[:, None] * dense)
    assert np.allclose(matrix.rows_normalized().row_sums, [1.0] * 45 + [0.0] * 5, atol=1e-6)


@every_space
def test_project_and_transpose_are_adjoint(space):
    z, w = gaussian((space.cells, 3), generator(0)), gaussian((ROWS, 3), generator(1))
    left = (space.project(z) * w).sum(dtype=torch.float64)
    right = (z * (space.projection.transpose @ w)).sum(dtype=torch.float64)
    assert torch.allclose(left, right, rtol=1e-5, atol=1e-4)


@every_space
def test_constants_survive(space):
    constant = torch.tensor([0.3, -0.7, 1.0])
    result, z = space.synchronize(constant[None, :, None, None].expand(*views().shape))
    assert torch.allclose(result, constant[None, :, None, None].expand_as(result), atol=1e-6)
    filled = space.seen if space.fill is None else np.ones(space.cells, bool)
    assert torch.allclose(z[torch.from_numpy(filled)], constant, atol=1e-6)


@every_space
def test_synchronize_is_linear(space):
    a, b = views(0), views(1)
    left = space.synchronize(2.0 * a - 0.5 * b)
    right = [2.0 * x - 0.5 * y for x, y in zip(space.synchronize(a), space.synchronize(b), strict=True)]
    for x, y in zip(left, right, strict=True):
        assert torch.allclose(x, y, atol=1e-5)


@every_space
def test_pixels_that_see_nothing_keep_their_values(space):
    before = views()
    after, z = space.synchronize(before)
    bare = torch.from_numpy(~space.covered).reshape(VIEW)[:, None].expand_as(before)
    assert torch.equal(after[bare], before[bare])
    covered = torch.from_numpy(space.covered)
    assert torch.equal(space.rows_of(after)[covered], space.project(z)[covered])


@closed_form
def test_synchronizing_twice_is_synchronizing_once(space):
    once, z = space.synchronize(views())
    twice, z_again = space.synchronize(once)
    assert torch.allclose(twice, once, atol=1e-6)
    assert torch.allclose(z_again, z, atol=1e-6)


@closed_form
def test_projections_survive_whole(space):
    z = gaussian((space.cells, 3), generator(0))
    back = space.unproject(space.project(z))
    seen = torch.from_numpy(space.seen)
    assert torch.allclose(back[seen], z[seen], atol=1e-6)


def test_identity_changes_no_bit():
    before = views()
    after, z = identity(VIEW).synchronize(before)
    assert torch.equal(after, before)
    assert torch.equal(identity(VIEW).views_of(z), before)


def test_permutation_averages_the_views():
    space = illusion()
    _, z = space.synchronize(views())
    rows = space.rows_of(views()).reshape(3, 80, 3)
    lookups = torch.from_numpy(space.projection.indices.astype(np.int64)).reshape(3, 80)
    unscrambled = torch.stack([view[index.argsort()] for view, index in zip(rows, lookups, strict=True)])
    assert torch.allclose(z, unscrambled.mean(0), atol=1e-6)


def test_unseen_cells_copy_their_fill():
    space = nearest()
    assert 0 < space.coverage < 1
    z = space.unproject(gaussian((ROWS, 3), generator(0)))
    assert torch.equal(z[50:], z[49].expand(10, 3))


def test_residual_passes_bring_views_closer_to_their_projection():
    truth = gaussian((60, 3), generator(5))
    rows = mixing().project(truth)
    errors = [(mixing(n).project(mixing(n).aggregate(rows)) - rows).norm().item() for n in range(4)]
    assert errors == sorted(errors, reverse=True)
    assert errors[3] < 0.8 * errors[0]


def test_solve_descends_to_the_damped_least_squares_solution():
    space, rows, z0 = mixing(), gaussian((ROWS, 3), generator(0)), gaussian((60, 3), generator(1))
    p = torch.from_numpy(space.projection.to_scipy().toarray()).double()
    for damping in (0.0, 2.0):
        lhs = torch.cat([p, damping**0.5 * torch.eye(60, dtype=torch.float64)])
        w = torch.where(torch.from_numpy(space.covered)[:, None], rows, 0.0).double()
        exact = torch.linalg.lstsq(lhs, torch.cat([w, damping**0.5 * z0.double()])).solution
        solved = [space.solve(rows, z0, iterations=n, damping=damping).double() for n in (0, 1, 2, 3, 60)]
        gaps = [((lhs @ (z - exact)) ** 2).sum().item() for z in solved]
        assert gaps == sorted(gaps, reverse=True)
        assert gaps[3] < 0.05 * gaps[0]
        assert torch.allclose(solved[-1], exact, atol=1e-4)


def test_solve_starts_warm_and_leaves_unseen_cells_alone():
    space = nearest()
    rows = space.project(gaussian((60, 3), generator(0)))
    start = space.unproject(rows)
    assert torch.allclose(space.solve(rows, iterations=3, damping=0.0), start, atol=1e-6)
    other = gaussian((60, 3), generator(1))
    unseen = torch.from_numpy(~space.seen)
    assert torch.equal(space.solve(rows, other, iterations=2, damping=0.0)[unseen], other[unseen])


def test_rows_and_views_are_inverse():
    space = identity(VIEW)
    assert torch.equal(space.views_of(space.rows_of(views())), views())
    assert torch.equal(space.rows_of(views())[2 * 80 + 3 * 10 + 4], views()[2, :, 3, 4])


def test_wrong_shapes_are_refused():
    matrix = random_matrix(ROWS, 60, 4)
    floats, ints = np.ones(1, np.float32), np.zeros(1, np.int32)
    refused = [
        lambda: LinearSpace(matrix, (1, 8, 10)),
        lambda: LinearSpace(matrix, VIEW, gather=matrix),
        lambda: LinearSpace(matrix, VIEW, fill=np.zeros(3, np.int32)),
        lambda: lookup(np.zeros(ROWS, np.int32), 2, VIEW, fill=np.ones(2, np.int32)).unproject(torch.ones(ROWS, 3)),
        lambda: identity(VIEW).synchronize(torch.ones(1, 3, 8, 10)),
        lambda: matrix.rows_scaled(np.ones(3, np.float32)),
        lambda: matrix @ torch.ones(61, 3),
        lambda: matrix @ torch.ones(60, 3, dtype=torch.float64),
        lambda: SparseMatrix(np.array([0, 1], np.int32), ints + 5, floats, 5),
        lambda: SparseMatrix(np.array([0, 2], np.int32), ints, floats, 5),
        lambda: SparseMatrix(np.array([0, 1]), ints, floats, 5),  # pyright: ignore[reportArgumentType]
    ]
    for make in refused:
        with pytest.raises(InvalidInput):
            make()
