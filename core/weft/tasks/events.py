"""What a task yields while it runs: the one event stream between the science and whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Checkpoint", "Event", "Preview", "Progress", "Result", "Warning"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Step `step` of `total` of `phase` is done (1-based; `total` ≥ 1)."""

    phase: str
    step: int
    total: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What object number `object` would look like if the job ended now."""

    object: int
    image: np.ndarray  # f4 [h, w, 3], sRGB in [0, 1], row 0 is the top (v = 1)
    step: int
    total: int


@dataclass(frozen=True, slots=True)
class Warning:
    """Something the user should know, with what to do about it; the job goes on."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What the result would be if the job ended now, as far as it is worth keeping. A job that is stopped or fails
    leaves its last one; one that begins again, because its worker died, may be given the arrays as inputs.
    """

    arrays: dict[str, np.ndarray]  # by the names of the declaration's results
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """The last event. `arrays` by the names of the task's declaration; `info` holds plain numbers, strings, lists."""

    arrays: dict[str, np.ndarray]
    info: dict[str, Any] = field(default_factory=dict)


Event = Progress | Preview | Warning | Checkpoint | Result
