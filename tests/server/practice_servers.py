"""Real servers with the practice task: in this process, or in one of its own that can be killed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import practice_tasks
import zmq

from weft_server.options import ServerOptions
from weft_server.server import Server
from weft_wire.address import Endpoint
from weft_wire.channel import Channel
from weft_wire.client import Client
from weft_wire.codec import decode, encode
from weft_wire.events import StateEvent
from weft_wire.keys import authorize, key_pair, public_hex, read_pairing
from weft_wire.messages import Hello

__all__ = ["PATIENCE", "Raw", "connect", "ending", "practice_options", "server_process", "wait_until"]

PATIENCE = 60.0  # seconds; generous, because the machine may be busy


def practice_options(home: Path, **changes: Any) -> ServerOptions:
    standard = {"port": 0, "tasks": practice_tasks.TASKS, "runners": "practice_tasks", "min_free_bytes": 1}
    return ServerOptions(home=home, **{**standard, **changes})


def connect(home: Path, name: str = "client") -> Client:
    """A client of the server of this home; another name is another key, authorised at the first use."""
    keys = home / "keys"
    if name != "client":
        keys = home / "clients" / name / "keys"
        authorize(name, public_hex(key_pair("client", keys).public), home / "keys")
    pairing = read_pairing(home)
    assert pairing is not None
    address = f"{pairing.address}#{public_hex(pairing.server_key)}"
    return Client(address, key_dir=keys, timeout=PATIENCE, tasks=practice_tasks.TASKS)


def ending(client: Client, job_id: str) -> StateEvent:
    """Wait for the terminal state."""
    *_, last = client.events(job_id, timeout=PATIENCE)
    assert isinstance(last, StateEvent)
    return last


def wait_until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return value


class Raw:
    """A client that sends whatever it likes."""

    def __init__(self, server: Server, name: str = "raw", greet: bool = True, routing_id: bytes = b"") -> None:
        home = server.options.home
        connect(home, name).close()  # authorises the key
        pairing = read_pairing(home)
        assert pairing is not None
        self.context: zmq.Context[Any] = zmq.Context()
        keys = key_pair("client", home / "clients" / name / "keys")
        self.channel = Channel(self.context, Endpoint(pairing.address, pairing.server_key), keys)
        if routing_id:
            self.channel.socket.disconnect(pairing.address)
            self.channel.socket.routing_id = routing_id
            self.channel.socket.connect(pairing.address)
        if greet:
            self.welcome = self.ask(Hello(1, 1))

    def exchange(self, frames: list[Any]) -> Any:
        self.channel.socket.send_multipart(frames)
        return self.receive()

    def receive(self) -> Any:
        assert self.channel.socket.poll(int(PATIENCE * 1000)), "no answer"
        message, self.payload = decode(self.channel.socket.recv_multipart(copy=False), sender="server")
        if type(message).__name__ == "Welcome" and hasattr(self, "welcome"):
            return self.receive()  # the capabilities changed
        return message

    def ask(self, message: Any, payload: Any = None) -> Any:
        return self.exchange(encode(message, payload))

    def close(self) -> None:
        self.channel.close()
        self.context.destroy(0)


@contextmanager
def server_process(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server that can be killed; it ends with this process at the latest."""
    process = subprocess.Popen([sys.executable, __file__, str(home)], stdin=subprocess.PIPE)
    assert process.stdin is not None
    try:
        wait_until(lambda: (pairing := read_pairing(home)) and pairing.pid == process.pid)
        yield process
    finally:
        process.stdin.close()
        process.wait(PATIENCE)


if __name__ == "__main__":
    with Server(practice_options(Path(sys.argv[1]))):
        sys.stdin.buffer.read()
