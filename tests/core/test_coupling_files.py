"""Files of couplings: the same matrix comes back, and what is none is refused in one line that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.errors import InvalidInput
from weft.io.coupling_files import load_coupling, save_coupling
from weft.methods.coupled_noise import repulsive, row_normalised

GOOD = {"format": "weft coupling", "version": 1, "note": {}, "rows": [[1, 0], [0.6, -0.8]]}


@settings(deadline=None, max_examples=25)
@given(count=st.integers(2, 16), noises=st.integers(1, 64), seed=st.integers(0, 2**32 - 1))
def test_the_same_matrix_comes_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, count: int, noises: int, seed: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "coupling.json"
    matrix = np.random.default_rng(seed).normal(size=(count, noises))
    save_coupling(path, matrix, {"reward": "größte Vielfalt", "steps": 600})
    assert load_coupling(path).tobytes() == matrix.tobytes()
    assert load_coupling(path).dtype == np.float64


def test_a_file_can_be_used_as_it_is_read(tmp_path: Path) -> None:
    save_coupling(tmp_path / "r.json", repulsive(4).matrix, {})
    again = row_normalised(load_coupling(tmp_path / "r.json"))
    assert np.allclose(again.correlation, repulsive(4).correlation, atol=1e-12)


def good_but(**changes: Any) -> str:
    return json.dumps(GOOD | changes)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("\ufeff{}", "no JSON"),
        ("[1, 2]", "does not tell of a coupling"),
        (good_but(format="weft scene"), "does not tell of a coupling"),
        (good_but(version=2), "of version 2, expected 1"),
        (good_but(version=True), "of version True"),
        (json.dumps({"format": "weft coupling", "version": 1}), "has no rows"),
        (good_but(rows=[]), r"shape \[0\]"),
        (good_but(rows=[[], []]), "has no rows"),
        (good_but(rows="identity"), "has no rows"),
        (good_but(rows=[[1, 0]]), r"shape \[1, 2\]"),
        (good_but(rows=[[1]] * 17), r"shape \[17, 1\]"),
        (good_but(rows=[[1] * 65] * 2), r"shape \[2, 65\]"),
        (good_but(rows=[[1, 0], [1]]), "different lengths"),
        (good_but(rows=[[1, 0], [True, 0]]), "does not consist of numbers"),
        (good_but(rows=[[1, 0], ["1", 0]]), "does not consist of numbers"),
        (good_but(rows=[[1, 0], [[1], 0]]), "does not consist of numbers"),
        (good_but(rows=[[1, 0], [0, 0]]), "row 2 of the coupling is zero"),
        (good_but(rows=[[1e-300, 0], [1, 0]]), "row 1 of the coupling is of length 1e-300"),
        (good_but(rows=[[1, 0], [float("nan"), 1]]), "NaN or infinity"),
        (good_but(rows=[[1, 0], [float("-inf"), 1]]), "NaN or infinity"),
        (good_but(rows=[[1, 0], ["?", 1]]).replace('"?"', "1e999"), "NaN or infinity"),
        (good_but(rows=[[1, 0], [10**400, 1]]), "too large"),
        (good_but(note="x" * 300_000), "at most 262,144"),
    ],
)
def test_what_is_no_coupling_is_refused_in_one_line(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput, match=says) as caught:
        load_coupling(path)
    assert "'mine.json'" in caught.value.message
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.hint


def test_a_missing_file_or_a_folder_or_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(bytes(range(256)))
    for path, says in (
        (tmp_path / "none.json", "no file"),
        (tmp_path, "cannot read"),
        (tmp_path / "bytes.json", "JSON"),
    ):
        with pytest.raises(InvalidInput, match=says):
            load_coupling(path)


@pytest.mark.parametrize(
    ("name", "matrix", "note", "says"),
    [
        ("b.txt", np.eye(2), {}, "end it in .json"),
        ("b.json", np.eye(1), {}, r"shape \[1, 1\]"),
        ("b.json", np.ones(3), {}, r"shape \[3\]"),
        ("b.json", np.array([[1, 0], [np.nan, 1]]), {}, "NaN or infinity"),
        ("b.json", np.array([[1, 0], [0, 0]]), {}, "row 2 of the coupling is zero"),
        ("b.json", np.eye(2), {"reward": float("nan")}, "note of the coupling"),
        ("b.json", np.eye(2), {"reward": np.eye(2)}, "note of the coupling"),
        ("b.json", np.eye(2), {"reward": "x" * 300_000}, "takes 300,"),
    ],
)
def test_what_no_reader_would_take_is_not_written(
    tmp_path: Path, name: str, matrix: np.ndarray, note: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        save_coupling(tmp_path / name, matrix, note)
    assert not (tmp_path / name).exists()
