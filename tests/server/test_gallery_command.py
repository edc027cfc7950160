"""`weft gallery`: each variant is what the task's own command makes, and what is wrong is one line before any work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from practice_commands import OBJ, photo, refused, weft

from weft.io.coupling_files import save_coupling
from weft_server.options import ServerOptions
from weft_server.server import Server

SMALL = ["--shape", "wide", "--width", 256, "--height", 64, "--window", 64, "--steps", 4, "--seed", 3]
MOSS = ["panorama", "--prompt", "moss", *SMALL]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a gallery of two, the same panorama alone, and two more like the second."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch, Server(ServerOptions(home=home, port=0, min_free_bytes=1)):
        patch.setenv("WEFT_HOME", str(home))
        patch.chdir(folder)
        (folder / "cube.obj").write_text(OBJ)
        assert "different pictures: " in _done("gallery", *MOSS, "--variants", 2, "-o", "a.png")
        _done(*MOSS, "-o", "alone.png")
        _done("gallery", *MOSS, "--variants", 2, "--like", "a_gallery.json:2", "--correlation", "0.9", "-o", "b.png")
        _done(*MOSS, "-o", "second.png", "--variants", 2, "--variant", 2)
        cube = ["texture", "cube.obj", "--prompt", "moss", "--size", 64, "--views", 4, "--texture-size", 128]
        _done("gallery", *cube, "--no-decals", "--steps", 4, "--variants", 2, "-o", "cube.glb")
        yield folder


def test_variants_are_those_of_the_tasks_own_command(made: Path) -> None:
    assert np.array_equal(_pixels(made / "a_1.png"), _pixels(made / "alone.png"))
    assert np.array_equal(_pixels(made / "a_2.png"), _pixels(made / "second.png"))
    assert not np.array_equal(_pixels(made / "a_1.png"), _pixels(made / "a_2.png"))


def test_the_record_tells_of_their_noises_and_the_sheet_shows_them(made: Path) -> None:
    record = json.loads((made / "a_gallery.json").read_text())
    assert [each["file"] for each in record["variants"]] == ["a_1.png", "a_2.png"]
    assert [each["row"] for each in record["variants"]] == [[1.0], [-1.0]]
    assert record["seed"] == 3
    assert record["pairwise_rms"] > 0
    sheet = _pixels(made / "a_gallery.png")
    assert sheet.shape[0] < sheet.shape[1]
    assert (made / "cube_gallery.png").is_file()
    assert (made / "cube_2.glb").is_file()


def test_more_like_one_are_nearer_to_it_than_its_opposite(made: Path) -> None:
    liked, other = (_pixels(made / f"a_{i}.png").astype(float) for i in (2, 1))
    for i in (1, 2):
        new = _pixels(made / f"b_{i}.png").astype(float)
        assert 0 < np.abs(new - liked).mean() < np.abs(new - other).mean()
    rows = np.array([each["row"] for each in json.loads((made / "b_gallery.json").read_text())["variants"]])
    assert np.allclose(rows @ np.pad([-1.0], (0, rows.shape[1] - 1)), 0.9)
    assert rows[0] @ rows[1] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--variants", "1"], "1 variants are no gallery"),
        (["--variants", "17"], "17 variants are no gallery"),
        (["--variant", "2"], "--variant chooses one"),
        (["--variants", "4", "--correlation", "-0.5"], "between -0.3333 and 1"),
        (["--correlation", "much"], "neither a number nor repulsive"),
        (["--like", "a.json"], "names no variant"),
        (["--like", "a.json:2"], "there is no file 'a.json'"),
        (["--like", "notes.json:2"], "tells of no gallery"),
        (["--like", "cow.json:2"], "tells of variants of texture, and these would be of panorama"),
        (["--like", "sky.json:2"], "has no variant 2"),
        (["--like", "sky.json:1", "--seed", "8"], "brings the seed 7"),
        (["--like", "sky.json:1", "--variants", "16"], "16 variants beside the earlier one"),
        (["--coupling-file", "notes.json"], "notes.json"),
        (["--coupling-file", "three.json", "--variants", "4"], "3 rows for 4 variants"),
        (["--coupling-file", "three.json", "--correlation", "0"], "both --correlation and --coupling-file"),
        (["--exemplar", "new_2.png"], "new_2.png would be overwritten"),
        (["--width", "1"], "width must be between"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEFT_HOME", str(tmp_path))
    (tmp_path / "notes.json").write_text('{"format": "notes", "variants": []}')
    for name, task in (("cow", "texture"), ("sky", "panorama")):
        record = {"format": "weft gallery", "task": task, "seed": 7, "variants": [{"number": 1, "row": [1.0, 0.0]}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    save_coupling(tmp_path / "three.json", np.eye(3), {})
    photo(tmp_path / "new_2.png")
    assert says in refused("gallery", "panorama", "--prompt", "moss", "-o", "new.png", *arguments)


def _done(*arguments: object) -> str:
    status, said, complained = weft(*arguments)
    assert (status, complained) == (0, ""), said + complained
    return said


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))
