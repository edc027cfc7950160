"""The add-on's one connection. A thread of the session owns the sockets; nothing in here ever waits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from weft_wire.address import is_loopback, normalise
from weft_wire.errors import WireError
from weft_wire.events import ConnectionEvent
from weft_wire.session import Session

from .errors import SceneError

__all__ = ["LINK", "Link"]


@dataclass
class Link:
    """The session, and what is known about the server at its other end."""

    session: Session | None = None
    wish: tuple[str, str] = ("", "")  # address and key folder that the session was opened with
    status: str = "off"
    welcome: Any = None
    error: WireError | None = None

    @property
    def connected(self) -> bool:
        return self.welcome is not None

    @property
    def capabilities(self) -> dict[str, Any]:
        """What the connected server told of itself; empty without one."""
        return self.welcome.capabilities if self.welcome is not None else {}

    @property
    def elsewhere(self) -> bool:
        """Whether the server that the user wants is another machine's."""
        return bool(self.wish[0]) and not is_loopback(host_of(self.wish[0]))

    def open(self, address: str = "", key_dir: str = "") -> Session:
        """The session to `address` (empty: the paired local server), opened unless it is already.

        Raises WireError for an address that cannot be read, or that Blender's settings forbid to use.
        """
        if self.session is not None and self.wish == (address, key_dir):
            return self.session
        if address:
            refuse_offline(address)
        self.close()
        self.session = Session(address or None, key_dir=Path(key_dir) if key_dir else None)
        self.session.start()
        self.wish, self.status = (address, key_dir), "connecting"
        return self.session

    def connection(self) -> Session:
        """The session, if a server is at its other end. Raises WireError otherwise."""
        if self.session is None or not self.connected:
            raise self.error or SceneError("server_absent", "no server answers yet", "wait a moment, or start one")
        return self.session

    def close(self) -> None:
        """End the session; the server keeps its jobs."""
        if self.session is not None:
            self.session.close()
        self.session, self.status, self.welcome, self.error = None, "off", None, None

    def poll(self) -> list[Any]:
        """What arrived since the last call, without the events about the connection itself, which are kept here."""
        if self.session is None:
            return []
        others = []
        for event in self.session.poll():
            if isinstance(event, ConnectionEvent):
                self.status, self.welcome, self.error = event.status, event.welcome, event.error
            else:
                others.append(event)
        return others


def host_of(address: str) -> str:
    return normalise(address)[0].removeprefix("tcp://").rpartition(":")[0]


def refuse_offline(address: str) -> None:
    """Raise SceneError for a server elsewhere while the user keeps Blender offline (the setting exists from 4.2 on)."""
    host = host_of(address)
    if getattr(bpy.app, "online_access", True) or is_loopback(host):
        return
    raise SceneError(
        "offline",
        f"Blender is set to stay offline, and {host} is another machine",
        "Preferences > System > Network > Allow Online Access",
    )


LINK = Link()
