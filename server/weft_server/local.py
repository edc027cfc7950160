"""A server for the time of one command, in a home of its own.

In the common home its queue would outlive it: what a killed command left undone would come before the next command's
job, and a second command that found this server would lose it when the first one ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from weft_server.model_folders import with_folders
from weft_wire.client import Client
from weft_wire.errors import WireError
from weft_wire.keys import home, public_hex, read_pairing

__all__ = ["local_server"]

PATIENCE = 60.0  # seconds until it must listen; its worker may take longer
LEFT_FOR_GOOD = 7 * 86400.0  # seconds after which a home is that of a killed command


@contextmanager
def local_server(folder: Path | None = None, models: Sequence[Path] = ()) -> Iterator[Client]:
    """Start `weft serve` on any free port, connect, and end it afterwards. It also ends if this process dies.

    `folder`: its home, which stays; the common one is where other programs look for a server. Without it, a new one.
    `models`: folders of models besides those that the environment names.
    """
    if folder is not None:
        with _served(folder, models=models) as client:
            yield client
        return
    common = home()
    try:
        common.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = Path(tempfile.mkdtemp(prefix="once-", dir=common))
    except OSError as error:
        message = f"the server's files cannot be kept in {common}: {error.strerror}"
        raise WireError("server_absent", message, "export WEFT_HOME=FOLDER that you may write to") from None
    _sweep(common)
    try:
        with _served(own, common / "server.log", models) as client:
            yield client
    finally:
        shutil.rmtree(own, ignore_errors=True)


@contextmanager
def _served(folder: Path, log: Path | None = None, models: Sequence[Path] = ()) -> Iterator[Client]:
    """A server at home in `folder`, as long as the context lasts."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = log or folder / "server.log"
    with log.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "weft_server.cli", "serve", "--port", "0", "--stop-with-stdin", "--home", folder],
            stdin=subprocess.PIPE, stdout=output, stderr=output, env=with_folders(models),
            start_new_session=os.name == "posix",  # Ctrl-C is for this process, which then cancels the job
        )  # fmt: skip
    try:
        yield _connect(process, folder, log, begin)
    finally:
        _end(process)


def _sweep(common: Path) -> None:
    """Remove the homes that killed commands left."""
    for folder in common.glob("once-*"):
        if time.time() - folder.stat().st_mtime > LEFT_FOR_GOOD:
            shutil.rmtree(folder, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
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
            return Client(f"{pairing.address}#{public_hex(pairing.server_key)}", key_dir=folder / "keys")
        time.sleep(0.05)
    raise WireError("timeout", f"the server did not start within {PATIENCE:.0f} s", f"see {log}")
