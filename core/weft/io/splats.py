"""Gaussian splats in and out of files.

| suffix | in                                                              | out                                      |
|--------|-----------------------------------------------------------------|------------------------------------------|
| .ply   | INRIA (Kerbl et al. 2023), SuperSplat's compressed PLY          | INRIA                                    |
| .splat | 32 bytes a splat (antimatter15)                                 | the same; view-dependent bands are lost  |
| .spz   | versions 1 to 4 (Niantic); turned from its RUB to the PLY's RDF |                                          |

What did not change is written back bit for bit: normals, properties that nobody knows, comments, further elements.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from weft.errors import InvalidInput, WeftError
from weft.geometry.splats import Splats, check_splats
from weft.io.files import read_file, write_file
from weft.io.splat_compressed import is_compressed, read_compressed
from weft.io.splat_dot import read_dot_splat, recolored_dot_splat, write_dot_splat
from weft.io.splat_ply import edited_splat_ply, read_splat_ply, rewritten_splat_ply, write_splat_ply
from weft.io.splat_spz import read_spz
from weft.io.splatfacto import CHECKPOINT, read_splatfacto

__all__ = ["SPLAT_SUFFIXES", "SplatFile", "load_splats", "save_edited_splats", "save_splats", "write_splats"]

SPLAT_SUFFIXES = (".ply", ".splat", ".spz", CHECKPOINT)
_EXPORT = "export it again, for example from SuperSplat as a PLY"


@dataclass(frozen=True, eq=False)
class SplatFile:
    """The splats of a file, and what writing the rest of it back needs."""

    splats: Splats
    form: str  # "ply", "compressed", "splat", "spz" or "checkpoint"
    source: bytes  # of the whole file
    notes: tuple[str, ...] = ()  # what could not be kept, one line each


def load_splats(path: str | Path) -> SplatFile:
    """Read any splat file. `InvalidInput` names what is wrong with it; `MissingDependency` when .spz 4 lacks zstandard.

    Quantised formats become what they stand for. Opacity bytes 0 and 255 are taken half a step inside, so that logits
    stay finite.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SPLAT_SUFFIXES:
        raise InvalidInput(f"{path.name!r} is not a splat file", f"give one of {', '.join(SPLAT_SUFFIXES)}")
    data = read_file(path)
    if not data:
        raise InvalidInput(f"{path.name!r} is empty", _EXPORT)
    try:
        with np.errstate(all="ignore"):  # NaN and infinity in the file are found by the check
            splats, form, notes = _read(data, suffix)
            check_splats(splats)
    except InvalidInput as error:
        raise InvalidInput(f"{path.name!r}: {error.message}", error.hint or _EXPORT) from None
    except (ValueError, LookupError, TypeError, struct.error, OverflowError) as error:
        if isinstance(error, WeftError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInput(f"{path.name!r} is damaged or not a {suffix[1:]} file: {reason}", _EXPORT) from None
    return SplatFile(splats, form, data, notes)


def _read(data: bytes, suffix: str) -> tuple[Splats, str, tuple[str, ...]]:
    if suffix == ".splat":
        return read_dot_splat(data), "splat", ()
    if suffix == ".spz":
        return read_spz(data)
    if suffix == CHECKPOINT:
        splats, notes = read_splatfacto(data)
        return splats, "checkpoint", notes
    if is_compressed(data):
        return read_compressed(data), "compressed", ()
    return read_splat_ply(data), "ply", ()


def save_splats(path: str | Path, file: SplatFile, *, dc: np.ndarray | None = None, degree: int | None = None) -> None:
    """Write the splats as INRIA PLY or .splat, whichever the suffix says, with new colours `dc` f4 [N, 3] (f_dc).

    `degree` None keeps the layout of the higher bands; fewer drop them. With `dc` those that stay become 0: they held
    how the old colours change with the view. Without `dc` and `degree` a file in its own format stays byte-identical.
    """
    path = Path(path)
    splats = file.splats
    dc = None if dc is None else _checked_dc(dc, splats.count)
    if degree is not None and degree not in range(splats.degree + 1):
        raise InvalidInput(f"degree {degree} asked for, the splats have degree {splats.degree}", "keep it or lower it")
    match path.suffix.lower():
        case ".ply" if file.form == "ply":
            data = rewritten_splat_ply(file.source, splats.degree, dc, degree)
        case ".ply":
            data = write_splat_ply(_changed(splats, dc, degree))
        case ".splat" if degree:
            raise InvalidInput(f"a .splat file holds no bands of degree {degree}", "write a .ply, or degree 0")
        case ".splat" if file.form == "splat":
            data = recolored_dot_splat(file.source, dc)
        case ".splat":
            data = write_dot_splat(_changed(splats, dc, 0))
        case _:
            raise InvalidInput(f"cannot write splats as {path.name!r}", "end it in .ply or .splat")
    write_file(path, data)


def write_splats(path: str | Path, splats: Splats) -> None:
    """New splats, as INRIA PLY or .splat (which loses what depends on the view), whichever the suffix says."""
    path = Path(path)
    if path.suffix.lower() not in (".ply", ".splat"):
        raise InvalidInput(f"cannot write splats as {path.name!r}", "end it in .ply or .splat")
    dot = path.suffix.lower() == ".splat"
    write_file(path, write_dot_splat(_changed(splats, None, 0)) if dot else write_splat_ply(splats))


def save_edited_splats(path: str | Path, file: SplatFile, edited: Splats, before: Splats) -> None:
    """Write `edited`, which was `before` when the edit began, in place of the file's splats.

    Numbers that are those of `before` are written as the file has them (which may hold infinities that `before` has
    not), and so is, in a PLY of the same degree, whatever else the file holds. Other counts make a new file.
    """
    if edited.count != file.splats.count or edited.degree != file.splats.degree:
        write_splats(path, edited)
        return
    merged = Splats(
        *(
            np.where(getattr(edited, name) == getattr(before, name), getattr(file.splats, name), getattr(edited, name))
            for name in ("means", "quaternions", "log_scales", "logits", "sh")
        )
    )
    if Path(path).suffix.lower() == ".ply" and file.form == "ply":
        write_file(Path(path), edited_splat_ply(file.source, merged))
    else:
        write_splats(path, merged)


def _checked_dc(dc: np.ndarray, count: int) -> np.ndarray:
    if dc.shape != (count, 3):
        message = f"new colours of shape {list(dc.shape)} for {count} splats, expected {[count, 3]}"
        raise InvalidInput(message, "give the colours of the splats that were read, in their order")
    if not np.isfinite(dc).all():
        raise InvalidInput("the new colours hold NaN or infinity, expected finite f_dc", "mask them")
    return dc.astype(np.float32)


def _changed(splats: Splats, dc: np.ndarray | None, degree: int | None) -> Splats:
    """The splats with `dc` as band 0 and zeros above, cut to `degree`."""
    sh = splats.sh[:, : ((splats.degree if degree is None else degree) + 1) ** 2]
    if dc is not None:
        sh = np.concatenate([dc[:, None], np.zeros_like(sh[:, 1:])], 1)
    return replace(splats, sh=sh)
