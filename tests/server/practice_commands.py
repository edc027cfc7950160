"""The command `weft` in this process: what it says, and how it ends."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from weft_server import cli

__all__ = ["OBJ", "photo", "refused", "weft"]

OBJ = """
v -1 -1 -1\nv 1 -1 -1\nv 1 1 -1\nv -1 1 -1\nv -1 -1 1\nv 1 -1 1\nv 1 1 1\nv -1 1 1
vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1
f 1/1 4/2 3/3 2/4\nf 5/1 6/2 7/3 8/4\nf 1/1 2/2 6/3 5/4\nf 2/1 3/2 7/3 6/4\nf 3/1 4/2 8/3 7/4\nf 4/1 1/2 5/3 8/4
"""


def weft(*arguments: object) -> tuple[int, str, str]:
    """(exit status, standard output, standard error)."""
    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            status = int(leaving.code or 0)
    return status, said.getvalue(), complained.getvalue()


def refused(*arguments: object) -> str:
    """The one line that says why; nothing else was said, so no server was started."""
    status, said, complained = weft(*arguments)
    assert status in (1, 2), said + complained
    assert said == ""
    assert complained.startswith("weft: ")
    assert len(complained.splitlines()) == 1, complained
    return complained


def photo(path: Path, width: int = 48, height: int = 32, *, seed: int = 0) -> Path:
    """A small picture of noise, as a file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path
