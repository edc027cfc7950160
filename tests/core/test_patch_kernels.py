"""The loops of the exemplar denoiser against plain NumPy, and the promises of their docstrings."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from weft.models.patch_kernels import emit, patch_match, seed_matches

Shape = tuple[int, int, int, int]


def features_of(side: int, channels: int = 4, seed: int = 0) -> np.ndarray:
    """Smooth random features f4 [side, side, channels]: neighbours are alike, as patches of a picture are."""
    noise = np.random.default_rng(seed).standard_normal((side, side, channels))
    for axis in (0, 1):
        noise = noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis)
    return noise.astype(np.float32)


def random_matches(shape: Shape, rows: int, columns: int, seed: int = 1) -> np.ndarray:
    """i4 [..., K, 2], the K of a query all different."""
    random = np.random.default_rng(seed)
    row, column = random.integers(0, rows, shape), random.integers(0, columns, (*shape[:3], 1))
    return np.stack([row, (column + np.arange(shape[3])) % columns], -1).astype(np.int32)


def match_once(
    queries: np.ndarray,
    features: np.ndarray,
    old: np.ndarray,
    *,
    penalty: np.ndarray | None = None,
    active: np.ndarray | None = None,
    seed: int = 3,
) -> tuple[np.ndarray, np.ndarray]:
    """One iteration of PatchMatch with neighbours one query, two exemplar pixels, apart: (matches, costs)."""
    penalty = np.zeros(features.shape[:2], np.float32) if penalty is None else penalty
    active = np.ones(old.shape[:3], bool) if active is None else active
    new, costs = np.full_like(old, -7), np.full(old.shape[:4], -7, np.float32)
    patch_match(queries, features, penalty, active, old, new, costs, 2, 1, 4, np.float32(1), seed)
    return new, costs


def true_costs(queries: np.ndarray, features: np.ndarray, matches: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Squared distance of every query to its matches, plus the price of the place; infinite where there is none."""
    row, column = np.maximum(matches, 0)[..., 0], np.maximum(matches, 0)[..., 1]
    squares = ((queries[..., None, :] - features[row, column]) ** 2).sum(-1)
    return np.where(matches[..., 0] < 0, np.inf, squares + penalty[row, column])


@pytest.fixture
def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Queries, features, first matches and penalty: 2 images of 9 x 11 queries, 3 matches each."""
    features = features_of(20)
    queries = np.random.default_rng(2).standard_normal((2, 9, 11, 4)).astype(np.float32) * 3
    penalty = np.random.default_rng(4).random((20, 20)).astype(np.float32)
    return queries, features, random_matches((2, 9, 11, 3), 20, 20), penalty


def test_reported_costs_are_true_sorted_and_of_different_places(problem):
    queries, features, old, penalty = problem
    new, costs = match_once(queries, features, old, penalty=penalty)
    assert (new >= 0).all()
    assert np.allclose(costs, true_costs(queries, features, new, penalty), rtol=1e-5)
    assert (np.diff(costs, axis=-1) >= 0).all()
    place = new[..., 0] * 20 + new[..., 1]
    assert all(len(set(matches)) == 3 for matches in place.reshape(-1, 3).tolist())


def test_an_iteration_is_never_worse_than_its_start(problem):
    queries, features, old, penalty = problem
    start = np.sort(true_costs(queries, features, old, penalty), -1)
    _, costs = match_once(queries, features, old, penalty=penalty)
    assert (costs <= start * (1 + 1e-5)).all()
    assert (costs[..., 0] < start[..., 0]).mean() > 0.5


def test_missing_matches_are_found_and_never_paid_for(problem):
    queries, features, old, penalty = problem
    old[..., 1:, :] = -1
    new, costs = match_once(queries, features, old, penalty=penalty)
    assert np.allclose(costs, true_costs(queries, features, new, penalty), rtol=1e-5)
    old[:] = -1
    assert (match_once(queries, features, old, penalty=penalty)[0][..., 0, :] >= 0).all()


def test_inactive_queries_are_left_alone_and_propose_nothing(problem):
    queries, features, old, penalty = problem
    active = np.zeros((2, 9, 11), bool)
    active[:, 4, 5] = True
    new, costs = match_once(queries, features, old, penalty=penalty, active=active)
    assert (new[~active] == -7).all()
    assert (costs[~active] == -7).all()
    alone, _ = match_once(queries, features, np.where(active[..., None, None], old, -1), active=active, penalty=penalty)
    assert np.array_equal(new[active], alone[active])


def test_result_does_not_depend_on_the_number_of_threads_but_on_the_seed(problem):
    queries, features, old, _ = problem
    available = numba.get_num_threads()
    numba.set_num_threads(1)
    single = match_once(queries, features, old)
    numba.set_num_threads(min(2, available))
    both = match_once(queries, features, old)
    numba.set_num_threads(available)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(single, both, strict=True))
    assert not np.array_equal(single[0], match_once(queries, features, old, seed=4)[0])


def test_copies_spread_from_neighbour_to_neighbour():
    """Queries cut from the exemplar itself: one right match among wrong ones reaches the whole image."""
    features = features_of(30)
    queries = np.ascontiguousarray(features[5:25:2, 3:27:2])[None]
    matches = np.zeros((1, 10, 12, 2, 2), np.int32)
    matches[0, 0, 0, 0] = (5, 3)
    for _ in range(22):
        matches, costs = match_once(queries, features, matches)
    i, j = np.mgrid[:10, :12]
    assert np.array_equal(matches[0, :, :, 0], np.stack([5 + 2 * i, 3 + 2 * j], -1))
    assert not costs[..., 0].any()


def seeded(old: np.ndarray, old_step: int, step: int, shift: int, shape: Shape, places: int = 1000) -> np.ndarray:
    new = np.full((*shape, 2), -7, np.int32)
    seed_matches(old, old_step, new, step, shift, places, places)
    return new


@pytest.mark.parametrize(("old_step", "step", "shift"), [(8, 4, 9), (8, 4, 0), (4, 4, 2), (4, 2, 11)])
def test_a_shift_of_the_whole_image_survives_the_change_of_level(old_step, step, shift):
    """Coarse queries matched to their own place plus (100, 40) give fine ones matched to theirs plus (100, 40)."""
    a, b = np.mgrid[:6, :7] * old_step
    old = np.stack([a + 100, b + 40], -1).astype(np.int32)[None, :, :, None]
    new = seeded(old, old_step, step, shift, (1, 12, 14, 2))
    i, j = np.mgrid[:12, :14] * step
    assert np.array_equal(new[0, :, :, 0], np.stack([i + 100, j + 40], -1))
    assert (new[..., 1, :] == -1).all()  # all corners name the same place, and no place is listed twice


def test_a_fine_query_asks_the_coarse_one_that_it_lies_inside():
    """Each coarse query has a displacement of its own; the fine one takes that of the patch around its middle."""
    old = random_matches((1, 5, 5, 1), 100, 100) + 200
    new = seeded(old, 8, 4, 10, (1, 12, 12, 4))
    for i, j in [(0, 0), (3, 7), (6, 6), (11, 2)]:
        a, b = (int(np.clip(np.floor((k * 4 - 10) / 8), 0, 4)) for k in (i, j))
        assert new[0, i, j, 0].tolist() == (old[0, a, b, 0] + [i * 4 - a * 8, j * 4 - b * 8]).tolist()


def test_seeds_stay_inside_the_exemplar_and_skip_what_is_missing():
    old = random_matches((1, 4, 4, 1), 40, 40)
    old[0, :, :2] = -1
    new = seeded(old, 8, 4, 0, (1, 8, 8, 3), places=40)
    given = new[..., 0] >= 0
    assert given[:, :, 4:, 0].all()
    assert not given[:, :, :2].any()
    assert (new[given] < 40).all()
    assert (new[~given] == -1).all()


def emitted(
    exemplar: np.ndarray,
    offsets: np.ndarray,
    weights: np.ndarray,
    active: np.ndarray,
    window: np.ndarray,
    layout: tuple[int, int, int, int],
    side: int,
) -> np.ndarray:
    """`emit` onto images of `side`² over the background (9, 9, 9); layout: step, grain, first, last."""
    out = np.full((len(offsets), side, side, 3), -7, np.float32)
    emit(exemplar, offsets, weights, active, window, *layout, np.full(3, 9, np.float32), out)
    return out


def overlap_average(
    exemplar: np.ndarray,
    offsets: np.ndarray,
    weights: np.ndarray,
    active: np.ndarray,
    window: np.ndarray,
    layout: tuple[int, int, int, int],
    side: int,
) -> np.ndarray:
    """The same, patch by patch. The first and last query of a line also emit what no other one reaches."""
    step, grain, first, last = layout
    height, width = offsets.shape[1:3]
    total, mass = np.zeros((len(offsets), side, side, 3)), np.zeros((len(offsets), side, side))
    for n, i, j, k in np.ndindex(*offsets.shape[:4]):
        if not active[n, i, j]:
            continue
        for dy in range(0 if i == 0 else first, len(window) if i == height - 1 else last):
            for dx in range(0 if j == 0 else first, len(window) if j == width - 1 else last):
                y, x = i * step + dy, j * step + dx
                if y < side and x < side:
                    row, column = offsets[n, i, j, k] + np.array([dy, dx]) * grain
                    weight = weights[n, i, j, k] * window[dy] * window[dx]
                    total[n, y, x] += weight * exemplar[row, column]
                    mass[n, y, x] += weight
    return np.where(mass[..., None] > 0, total / np.maximum(mass, 1e-30)[..., None], 9.0)


@pytest.mark.parametrize(
    ("layout", "patch", "grid"),
    [((2, 1, 2, 5), 7, 5), ((2, 3, 2, 5), 7, 5), ((4, 2, 6, 12), 18, 4), ((2, 1, 0, 7), 7, 5), ((2, 1, 2, 5), 7, 1)],
    ids=["fine", "coarse grain", "coarse cells", "whole patch", "single query"],
)
def test_emission_is_the_overlap_average(layout, patch, grid):
    random = np.random.default_rng(5)
    exemplar = random.random((60, 60, 3)).astype(np.float32)
    offsets = random_matches((2, grid, grid, 3), 60 - patch * layout[1], 60 - patch * layout[1])
    weights = random.random((2, grid, grid, 3)).astype(np.float32) + np.float32(0.01)
    weights /= weights.sum(-1, keepdims=True)
    active = random.random((2, grid, grid)) < 0.7
    active[:, 0, 0] = True
    window = np.exp(-0.05 * (np.arange(patch) - patch / 2 + 0.5) ** 2).astype(np.float32)
    side = (grid - 1) * layout[0] + patch
    given = (exemplar, offsets, weights, active, window, layout, side)
    assert np.allclose(emitted(*given), overlap_average(*given), atol=1e-5)


def test_no_pixel_is_left_out_where_all_queries_are_active():
    """Far in the corners the window is small and the posterior may be spread over many patches: still an average."""
    exemplar = np.random.default_rng(6).random((40, 40, 3)).astype(np.float32)
    offsets = random_matches((1, 6, 6, 16), 31, 31)
    weights = np.full((1, 6, 6, 16), 1 / 16, np.float32)
    window = np.exp(-0.5 * ((np.arange(9) - 4) / 1.5) ** 2).astype(np.float32)
    given = (exemplar, offsets, weights, np.ones((1, 6, 6), bool), window, (2, 1, 3, 6), 19)
    out = emitted(*given)
    assert out.max() <= 1
    assert np.allclose(out, overlap_average(*given), atol=1e-5)
