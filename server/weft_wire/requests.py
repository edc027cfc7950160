"""Requests and their answers, matched by number. What has no answer when a connection is lost is asked once more."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from weft_wire.channel import Link
from weft_wire.errors import WireError
from weft_wire.messages import BlobHave, BlobPut, Error, Fetch

__all__ = ["Answer", "Requests"]

BULK = (BlobHave, BlobPut, Fetch)  # what travels on the bulk channel

Answer = Callable[[Any, Any], None]  # (message or WireError, payload)


@dataclass(slots=True)
class Asked:
    """A request that has no answer yet. Chunks are not repeated: their upload starts again where the server is."""

    message: Any
    answer: Answer

    @property
    def repeatable(self) -> bool:
        return not isinstance(self.message, BlobPut)


class Requests:
    """All requests of one session that wait to be sent or answered. One thread only."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._asked: dict[int, Asked] = {}
        self._unsent: deque[int] = deque()

    def ask(self, message: Any, answer: Answer) -> None:
        """Send this as soon as there is a connection; all such messages may be repeated."""
        self._unsent.append(self._note(message, answer))

    def send(self, link: Link, message: Any, answer: Answer, payload: Any = None) -> None:
        """Send this now."""
        self._send(link, self._note(message, answer), payload)

    def send_waiting(self, link: Link) -> None:
        while self._unsent:
            number = self._unsent.popleft()
            if number in self._asked:
                self._send(link, number)

    def answered(self, message: Any, payload: Any) -> bool:
        """Pass an answer on to whoever asked; whether somebody did."""
        asked = self._asked.pop(message.request, None)
        if asked is None:
            return False
        asked.answer(message.raised() if isinstance(message, Error) else message, payload)
        return True

    def outstanding(self, kind: type[Any]) -> int:
        """How many requests of this kind have no answer yet."""
        return sum(isinstance(asked.message, kind) for asked in self._asked.values())

    def connection_lost(self) -> None:
        self._asked = {number: asked for number, asked in self._asked.items() if asked.repeatable}
        self._unsent = deque(self._asked)

    def abandon(self, error: WireError) -> None:
        """Nothing will be answered any more."""
        asked, self._asked = self._asked, {}
        for one in asked.values():
            one.answer(error, None)

    def _note(self, message: Any, answer: Answer) -> int:
        number = next(self._numbers)
        self._asked[number] = Asked(replace(message, request=number), answer)
        return number

    def _send(self, link: Link, number: int, payload: Any = None) -> None:
        message = self._asked[number].message
        try:
            (link.bulk if isinstance(message, BULK) else link.control).send(message, payload)
        except WireError as error:  # it cannot be encoded, so it will never be answered
            self._asked.pop(number).answer(error, None)
