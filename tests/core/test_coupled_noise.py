"""Coupled noises: exact marginals, exact correlations, nothing impossible, and what linear generators make of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
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


@pytest.mark.parametrize(
    "subspace",
    [Part(torch.arange(16) < 6), Part((torch.arange(3) == 1)[:, None, None]), Band(0.0, 0.2), Band(0.15, 0.3)],
)
def test_couplings_hold_each_in_their_subspace(subspace: Part | Band) -> None:
    x, y = (torch.randn(5, 3, 12, 16, dtype=torch.float64, generator=generator(i)) for i in (0, 1))
    assert torch.allclose(subspace(subspace(x)), subspace(x), atol=1e-12), "a projection"
    assert float((subspace(x) * y).sum()) == pytest.approx(float((x * subspace(y)).sum())), "an orthogonal one"
    noises = coupled(
        equicorrelated(3, 1.0), (1500, 3, 12, 16), generator(7), subspace=subspace, beside=repulsive(3)
    ).double()
    for each in noises:
        assert kstest(each.numpy().ravel()[::4], "norm").pvalue > 1e-4
    inside, outside = subspace(noises), noises - subspace(noises)
    assert float((inside[0] - inside[1]).abs().max()) < 1e-4, "identical in the subspace"
    assert float(outside.sum(0).abs().max()) < 1e-4, "repulsive beside it"


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
    ],
)
def test_what_is_impossible_is_refused_in_one_line(make: object, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        make()  # type: ignore[operator]
    assert caught.value.hint
