"""What the paper found, as the benchmark measures it on the Gaussian field: which cases work for which projection."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import torch

from weft.benchmarks.plots import check_plotting, plot_cases
from weft.benchmarks.synchronization_cost import measure_costs
from weft.benchmarks.synchronization_cost import table as cost_table
from weft.benchmarks.synctweedies import (
    PROJECTIONS,
    Row,
    draw_field,
    gaussian_field,
    measure_cases,
    table,
    variance_response,
)
from weft.benchmarks.torus import torus_space
from weft.errors import WeftError


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """The cases that are looked at here, and no others: each is a run of the sampler."""
    looked_at = {
        "1-to-1": (1, 2, 3, 4, 5), "1-to-n": (1, 2, 4), "n-to-1": (1, 2, 3, 4, 5), "n-to-1, no parallax": (2, 3, 5),
        "mesh": (2, 5),
    }  # fmt: skip
    found: list[Row] = []
    for projection, cases in looked_at.items():
        with patch.dict(PROJECTIONS, {projection: PROJECTIONS[projection]}, clear=True):
            found += measure_cases(cases, size=64, seeds=1, instruments=["field"])
    return found


def distances(rows: list[Row], projection: str) -> dict[int, float]:
    return {row.case: row.numbers["patch"] for row in rows if row.projection == projection}


def test_one_to_one_does_not_tell_the_cases_apart(rows):
    found = distances(rows, "1-to-1")
    assert max(found.values()) < 1.1 * min(found.values())


def test_one_to_n_breaks_what_synchronises_noise(rows):
    found = distances(rows, "1-to-n")
    assert found[1] > 2 * found[2]
    assert found[4] > 2 * found[2]


def test_n_to_one_leaves_case_2_alone(rows):
    found = distances(rows, "n-to-1")
    assert all(found[case] > 1.4 * found[2] for case in (1, 3, 4, 5))


def test_without_parallax_only_projected_noise_is_lost(rows):
    """F is then exact on what the views share, so 3 is 2; z loses a factor of √M in every view."""
    found = distances(rows, "n-to-1, no parallax")
    assert found[3] == pytest.approx(found[2], rel=1e-3)
    assert found[5] > 1.5 * found[2]


def test_meshes_tell_2_from_5_where_the_posterior_is_linear(rows):
    found = distances(rows, "mesh")
    assert found[5] > 1.2 * found[2]  # 2.2 at 96 pixels


def test_a_linear_posterior_keeps_too_little_noise_and_a_discrete_one_hides_it():
    left = {(name, variance): value for name, variance, value in variance_response([0.25], size=64)}
    assert left["field", 0.25] == pytest.approx(0.5, abs=1e-3)  # exactly √v: the sampler is linear in its start
    assert left["exemplar", 0.25] > 0.85


def test_the_field_has_the_spectrum_that_it_says():
    field = gaussian_field(64)
    drawn = field.analyse(draw_field(field, 200, 0)).abs() ** 2
    for low, high in ((1, 4), (8, 16), (20, 32)):
        frequency = np.fft.fftfreq(64) * 64
        radius = np.hypot(*np.meshgrid(frequency, frequency))
        ring = torch.from_numpy((radius >= low) & (radius < high))
        mean, expected = drawn.mean((0, 1))[ring].mean(), field.spectrum[0][ring].mean()
        assert mean == pytest.approx(float(expected), rel=5 / (600 * int(ring.sum())) ** 0.5 + 0.05)


def test_every_texel_of_the_torus_lies_on_it():
    space = torus_space(4, 64, 64)
    x, y, z = space.surface.position.T
    tube = np.hypot(np.hypot(x, y) - 1, z)
    assert np.abs(tube - 0.45).max() < 0.45 * (1 - np.cos(np.pi / 48)) + 0.01  # chords of the polygons
    assert space.surface.chart.all()


def test_tables_have_a_line_for_every_row(rows):
    assert len(list(table(rows))) == 1 + len(rows)
    costs = list(measure_costs([(2, 64, 64)]))
    assert 0 < costs[0].share < 1
    assert len(list(cost_table(costs))) == 2


def test_a_plot_is_drawn_or_refused_in_time(rows, tmp_path):
    check_plotting(tmp_path / "cases.png")
    plot_cases(rows, tmp_path / "cases.png")
    assert (tmp_path / "cases.png").read_bytes().startswith(b"\x89PNG")
    for wrong in (tmp_path / "cases.txt", tmp_path / "absent" / "cases.png"):
        with pytest.raises(WeftError):
            check_plotting(wrong)
