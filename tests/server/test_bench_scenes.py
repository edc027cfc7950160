"""`weft bench scenes`: it prints a row for every kind, and refuses what it cannot measure."""

from __future__ import annotations

import pytest
from practice_commands import refused, weft


def test_the_command_prints_a_row(monkeypatch, tmp_path):
    monkeypatch.setattr("weft.scenes.kinds._QUICK_STEPS", 5)
    options = ("--quick", "--kind", "splats", "--steps", 5, "-o", tmp_path)
    status, said, complained = weft("bench", "scenes", *options)
    assert (status, complained) == (0, "")
    heading, row = (line.split() for line in said.splitlines()[1:])
    assert heading[:3] == ["scene", "pixels", "kind"]
    assert row[:4] == ["ball", "40×40", "splats", "5"]
    assert [path.name for path in tmp_path.iterdir()] == ["ball-40x40-splats.png"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--steps", -1), "-1 steps"),
        (("fox@small",), "'fox@small' is no folder with sizes"),
        (("nowhere@48",), "nowhere"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_line(options, told):
    assert told in refused("bench", "scenes", *options)
