"""What the commands show: lines, and a progress bar where there is a terminal."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any, Protocol

__all__ = ["Display", "complain", "display", "machine", "say"]


def say(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(error: BaseException) -> None:
    """One line: what is wrong, and the remedy in brackets."""
    text = " ".join(str(error).split())
    sys.stderr.write(f"weft: {text}\n")
    sys.stderr.flush()


def machine() -> str:
    """What a measurement is to be read with: processor, cores, and what else they do."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{platform.machine()}, {os.cpu_count()} cores{load}"


class Display(Protocol):
    """Shows how far a job is; used in a `with` statement."""

    def __enter__(self) -> Display: ...
    def __exit__(self, *error: object) -> None: ...
    def show(self, phase: str, step: int, total: int, message: str) -> None: ...
    def note(self, text: str) -> None: ...


def display() -> Display:
    """A bar for a terminal, plain lines for a file or a pipe."""
    return Bar() if sys.stdout.isatty() else Lines()


class Lines:
    """A line at the start of every phase, and at every quarter of a long one."""

    def __init__(self) -> None:
        self._last: tuple[str, int] = ("", -1)

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to put away."""

    def show(self, phase: str, step: int, total: int, message: str) -> None:
        quarter = 4 * step // max(total, 1)
        if (phase, quarter) != self._last:
            self._last = (phase, quarter)
            say(f"{phase}: {step} of {total}{f', {message}' if message else ''}")

    def note(self, text: str) -> None:
        say(text)


class Bar:
    """A bar of rich for the present phase."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[message]}"),
        )  # fmt: skip
        self._task: Any = None
        self._phase = ""

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, phase: str, step: int, total: int, message: str) -> None:
        if phase != self._phase:
            if self._task is not None:
                self._progress.update(self._task, completed=1, total=1)  # its clock stops
            self._phase = phase
            self._task = self._progress.add_task(phase, total=total, message=message)
        self._progress.update(self._task, completed=step, total=total, message=message)

    def note(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)
