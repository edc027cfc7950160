"""From the name of a model to a place on this machine. Names come from clients, so none leads out of the folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from weft.errors import BadCheckpoint, InvalidInput

__all__ = ["candidates", "check_within", "hub_cache", "is_within", "listed"]

# One part of a name: letters, digits and what publishers and users put between them. No dot in front, so no "..".
_PART = re.compile(r"\w[\w .+&'()\[\]-]*")
_REVISION = re.compile(r"\w[\w.-]*")
LONGEST_NAME = 200
DEEPEST = 4  # parts


def hub_cache() -> Path:
    """The Hugging Face cache: $HF_HUB_CACHE, $HF_HOME/hub, or its place in the user's home."""
    default = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface") / "hub"
    return Path(os.environ.get("HF_HUB_CACHE") or default)


def candidates(source: str, folders: Sequence[Path]) -> Iterator[Path]:
    """Where a source may lie, whether or not it does: `<folder>/owner/name`, `<folder>/name`, the hub's snapshot.
    InvalidInput for what is no name."""
    parts = _name_parts(source)
    for folder in folders:
        yield folder.joinpath(*parts)
        if len(parts) > 1:
            yield folder.joinpath(*parts[1:])
            if (snapshot := _snapshot(folder / f"models--{parts[0]}--{parts[1]}")) is not None:
                yield snapshot.joinpath(*parts[2:])


def is_within(path: Path, folders: Sequence[Path]) -> bool:
    """Whether a path, its links followed, is in one of the folders. The hub's snapshots link to its blobs: within.
    A link that leads to itself is nowhere."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError):  # which of them a loop is depends on the version of Python
        return False
    return any(real.is_relative_to(folder.resolve()) for folder in folders)


def check_within(path: Path, folders: Sequence[Path]) -> None:
    """Raise BadCheckpoint if a file or folder, or anything in it, is a link that leads out of the folders."""
    links = [path, *(entry for entry in (path.rglob("*") if path.is_dir() else ()) if entry.is_symlink())]
    if outside := next((link for link in links if not is_within(link, folders)), None):
        message = f"{outside} leads out of the folders of models"
        raise BadCheckpoint(message, "put the file itself there, or name the folder that it leads to with --models")


def listed(folder: Path, pattern: str) -> list[Path]:
    """What matches in a folder that may not be there, or not be ours to read."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _name_parts(source: str) -> list[str]:
    parts = source.split("/")
    if len(source) > LONGEST_NAME or len(parts) > DEEPEST or not all(map(_PART.fullmatch, parts)):
        shown = source if len(source) <= LONGEST_NAME else f"{source[:LONGEST_NAME]}…"
        raise InvalidInput(f"{shown!r} is no name of a model", "NAME or OWNER/NAME; neither a path nor an address")
    return parts


def _snapshot(repository: Path) -> Path | None:
    """The revision that the hub's cache calls main, else the newest that it holds."""
    snapshots = repository / "snapshots"
    try:
        revision = (repository / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        revision = ""
    if _REVISION.fullmatch(revision) and (snapshots / revision).is_dir():
        return snapshots / revision
    return max(listed(snapshots, "*"), key=lambda path: path.stat().st_mtime, default=None)
