"""`--models DIR`: folders of models for this command and for the processes that it starts."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from weft_wire.errors import WireError

__all__ = ["VARIABLE", "add_models", "folders_of", "with_folders"]

VARIABLE = "WEFT_MODELS"  # the same for a whole session; folders as in PATH


def add_models(parser: argparse.ArgumentParser) -> None:
    text = f"search this folder of models first; may be repeated (besides ${VARIABLE} and the hub's cache)"
    parser.add_argument("--models", type=Path, action="append", default=[], metavar="DIR", help=text)


def folders_of(arguments: argparse.Namespace) -> tuple[Path, ...]:
    """The folders that were named, absolute; those that are none are refused."""
    for folder in arguments.models:
        if not folder.is_dir():
            raise WireError("invalid_input", f"there is no folder {folder}", "--models takes a folder that is there")
        if os.pathsep in str(folder):
            raise WireError("invalid_input", f"{folder} has a {os.pathsep!r} in its name", "rename it or link to it")
    return tuple(folder.absolute() for folder in arguments.models)


def with_folders(folders: Sequence[Path]) -> dict[str, str]:
    """The environment of a process that is to search `folders` first."""
    named = [*map(str, folders), os.environ.get(VARIABLE, "")]
    return {**os.environ, VARIABLE: os.pathsep.join(filter(None, named))}
