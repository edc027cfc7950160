"""Who watches which job, and what they are told."""

from __future__ import annotations

from typing import Any

from weft_server.front import Front

__all__ = ["Watchers"]


class Watchers:
    """Connections by job number. The desk's thread only."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._links: dict[int, set[bytes]] = {}

    def add(self, number: int, link: bytes, missed: list[Any]) -> None:
        """Watch from now on, after the durable events that were missed."""
        self._links.setdefault(number, set()).add(link)
        for event in missed:
            self._front.send(link, event)

    def any(self, number: int) -> bool:
        return number in self._links

    def tell(self, number: int, events: list[Any]) -> None:
        for link in self._links.get(number, ()):
            for event in events:
                self._front.send(link, event)

    def tell_latest(self, number: int, slot: str, parts: list[tuple[Any, Any]]) -> None:
        """An ephemeral event in one or more parts; a slow reader gets the latest of every slot only."""
        for link in self._links.get(number, ()):
            self._front.send_latest(link, (number, slot), parts)

    def forget_job(self, number: int) -> None:
        self._links.pop(number, None)

    def forget_link(self, link: bytes) -> None:
        for number in [number for number, links in self._links.items() if link in links]:
            self._links[number].discard(link)
            if not self._links[number]:
                del self._links[number]
