"""The worker as the desk directs it: one at a time, replaced when it dies, stopped when it must, never believed late.

Everything that a worker says names the job's number and attempt; what does not match the job at hand is dropped.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from weft_server.able import check_able, models_now
from weft_server.blobs import Blobs
from weft_server.incidents import as_error
from weft_server.options import ServerOptions
from weft_server.store import JobRow, JobStore
from weft_server.supervisor import Worker
from weft_wire.arrays import ArrayRef
from weft_wire.errors import WireError
from weft_wire.messages import CHUNK, PreviewChunk, ProgressEvent, Submit
from weft_wire.parameters import from_mapping, schema, to_mapping

__all__ = ["Crew"]

RESTARTS = (0.0, 1.0, 5.0, 30.0)  # seconds before a worker is started again that died before it was ready
LOOK = 15.0  # seconds between two looks for models: what was downloaded is announced without a restart
LONGEST = 4000  # characters of a task's message that are passed on
log = logging.getLogger("weft.server")


class Listener(Protocol):
    """Whom the crew tells."""

    def changed(self, row: JobRow) -> None: ...
    def warned(self, row: JobRow, message: str, hint: str) -> None: ...
    def ephemeral(self, row: JobRow, slot: str, parts: list[tuple[Any, Any]]) -> None: ...
    def able(self, ready: bool, capabilities: dict[str, Any]) -> None: ...


@dataclass(slots=True)
class Assignment:
    """The job at hand."""

    row: JobRow
    heard: float  # when its task last said something
    previews: int = 0
    cancelled: float = 0.0  # when its end was asked for
    forced: int = 0  # 1: terminated, 2: killed


class Crew:
    """The desk's thread only; `start` gives it the way into that thread and the listener."""

    def __init__(self, options: ServerOptions, store: JobStore, blobs: Blobs) -> None:
        self._options = options
        self._store = store
        self._blobs = blobs
        self._scratch = options.home / "scratch"
        self._worker: Worker | None = None
        self._job: Assignment | None = None
        self._problem: WireError | None = None  # why no worker can be had
        self._failures = 0  # of workers before they were ready
        self._start_at = 0.0
        self._looked = 0.0
        self.ready = False
        self._capabilities: dict[str, Any] = {
            "tasks": {name: {"help": task.help, "params": schema(task.params)} for name, task in options.tasks.items()}
        }

    @property
    def capabilities(self) -> dict[str, Any]:
        return self._capabilities

    @property
    def free(self) -> bool:
        return self.ready and self._job is None

    def start(self, post: Callable[[Callable[[], None]], None], listener: Listener) -> None:
        self._post = post
        self._listener = listener
        self._hire()

    def stop(self) -> None:
        if self._worker:
            worker, self._worker = self._worker, None
            worker.stop()

    def patience(self) -> float:
        """How long the desk may sleep before `look_after` is due again."""
        hurried = self._job is not None and self._job.cancelled
        return 0.05 if hurried else 0.5

    def check_able(self, submit: Submit) -> None:
        """Refuse a job that is known to be beyond this server, with the remedy."""
        if self._problem:
            raise self._problem
        names = [ref.name for ref in submit.arrays]
        check_able(submit.task, submit.params, names, self._options.models, self._capabilities)

    def give(self, row: JobRow) -> None:
        """Start the job on the free worker."""
        assert self._worker is not None
        self._job = Assignment(row, time.monotonic())
        inputs = {ref.name: to_mapping(ref) for ref in row.submit.arrays}
        for ref in (self._store.results(row.number) or {"arrays": ()})["arrays"]:
            if ref["name"] in self._options.tasks[row.submit.task].resumes:  # goes on where an attempt ended
                inputs[ref["name"]] = ref
        arrays = [{**ref, "path": str(self._blobs.path(row.owner, ref["sha256"]))} for ref in inputs.values()]
        self._worker.send(
            {
                "command": "run",
                "number": row.number,
                "attempt": row.state.attempt,
                "task": row.submit.task,
                "params": row.submit.params,
                "labels": list(row.submit.labels),
                "arrays": arrays,
                "folder": str(self._folder(row)),
            }
        )

    def _folder(self, row: JobRow) -> Path:
        """Where this attempt's results are written."""
        return self._scratch / f"{row.number}-{row.state.attempt}"

    def cancel(self, number: int) -> None:
        """Ask the job at hand to stop; `look_after` sees to it that it does."""
        if self._job and self._job.row.number == number and not self._job.cancelled and self._worker:
            self._job.cancelled = time.monotonic()
            command = {"command": "cancel", "number": number, "attempt": self._job.row.state.attempt}
            self._worker.send(command)

    def look_after(self) -> None:
        """Start a worker if there is none; stop one that does not stop or is hung."""
        now = time.monotonic()
        if self._worker is None:
            if now >= self._start_at:
                self._hire()
            return
        job = self._job
        if job and job.cancelled and now - job.cancelled > self._options.cancel_grace + 0.3 * job.forced:
            if job.forced < 2:
                (self._worker.terminate, self._worker.kill)[job.forced]()
            job.forced += 1
        hung = now - self._worker.last_word > self._options.silence
        if hung or (job and now - job.heard > self._options.stall):
            log.error("the worker hangs and is replaced")
            self._worker.kill()
            self._worker.last_word = now
            if job:
                job.heard = now

    def look_for_models(self) -> None:
        """Announce models that came or went, if the worker announces any."""
        now = time.monotonic()
        if "cards" not in self._capabilities or now - self._looked < LOOK:
            return
        self._looked = now
        found = {**self._capabilities, **models_now(self._options.models)}
        if found != self._capabilities:
            self._capabilities = found
            self._listener.able(self.ready, found)

    def _hire(self) -> None:
        def heard(worker: Worker, header: dict[str, Any], payload: bytes) -> None:
            self._post(lambda: self._listen(worker, header, payload))

        self._worker = Worker(self._options.runners, heard, self._options.models)

    def _listen(self, worker: Worker, header: dict[str, Any], payload: bytes) -> None:
        """In the desk's thread: one message of a worker."""
        event = header["event"]
        if worker is not self._worker:
            return
        if event == "gone":
            self._lost(header["code"])
        elif event == "capabilities":
            self._capabilities = {**self._capabilities, **header["capabilities"]}
            self._listener.able(False, self._capabilities)
        elif event == "ready":
            self.ready, self._failures, self._problem = True, 0, None
            self._capabilities.pop("problem", None)
            self._listener.able(True, self._capabilities)
        elif event == "unable":
            self._problem = WireError(header["code"], header["message"], header["hint"])
            log.error("the worker cannot work: %s", self._problem)
            self._capabilities = {**self._capabilities, "problem": str(self._problem)}
            self._listener.able(False, self._capabilities)
        elif event != "beat":
            self._progress(event, header, payload)

    def _progress(self, event: str, header: dict[str, Any], payload: bytes) -> None:
        """What the worker says of its job, if that is the job at hand."""
        job = self._job
        if job is None or (header["number"], header["attempt"]) != (job.row.number, job.row.state.attempt):
            return
        job.heard = time.monotonic()
        name = job.row.state.job_id
        if event == "progress":
            text = header["message"][:LONGEST]
            told = ProgressEvent(name, header["phase"][:200], header["step"], header["total"], text)
            self._listener.ephemeral(job.row, "progress", [(told, None)])
        elif event == "preview":
            job.previews += 1
            self._listener.ephemeral(job.row, f"preview {header['object']}", self._chunks(job, header, payload))
        elif event == "warning":
            self._listener.warned(self._current(job), header["message"][:LONGEST], header["hint"][:LONGEST])
        elif event == "checkpoint":
            self._keep(job, header)
        elif event == "result":
            self._end(job, lambda: self._commit(job, header))
        elif event == "failed":
            error = WireError(header["code"], header["message"], header["hint"])
            state = "cancelled" if job.cancelled else "failed"
            self._end(job, lambda: self._store.end(job.row.number, state, error if state == "failed" else None))
        elif event == "stopped":
            self._end(job, lambda: self._store.end(job.row.number, "cancelled"))

    def _current(self, job: Assignment) -> JobRow:
        row = self._store.get(job.row.number)
        assert row is not None, "a running job cannot be released"
        return row

    def _chunks(self, job: Assignment, header: dict[str, Any], payload: bytes) -> list[tuple[Any, Any]]:
        view, parts = memoryview(payload), []
        for offset in range(0, len(payload), CHUNK):
            chunk = PreviewChunk(
                job.row.state.job_id, header["object"], job.previews, header["height"], header["width"], offset,
                header["step"], header["total"],
            )  # fmt: skip
            parts.append((chunk, view[offset : offset + CHUNK]))
        return parts

    def _end(self, job: Assignment, transition: Callable[[], JobRow]) -> None:
        """The job leaves the worker, which is free from here on whatever the transition meets."""
        self._job = None
        try:
            row = transition()
        except Exception as problem:
            row = self._store.end(job.row.number, "failed", as_error(problem))
        shutil.rmtree(self._folder(job.row), ignore_errors=True)
        self._listener.changed(row)

    def _commit(self, job: Assignment, header: dict[str, Any]) -> JobRow:
        """Files first, each under its final name and synced; then the state; then, by the caller, the event."""
        arrays = self._adopted(job, header)
        return self._store.succeed(job.row.number, arrays, header["info"])

    def _keep(self, job: Assignment, header: dict[str, Any]) -> None:
        """A checkpoint takes the place of the one before. The job goes on where it cannot be kept."""
        try:
            self._store.keep(job.row.number, self._adopted(job, header), header["info"])
        except (OSError, WireError) as problem:
            log.error("a checkpoint is lost: %s", problem)

    def _adopted(self, job: Assignment, header: dict[str, Any]) -> list[dict[str, Any]]:
        """The worker's files as arrays of the job's owner."""
        arrays = []
        for entry in header["arrays"]:
            ref = from_mapping(ArrayRef, entry["ref"])
            self._blobs.adopt(job.row.owner, ref.sha256, Path(entry["path"]))
            arrays.append(to_mapping(ref))
        return arrays

    def _lost(self, code: int) -> None:
        """The worker is gone: its job is cancelled, tried again, or given up; another worker comes."""
        early = not self.ready
        self._worker, self.ready = None, False
        self._failures = self._failures + 1 if early else 0
        self._start_at = time.monotonic() + RESTARTS[min(self._failures, len(RESTARTS) - 1)]
        log.log(logging.ERROR if early or self._job else logging.INFO, "the worker ended with code %s", code)
        self._listener.able(False, self._capabilities)
        if job := self._job:
            number = job.row.number
            cancelled = bool(job.cancelled)
            self._end(
                job,
                lambda: self._store.end(number, "cancelled") if cancelled else self._store.requeue(number, died=True),
            )
