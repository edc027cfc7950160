"""Coupled noises: exact marginals, exact correlations, nothing impossible, and what linear generators make of them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from weft.errors import InvalidInput
from weft.methods.coupled_noise import (
    Band,
    Coupling,
    Part,
    coupled,
    equicorrelated,
    grouped,
    recombined,
    repulsive,
    rho_range,
    row_normalised,
)
from weft.noise import generator

COUPLINGS = {
    "identical": equicorrelated(4, 1.0),
    "independent": equicorrelated(4, 0.0),
    "half": equicorrelated(4, 0.5),
    "repulsive": repulsive(4),
    "groups": grouped([2, 2], 0.8, -0.4),
    "any": row_normalised(np.random.default_rng(0).normal(size=(4, 6))),
}


@pytest.mark.parametrize("name", COUPLINGS)
def test_every_noise_is_standard_normal_and_pairs_are_as_correlated_as_said(name: str) -> None:
    noises = coupled(COUPLINGS[name], (1 << 20,), generator(3)).double().numpy()
    for each in noises:
        assert kstest(each, "norm").pvalue > 1e-4
    measured = noises @ noises.T / noises.shape[1]
    assert np.abs(measured - COUPLINGS[name].correlation).max() < 5 / 1024  # five standard errors


@pytest.mark.parametrize("name", COUPLINGS)
def test_the_triangular_form_is_the_same_law_and_begins_with_what_there_would_be_alone(name: str) -> None:
    coupling, triangular = COUPLINGS[name], COUPLINGS[name].triangular
    assert np.allclose(triangular.correlation, coupling.correlation, atol=1e-12)
    assert triangular.matrix[0, 0] == 1
    assert not np.triu(triangular.matrix, 1).any()
    assert triangular.matrix.shape[1] == np.linalg.matrix_rank(coupling.matrix), "no draw in vain"


@given(count=st.integers(2, 16), share=st.floats(0, 1))
def test_the_whole_range_of_rho_is_there_and_nothing_beyond(count: int, share: float) -> None:
    low, high = rho_range(count)
    rho = low + share * (high - low)
    correlation = equicorrelated(count, rho).correlation
    assert np.allclose(correlation, (1 - rho) * np.eye(count) + rho, atol=1e-9)
    for beyond in (low - 0.01, 1.01):
        with pytest.raises(InvalidInput, match="cannot all be correlated") as caught:
            equicorrelated(count, beyond)
        assert f"{low:.4g}" in caught.value.hint


@pytest.mark.parametrize("count", [2, 3, 5, 16])
def test_repulsive_noises_sum_to_nothing(count: int) -> None:
    noises = coupled(repulsive(count), (4, 32, 32), generator(1))
    assert noises.sum(0).abs().max() < 1e-5
    if count == 2:
        assert torch.allclose(noises[0], -noises[1], atol=1e-6)
    assert torch.allclose(coupled(equicorrelated(2, 1.0), (9,), generator(1)).diff(dim=0), torch.zeros(1, 9))


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_a_linear_generator_gains_exactly_what_the_theory_says(count: int) -> None:
    """Expected squared distances through A: E‖A(ε_i - ε_j)‖² = 2 (1 - ρ) ‖A‖²; over independent noise 1 + 1/(m-1)."""
    correlation, independent = repulsive(count).correlation, equicorrelated(count, 0.0).correlation
    apart = [1 - each[0, 1] for each in (correlation, independent)]
    assert apart[0] / apart[1] == pytest.approx(1 + 1 / (count - 1), rel=1e-12)
    linear = torch.randn(16, 256, generator=generator(2))
    found = []
    for coupling in (repulsive(count), equicorrelated(count, 0.0)):
        samples = coupled(coupling, (256, 4000), generator(5))
        distance = (linear @ (samples[0] - samples[1])).square().sum(0).mean()
        found.append(float(distance))
    assert found[0] / found[1] == pytest.approx(1 + 1 / (count - 1), rel=0.05)


SUBSPACES = {
    "columns": Part(torch.arange(17) < 6),
    "a channel": Part((torch.arange(3) == 1)[:, None, None]),
    "low": Band(0.0, 0.2),
    "between": Band(0.15, 0.3),
    "all but the mean": Band(1e-6),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("height", "width"), [(12, 17), (13, 17), (13, 16), (12, 16), (1, 1), (2, 1)])
@pytest.mark.parametrize("name", [name for name in SUBSPACES if name != "columns"])
def test_subspaces_are_orthogonal_projections(name: str, height: int, width: int, dtype: torch.dtype) -> None:
    """P² = P = Pᵀ, and nothing of P x is in the complement: of odd and even sizes, in single and double precision."""
    subspace, rounding = SUBSPACES[name], 40 * torch.finfo(dtype).eps
    x, y = (torch.randn(5, 3, height, width, dtype=dtype, generator=generator(i)) for i in (0, 1))
    inside = subspace(x)
    assert inside.dtype == dtype
    assert torch.allclose(subspace(inside), inside, atol=rounding)
    scale = float(x.norm() * y.norm()) * rounding
    assert float((inside * y).sum()) == pytest.approx(float((x * subspace(y)).sum()), abs=scale)
    assert float((inside * (y - subspace(y))).sum()) == pytest.approx(0, abs=scale)


@settings(max_examples=30, deadline=None)
@given(edges=st.lists(st.floats(0, 0.75), max_size=4), height=st.integers(1, 9), width=st.integers(1, 9))
def test_bands_that_meet_hold_every_frequency_once(edges: list[float], height: int, width: int) -> None:
    bounds = sorted({0.0, *edges, 1.0})
    bands = [Band(low, high) for low, high in pairwise(bounds)]
    x = torch.randn(2, height, width, dtype=torch.float64, generator=generator(2))
    assert torch.allclose(torch.stack([band(x) for band in bands]).sum(0), x, atol=1e-12)
    if len(bands) > 1:
        assert torch.allclose(bands[0](bands[1](x)), torch.zeros_like(x), atol=1e-12)


@pytest.mark.parametrize("name", ["columns", "a channel", "low"])
def test_couplings_hold_each_in_their_subspace(name: str) -> None:
    """Of more than a million values each: standard normal, as correlated in both subspaces as is said of each, and not
    across; what is to cancel does so to float precision."""
    subspace = SUBSPACES[name]
    within, beside = equicorrelated(3, 0.5), repulsive(3)
    noises = coupled(within, (1600, 3, 13, 17), generator(7), subspace=subspace, beside=beside).double()
    for each in noises:
        assert kstest(each.numpy().ravel(), "norm").pvalue > 1e-4
    inside = subspace(noises)
    outside = noises - inside
    assert float(outside.sum(0).abs().max()) < 2e-6
    share = float(subspace(torch.eye(663).reshape(663, 3, 13, 17)).reshape(663, 663).diag().mean())  # of dimensions
    parts = [(inside, inside, within.correlation * share), (inside, outside, np.zeros((3, 3)))]
    for one, other, expected in [*parts, (outside, outside, beside.correlation * (1 - share))]:
        flat = one.reshape(3, -1) @ other.reshape(3, -1).T / one[0].numel()
        assert np.abs(flat.numpy() - expected).max() < 5 / math.sqrt(one[0].numel())


@pytest.mark.parametrize("count", [2, 3, 5, 16])
def test_what_is_repulsive_in_a_region_and_the_same_beside_it_is_so_exactly(count: int) -> None:
    """The law of a fixed object before other backgrounds."""
    region = Part(torch.arange(15)[:, None] < torch.arange(11))
    same = equicorrelated(count, 1.0)
    noises = coupled(repulsive(count), (4, 15, 11), generator(8), subspace=region, beside=same)
    assert region(noises).sum(0).abs().max() < 1e-5
    kept = noises - region(noises)
    assert torch.equal(kept, kept[:1].expand_as(kept))


def test_the_same_seed_gives_the_same_bytes_and_another_order_of_noises_another_coupling() -> None:
    first, again = (coupled(repulsive(3), (8, 8), generator(4)) for _ in range(2))
    assert torch.equal(first, again)
    swapped = Coupling(repulsive(3).matrix[[2, 0, 1]])
    assert torch.equal(coupled(swapped, (8, 8), generator(4)), first[[2, 0, 1]])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: repulsive(1), "1 noise is coupled with nothing"),
        (lambda: row_normalised(np.array([[1.0, 0.0], [0.0, 0.0]])), "row 2 of the coupling is zero"),
        (lambda: row_normalised(np.ones(3)), r"shape \[3\]"),
        (lambda: Coupling(np.ones((2, 2))), "length 1.414, expected 1"),
        (lambda: Coupling(np.full((2, 2), np.nan)), "NaN or infinity"),
        (lambda: grouped([2, 2], 0.1, -0.9), "cannot have 0.1 within and -0.9 across"),
        (lambda: coupled(repulsive(2), (3,), generator(0), subspace=Band()), "2 noises in the subspace and none"),
        (lambda: recombined(repulsive(2), torch.zeros(3, 4)), "3 noises for a coupling of 2"),
        (lambda: Band(0.3, 0.2), "no frequencies from 0.3 to 0.2"),
        (lambda: Band(float("nan")), "no frequencies from nan"),
        (lambda: Part(torch.ones(5, dtype=torch.bool))(torch.zeros(2, 4)), r"bool \[5\] for noise \[2, 4\]"),
        (lambda: Part(torch.ones(3, 1, 1, dtype=torch.bool))(torch.zeros(2, 4)), r"bool \[3, 1, 1\] for noise"),
        (lambda: Part(torch.ones(4))(torch.zeros(2, 4)), "a mask of torch.float32"),
    ],
)
def test_what_is_impossible_is_refused_in_one_line(make: object, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        make()  # type: ignore[operator]
    assert caught.value.hint
