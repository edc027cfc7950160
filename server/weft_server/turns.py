"""Whose turn it is: clients take turns, however many jobs each of them has."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Turns"]


class Turns:
    """Fair round-robin: the client that was served longest ago is next, with its oldest job."""

    def __init__(self) -> None:
        self._served: list[str] = []  # clients, the one that was served longest ago first

    def order(self, queued: Sequence[tuple[int, str]]) -> list[int]:
        """The waiting jobs (number, owner; oldest first) in the order in which they will be served."""
        waiting: dict[str, list[int]] = {}
        for number, owner in queued:
            waiting.setdefault(owner, []).append(number)
        strangers = [owner for owner in waiting if owner not in self._served]
        known = [owner for owner in self._served if owner in waiting]
        rounds = [waiting[owner] for owner in strangers + known]
        longest = max(map(len, rounds), default=0)
        return [jobs[i] for i in range(longest) for jobs in rounds if i < len(jobs)]

    def served(self, owner: str) -> None:
        if owner in self._served:
            self._served.remove(owner)
        self._served.append(owner)
