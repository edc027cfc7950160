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
from weft_server.options import ServerOptions
from weft_server.server import Server
from weft_wire.client import Client
from weft_wire.events import StateEvent
from weft_wire.keys import authorize, key_pair, public_hex, read_pairing

__all__ = ["connect", "ending", "practice_options", "server_process", "wait_until"]

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
