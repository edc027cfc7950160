"""`weft learn-coupling`: what it learns and writes, and what it refuses before anything is learned."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from practice_commands import photo, refused, weft

from weft.io.coupling_files import load_coupling


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "photo.png")
    return tmp_path


def learn(options: str) -> str:
    """What a successful command says."""
    status, said, complained = weft("learn-coupling", *options.split())
    assert (status, complained) == (0, "")
    return said


def refusal(options: str) -> str:
    return refused("learn-coupling", "-o", "b.json", *options.split())


def correlation(path: Path) -> np.ndarray:
    matrix = load_coupling(path)
    assert np.allclose(np.linalg.norm(matrix, axis=1), 1)
    return matrix @ matrix.T


def test_diversity_becomes_repulsive_and_the_file_says_of_what(folder: Path) -> None:
    options = "diversity --variants 3 --linear --size 32 --steps 80 --seed 5"
    said = learn(f"{options} -o new.json")
    assert np.abs(correlation(folder / "new.json")[np.triu_indices(3, 1)] + 0.5).max() < 0.05
    far = re.findall(r"at most ([\d.]+) from repulsive", said)
    assert len(far) == 11, "ten lines while it learns, one at the end"
    assert float(far[-1]) < 0.05
    assert re.search(r"learned less independent: [\d.]+ ±", said)
    note = json.loads((folder / "new.json").read_text())["note"]
    assert note == {"reward": "diversity", "steps": 80, "size": 32, "seed": 5, "pictures": "clouds", "groups": [0] * 3}
    learn(f"{options} -o again.json")
    assert (folder / "again.json").read_bytes() == (folder / "new.json").read_bytes()


def test_brightness_learns_groups_of_the_sizes_that_were_asked_for(folder: Path) -> None:
    said = learn("brightness --variants 3 --groups 2,1 --linear --size 32 --steps 120 -o b.json")
    found = correlation(folder / "b.json")
    assert found[0, 1] > 0.9
    assert found[:2, 2].max() < -0.5
    assert "within groups" in said


def test_pictures_can_be_like_a_photograph(folder: Path) -> None:
    said = learn("nearest --variants 2 --exemplar photo.png --size 32 --steps 4 -o p.json")
    assert "2 variants of photo.png, 32 px" in said
    assert load_coupling(folder / "p.json").shape == (2, 2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("diversity --variants 1", "1 variants (a gallery has 2 to 16)"),
        ("diversity --variants 17", "17 variants"),
        ("sharpness --variants 2", "invalid choice: 'sharpness'"),
        ("diversity --variants 4 --groups 2,2", "only brightness has groups"),
        ("brightness --variants 4 --groups 3,2", "sizes that make 4"),
        ("brightness --variants 4 --groups 4", "two or more sizes"),
        ("brightness --variants 4 --groups 4,0", "two or more sizes"),
        ("brightness --variants 4 --groups two", "--groups two of 4 variants"),
        ("diversity --variants 2 --steps 2", "2 steps of learning"),
        ("diversity --variants 2 --seed -1", "seed -1"),
        ("diversity --variants 2 --size 8", "pictures of 8 px"),
        ("diversity --variants 2 --size 65", "that 16 divides"),
        ("diversity --variants 2 --exemplar none.png", "no file 'none.png'"),
        ("diversity --variants 2 --exemplar photo.png --linear", "not allowed with"),
        ("diversity --variants 2 -o b.txt", "end it in .json"),
        ("diversity --variants 2 -o no/where.json", "no folder"),
    ],
)
def test_what_makes_no_sense_is_one_line_with_a_remedy(folder: Path, options: str, says: str) -> None:
    assert says in refusal(options)
    assert not (folder / "b.json").exists()


def test_more_variants_than_memory_allows_are_refused_saying_how_many_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.tasks.coupled_pictures.memory_for_models", lambda device: 2**30)
    said = refusal("diversity --variants 8 --size 1024")
    assert "8 variants of 1024 px do not fit into memory, which has room for 5" in said
