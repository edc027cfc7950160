"""The desk: the one thread that decides. It keeps the jobs, meets the clients' requests, and tells watchers."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from weft_server.crew import Crew
from weft_server.front import Call, Front
from weft_server.incidents import as_error
from weft_server.store import JobRow, JobStore, digest_of
from weft_server.turns import Turns
from weft_server.watchers import Watchers
from weft_wire.errors import WireError
from weft_wire.messages import (
    Cancel,
    Error,
    Job,
    Jobs,
    Limits,
    List,
    Manifest,
    ProgressEvent,
    Release,
    Results,
    Submit,
    Subscribe,
)
from weft_wire.parameters import from_mapping

__all__ = ["Desk"]

PAGE = 200  # jobs in one answer to LIST
SWEEP = 600.0  # seconds between two looks for what has expired
RETRY_AFTER = 10.0
log = logging.getLogger("weft.server")


class Desk:
    """`sweep` frees the arrays that no job in the given list needs."""

    def __init__(
        self, store: JobStore, front: Front, crew: Crew, limits: Limits, sweep: Callable[[list[tuple[str, str]]], None]
    ) -> None:
        self._store = store
        self._front = front
        self._crew = crew
        self._limits = limits
        self._sweep = sweep
        self._swept = -SWEEP
        self._turns = Turns()
        self._watchers = Watchers(front)
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="weft-desk", daemon=True)
        self._verbs: dict[type[Any], Callable[[Call], None]] = {
            Submit: self._submit,
            Subscribe: self._subscribe,
            Cancel: self._cancel,
            Results: self._results,
            Release: self._release,
            List: self._list,
        }

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the worker; the job it was at goes back to the queue."""
        self.post(self._stop)
        self._thread.join()

    def call(self, call: Call) -> None:
        """Any thread: meet this request when its turn comes."""
        self.post(lambda: self._meet(call))

    def gone(self, link: bytes) -> None:
        """Any thread: this connection ended."""
        self.post(lambda: self._watchers.forget_link(link))

    def post(self, work: Callable[[], None]) -> None:
        """Any thread: do this when its turn comes."""
        self._queue.put(work)

    def _stop(self) -> None:
        self._stopping = True

    def _run(self) -> None:
        self._crew.start(self.post, self)
        while not self._stopping:
            try:
                self._queue.get(timeout=self._crew.patience())()
            except queue.Empty:
                pass
            except Exception as problem:
                as_error(problem)
            self._guarded(self._crew.look_after)
            self._guarded(self._crew.look_for_models)
            self._guarded(self._assign)
            self._guarded(self._expire)
        self._crew.stop()
        self._store.recover(clean=True)
        self._store.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as problem:
            as_error(problem)

    def _meet(self, call: Call) -> None:
        try:
            self._verbs[type(call.message)](call)
        except Exception as problem:
            self._front.answer(call, Error.of(as_error(problem), call.message.request))

    def _answer(self, call: Call, row: JobRow) -> None:
        self._front.answer(call, Job(row.state, call.message.request))

    def _submit(self, call: Call) -> None:
        submit: Submit = call.message
        try:
            row = self._store.find(call.owner, submit.job_id)
        except WireError:
            self._check_room(call.owner)
            self._crew.check_able(submit)
            row = self._store.accept(call.owner, submit)
            log.info("job %s accepted from %s", submit.job_id, call.owner[:8])
        if row.digest != digest_of(submit):
            message = f"job {submit.job_id} exists, with other content"
            raise WireError("conflict", message, "choose another job id")
        self._answer(call, row)

    def _check_room(self, owner: str) -> None:
        mine, all_queued = self._store.open_jobs(owner), len(self._store.queued())
        if mine < self._limits.open_jobs and all_queued < self._limits.queued_jobs:
            return
        full = mine >= self._limits.open_jobs
        message = f"you have {mine} jobs open" if full else f"{all_queued} jobs are waiting"
        raise WireError("busy", message, f"try again in {RETRY_AFTER:.0f} s", RETRY_AFTER)

    def _subscribe(self, call: Call) -> None:
        row = self._store.find(call.owner, call.message.job_id)
        self._answer(call, row)
        self._watchers.add(row.number, call.link, self._store.events(row.number, call.message.after_seq))
        if row.finished:
            self._watchers.forget_job(row.number)
        elif row.state.state == "queued":
            self._tell_positions()

    def _cancel(self, call: Call) -> None:
        row = self._store.find(call.owner, call.message.job_id)
        if row.state.state == "queued":
            row = self._store.end(row.number, "cancelled")
            self.changed(row)
            self._tell_positions()
        elif not row.finished:
            self._crew.cancel(row.number)
        self._answer(call, row)

    def _results(self, call: Call) -> None:
        row = self._store.find(call.owner, call.message.job_id)
        results = self._store.results(row.number) if row.finished else None
        if results is None:
            raise self._why_no_result(row)
        complete = row.state.state == "succeeded"
        manifest = {"job_id": row.state.job_id, **results, "complete": complete, "request": call.message.request}
        self._front.answer(call, from_mapping(Manifest, manifest))

    def _why_no_result(self, row: JobRow) -> WireError:
        state = row.state.state
        if not row.finished:
            return WireError("not_finished", f"job {row.state.job_id} is {state}", "wait for it to end")
        reason = next((e.error for e in reversed(self._store.events(row.number, 0)) if getattr(e, "code", "")), None)
        what = f"job {row.state.job_id} ended {state}"
        return WireError(f"job_{state}", f"{what}: {reason.message}" if reason else what, reason.hint if reason else "")

    def _release(self, call: Call) -> None:
        row = self._store.find(call.owner, call.message.job_id)
        if not row.finished:
            raise WireError("not_finished", f"job {row.state.job_id} is {row.state.state}", "cancel it first")
        self._store.release(row.number)
        self._answer(call, row)

    def _list(self, call: Call) -> None:
        jobs = self._store.list(call.owner, call.message.after, PAGE + 1)
        self._front.answer(call, Jobs(tuple(jobs[:PAGE]), len(jobs) > PAGE, call.message.request))

    # What the crew tells of the job at hand.

    def changed(self, row: JobRow) -> None:
        """The job entered a state: tell whoever watches."""
        log.info("job %s %s (attempt %d)", row.state.job_id, row.state.state, row.state.attempt)
        self._watchers.tell(row.number, self._store.events(row.number, row.state.last_seq - 1))
        if row.finished:
            self._watchers.forget_job(row.number)

    def warned(self, row: JobRow, message: str, hint: str) -> None:
        self._store.warn(row.number, message, hint)
        self._watchers.tell(row.number, self._store.events(row.number, row.state.last_seq))

    def ephemeral(self, row: JobRow, slot: str, parts: list[tuple[Any, Any]]) -> None:
        """Progress and previews, for whoever watches and reads fast enough."""
        self._watchers.tell_latest(row.number, slot, parts)

    def able(self, ready: bool, capabilities: dict[str, Any]) -> None:
        self._front.announce(ready, capabilities)

    def _assign(self) -> None:
        """Give the worker, if it is free, the job whose turn it is."""
        if not self._crew.free:
            return
        order = self._turns.order(self._store.queued())
        if not order:
            return
        row = self._store.begin(order[0])
        self._turns.served(row.owner)
        self._crew.give(row)
        self.changed(row)
        self._tell_positions()

    def _tell_positions(self) -> None:
        """Tell those who wait how many jobs are before theirs."""
        for ahead, number in enumerate(self._turns.order(self._store.queued()), start=int(not self._crew.free)):
            if self._watchers.any(number) and (row := self._store.get(number)):
                text = f"{ahead} job{'s' * (ahead != 1)} ahead" if self._crew.ready else "the server is warming up"
                event = ProgressEvent(row.state.job_id, "queued", 0, 1, text)
                self._watchers.tell_latest(number, "progress", [(event, None)])

    def _expire(self) -> None:
        """Release what was kept for its announced lifetime, and free arrays that nobody needs."""
        if time.monotonic() - self._swept < SWEEP:
            return
        self._swept = time.monotonic()
        for number in self._store.expired(self._limits.result_lifetime):
            self._store.release(number)
        self._sweep(self._store.blobs_in_use())
