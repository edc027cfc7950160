"""Parts of one computation that advance together: each in a thread, one of them running at a time, in a fixed order.

A network that is too large for one batch is evaluated in parts, and its layers may want what *all* parts have at that
layer. So each part runs in a thread of its own up to the layer, hands over what it has, and waits until all have. The
turns go round from the first part to the last, whatever the machine does: the same bytes every time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Generic, TypeVar

import torch

__all__ = ["Lockstep"]

Given = TypeVar("Given")
Merged = TypeVar("Merged")
Result = TypeVar("Result")


class _Ended(BaseException):
    """Unwinds a part because another one failed. Not an Exception, so that nothing on the way takes it for its own."""


class Lockstep(Generic[Given, Merged]):
    """`count` parts of one computation, which meet at every `exchange`. For one `run`."""

    def __init__(self, count: int, merge: Callable[[list[Given]], Merged]) -> None:
        self.count = count
        self._merge = merge
        self._given: list[Given] = []  # by the parts that have reached the next meeting, in order
        self._merged: Any = None  # of the last meeting, until every part has it
        self._turns = [threading.Semaphore(0) for _ in range(count)]
        self._finished: set[int] = set()
        self._error: BaseException | None = None
        self._here = threading.local()

    @property
    def part(self) -> int:
        """Which part asks; AttributeError outside of `run`."""
        return self._here.part

    def run(self, function: Callable[[int], Result]) -> list[Result]:
        """`function(part)` of all parts, in order. The first error of any part ends all parts, and is raised here."""
        results: dict[int, Result] = {}
        settings = _settings()
        threads = [
            threading.Thread(
                target=copy_context().run, args=(self._work, part, function, results, settings), daemon=True
            )
            for part in range(self.count)
        ]
        for thread in threads:
            thread.start()
        self._turns[0].release()
        self._wait_for(threads)
        error, self._error = self._error, None  # kept, it would hold the frames of its thread and all their tensors
        if error is not None:
            try:
                raise error
            finally:
                del error
        return [results[part] for part in range(self.count)]

    def exchange(self, given: Given) -> Merged:
        """Hand over what this part has; returns what `merge` makes of what all parts have, in the parts' order."""
        part = self._here.part
        if self._finished:
            raise RuntimeError("a part of the batch has finished while others still exchange")
        self._given.append(given)
        del given
        last = part == self.count - 1
        if last:
            given_by_all, self._given = self._given, []
            self._merged = self._merge(given_by_all)
            del given_by_all
        self._pass_on(part)
        self._wait(part)
        merged = self._merged
        if last:
            self._merged = None
        return merged

    def _work(self, part: int, function: Callable[[int], Result], results: dict[int, Result], settings: _Set) -> None:
        """What the thread of one part does."""
        self._here.part = part
        try:
            self._wait(part)
            with settings():
                results[part] = function(part)
        except _Ended:
            pass
        except BaseException as error:
            self._error = self._error or error
        finally:
            self._finished.add(part)
            self._pass_on(part)

    def _wait(self, part: int) -> None:
        self._turns[part].acquire()
        if self._error is not None:
            raise _Ended

    def _pass_on(self, part: int) -> None:
        """The turn goes to the next part that has not finished, if there is one."""
        following = ((part + k) % self.count for k in range(1, self.count + 1))
        for other in following:
            if other not in self._finished:
                self._turns[other].release()
                return

    def _wait_for(self, threads: list[threading.Thread]) -> None:
        """Until all have ended. An interruption from outside ends the parts at their next turn, then is raised."""
        try:
            for thread in threads:
                thread.join()
        except BaseException as error:
            self._error = error
            for thread in threads:
                thread.join()


_Set = Callable[[], Any]


def _settings() -> _Set:
    """What torch keeps for each thread by itself, as the calling thread has it: a context for other threads.

    (torch's compiler keeps its settings in context variables, which are copied.)
    """
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    stream = torch.cuda.current_stream() if torch.cuda.is_initialized() else None

    @contextmanager
    def settings() -> Iterator[None]:
        with torch.inference_mode(inference), torch.set_grad_enabled(grad), torch.cuda.stream(stream):
            yield

    return settings
