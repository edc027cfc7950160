"""Scenes in and out of files (.weft): what a scene is made of, its optimiser's state, and where training stands.

A file is a .npz that is not compressed and holds no pickles: `info.npy`, the bytes of a JSON object, `views.npy`, the
cameras of the pictures that it learned from, and the arrays as `scene.<name>.npy`. Nothing depends on the clock: the
same scene gives the same bytes. Sizes are checked before they are believed, since anything may be sent to a server as a
scene.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from weft.errors import InvalidInput
from weft.geometry.camera import Camera
from weft.io.files import read_file, write_file

__all__ = [
    "KINDS",
    "SUFFIX",
    "VERSION",
    "SceneFile",
    "SceneInfo",
    "load_scene",
    "read_scene",
    "save_scene",
    "scene_bytes",
]

SUFFIX = ".weft"
VERSION = 1
KINDS = ("splats", "voxels", "tensorf")
_FORMAT = "weft scene"
_PREFIX, _END, _INFO, _VIEWS = "scene.", ".npy", "info.npy", "views.npy"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]{0,99}")
_LONGEST_INFO = 1 << 16  # bytes
_MOST_ARRAYS = 1000
_MOST_STEPS = 10**9
_LARGEST_SIDE = 16384
_CLOCK = (1980, 1, 1, 0, 0, 0)  # the earliest that zip files know
_AGAIN = "fit it again, or copy the file again if it was cut off"


@dataclass(frozen=True, eq=False)
class SceneInfo:
    """Where a scene stands, and how far its training is."""

    frame: np.ndarray  # f8 [4, 4], `matrix` of the scene's `scenes.frame.SceneFrame`
    step: int = 0  # steps that are done …
    steps: int = 0  # … of so many: learning rates follow from both
    seed: int = 0
    size: tuple[int, int] = (0, 0)  # width, height of the pictures it learned from; (0, 0): from none
    cameras: tuple[Camera, ...] = ()  # pinholes of the world: where these were taken


@dataclass(frozen=True, eq=False)
class SceneFile:
    """A scene as it lies in a file. `arrays` are those of `Scene.arrays()`, for `from_arrays` of the scene's kind."""

    kind: str  # one of KINDS
    arrays: dict[str, np.ndarray]
    info: SceneInfo


def scene_bytes(kind: str, arrays: Mapping[str, np.ndarray], info: SceneInfo) -> bytes:
    """The file. Raises InvalidInput for NaN in an array (a scene that diverged), and for what no reader would take."""
    _check_kind(kind)
    _check_info(info)
    facts = {
        "format": _FORMAT, "version": VERSION, "kind": kind, "frame": info.frame.tolist(), "step": int(info.step),
        "steps": int(info.steps), "seed": int(info.seed), "size": [int(side) for side in info.size],
    }  # fmt: skip
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        _write(archive, _INFO, np.frombuffer(json.dumps(facts).encode(), np.uint8))
        _write(archive, _VIEWS, _rows(info.cameras))
        for name in sorted(arrays):
            if not _NAME.fullmatch(name):
                raise InvalidInput(f"an array of the scene is called {name[:40]!r}", "use letters, digits, _ and .")
            array = np.asarray(arrays[name])
            _check_values(name, array)
            _write(archive, f"{_PREFIX}{name}{_END}", array)
    return stream.getvalue()


def read_scene(data: bytes, *, kind: str = "") -> SceneFile:
    """The scene in a file's bytes. `kind`: which it has to be; "" takes any.

    Raises InvalidInput for what is no scene file, is damaged, of another version or kind, or holds NaN.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = _checked_entries(archive, len(data))
            facts = _facts(archive)
            cameras = _cameras(_read(archive, _VIEWS))
            arrays = {name: _read(archive, f"{_PREFIX}{name}{_END}") for name in names}
    except InvalidInput:
        raise
    except (zipfile.BadZipFile, ValueError, LookupError, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise InvalidInput(f"the scene file is damaged, or is none: {reason}", _AGAIN) from None
    found = str(facts["kind"])
    _check_kind(found)
    if kind and found != kind:
        raise InvalidInput(f"the scene is made of {found}, expected {kind}", f"fit it again as {kind}")
    info = replace(_info(facts), cameras=cameras)
    for name, array in arrays.items():
        _check_values(name, array)
    return SceneFile(found, arrays, info)


def load_scene(path: str | Path, *, kind: str = "") -> SceneFile:
    """`read_scene` of a file; what is wrong with it is told with its name."""
    path = Path(path)
    data = read_file(path)
    try:
        return read_scene(data, kind=kind)
    except InvalidInput as error:
        raise InvalidInput(f"{path.name!r}: {error.message}", error.hint) from None


def save_scene(path: str | Path, data: bytes) -> None:
    """Write a scene's bytes to `path`, which ends in .weft: all of them, or what was there stays."""
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        raise InvalidInput(f"{path.name!r} does not name a scene file", f"end it in {SUFFIX}")
    write_file(path, data)


def _write(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    entry = zipfile.ZipInfo(name, _CLOCK)
    with archive.open(entry, "w", force_zip64=True) as file:
        little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
        np.lib.format.write_array(file, little, (1, 0), allow_pickle=False)


def _checked_entries(archive: zipfile.ZipFile, size: int) -> list[str]:
    """Names of the scene's arrays. Nothing may say that it is larger than the file, nor be packed."""
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if missing := next((name for name in (_INFO, _VIEWS) if name not in names), ""):
        raise InvalidInput(f"this is a zip file without {missing}, expected a scene file of Weft", _AGAIN)
    if len(names) > _MOST_ARRAYS or len(set(names)) != len(names):
        raise InvalidInput(f"the scene file has {len(names)} entries, expected few and none twice", _AGAIN)
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise InvalidInput("the scene file is compressed or encrypted, expected one as it was saved", "save it again")
    if sum(entry.file_size for entry in entries) > size:
        raise InvalidInput(f"the scene file says that it holds more than its {size:,} bytes", _AGAIN)
    arrays = [name for name in names if name not in (_INFO, _VIEWS)]
    if strange := next((n for n in arrays if not (n.startswith(_PREFIX) and n.endswith(_END))), ""):
        raise InvalidInput(f"the scene file holds {strange[:60]!r}, expected arrays of a scene", _AGAIN)
    return [name[len(_PREFIX) : -len(_END)] for name in arrays]


def _read(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """An array whose header tells of as many bytes as there are."""
    entry = archive.getinfo(name)
    with archive.open(entry) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise InvalidInput(f"{name} in the scene file is of another format of arrays", _AGAIN)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        told = math.prod(shape) * dtype.itemsize
        if dtype.kind not in "biuf" or min(shape, default=0) < 0 or told != entry.file_size - file.tell():
            raise InvalidInput(
                f"{name} in the scene file says that it is {dtype} {list(shape)[:8]}, which it is not", _AGAIN
            )
    with archive.open(entry) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _facts(archive: zipfile.ZipFile) -> dict[str, Any]:
    """What info.npy says, if it is of this format and version."""
    if archive.getinfo(_INFO).file_size > _LONGEST_INFO:
        raise InvalidInput("the scene file's info.npy is too long", _AGAIN)
    facts = json.loads(_read(archive, _INFO).tobytes())
    if not isinstance(facts, dict) or facts.get("format") != _FORMAT:
        raise InvalidInput("the file's info.npy does not tell of a scene of Weft", _AGAIN)
    version = facts.get("version")
    if version != VERSION:
        remedy = "update Weft" if isinstance(version, int) and version > VERSION else _AGAIN
        raise InvalidInput(f"the scene file is of version {str(version)[:20]}, expected {VERSION}", remedy)
    if missing := next((key for key in ("kind", "frame", "step", "steps", "seed", "size") if key not in facts), ""):
        raise InvalidInput(f"the scene file does not tell its {missing}", _AGAIN)
    return facts


def _info(facts: Mapping[str, Any]) -> SceneInfo:
    numbers = [facts["step"], facts["steps"], facts["seed"], *facts["size"]] if isinstance(facts["size"], list) else []
    if len(numbers) != 5 or not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        raise InvalidInput("the scene file's step, steps, seed or size is no whole number", _AGAIN)
    try:
        frame = np.array(facts["frame"], np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InvalidInput("the scene file's frame is not made of numbers", _AGAIN) from None
    step, steps, seed, width, height = numbers
    info = SceneInfo(frame, step, steps, seed, (width, height))
    _check_info(info)
    return info


def _rows(cameras: Sequence[Camera]) -> np.ndarray:
    """f8 [N, 22]: poses, and fx fy cx cy width height."""
    rows = [[*c.pose.ravel(), c.fx, c.fy, c.cx, c.cy, c.width, c.height] for c in cameras]
    return np.array(rows, np.float64).reshape(len(rows), 22)


def _cameras(rows: np.ndarray) -> tuple[Camera, ...]:
    if rows.dtype != np.float64 or rows.ndim != 2 or rows.shape[1] != 22 or not np.isfinite(rows).all():
        raise InvalidInput(f"the scene file's cameras are {rows.dtype} {list(rows.shape)}, expected [N, 22]", _AGAIN)
    sides = rows[:, 20:]
    if not ((sides >= 1) & (sides <= _LARGEST_SIDE)).all():
        raise InvalidInput(f"a camera of the scene file is for pictures of no size up to {_LARGEST_SIDE} px", _AGAIN)
    return tuple(Camera(row[:16].reshape(4, 4), int(row[20]), int(row[21]), *row[16:20]) for row in rows)


def _check_info(info: SceneInfo) -> None:
    frame = np.asarray(info.frame, np.float64)
    if frame.shape != (4, 4) or not np.isfinite(frame).all() or abs(np.linalg.det(frame)) < 1e-30:
        raise InvalidInput("the scene's frame is no similarity, expected a finite [4, 4] that has an inverse", _AGAIN)
    if not 0 <= info.step <= info.steps <= _MOST_STEPS:
        raise InvalidInput(f"the scene is at step {info.step} of {info.steps}", _AGAIN)
    if not (0 <= info.seed < 2**63 and len(info.size) == 2 and all(0 <= side <= _LARGEST_SIDE for side in info.size)):
        raise InvalidInput(f"the scene's seed is {info.seed} and its size {tuple(info.size)}", _AGAIN)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InvalidInput(f"no scene is made of {kind[:40]!r}", f"kinds are {', '.join(KINDS)}")


def _check_values(name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"{name} of the scene is {array.dtype}, expected numbers", _AGAIN)
    # Infinity is sound where it is an opacity's logit; NaN never is.
    if array.dtype.kind == "f" and np.isnan(array).any():
        count = int(np.isnan(array).sum())
        remedy = "go on from a checkpoint before it diverged, or fit it again after a look at the poses"
        raise InvalidInput(f"{name} of the scene holds NaN, {count} of {array.size}", remedy)
