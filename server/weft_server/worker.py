"""The worker process: owns the models, does one job at a time, and dies with the server.

`python -m weft_server.worker MODULE`, commands on standard input, events on standard output (pipe.py). MODULE has
`RUNNERS`, {task: function(params, arrays, labels) → generator of weft.tasks.events}, `capabilities()` and `warm_up()`.
Input arrays are read from the server's files, results are written beside them, so that only small messages travel.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.incidents import as_error
from weft_server.pipe import Pipe, PipeClosed
from weft_wire.arrays import dtype_name, raw_bytes
from weft_wire.codec import pack

__all__ = ["main"]

BEAT = 2.0  # seconds
LARGEST_INFO = 1 << 14  # bytes; it shares a header with the list of arrays
log = logging.getLogger("weft.worker")


class Cancelled(Exception):
    """The job is no longer wanted."""


class Station:
    """The worker's end of the pipe: commands come in by a thread, so that they are seen while a job runs."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._unwanted: set[tuple[int, int]] = set()
        for loop in (self._listen, self._beat):
            threading.Thread(target=loop, daemon=True).start()

    def unwanted(self, job: dict[str, Any]) -> bool:
        return (job["number"], job["attempt"]) in self._unwanted

    def tell(self, job: dict[str, Any], event: str, payload: Any = b"", **fields: Any) -> None:
        self.pipe.send({"event": event, "number": job["number"], "attempt": job["attempt"], **fields}, payload)

    def _listen(self) -> None:
        while True:
            try:
                command, _ = self.pipe.receive()
            except PipeClosed:
                os._exit(0)  # the server is gone, whatever this process is in the middle of
            if command["command"] == "run":
                self.jobs.put(command)
            elif command["command"] == "cancel":
                self._unwanted.add((command["number"], command["attempt"]))

    def _beat(self) -> None:
        while True:
            time.sleep(BEAT)
            try:
                self.pipe.send({"event": "beat"})
            except PipeClosed:
                os._exit(0)


def main() -> int:
    """Load, warm up, then do what comes, until the server is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server decides
    logging.basicConfig(level=logging.INFO, format="%(asctime)s worker %(levelname)s %(message)s")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints, prints to the log
    station = Station(Pipe(sys.stdin.buffer, answers))
    try:
        runners = importlib.import_module(sys.argv[1])
        station.pipe.send({"event": "capabilities", "capabilities": plain(runners.capabilities())})
        runners.warm_up()
        station.pipe.send({"event": "ready"})
        while True:
            perform(station, station.jobs.get(), runners.RUNNERS)
    except PipeClosed:
        return 0
    except Exception as problem:
        error = as_error(problem)
        station.pipe.send({"event": "unable", "code": error.code, "message": error.message, "hint": error.hint})
        return 1


def perform(station: Station, job: dict[str, Any], runners: dict[str, Callable[..., Iterable[Any]]]) -> None:
    """Do one job and tell how it ended; no failure of a job ends the worker."""
    try:
        arrays = {ref["name"]: load(ref) for ref in job["arrays"]}
        result = run(station, job, runners[job["task"]](job["params"], arrays, job["labels"]))
        info = plain(result.info)
        if len(pack(info)) > LARGEST_INFO:
            raise RuntimeError(f"the info of {job['task']} has more than {LARGEST_INFO} bytes")
        station.tell(job, "result", arrays=save(result.arrays, Path(job["folder"])), info=info)
    except Cancelled:
        station.tell(job, "stopped")
    except PipeClosed:
        raise
    except Exception as problem:
        error = as_error(problem)
        station.tell(job, "failed", code=error.code, message=error.message, hint=error.hint)


def run(station: Station, job: dict[str, Any], events: Iterable[Any]) -> Any:
    """Pass the events on and return the result, the last of them."""
    iterator, kept = iter(events), 0
    for event in iterator:
        if station.unwanted(job):
            getattr(iterator, "close", lambda: None)()
            raise Cancelled
        kind = type(event).__name__
        if kind == "Result":
            return event
        if kind == "Progress":
            station.tell(job, "progress", phase=event.phase, step=event.step, total=event.total, message=event.message)
        elif kind == "Preview":
            image = np.clip(np.asarray(event.image) * 255 + 0.5, 0, 255).astype(np.uint8)
            height, width = image.shape[:2]
            where = {"object": event.object, "height": height, "width": width, "step": event.step, "total": event.total}
            station.tell(job, "preview", raw_bytes(image), **where)
        elif kind == "Warning":
            station.tell(job, "warning", message=event.message, hint=event.hint)
        elif kind == "Checkpoint":
            kept += 1
            arrays = save(event.arrays, Path(job["folder"]) / f"checkpoint{kept}")
            station.tell(job, "checkpoint", arrays=arrays, info=plain(event.info))
    raise RuntimeError(f"{job['task']} ended without a result")


def load(ref: dict[str, Any]) -> np.ndarray:
    return np.fromfile(ref["path"], dtype=f"<{ref['dtype']}").reshape(ref["shape"])


def save(arrays: dict[str, np.ndarray], folder: Path) -> list[dict[str, Any]]:
    """Write the results where the server will take them over: hashed and synced."""
    folder.mkdir(parents=True, exist_ok=True)
    refs = []
    for index, (name, array) in enumerate(arrays.items()):
        data = raw_bytes(array)
        path = folder / str(index)
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        ref = {"name": name, "dtype": dtype_name(array), "shape": [int(side) for side in array.shape]}
        refs.append({"ref": {**ref, "sha256": hashlib.sha256(data).hexdigest()}, "path": str(path)})
    return refs


def plain(value: Any) -> Any:
    """Numpy's numbers and arrays as Python's, so that they can be sent."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist()) if value.ndim else value.item()
    return value


if __name__ == "__main__":
    sys.exit(main())
