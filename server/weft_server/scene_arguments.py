"""SCENE of the commands: a scene file, or splats; and how the result is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.job_files import check_out, write_report
from weft_server.splat_files import splat_arrays
from weft_server.terminal import say
from weft_wire.errors import WireError
from weft_wire.events import JobResult

__all__ = ["SCENES", "GivenScene", "check_kind", "check_scene_out", "given_scene", "splats_of", "write_scene"]

SPLATS = (".ply", ".splat", ".spz")
SCENE = ".weft"
CHECKPOINT = ".ckpt"  # of nerfstudio's splatfacto
SCENES = (SCENE, *SPLATS, CHECKPOINT)
WRITTEN = (".ply", ".splat", SCENE)


@dataclass(frozen=True, eq=False)
class GivenScene:
    """The input arrays of a scene; `file` is that of splats, `kind` what it is made of."""

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    file: Any = None
    kind: str = "splats"


def given_scene(path: Path) -> GivenScene:
    """Read SCENE. Raises what cannot be used, in one line."""
    from weft.io.scene_files import load_scene
    from weft.io.splats import load_splats

    if not path.exists():
        raise WireError("invalid_input", f"there is no {path}", f"name a scene: {', '.join(SCENES)}")
    if path.suffix.lower() not in SCENES:
        message = f"{path.name!r} is no scene"
        raise WireError(
            "invalid_input", message, f"give one of {', '.join(SCENES)}; `weft fit` makes one of photographs"
        )
    if path.suffix.lower() == SCENE:
        kind = load_scene(path).kind  # what is damaged is refused here and not by a server
        return GivenScene({"scene": np.frombuffer(path.read_bytes(), np.uint8)}, kind=kind)
    file = load_splats(path)
    for note in file.notes:
        say(f"note: {note}")
    arrays = splat_arrays(file.splats)
    del arrays["splats.dc"]
    return GivenScene(arrays | {"splats.sh": np.ascontiguousarray(file.splats.sh)}, file)


def check_scene_out(out: Path, keep: Sequence[Path | None], endings: Sequence[str], *, kind: str = "splats") -> None:
    """Raise unless a scene of that kind can be written there: NeRFs have no other file than ours."""
    check_out(out, WRITTEN, keep, endings)
    check_kind(out, kind)


def check_kind(out: Path, kind: str) -> None:
    """Raise unless what the scene is made of can be written there."""
    if kind != "splats" and out.suffix.lower() != SCENE:
        raise WireError("invalid_input", f"{out.name!r} holds splats, and this is {kind}", f"end it in {SCENE}")


def splats_of(arrays: dict[str, np.ndarray]) -> Any:
    """The splats among arrays of the wire."""
    from weft.geometry.splats import Splats

    return Splats(*(arrays[f"splats.{name}"] for name in ("means", "quaternions", "log_scales", "logits", "sh")))


def write_scene(out: Path, result: JobResult, given: GivenScene | None = None) -> list[Path]:
    """The scene in the form that the suffix of `out` says, and the pictures of a report beside it."""
    from weft.io.splats import save_edited_splats, write_splats

    if out.suffix.lower() == SCENE:
        from weft.io.files import write_file

        write_file(out, result.arrays["scene"].tobytes())
    elif given is not None and given.file is not None:
        save_edited_splats(out, given.file, splats_of(result.arrays), splats_of(given.arrays))
    else:
        write_splats(out, splats_of(result.arrays))
    return [out, *write_report(out, result.arrays)]
