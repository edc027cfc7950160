"""The server's view of one client connection: what waits to be sent, and how much may."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable
from typing import Any

__all__ = ["ClientLink"]

Frames = list[Any]
MOST_WAITING = 1024  # messages; a client that lets more pile up is cut off, and may come back and ask again
MOST_BYTES = 24 << 20


class ClientLink:
    """Messages for one connection: answers and durable events in order, and of every ephemeral slot the latest."""

    def __init__(self, routing_id: bytes, owner: str) -> None:
        self.routing_id = routing_id
        self.owner = owner
        self.heard = time.monotonic()
        self.requests = 0  # that have no answer yet
        self.chunks = 0  # of these, the ones that the credit counts
        self._waiting: deque[Frames] = deque()
        self._bytes = 0
        self._latest: dict[Hashable, list[Frames]] = {}
        self._current: deque[Frames] = deque()  # the ephemeral message under way, which may have several parts

    @property
    def idle(self) -> bool:
        return not (self._waiting or self._current or self._latest)

    @property
    def overflowing(self) -> bool:
        return len(self._waiting) > MOST_WAITING or self._bytes > MOST_BYTES

    def put(self, frames: Frames) -> None:
        self._waiting.append(frames)
        self._bytes += _size(frames)

    def put_latest(self, slot: Hashable, messages: list[Frames]) -> None:
        """Replace what waits in the slot."""
        self._latest[slot] = messages

    def next(self) -> Frames | None:
        """What to send now; it stays first until `sent`."""
        if self._waiting:
            return self._waiting[0]
        if not self._current and self._latest:
            self._current.extend(self._latest.pop(next(iter(self._latest))))
        return self._current[0] if self._current else None

    def sent(self) -> None:
        if self._waiting:
            self._bytes -= _size(self._waiting.popleft())
        else:
            self._current.popleft()


def _size(frames: Frames) -> int:
    return sum(len(frame) for frame in frames)
