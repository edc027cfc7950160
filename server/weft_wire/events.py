"""What a client sees: the server's events, made whole, in a queue that a slow reader cannot make grow."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from weft_wire.errors import WireError
from weft_wire.messages import PreviewChunk, ProgressEvent, StateEvent, WarningEvent, Welcome

__all__ = [
    "ConnectionEvent",
    "Event",
    "EventQueue",
    "FailedRequest",
    "JobResult",
    "PreviewEvent",
    "ProgressEvent",
    "ResultEvent",
    "StateEvent",
    "WarningEvent",
]


@dataclass(frozen=True, slots=True, eq=False)
class PreviewEvent:
    """What object number `object` would look like if the job ended now."""

    job_id: str
    object: int
    image: np.ndarray  # u1 [h, w, 3], sRGB, row 0 is the top
    step: int
    total: int


@dataclass(frozen=True, slots=True)
class ConnectionEvent:
    """The link to the server changed: "connected" (with `welcome`) or "disconnected" (with `error`, retrying)."""

    status: str
    welcome: Welcome | None = None
    error: WireError | None = None


@dataclass(frozen=True, slots=True, eq=False)
class JobResult:
    """What a job made; arrays by the names of the task's declaration. Not `complete`: what it had when it ended."""

    arrays: dict[str, np.ndarray]
    info: dict[str, Any] = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class ResultEvent:
    """The result that was asked for with `fetch`."""

    job_id: str
    result: JobResult


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """A submit, watch, cancel, fetch or release that did not succeed."""

    job_id: str
    error: WireError


Event = StateEvent | WarningEvent | ProgressEvent | PreviewEvent | ConnectionEvent | ResultEvent | FailedRequest


class EventQueue:
    """Events in order of arrival; of previews, progress and connection changes only the latest each. Thread-safe."""

    def __init__(self) -> None:
        self._events: dict[Any, Event] = {}
        self._count = 0
        self._changed = threading.Condition()

    def put(self, event: Event) -> None:
        with self._changed:
            self._count += 1
            key = _slot(event) or self._count
            self._events.pop(key, None)  # the newer one goes to the end
            self._events[key] = event
            self._changed.notify_all()

    def take(self, limit: int) -> list[Event]:
        """Up to `limit` events, oldest first, without waiting."""
        with self._changed:
            keys = list(self._events)[:limit]
            return [self._events.pop(key) for key in keys]

    def pull(self, *kinds: type[Any]) -> Any:
        """Take the oldest event of these kinds out of the queue; None if there is none."""
        with self._changed:
            for key, event in self._events.items():
                if isinstance(event, kinds):
                    return self._events.pop(key)
        return None

    def wait(self, timeout: float | None) -> bool:
        """Until there is an event, at most `timeout` seconds; whether there is one."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._events), timeout)


def _slot(event: Event) -> tuple[Any, ...] | None:
    if isinstance(event, PreviewEvent):
        return ("preview", event.job_id, event.object)
    if isinstance(event, ProgressEvent):
        return ("progress", event.job_id)
    return ("connection",) if isinstance(event, ConnectionEvent) else None


class PreviewAssembly:
    """Preview chunks to whole images; an unfinished image is given up when a newer one begins."""

    def __init__(self) -> None:
        self._images: dict[tuple[str, int], tuple[int, np.ndarray, int]] = {}

    def add(self, chunk: PreviewChunk, payload: Any) -> PreviewEvent | None:
        """The whole preview, if this chunk completes it."""
        key, whole = (chunk.job_id, chunk.object), chunk.height * chunk.width * 3
        if chunk.offset == 0:
            self._images[key] = (chunk.number, np.empty(whole, np.uint8), 0)
        number, image, filled = self._images.get(key, (-1, np.empty(0, np.uint8), 0))
        end = chunk.offset + len(payload)
        if number != chunk.number or chunk.offset != filled or end > image.size:
            return None
        image[filled:end] = np.frombuffer(payload, np.uint8)
        self._images[key] = (number, image, end)
        if end < image.size:
            return None
        del self._images[key]
        shaped = image.reshape(chunk.height, chunk.width, 3)
        return PreviewEvent(chunk.job_id, chunk.object, shaped, chunk.step, chunk.total)

    def forget(self, job_id: str) -> None:
        for key in [key for key in self._images if key[0] == job_id]:
            del self._images[key]
