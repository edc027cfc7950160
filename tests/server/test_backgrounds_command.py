"""`weft backgrounds`: what it refuses before a server is started, and a whole run, small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from practice_commands import photo, refused, weft

from weft.tasks.backgrounds_methods import METHODS
from weft_server.options import ServerOptions
from weft_server.server import Server
from weft_wire.errors import WireError
from weft_wire.jobs import BACKGROUNDS, check_inputs
from weft_wire.jobs.backgrounds import METHODS as NAMES
from weft_wire.parameters import from_mapping

COMMAND = "backgrounds photo.png --mask mask.png -o out.png"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEFT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "photo.png", 96, 80)
    mask = np.zeros((80, 96), np.uint8)
    mask[20:60, 30:70] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(np.zeros_like(mask)).save(tmp_path / "black.png")
    Image.fromarray(np.full_like(mask, 255)).save(tmp_path / "white.png")
    Image.fromarray(mask[:, :90]).save(tmp_path / "narrow.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    photo(tmp_path / "dot.png", 20, 20)
    photo(tmp_path / "out_2.png", 96, 80)
    return tmp_path


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("--variants 1", "variants must be between 2 and 16, not 1"),
        ("--variants 17", "variants must be between 2 and 16, not 17"),
        ("--variants 3 --correlation -0.9", "choose a correlation between -0.5 and 1"),
        ("--correlation alike", "is neither a number nor repulsive, independent, identical"),
        ("--mask black.png", "is black: it marks nothing"),
        ("--mask white.png", "there is nothing around the object"),
        ("--mask narrow.png", "is 90×80 px, 'photo.png' is 96×80 px"),
        ("--mask broken.png", "broken.png"),
        ("--mask absent.png", "absent.png"),
        ("--exemplar broken.png", "broken.png"),
        ("--method magic", "invalid choice: 'magic'"),
        ("--optimize -1", "optimize must be between 0 and 200"),
        ("--size 9000", "size must be 0 or between 96 and 2048 px"),
        ("-o out.gif", "cannot write 'out.gif'"),
        ("-o photo.png", "photo.png would be overwritten"),
        ("--exemplar out_2.png", "out_2.png would be overwritten"),
    ],
)
def test_what_makes_no_sense_is_one_line_before_any_server(more: str, says: str) -> None:
    assert says in refused(*COMMAND.split(), *more.split())


def test_pictures_must_be_large_enough_and_readable() -> None:
    assert "'dot.png' has 20 rows, expected 64 to 4096" in refused(
        "backgrounds", "dot.png", "--mask", "dot.png", "-o", "o.png"
    )
    assert "broken.png" in refused("backgrounds", "broken.png", "--mask", "mask.png", "-o", "o.png")
    assert "--mask" in refused("backgrounds", "photo.png", "-o", "o.png")


def test_a_job_without_a_mask_is_refused_on_the_wire() -> None:
    params: Any = from_mapping(BACKGROUNDS.params, {})
    with pytest.raises(WireError, match="image is missing"):
        check_inputs(BACKGROUNDS, params, [])


def test_the_methods_of_the_wire_are_the_science_s() -> None:
    assert tuple(METHODS) == NAMES


def test_a_photograph_gets_backgrounds(folder: Path) -> None:
    with Server(ServerOptions(home=folder / "home", port=0, min_free_bytes=1)):
        status, said, complained = weft(
            *COMMAND.split(), "--variants", 3, "--correlation", 0, "--steps", 4, "--optimize", 1, "--compare",
            "--prompt", "mossy stone",
        )  # fmt: skip
    assert (status, complained) == (0, ""), said + complained
    assert "material: mossy stone" in said
    rows = [line.split("|")[1].strip() for line in said.splitlines() if line.startswith("| ")]
    assert rows[:2] == ["method", "the photograph"]
    assert set(rows[2:]) == set(METHODS)
    assert "wrote out_1.png, out_2.png, out_3.png, out_contact_sheet.png in" in said.splitlines()[-1]
    before, after = (np.asarray(Image.open(folder / name)) for name in ("photo.png", "out_1.png"))
    assert np.array_equal(before[25:55, 35:65], after[25:55, 35:65])
