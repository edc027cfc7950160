"""`weft bench wire`: how fast arrays travel between a client and a server on this machine.

With everything that a real job has: keys and encryption, hashes made and verified on both sides, values checked, bytes
synced to disk before the server says that it has them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.bench_task import ECHO
from weft_server.options import ServerOptions
from weft_server.server import Server
from weft_server.terminal import machine, say
from weft_wire.client import Client
from weft_wire.keys import read_pairing

__all__ = ["add_parser", "measure"]

RUNS = 3
ARRAYS = 8  # of one job: vertices, faces, UVs and images of several objects
TASKS = {ECHO.name: ECHO}


def add_parser(kinds: Any) -> None:
    parser = kinds.add_parser("wire", help="arrays through the wire", description=__doc__)
    parser.add_argument("--mib", type=int, default=256, help="size of all arrays together (default 256)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    hashing = hash_speed()
    say(f"{machine()}, sha256 {hashing:.0f} MiB/s on one core")
    for up, down in measure(max(arguments.mib, 1)):
        say(f"up {up:5.0f} MiB/s   down {down:5.0f} MiB/s   (of sha256: {up / hashing:.2f}, {down / hashing:.2f})")
    return 0


def measure(mib: int) -> Iterator[tuple[float, float]]:
    """(MiB/s from submit to accepted, MiB/s from fetch to verified arrays), some times over."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _server(Path(folder)) as address,
        Client(address, key_dir=Path(folder) / "keys", tasks=TASKS) as client,
    ):
        for run in range(RUNS):
            yield _round(client, mib, run)


def _round(client: Client, mib: int, seed: int) -> tuple[float, float]:
    data = np.random.default_rng(seed).random(mib << 18, np.float32)
    arrays = {f"data.{i}": part for i, part in enumerate(np.array_split(data, ARRAYS))}
    begin = time.perf_counter()
    job_id = client.submit(ECHO.name, {}, arrays)
    up = mib / (time.perf_counter() - begin)
    for _ in client.events(job_id):
        continue
    begin = time.perf_counter()
    result = client.fetch(job_id)
    down = mib / (time.perf_counter() - begin)
    assert all((result.arrays[name] == array).all() for name, array in arrays.items())
    client.release(job_id)
    return up, down


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """A server in a process of its own, as in real life; it ends with its standard input."""
    process = subprocess.Popen([sys.executable, "-m", "weft_server.bench_wire", str(folder)], stdin=subprocess.PIPE)
    assert process.stdin is not None
    try:
        while (pairing := read_pairing(folder)) is None:
            if process.poll() is not None:
                raise RuntimeError("the server did not start")
            time.sleep(0.05)
        yield pairing.address
    finally:
        process.stdin.close()
        process.wait()


def _serve(folder: Path) -> None:
    options = ServerOptions(home=folder, port=0, tasks=TASKS, runners="weft_server.bench_task")
    with Server(options):
        sys.stdin.buffer.read()


def hash_speed() -> float:
    data = os.urandom(64 << 20)
    begin = time.perf_counter()
    hashlib.sha256(data)
    return 64 / (time.perf_counter() - begin)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
