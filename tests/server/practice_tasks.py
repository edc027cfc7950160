"""A small real task for the tests of the server: it computes, reports, fails, hangs and dies as it is told.

The worker imports this module by its name; the tests use its declaration.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weft.errors import InvalidInput
from weft.tasks.events import Checkpoint, Event, Preview, Progress, Result, Warning
from weft_wire.arrays import ArraySpec
from weft_wire.jobs import Task
from weft_wire.parameters import param

BEHAVIOURS = ("work", "refuse", "break", "die", "hang", "deaf", "die_once")


@dataclass(frozen=True, slots=True)
class PracticeParams:
    steps: int = param(3, minimum=1, maximum=10_000, help="how often it reports")
    pause: float = param(0.0, minimum=0, maximum=60, unit="s", help="between two steps")
    preview: int = param(4, minimum=1, maximum=2048, unit="px", help="side of the previews")
    behaviour: str = param("work", choices=BEHAVIOURS, help="how it goes")
    note: str = param("", help="a file to which every start is noted")
    keep: int = param(0, minimum=0, help="steps from one checkpoint to the next; 0: there are none")


PRACTICE = Task(
    name="practice",
    help="scale numbers",
    params=PracticeParams,
    inputs=(
        ArraySpec("data.<i>.values", "f4", ("N",), "numbers", required=True),
        ArraySpec("data.<i>.order", "i4", ("M",), "indices of the numbers", index_of="N"),
        ArraySpec("image", "u1", ("H", "W", 3), "any picture"),
        ArraySpec("done.<i>", "f4", ("D",), "how many steps an earlier job has done"),
    ),
    results=(
        ArraySpec("doubled.<i>", "f4", ("N",), "twice the numbers"),
        ArraySpec("done.<i>", "f4", ("D",), "how many steps are done"),
    ),
    dimensions={"N": (1, 1 << 28), "M": (1, 1 << 28), "H": (1, 8192), "W": (1, 8192)},
    resumes=("done.0",),
)


def practise(params: dict[str, Any], arrays: dict[str, np.ndarray], labels: list[str]) -> Iterator[Event]:
    wanted = PracticeParams(**params)
    starts = _note_start(wanted.note)
    if wanted.behaviour == "refuse":
        raise InvalidInput("the numbers are odd", "send even ones")
    yield Warning("this is practice", "nothing is at stake")
    begun = int(arrays["done.0"][0]) if "done.0" in arrays else 0
    for step in range(begun + 1, wanted.steps + 1):
        if step > 2 * wanted.keep:
            _misbehave(wanted.behaviour, starts)
        time.sleep(wanted.pause)
        yield Progress("practising", step, wanted.steps)
        if wanted.keep and step % wanted.keep == 0:
            yield Checkpoint({"done.0": np.array([step], np.float32)}, {"step": step})
        yield Preview(
            0, np.full((wanted.preview, wanted.preview, 3), step / wanted.steps, np.float32), step, wanted.steps
        )
    doubled = {
        f"doubled.{name.split('.')[1]}": 2 * values for name, values in arrays.items() if name.endswith(".values")
    }
    yield Result(doubled, {"labels": labels, "starts": starts, "begun": begun, "mean": np.float32(0.5)})


def _note_start(note: str) -> int:
    if not note:
        return 0
    with Path(note).open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len(Path(note).read_text().splitlines())


def _misbehave(behaviour: str, starts: int) -> None:
    if behaviour == "break":
        raise ZeroDivisionError("a secret of the server")
    if behaviour == "die" or (behaviour == "die_once" and starts == 1):
        os._exit(9)
    if behaviour == "hang":
        time.sleep(600)
    if behaviour == "deaf":
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)


TASKS = {PRACTICE.name: PRACTICE}
RUNNERS = {PRACTICE.name: practise}


def capabilities() -> dict[str, Any]:
    return {"device": "practice", "models": []}


def warm_up() -> None:
    """Nothing to load."""
