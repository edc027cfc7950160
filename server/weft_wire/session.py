"""A session with a server: a thread owns the sockets, connects, and reconnects; no call blocks the caller.

What was begun goes on after the connection comes back: uploads at the byte the server has, requests once more (all of
them may be repeated), events after the last one seen.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from weft_wire.address import endpoint
from weft_wire.channel import Link
from weft_wire.errors import WireError
from weft_wire.events import ConnectionEvent, Event, EventQueue, FailedRequest
from weft_wire.exchange import Exchange
from weft_wire.jobs import TASKS, Task, task_named
from weft_wire.keys import home, key_pair
from weft_wire.messages import JobState, Release, Welcome
from weft_wire.parameters import from_mapping, validate
from weft_wire.transfer import Submission

__all__ = ["Session"]

GREETING = 10.0  # seconds until a server that accepted the connection must have said WELCOME
RETRY = (0.2, 2.0)  # seconds between attempts to connect: the first, the longest


class Session:
    """Submit, watch, cancel, fetch and release jobs without ever waiting; `poll` says what has happened.

    `address`: HOST:PORT, or None for the local server that `weft serve` has paired with; `key_dir`: where this
    client's key lies (default: the `keys` folder of Weft's home).
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        key_dir: Path | str | None = None,
        program: str = "weft",
        tasks: Mapping[str, Task] = TASKS,
    ) -> None:
        self._address = address
        self._keys = Path(key_dir) if key_dir else home() / "keys"
        self._program = program
        self._tasks = tasks
        self.events = EventQueue()
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._executor = ThreadPoolExecutor(1, "weft-hash")
        self._exchange = Exchange(self.events, self._executor)
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._reported: tuple[Any, ...] = ()

    def start(self) -> None:
        """Begin to connect."""
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="weft-session", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let what was asked leave (at most half a second), then disconnect. Jobs on the server go on."""
        if self._thread is None:
            return
        self._post(self._stop)
        self._thread.join()
        self._thread = None
        self._executor.shutdown(cancel_futures=True)
        self._exchange.abandon()
        self._wake_in.close()
        self._wake_out.close()

    def __enter__(self) -> Session:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def welcome(self) -> Welcome | None:
        """What the server said at the last greeting; None while disconnected."""
        return self._exchange.welcome

    def submit(
        self,
        task: str,
        params: Any,
        arrays: dict[str, np.ndarray],
        labels: Sequence[str] = (),
        job_id: str | None = None,
    ) -> str:
        """Send a job; it is watched from then on. Parameters (an instance or a map), types and shapes are checked at
        once and raise; the values of arrays are checked in the background. Leave the arrays alone until the job is
        queued: they are not copied. Returns the job's id, made up if not given."""
        job_id, accepted = self.offer(task, params, arrays, labels, job_id)
        self._report(job_id, accepted)
        return job_id

    def offer(
        self,
        task: str,
        params: Any,
        arrays: dict[str, np.ndarray],
        labels: Sequence[str] = (),
        job_id: str | None = None,
    ) -> tuple[str, Future[JobState]]:
        """As `submit`, for callers that want to wait: the future holds the accepted job, or why it was refused."""
        declaration = task_named(task, self._tasks)
        values = from_mapping(declaration.params, params) if isinstance(params, Mapping) else params
        validate(values)
        job_id = job_id or secrets.token_hex(8)
        submission = Submission.prepare(declaration, values, arrays, list(labels), job_id)
        self._post(lambda: self._exchange.begin(submission))
        self._executor.submit(self._hash, submission)
        return job_id, submission.accepted

    def watch(self, job_id: str, after_seq: int = 0) -> None:
        """Receive the events of an earlier job, beginning after `after_seq`."""
        self._post(lambda: self._exchange.watch(job_id, after_seq))

    def cancel(self, job_id: str) -> None:
        """Stop a job; it ends with the state "cancelled", unless it was faster."""
        self._post(lambda: self._exchange.cancel(job_id))

    def fetch(self, job_id: str) -> None:
        """Ask for the result; it comes as a ResultEvent."""
        self._post(lambda: self._exchange.fetch(job_id))

    def release(self, job_id: str) -> None:
        """Let the server forget a finished job and its results."""
        self._report(job_id, self.request(Release(job_id)))

    def poll(self, limit: int = 64) -> list[Event]:
        """What has happened since the last call, oldest first."""
        return self.events.take(limit)

    def request(self, message: Any) -> Future[Any]:
        """Send any one message of the protocol; the future holds its answer, or the WireError it met."""
        future: Future[Any] = Future()
        self._post(lambda: self._exchange.ask(message, future))
        return future

    def _report(self, job_id: str, future: Future[Any]) -> None:
        def failed(done: Future[Any]) -> None:
            error = None if done.cancelled() else done.exception()
            if isinstance(error, WireError) and error.code != "job_cancelled":
                self.events.put(FailedRequest(job_id, error))

        future.add_done_callback(failed)

    def _hash(self, submission: Submission) -> None:
        """In the hashing thread: hand every array over as soon as its hash is known."""
        try:
            for upload in submission.hash_arrays():
                self._post(lambda upload=upload: self._exchange.upload(submission, upload))
        except (WireError, MemoryError) as problem:
            error = problem if isinstance(problem, WireError) else WireError("too_large", "no memory left to send this")
            self._post(lambda: self._exchange.give_up(submission, error))

    def _post(self, command: Callable[[], None]) -> None:
        self._commands.put(command)
        with contextlib.suppress(OSError):  # full: the thread is awake anyway; closed: it is gone
            self._wake_out.send(b"!")

    def _stop(self) -> None:
        self._stopping = True

    def _run(self) -> None:
        context: zmq.Context[Any] = zmq.Context()
        pause = RETRY[0]
        while not self._stopping:
            try:
                self._serve(context)
            except Exception as problem:
                error = problem if isinstance(problem, WireError) else _defect(problem)
                pause = RETRY[0] if self._exchange.welcome else min(pause * 1.5, RETRY[1])
                self._exchange.disconnected()
                self._announce(ConnectionEvent("disconnected", error=error))
                self._idle(pause)
        context.destroy(0)

    def _serve(self, context: zmq.Context[Any]) -> None:
        """One connection, from greeting to its end, which is a WireError or the wish to stop."""
        end = endpoint(self._address, self._keys.parent)
        link = Link(context, end, key_pair("client", self._keys), self._program, self._wake_in.fileno())
        try:
            deadline = time.monotonic() + GREETING
            while not self._stopping:
                link.wait(1.0)
                for message, payload in [*link.control.received(), *link.bulk.received()]:
                    self._exchange.receive(message, payload)
                if self._exchange.welcome:
                    self._announce(ConnectionEvent("connected", welcome=self._exchange.welcome))
                elif time.monotonic() > deadline:
                    raise WireError("timeout", f"the server at {end.address} does not answer", "is it overloaded?")
                self._obey()
                self._exchange.fill(link)
        finally:
            link.close(polite=self._stopping)

    def _obey(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_in.recv(4096)
        with contextlib.suppress(queue.Empty):
            while True:
                self._commands.get_nowait()()

    def _idle(self, seconds: float) -> None:
        """Wait for the next attempt; commands are taken in meanwhile."""
        deadline = time.monotonic() + seconds
        poller = zmq.Poller()
        poller.register(self._wake_in.fileno(), zmq.POLLIN)
        while not self._stopping and (left := deadline - time.monotonic()) > 0:
            poller.poll(int(left * 1000) + 1)
            self._obey()

    def _announce(self, event: ConnectionEvent) -> None:
        """Tell a change, once."""
        server = (event.welcome.ready, event.welcome.capabilities) if event.welcome else ()
        state = (event.status, event.error.code if event.error else "", *server)
        if state != self._reported:
            self._reported = state
            self.events.put(event)


def _defect(problem: Exception) -> WireError:
    """The thread must survive its own defects: say so, log the details, connect anew."""
    logging.getLogger(__name__).error("the session stumbled", exc_info=problem)
    return WireError("internal", f"a defect of the client: {problem!r}", "please report it, with the log")
