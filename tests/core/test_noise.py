"""Noise is seeded, white and of unit variance, also after it was projected; thresholds follow from the sample size."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from weft.errors import InvalidInput
from weft.methods.coupled_noise import equicorrelated, repulsive
from weft.noise import CanonicalNoise, Variant, gaussian, generator, projected, whitened

VIEW = (3, 48, 48)
ROWS = math.prod(VIEW)


def index_map(cells: int, uncovered: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(0)
    index = rng.integers(0, cells, ROWS).astype(np.int32)
    return np.where(rng.random(ROWS) < uncovered, -1, index).astype(np.int32)


def assert_white(values: torch.Tensor) -> None:
    """Mean 0, variance 1, neighbours uncorrelated, each within five standard errors of n independent samples."""
    n = values.numel()
    values = values.double()
    assert abs(values.mean().item()) < 5 / math.sqrt(n)
    assert abs(values.var().item() - 1) < 5 * math.sqrt(2 / n)
    for axis in (-1, -2):
        neighbours = (values * values.roll(1, axis)).mean().item()
        assert abs(neighbours) < 5 / math.sqrt(n)


def test_same_seed_same_bytes_and_streams_differ():
    def draw(seed: int, *stream: int) -> bytes:
        return gaussian((2, 3, 8, 8), generator(seed, *stream)).numpy().tobytes()

    assert draw(5) == draw(5)
    assert draw(5, 1) == draw(5, 1)
    assert len({draw(5), draw(6), draw(5, 0), draw(5, 1), draw(5, 1, 2)}) == 5


def test_gaussian_is_white():
    assert_white(gaussian((16, 3, 64, 64), generator(0)))


def test_global_state_is_neither_read_nor_changed():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = projected(index_map(500), 500, VIEW, 3, generator(0))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, projected(index_map(500), 500, VIEW, 3, generator(0)))


@pytest.mark.parametrize("cells", [20, 2_000, 1_000_000], ids=["coarse", "middle", "fine"])
def test_every_view_of_projected_noise_is_white(cells):
    views = projected(index_map(cells), cells, VIEW, 64, generator(0))
    for view in views:
        assert_white(view)


def test_pixels_of_one_cell_share_their_noise_across_views():
    index = np.full(ROWS, -1, np.int32).reshape(VIEW)
    index[0, 3, 4], index[1, 40, 2] = 7, 7
    views = projected(index.reshape(-1), 10, VIEW, 3, generator(0))
    assert torch.equal(views[0, :, 3, 4], views[1, :, 40, 2])
    assert not torch.equal(views[0, :, 3, 4], views[2, :, 3, 4])


def test_pixels_of_different_cells_are_uncorrelated():
    """Correlation over many channels of pixels in two views: 1 where they share a cell, else 0 ± 5/√channels."""
    channels = 4_000
    index = np.array([0, 1, 2, -1, 1, 0, 3, -1], np.int32)
    rows = projected(index, 4, (2, 2, 2), channels, generator(0)).permute(0, 2, 3, 1).reshape(8, channels).double()
    shared = (index[:, None] == index[None, :]) & (index >= 0)[:, None]
    expected = torch.from_numpy(shared | np.eye(8, dtype=bool)).double()
    assert (rows @ rows.T / channels - expected).abs().max() < 5 * math.sqrt(2 / channels)


def test_bilinear_lookup_would_lower_the_variance():
    """Why nearest: a bilinear sample at random offsets has E[Σw²] = (2/3)² of the variance."""
    field = gaussian((1, 16, 64, 64), generator(0))
    grid = torch.rand(1, 128, 128, 2, generator=generator(1)) * 1.8 - 0.9
    bilinear = F.grid_sample(field, grid, mode="bilinear", align_corners=False)
    assert bilinear.var().item() == pytest.approx(4 / 9, rel=0.1)
    with pytest.raises(AssertionError):
        assert_white(bilinear)


def test_whitened_keeps_each_cell_once_in_a_view():
    index = np.array([5, 5, -1, 2, 2, 5, 5, 0], np.int32)
    assert whitened(index, 2).tolist() == [5, -1, -1, 2, 2, 5, -1, 0]


def test_wrong_maps_are_refused():
    for index, cells in ((np.zeros(5, np.int32), 1), (np.full(ROWS, 9, np.int32), 9)):
        with pytest.raises(InvalidInput):
            projected(index, cells, VIEW, 3, generator(0))
    with pytest.raises(InvalidInput):
        generator(-1)


# Noise that is drawn again and again, at every step of a stochastic sampler


@pytest.mark.parametrize("cells", [20, 2_000, 1_000_000], ids=["coarse", "middle", "fine"])
def test_every_draw_of_canonical_noise_is_white_in_every_view(cells):
    noise, source = CanonicalNoise(index_map(cells), cells, VIEW), generator(0)
    for _ in range(2):
        draw = noise(64, source)
        assert draw.shape == (3, 64, 48, 48)
        assert draw.dtype == torch.float32
        for view in draw:
            assert_white(view)


def test_draws_are_independent_and_repeat_with_the_seed():
    noise, source = CanonicalNoise(index_map(2_000), 2_000, VIEW), generator(5)
    first, second = noise(32, source), noise(32, source)
    assert abs((first * second).mean().item()) < 5 / math.sqrt(first.numel())
    assert torch.equal(first, noise(32, generator(5)))
    assert torch.equal(first, projected(index_map(2_000), 2_000, VIEW, 32, generator(5)))


def test_views_share_the_cells_that_they_both_see_and_nothing_else():
    """In every draw: the first pixel of a cell in one view equals the first pixel of that cell in another."""
    index = index_map(300, uncovered=0.5)
    noise, source = CanonicalNoise(index, 300, VIEW), generator(1)
    firsts = whitened(index, 3).reshape(3, -1)
    for _ in range(2):
        rows = noise(4, source).permute(0, 2, 3, 1).reshape(3, -1, 4)
        values = np.full((3, 300, 4), np.nan, np.float32)
        for view in range(3):
            seen = firsts[view] >= 0
            values[view, firsts[view][seen]] = rows[view].numpy()[seen]
        both = ~np.isnan(values[:2]).any((0, 2))
        assert both.sum() > 200
        assert np.array_equal(values[0, both], values[1, both])
        own = rows[0].numpy()[firsts[0] < 0]
        assert not (own[:, None] == rows[1].numpy()[None]).all(-1).any()


def test_canonical_noise_without_any_cell_is_plain_noise():
    noise = CanonicalNoise(np.full(ROWS, -1, np.int32), 1, VIEW)
    for view in noise(16, generator(2)):
        assert_white(view)


def test_two_views_of_the_same_cells_are_one_white_field():
    index = np.arange(2 * 64, dtype=np.int32) % 64
    noise, source = CanonicalNoise(index, 64, (2, 8, 8)), generator(3)
    draws = torch.stack([noise(8, source) for _ in range(50)])
    assert torch.equal(draws[:, 0], draws[:, 1])
    assert abs(draws[:, 0].double().var().item() - 1) < 5 * math.sqrt(2 / (50 * 8 * 64))


def test_canonical_noise_refuses_maps_that_do_not_fit():
    with pytest.raises(InvalidInput, match="one cell, or -1"):
        CanonicalNoise(np.zeros(7, np.int32), 1, (1, 2, 4))
    with pytest.raises(InvalidInput, match="cell 9 is not among the 9 cells"):
        CanonicalNoise(np.full(8, 9, np.int32), 9, (1, 2, 4))


@pytest.mark.parametrize("rho", [1.0, 0.3, 0.0, -1 / 3])
def test_variants_of_a_seed_are_white_and_as_correlated_as_their_rows(rho: float):
    coupling = equicorrelated(4, rho)
    drawn = [gaussian((3, 96, 96), generator(Variant(5, row), 2)) for row in coupling.matrix]
    for each in drawn:
        assert_white(each)
    flat = torch.stack(drawn).double().flatten(1)
    measured = (flat @ flat.T / flat.shape[1]).numpy()
    assert np.abs(measured - coupling.correlation).max() < 5 / math.sqrt(flat.shape[1])


def test_eights_of_zeros_cost_no_draw():
    row = [0.6, *[0.0] * 31, 0.8]
    source = generator(Variant(1, row), 2)
    assert len(getattr(source, "more")) == 1  # noqa: B009
    drawn = gaussian((9, 9), source)
    first, last = (gaussian((9, 9), generator(Variant(1, one), 2)) for one in ([1.0], [0.0] * 32 + [1.0]))
    assert torch.allclose(drawn, 0.6 * first + 0.8 * last, atol=1e-6)


@pytest.mark.parametrize("length", [2, 5, 8, 11])
def test_any_functionals_of_two_variants_correlate_by_their_rows_alone(length: int):
    """The mixing Q of a variant is orthogonal, and Q Q'ᵀ + Q' Qᵀ = 2 ⟨row, row'⟩ I."""
    rows = np.random.default_rng(1).normal(size=(2, length))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    mixed = np.array([getattr(generator(Variant(0, row)), "mixers") for row in rows], np.float64)  # noqa: B009
    for own in mixed:
        assert np.allclose((own @ own.transpose(0, 2, 1)).sum(0), np.eye(8), atol=1e-6)
    across = (mixed[0] @ mixed[1].transpose(0, 2, 1)).sum(0)
    assert np.allclose(across + across.T, 2 * (rows[0] @ rows[1]) * np.eye(8), atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 8, 8), (7, 5), (2,), (0, 3)])
def test_the_first_row_is_the_plain_seed_and_zeros_change_nothing(shape: tuple[int, ...]):
    def draws(seed: int) -> torch.Tensor:
        source = generator(seed, 4)
        return torch.stack([gaussian(shape, source) for _ in range(3)])

    assert torch.equal(draws(Variant(9, [1.0])), draws(9))
    assert torch.equal(draws(Variant(9, [1.0, 0.0])), draws(9))
    short, long = draws(Variant(9, [0.6, 0.8])), draws(Variant(9, [0.6, 0.8, *[0.0] * 9]))
    assert torch.equal(short, long)
    assert not short.numel() or not torch.equal(short, draws(9))
    source = generator(Variant(9, [0.6, 0.8]), 4)
    assert torch.equal(torch.randperm(50, generator=source), torch.randperm(50, generator=generator(9, 4)))


def test_variants_share_what_lies_under_all_views_and_repel_there():
    noise = CanonicalNoise(index_map(500), 500, VIEW)
    drawn = [noise(3, generator(Variant(1, row), 7)) for row in repulsive(3).matrix]
    assert torch.stack(drawn).sum(0).abs().max() < 1e-5
    assert torch.equal(drawn[0], noise(3, generator(Variant(1, repulsive(3).matrix[0]), 7)))
    assert not torch.equal(drawn[0], noise(3, generator(Variant(2, repulsive(3).matrix[0]), 7)))


def test_a_variant_is_its_seed_to_all_else():
    assert Variant(5, [1.0]) == 5
    assert np.random.default_rng(Variant(5, [0.6, 0.8])).random() == np.random.default_rng(5).random()
