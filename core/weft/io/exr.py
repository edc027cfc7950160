"""The channels of OpenEXR files."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from weft.errors import InvalidImage, MissingDependency
from weft.io.files import read_file

__all__ = ["read_channels"]


def read_channels(path: Path) -> dict[str, Any]:
    """Every channel of the first part by its name, [H, W] in the file's own type. InvalidImage for a damaged file,
    MissingDependency without the package that reads EXR."""
    read_file(path)  # one clear line where there is no such file
    try:
        import OpenEXR
    except ImportError:
        raise MissingDependency("reading EXR files needs the package OpenEXR", "pip install OpenEXR") from None
    try:
        with _hushed(), OpenEXR.File(str(path), separate_channels=True) as opened:
            return {name: channel.pixels for name, channel in opened.channels().items()}
    except (RuntimeError, OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"{str(path)!r} is damaged, cut short or no EXR: {reason}"
        raise InvalidImage(message, "copy it again or export it again") from None


@contextmanager
def _hushed() -> Iterator[None]:
    """OpenEXR prints a dozen lines about a damaged file, most of them past Python; the error that it raises says
    enough."""
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
