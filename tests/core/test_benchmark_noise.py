"""What galleries of coupled noises must be, as the benchmark measures them, and what its statistics say of knowns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from weft.benchmarks.noise import Measured, Plan, Way, gallery_noises, patterns
from weft.benchmarks.noise_contrast import contrast_rows
from weft.benchmarks.noise_cost import mixing_seconds
from weft.benchmarks.noise_linear import linear_rows
from weft.benchmarks.noise_plot import plot_galleries
from weft.benchmarks.noise_sampler import Painter, Sampler
from weft.benchmarks.noise_settings import setting_rows
from weft.benchmarks.noise_statistics import compared, compared_once, degrees, falls
from weft.benchmarks.noise_tables import contrast_table, order_table, paper_table, setting_table
from weft.methods.noise_optimization import Contrast
from weft.noise import Variant, gaussian, generator
from weft_server.cli import main


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter("zebra", Sampler(size=32, steps=4))


def test_the_command_measures_what_theory_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Equal noises make equal pictures, opposite ones more different ones, and a linear generator exactly theory's."""
    assert main(["bench", "noise", "--quick", "--materials", "zebra"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = {
        line.split()[0]: line.split() for line in lines if "±" in line and line.split()[0].startswith(("1.", "0."))
    }
    assert cells["1.000"][1:3] == ["0.000", "±0.000"]
    assert cells["0.000"][1] == "1.000"
    assert float(cells["0.500"][1]) < 1
    two = next(line for line in lines if line.startswith("2 ") and " of 1" in line).split()
    assert float(two[3]) > 1
    assert [line.split()[2] for line in lines if "within" in line and "e-0" in line] == ["2.000000"]


def test_the_noises_of_a_gallery_are_coupled_as_asked(painter: Painter) -> None:
    independent = gallery_noises(Way(4), painter, 1)
    assert torch.equal(independent[:2], gallery_noises(Way(2), painter, 1))
    assert not torch.equal(independent, gallery_noises(Way(4), painter, 2))
    assert gallery_noises(Way.repulsive(4), painter, 1).sum(0).abs().max() < 1e-5
    opposite = gallery_noises(Way.repulsive(2), painter, 1)
    assert torch.allclose(opposite[0], -opposite[1])
    for way in (Way.repulsive(3), Way.repulsive(3, one_draw=True)):
        found = torch.corrcoef(gallery_noises(way, painter, 0).flatten(1))
        assert found[0, 1] == pytest.approx(-0.5, abs=0.06)
    assert torch.equal(gallery_noises(Way.repulsive(3, one_draw=True), painter, 1)[0], independent[0])


def test_equal_noises_make_equal_pictures_and_others_do_not(painter: Painter) -> None:
    noise = gaussian(painter.shape, generator(0))
    first, again, opposite = painter.pictures(torch.stack([noise, noise, -noise]), 0)
    assert np.array_equal(first, again)
    assert np.abs(first - opposite).mean() > 0.05


def test_optimisation_moves_noises_off_their_law_and_says_how_far() -> None:
    """Power of the cells that are compared: 1 of N(0, I), more of what was moved, the more the faster."""
    contrasts = (Contrast(cells=8, rate=1e-9), Contrast(cells=8), Contrast(cells=8, rate=0.1))
    still, slow, fast = contrast_rows(Sampler(size=32, steps=2), ["zebra"], 2, contrasts)
    assert (still.squared.ratio, still.sharpness.ratio) == pytest.approx((1, 1), abs=1e-3)
    assert still.power == pytest.approx(1, abs=0.15)  # 8 draws of 192 cells
    assert still.power < slow.power < fast.power
    assert len(list(contrast_table([still, slow]))) == 3


def test_what_each_way_is_called() -> None:
    names = [way.label for way in Plan().compared[:4]]
    assert names == ["independent", "repulsive", "CNO", "both"]
    assert len(Plan().ways) == len(set(Plan().ways)) == 16 + 5 + 2


def test_a_linear_generator_is_exactly_as_theory_says() -> None:
    for row in linear_rows((2, 3, 4, 5), 60):
        assert row.exact == pytest.approx(row.theory, abs=1e-12)
        assert row.paired_error < 1e-6
        assert row.sampled.low - 0.1 < row.theory < row.sampled.high + 0.1


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Ratios of 1.2, of correlated pairs in materials of other spreads: 95 % of 150 intervals, within 3 σ."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(150):
        base = 5 + rng.standard_normal((6, 8)) * np.arange(1, 7)[:, None] * 0.2
        found = compared(1.2 * base + 0.5 * rng.standard_normal((6, 8)), base)
        held += found.low < 1.2 < found.high
    assert abs(held / 150 - 0.95) < 3 * (0.95 * 0.05 / 150) ** 0.5


def test_no_difference_is_none_and_a_clear_one_is_clear() -> None:
    base = 1 + 0.1 * np.random.default_rng(1).random((3, 20))
    same = compared(base, base)
    assert (same.ratio, same.error, same.p, same.above) == (1, 0, 1, 0)
    more = compared(1.3 * base, base)
    assert more.p < 1e-9
    assert more.above == 3
    assert compared_once(1.3 * base[:, 0], base[:, 0]).ratio == pytest.approx(1.3)
    fall, low, high = falls((1.3 * base, base), (1.1 * base, base))
    assert fall == pytest.approx(0.2)
    assert low <= fall <= high


def test_other_samplers_are_measured_on_the_same_noises() -> None:
    base = Sampler(size=32, steps=2)
    rows = list(setting_rows({"one": base, "same": base, "η = 1": replace(base, eta=1.0)}, ["zebra"], 2))
    assert rows[0].squared == rows[1].squared
    assert rows[2].squared != rows[0].squared
    assert len(list(setting_table(rows))) == 4


@pytest.mark.parametrize(("linear", "low", "high"), [(1, 0, 0), (0.4, 0.3, 0.3), (0, 0, 1)])
def test_degrees_are_found_again(linear: float, low: float, high: float) -> None:
    shares = {1: linear, 2: low, 50: high}
    ratios = {rho: sum(v * (1 - rho**k) for k, v in shares.items()) for rho in (-1, -0.5, -0.2, 0, 0.3, 0.6, 0.9, 1)}
    found = degrees(ratios)
    assert (found.linear, found.low, found.high) == pytest.approx((linear, low, high), abs=0.02)
    assert found.error < 1e-3


def test_fewer_patterns_are_counted_as_fewer() -> None:
    x = np.arange(64)
    stripes = np.broadcast_to(0.5 + 0.4 * np.sin(x / 3)[:, None, None], (64, 64, 3))
    assert patterns(stripes) == pytest.approx(2, abs=0.1)  # a sine and a cosine
    assert patterns(np.random.default_rng(0).random((64, 64, 3))) > 50


def made_up(galleries: int = 5) -> list[Measured]:
    """Two materials that are exactly a linear generator's."""
    plan, rng = Plan(galleries), np.random.default_rng(0)
    found = []
    for material, patches in (("zebra", 3.0), ("bricks", 9.0)):
        base = 1 + 0.1 * rng.random(galleries)
        names: tuple[str, ...] = ("squared", "rms", "coarse", "mss", "vendi", "look", "sharpness")
        numbers: dict[Way, dict[str, np.ndarray]] = {
            way: dict.fromkeys(names, (1 - way.rho) * base) for way in plan.ways
        }
        found.append(Measured(material, patches, numbers, dict.fromkeys(plan.compared, 0.1)))
    return found


def test_tables_and_plot_of_a_linear_generator(tmp_path: object) -> None:
    found, plan = made_up(), Plan(5)
    ratios = [line.split()[3] for line in list(paper_table(found, plan))[1:]]
    assert ratios == ["2.000", "1.500", "1.333", "1.250"]
    assert [line.split()[-1] for line in list(order_table(found, plan))[1:]] == ["yes"] * 3
    path = tmp_path / "plot.png"  # type: ignore[operator]
    plot_galleries(found, plan, path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_plain_seed_is_mixed_with_nothing() -> None:
    def run(seed: int) -> None:
        for part in range(20):
            gaussian((200_000,), generator(seed, part))

    plain, coupled = (mixing_seconds(lambda seed=seed: run(seed)) for seed in (0, Variant(0, (0.6, 0.8))))
    assert min(*plain, *coupled) >= 0
    assert plain[0] > 0
    assert coupled[1] > plain[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--galleries", "1"], "1 gallery"),
        (["--size", "50"], "pictures of 50 px"),
        (["--materials", "cheese"], "'cheese'"),
        (["--plot", "absent/plot.png"], "no folder absent"),
    ],
)
def test_bad_input_is_refused_in_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "noise", *words]) != 0
    told = capsys.readouterr().err.strip()
    assert says in told
    assert len(told.splitlines()) == 1
