"""A server for the time of one command."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weft_wire.client import Client
from weft_wire.errors import WireError
from weft_wire.keys import home, read_pairing

__all__ = ["local_server"]

PATIENCE = 60.0  # seconds until it must listen; its worker may take longer


@contextmanager
def local_server() -> Iterator[Client]:
    """Start `weft serve` on any free port, connect, and end it afterwards. It also ends if this process dies."""
    folder = home()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = folder / "server.log"
    with log.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "weft_server.cli", "serve", "--port", "0", "--stop-with-stdin"],
            stdin=subprocess.PIPE, stdout=output, stderr=output,
            start_new_session=os.name == "posix",  # Ctrl-C is for this process, which then cancels the job
        )  # fmt: skip
    try:
        yield _connect(process, folder, log, begin)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _connect(process: subprocess.Popen[bytes], folder: Path, log: Path, begin: int) -> Client:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            lines = log.read_bytes()[begin:].decode(errors="replace").strip().splitlines()
            raise WireError(
                "server_absent", f"the server did not start: {lines[-1] if lines else 'no word'}", f"see {log}"
            )
        pairing = read_pairing(folder)
        if pairing is not None and pairing.pid == process.pid:
            return Client()
        time.sleep(0.05)
    raise WireError("timeout", f"the server did not start within {PATIENCE:.0f} s", f"see {log}")
