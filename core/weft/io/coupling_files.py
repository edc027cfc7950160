"""Couplings of variants in and out of files: the matrix B of ε = B ξ, and a note on where it is from.

A file is a small JSON object: `format` and `version`, `note` (an object of words and numbers, for people) and `rows`, a
list of numbers for each variant. Rows may have any length but 0: what uses them brings them to 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from weft.errors import InvalidInput
from weft.io.files import read_file, write_file

__all__ = ["MOST_NOISES", "MOST_VARIANTS", "SUFFIX", "VERSION", "load_coupling", "save_coupling"]

SUFFIX = ".json"
VERSION = 1
MOST_VARIANTS = 16
MOST_NOISES = 64  # columns: with as many as there are rows, every correlation can be had
_FORMAT = "weft coupling"
_LARGEST = 1 << 18  # bytes: more than so many numbers and a note need
_SHORTEST, _LONGEST = 1e-6, 1e6  # of a row: single precision, too, can bring it to 1
_AGAIN = "make one with `weft learn-coupling`"


def save_coupling(path: str | Path, matrix: np.ndarray, note: Mapping[str, Any]) -> None:
    """Write B [m, k], m = 2 to 16, to `path`, which ends in .json. The same matrix is read back, to the bit.

    Raises InvalidInput for a matrix that no reader would take, and for a note that is not of words and numbers.
    """
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        raise InvalidInput(f"{path.name!r} does not name a file of a coupling", f"end it in {SUFFIX}")
    rows = np.asarray(matrix, np.float64)
    _check(rows)
    content = {"format": _FORMAT, "version": VERSION, "note": dict(note), "rows": rows.tolist()}
    try:
        data = (json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()
    except (TypeError, ValueError):
        raise InvalidInput("the note of the coupling cannot be written", "give finite numbers and words") from None
    if len(data) > _LARGEST:
        raise InvalidInput(f"the coupling with its note takes {len(data):,} bytes", f"at most {_LARGEST:,}")
    write_file(path, data)


def load_coupling(path: str | Path) -> np.ndarray:
    """B of a file, f8 [m, k]. Raises InvalidInput, which names the file, for what is no coupling."""
    path = Path(path)
    if path.is_file() and path.stat().st_size > _LARGEST:
        raise InvalidInput(
            f"{path.name!r} takes {path.stat().st_size:,} bytes, a coupling at most {_LARGEST:,}", _AGAIN
        )
    data = read_file(path)
    try:
        return _matrix(data)
    except InvalidInput as error:
        raise InvalidInput(f"{path.name!r}: {error.message}", error.hint) from None


def _matrix(data: bytes) -> np.ndarray:
    try:
        content = json.loads(data.decode("utf-8"), parse_constant=_no_number)
    except InvalidInput:
        raise
    except (ValueError, RecursionError):
        raise InvalidInput("this is no JSON, expected a coupling of Weft", _AGAIN) from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InvalidInput("this JSON does not tell of a coupling of Weft", _AGAIN)
    version = content.get("version")
    if version != VERSION or isinstance(version, bool):
        remedy = "update Weft" if isinstance(version, int) and version > VERSION else _AGAIN
        raise InvalidInput(f"the coupling is of version {str(version)[:20]}, expected {VERSION}", remedy)
    rows = content.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, list) and row for row in rows):
        raise InvalidInput("the coupling has no rows", "give a list of numbers for each variant")
    if len({len(row) for row in rows}) > 1:
        raise InvalidInput("the rows of the coupling have different lengths", "give a number for each noise in each")
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for row in rows for number in row):
        raise InvalidInput("the coupling does not consist of numbers", _AGAIN)
    try:
        matrix = np.array(rows, np.float64)
    except OverflowError:
        raise InvalidInput("a number of the coupling is too large", "rows of length 1 are usual") from None
    _check(matrix)
    return matrix


def _check(matrix: np.ndarray) -> None:
    """Raise unless this is B of a gallery."""
    if matrix.ndim != 2 or not (2 <= matrix.shape[0] <= MOST_VARIANTS and 1 <= matrix.shape[1] <= MOST_NOISES):
        raise InvalidInput(
            f"the coupling has shape {list(matrix.shape)}",
            f"give 2 to {MOST_VARIANTS} rows, one for each variant, of 1 to {MOST_NOISES} noises",
        )
    if not np.isfinite(matrix).all():
        raise InvalidInput("the coupling holds NaN or infinity", "give finite numbers")
    for number, row in enumerate(matrix, 1):
        length = math.hypot(*row)
        if not _SHORTEST <= length <= _LONGEST:
            what = "zero" if length == 0 else f"of length {length:.3g}"
            raise InvalidInput(f"row {number} of the coupling is {what}", "give it a length of about 1")


def _no_number(text: str) -> NoReturn:
    raise InvalidInput("the coupling holds NaN or infinity", "give finite numbers")
