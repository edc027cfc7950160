"""The task of `weft bench wire`: gives its arrays back. Needs none of the heavy packages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft.tasks.events import Event, Result
from weft_wire.arrays import ArraySpec
from weft_wire.jobs import Task

__all__ = ["ECHO", "RUNNERS", "capabilities", "warm_up"]


@dataclass(frozen=True, slots=True)
class EchoParams:
    """There is nothing to choose."""


ECHO = Task(
    name="echo",
    help="give the arrays back",
    params=EchoParams,
    inputs=(ArraySpec("data.<i>", "f4", ("N",), "any numbers", required=True),),
    results=(ArraySpec("data.<i>", "f4", ("N",), "the same numbers"),),
)


def echo(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    yield Result(arrays)


RUNNERS = {ECHO.name: echo}


def capabilities() -> dict[str, Any]:
    return {"device": "none"}


def warm_up() -> None:
    """Nothing to load."""
