"""The benchmark of edited panoramas, small: every way has its row, and fixed windows are the ones that seam."""

from __future__ import annotations

import numpy as np
import pytest

from weft.benchmarks.csd_panorama import COLUMNS, WAYS, PanoramaRow, Size, Way, edited_panorama, panorama_rows, table
from weft.methods.score_distillation import Batch, Estimator
from weft.metrics import line_seams
from weft.tasks.instruction_exemplar import ExemplarInstruction

SIZE = Size(width=96, height=64, window=32, steps=12)


def image() -> np.ndarray:
    """f4 [64, 96, 3]: noise."""
    return np.random.default_rng(0).random((64, 96, 3), np.float32)


class Stubborn(ExemplarInstruction):
    """Whatever it sees, it wants it brighter to the right."""

    def estimator(self, sources: np.ndarray, masks: np.ndarray | None, seed: int) -> Estimator:
        return self  # pyright: ignore[reportReturnType]

    def target(self, x, level, batch: Batch, /):
        ramp = np.linspace(-1, 1, x.shape[3], dtype=np.float32)
        return batch.x.new_tensor(np.broadcast_to(ramp, x.shape).copy())

    def source(self, x, level, batch: Batch, /):
        return batch.source


def test_windows_that_never_move_show_and_moving_ones_do_not():
    instruction = Stubborn(image(), window=32)
    still, moving = (
        line_seams(edited_panorama(image(), Way("", "dds", fixed=fixed), instruction, SIZE), 32, 1)[-1]
        for fixed in (True, False)
    )
    assert still > 3
    assert moving < 1.5


@pytest.fixture(scope="module")
def rows() -> list[PanoramaRow]:
    size = Size(width=96, height=64, window=48, steps=1)
    return [row for row, _ in panorama_rows(image(), image()[:48, :48], size, WAYS[1:3])]


def test_every_way_has_a_row_beside_the_image_itself(rows):
    assert [row.way for row in rows] == ["as it is", *(way.label for way in WAYS[1:3])]
    assert all(set(row.numbers) == set(COLUMNS) for row in rows)
    assert rows[0].numbers["detail"] == pytest.approx(1)
    assert all(0.5 < row.numbers["detail"] < 1 for row in rows[1:])
    lines = list(table(rows))
    assert len({len(line) for line in lines}) == 1
