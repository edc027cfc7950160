"""Who may come in: answers ZeroMQ's authentication requests (ZAP, RFC 27) from the authorised keys."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from weft_wire.keys import authorized_keys, key_pair, public_hex

__all__ = ["DOMAIN", "Gate"]

DOMAIN = b"weft"
RELOAD = 0.5  # seconds, for changes that the clock of files is too coarse to tell
log = logging.getLogger("weft.server")


class Gate:
    """The set of authorised keys, followed as files come and go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.tester = ""  # the key with which the server tries its own door
        self._own = public_hex(key_pair("client", folder).public)
        self._users: frozenset[str] = frozenset()
        self._complaints: list[str] = []
        self._loaded = 0.0
        self.reload()

    def admits(self, user: str) -> bool:
        """Whether the key (hex) is authorised now: what was authorised or revoked a moment ago counts at once."""
        if time.monotonic() - self._loaded > RELOAD or self._changed() != self._seen:
            self.reload()
        return user in self._users

    def _changed(self) -> int:
        """When a key file last came or went."""
        folder = self._folder / "authorized"
        return folder.stat().st_mtime_ns if folder.exists() else 0

    def reload(self) -> None:
        """Read the keys again; files that cannot be read cost their own client only."""
        self._seen = self._changed()
        keys, complaints = authorized_keys(self._folder)
        for complaint in complaints:
            if complaint not in self._complaints:
                log.warning("%s", complaint)
        self._complaints = complaints
        self._users = frozenset([self._own, *map(public_hex, keys.values())])
        self._loaded = time.monotonic()

    def answer(self, frames: list[bytes]) -> list[bytes]:
        """The reply to one ZAP request; whatever is not understood is refused."""
        request = frames[1] if len(frames) > 1 else b""
        refusal = [b"1.0", request, b"400", b"this key is not authorised", b"", b""]
        if len(frames) != 7 or frames[0] != b"1.0" or frames[2] != DOMAIN or frames[5] != b"CURVE":
            return refusal
        user = frames[6].hex()
        if not self.admits(user):
            if user != self.tester:
                log.warning("refused the key %s; `weft keys authorize NAME %s` would let it in", user, user)
            return refusal
        return [b"1.0", request, b"200", b"OK", user.encode(), b""]
