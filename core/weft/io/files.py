"""Whole files in and out: the operating system's errors become one line with a remedy."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from weft.errors import InvalidInput

__all__ = ["read_file", "write_file"]


def read_file(path: Path) -> bytes:
    """The file's bytes; InvalidInput when it is missing, a folder or not readable."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InvalidInput(f"there is no file {str(path)!r}", "check the path and its spelling") from None
    except OSError as error:
        raise InvalidInput(f"cannot read {str(path)!r}: {error.strerror}", "give a file that you may read") from None


def write_file(path: Path, data: bytes) -> None:
    """Write all of `data` or leave what was there: a full disk never leaves half a file. Makes missing folders."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        remedy = "check the folder, its permissions and the free space"
        raise InvalidInput(f"cannot write {str(path)!r}: {error.strerror}", remedy) from None
