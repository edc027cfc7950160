"""What galleries are looked at by: measures of the objects, not of what is behind them, and sheets."""

from __future__ import annotations

import numpy as np
import pytest

from weft.geometry.mesh import Mesh
from weft.tasks.gallery import SIDE, differences, gallery_sheet, picture_of_meshes

RANDOM = np.random.default_rng(0)


def test_pictures_that_are_alike_are_one() -> None:
    picture = RANDOM.random((24, 32, 3), np.float32)
    assert differences([picture] * 3) == {"pairwise_rms": 0.0, "vendi": 1.0}


def test_what_is_behind_objects_does_not_count() -> None:
    inside = RANDOM.random((3, 32, 32, 3), np.float32)
    framed = np.full((3, 64, 64, 3), 0.93, np.float32)
    framed[:, 16:48, 16:48] = inside
    assert differences(list(framed))["pairwise_rms"] == pytest.approx(differences(list(inside))["pairwise_rms"])
    assert 1 < differences(list(framed))["vendi"] <= 3


@pytest.mark.parametrize(("shape", "rows"), [((64, 64), 2), ((64, 128), 3), ((32, 256), 6), ((256, 64), 1)])
def test_sheets_show_all_pictures_in_as_few_rows_as_they_fit(shape: tuple[int, int], rows: int) -> None:
    pictures = [np.full((*shape, 3), 0.1 * (i + 1), np.float32) for i in range(6)]
    sheet = gallery_sheet(pictures, list("abcdef"))
    assert sheet.shape[1] <= 1280
    for i in range(6):
        assert np.isclose(sheet, 0.1 * (i + 1), atol=1 / 255).all(-1).any()
    filled = np.isclose(sheet[:, 20], 0.1, atol=1 / 255).all(-1)  # the first column's first picture
    assert sheet.shape[0] == pytest.approx(rows * (filled.sum() + 26), abs=2 * rows)


def test_an_object_is_seen_in_its_texture_of_any_shape() -> None:
    corners = np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]], np.float32)
    uv = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], np.float32)
    mesh = Mesh("square", corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32), uv)
    left = np.zeros((16, 48, 3), np.float32)
    left[:, :24, 0] = 1
    picture = picture_of_meshes([mesh], [left])
    assert picture.shape == (SIDE, SIDE, 3)
    red = (picture[..., 0] > 0.3) & (picture[..., 1] < 0.1)
    dark = picture.max(-1) < 0.1
    assert red.sum() == pytest.approx(dark.sum(), rel=0.5), "the nearer half is larger"
    assert np.nonzero(red)[1].mean() < np.nonzero(dark)[1].mean(), "seen from its front"
