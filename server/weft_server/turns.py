"""Whose turn it is: clients take turns, however many jobs each of them has."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

__all__ = ["Turns"]


class Turns:
    """Fair round-robin: the client that was served longest ago is next, with its oldest job."""

    def __init__(self) -> None:
        self._count = itertools.count(1)
        self._served: dict[str, int] = {}

    def order(self, queued: Sequence[tuple[int, str]]) -> list[int]:
        """The waiting jobs (number, owner; oldest first) in the order in which they would be served."""
        turn: dict[str, int] = {}
        keyed = []
        for number, owner in queued:
            turn[owner] = turn.get(owner, -1) + 1
            keyed.append((turn[owner], self._served.get(owner, 0), number))
        return [number for _, _, number in sorted(keyed)]

    def served(self, owner: str) -> None:
        self._served[owner] = next(self._count)
