"""The worker process as the server sees it: started, spoken to, listened to, ended."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from weft_server.model_folders import with_folders
from weft_server.pipe import Pipe, PipeClosed

__all__ = ["Worker"]


class Worker:
    """One process. `heard(self, header, payload)` gets its messages and, at the end, {"event": "gone"}; it is called
    in a thread of its own. `models`: folders to search before those that the environment names."""

    def __init__(
        self, runners: str, heard: Callable[[Worker, dict[str, Any], bytes], None], models: Sequence[Path] = ()
    ) -> None:
        self._heard = heard
        self.last_word = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "weft_server.worker", runners],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=with_folders(models),
        )  # fmt: skip
        self._pipe = Pipe(cast(BinaryIO, self._process.stdout), cast(BinaryIO, self._process.stdin))
        self._thread = threading.Thread(target=self._listen, name="weft-worker-pipe", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, header: dict[str, Any]) -> None:
        """Commands are small, and the worker always reads; one that is gone announces that by itself."""
        with contextlib.suppress(PipeClosed):
            self._pipe.send(header)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def stop(self) -> None:
        """End the process and wait for it."""
        self._process.terminate()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._thread.join()

    def _listen(self) -> None:
        with contextlib.suppress(PipeClosed):
            while True:
                header, payload = self._pipe.receive()
                self.last_word = time.monotonic()
                self._heard(self, header, payload)
        self._process.kill()  # a worker that cannot be heard is of no use
        code = self._process.wait()
        self._pipe.close()
        self._heard(self, {"event": "gone", "code": code}, b"")
