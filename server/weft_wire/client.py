"""A blocking client: the session, one call at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

import numpy as np

from weft_wire.errors import WireError
from weft_wire.events import (
    ConnectionEvent,
    Event,
    EventQueue,
    FailedRequest,
    JobResult,
    PreviewEvent,
    ProgressEvent,
    ResultEvent,
    StateEvent,
    WarningEvent,
)
from weft_wire.jobs import TASKS, Task
from weft_wire.messages import Cancel, Job, Jobs, JobState, List, Release, Welcome
from weft_wire.session import Session

__all__ = ["Client"]

JOB_EVENTS = (StateEvent, WarningEvent, ProgressEvent, PreviewEvent, FailedRequest)


class Client:
    """Connect, or raise a WireError that says what to do. Use it in a `with` statement.

    `timeout`: seconds to connect and for short requests; uploads, jobs and downloads take as long as they take, and
    survive a connection that breaks for less than `patience` seconds.
    """

    patience = 60.0

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout: float = 5.0,
        key_dir: Path | str | None = None,
        program: str = "weft",
        tasks: Mapping[str, Task] = TASKS,
    ) -> None:
        self.timeout = timeout
        self.session = Session(address, key_dir=key_dir, program=program, tasks=tasks)
        self._inboxes: dict[str, EventQueue] = {}
        self._pumping = threading.Lock()
        self._lost: tuple[float, WireError] | None = None  # since when, and why
        self._welcome: Welcome | None = None
        self.session.start()
        try:
            self._connect(timeout)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; jobs on the server go on."""
        self.session.close()

    @property
    def welcome(self) -> Welcome:
        """What the server last said about itself: version, limits, capabilities, epoch."""
        self._pump(0.0)
        assert self._welcome is not None, "the constructor waits for it"
        return self.session.welcome or self._welcome

    def submit(
        self,
        task: str,
        params: Any,
        arrays: dict[str, np.ndarray],
        labels: Sequence[str] = (),
        job_id: str | None = None,
    ) -> str:
        """Send a job and wait until the server has accepted it, or raise what is wrong with it. Returns its id."""
        job_id, accepted = self.session.offer(task, params, arrays, labels, job_id)
        self._inboxes[job_id] = EventQueue()
        while True:
            try:
                accepted.result(1.0)
                return job_id
            except FutureTimeout:
                self._pump(0.0)
                self._check_patience(self.patience)
            except WireError:
                del self._inboxes[job_id]
                raise

    def events(self, job_id: str, after_seq: int = 0, timeout: float | None = None) -> Iterator[Event]:
        """The job's events as they come, up to its terminal state. A job of an earlier connection is watched anew,
        from `after_seq` on. `timeout`: seconds between two events, after which a WireError is raised."""
        if job_id not in self._inboxes:
            self._inboxes[job_id] = EventQueue()
            self.session.watch(job_id, after_seq)
        inbox = self._inboxes[job_id]
        while True:
            event = self._await(inbox, timeout, *JOB_EVENTS)
            if isinstance(event, FailedRequest):
                del self._inboxes[job_id]
                raise event.error
            final = isinstance(event, StateEvent) and event.terminal
            if final:
                self._inboxes.pop(job_id, None)
            yield event
            if final:
                return

    def fetch(self, job_id: str, timeout: float | None = None) -> JobResult:
        """The result of a succeeded job, or the last checkpoint of one that ended otherwise (not `complete`); a job
        without either raises why it has none."""
        self.session.fetch(job_id)
        inbox = self._inboxes.setdefault(job_id, EventQueue())
        found = self._await(inbox, timeout, ResultEvent, FailedRequest)
        if not inbox.wait(0):
            self._inboxes.pop(job_id, None)
        if isinstance(found, FailedRequest):
            raise found.error
        return found.result

    def cancel(self, job_id: str) -> JobState:
        """Ask the job to stop; returns its present state. `events` tells when it has stopped."""
        return self._ask(Cancel(job_id), Job).job

    def release(self, job_id: str) -> None:
        """Let the server forget a finished job and its results."""
        self._ask(Release(job_id), Job)
        self._inboxes.pop(job_id, None)

    def jobs(self) -> list[JobState]:
        """All jobs of this client's key, oldest first."""
        found: list[JobState] = []
        more = True
        while more:
            page = self._ask(List(found[-1].number if found else 0), Jobs)
            found.extend(page.jobs)
            more = page.more
        return found

    def _ask(self, message: Any, expected: type[Any]) -> Any:
        future: Future[Any] = self.session.request(message)
        try:
            answer = future.result(self.timeout)
        except FutureTimeout:
            future.cancel()
            self._pump(0.0)
            self._check_patience(0.0)
            raise WireError("timeout", f"no answer within {self.timeout:g} s", "is the server overloaded?") from None
        assert isinstance(answer, expected), answer
        return answer

    def _connect(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while self._welcome is None:
            self._pump(max(deadline - time.monotonic(), 0.0))
            if self._lost:
                raise self._lost[1]
            if time.monotonic() > deadline:
                raise WireError("timeout", f"no answer within {timeout:g} s", "check the address, and any firewall")

    def _await(self, inbox: EventQueue, timeout: float | None, *kinds: type[Any]) -> Any:
        """The next event of these kinds; waits for it."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (event := inbox.pull(*kinds)) is None:
            left = 1.0 if deadline is None else min(deadline - time.monotonic(), 1.0)
            if left <= 0:
                raise WireError("timeout", f"nothing came from the server for {timeout:g} s", "`weft doctor` may help")
            self._pump(left)
            self._check_patience(self.patience)
        return event

    def _pump(self, seconds: float) -> None:
        """Sort what has come into the inboxes of the jobs."""
        with self._pumping:
            if seconds:
                self.session.events.wait(seconds)
            for event in self.session.poll():
                if isinstance(event, ConnectionEvent):
                    self._note(event)
                else:
                    self._inboxes.setdefault(event.job_id, EventQueue()).put(event)

    def _note(self, event: ConnectionEvent) -> None:
        if event.welcome:
            self._welcome, self._lost = event.welcome, None
        elif event.error and self._lost is None:
            self._lost = (time.monotonic(), event.error)

    def _check_patience(self, seconds: float) -> None:
        if self._lost and time.monotonic() - self._lost[0] >= seconds:
            raise self._lost[1]
