"""The table of radiance fields: its cases, and that its rows are measured."""

from __future__ import annotations

import numpy as np
import pytest
from practice_shapes import DATA, needs_data

from weft.benchmarks import scenes
from weft.errors import InvalidInput


def test_rows_tell_what_was_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("weft.scenes.kinds._QUICK_STEPS", 5)
    case = scenes.quick_case(32, 16)
    assert (len(case.training.cameras), len(case.held_out.cameras)) == (14, 2)
    row = next(scenes.measure(case, ["splats"], steps=30))
    assert 8 < row.psnr < row.train_psnr + 3
    assert 0 < row.view_ms < 1000 * (row.seconds + 1)
    assert row.steps == 30
    heading, line = scenes.table([row])
    assert "held out" in heading
    assert "32×32" in line
    scenes.save_renders(row, case, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ball-32x32-splats.png"]
    with pytest.raises(InvalidInput, match="no scene is made of 'clay'"):
        next(scenes.measure(case, ["clay"]))


@needs_data
def test_folders_are_divided_as_their_files_say():
    fox, lego = scenes.case_of(DATA / "fox_270x480", 48), scenes.case_of(DATA / "lego_200", 40)
    assert (len(fox.training.cameras), len(fox.held_out.cameras)) == (43, 7)
    assert (len(lego.training.cameras), len(lego.held_out.cameras)) == (50, 20)
    assert (fox.bounded, fox.background, lego.bounded, lego.background) == (False, 0.5, True, 1.0)
    assert lego.training.images[0, 0, 0].tolist() == [1, 1, 1]
    for case in (fox, lego):
        away = [np.linalg.norm(camera.center) for camera in case.training.cameras]
        assert np.median(away) == pytest.approx(1)
