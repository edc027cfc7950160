"""The thread that reads, writes and hashes, so that the front end never waits for a disk."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from weft_server.blobs import Blobs
from weft_server.front import Call, Front
from weft_server.incidents import as_error
from weft_wire.arrays import check_block
from weft_wire.errors import WireError
from weft_wire.jobs import Task, check_inputs, group_of, task_named
from weft_wire.messages import Ack, BlobHave, BlobPut, Chunk, Error, Fetch, Limits, Submit
from weft_wire.parameters import from_mapping, to_mapping

__all__ = ["Disk"]

log = logging.getLogger("weft.server")


class Disk:
    """Uploads, downloads, and the look into the arrays of a job before it is accepted."""

    def __init__(self, blobs: Blobs, front: Front, limits: Limits, tasks: Mapping[str, Task]) -> None:
        self._blobs = blobs
        self._front = front
        self._limits = limits
        self._tasks = tasks
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="weft-disk", daemon=True)
        self.accept: Callable[[Call], None] = lambda _: None  # where a job goes whose arrays are sound

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._blobs.close()

    def call(self, call: Call) -> None:
        """Any thread: meet this request when its turn comes."""
        self._queue.put(lambda: self._meet(call))

    def post(self, work: Callable[[], None]) -> None:
        """Any thread: do this when its turn comes."""
        self._queue.put(work)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception as error:
                as_error(error)

    def _meet(self, call: Call) -> None:
        try:
            answer, payload = self._answer(call)
        except Exception as problem:
            answer, payload = Error.of(as_error(problem), call.message.request), None
        if answer is not None:
            self._front.answer(call, answer, payload)

    def _answer(self, call: Call) -> tuple[Any, Any]:
        message, owner = call.message, call.owner
        if isinstance(message, BlobHave):
            return Ack(message.sha256, *self._blobs.have(owner, message.sha256, message.nbytes), message.request), None
        if isinstance(message, BlobPut):
            there = self._blobs.put(owner, message.sha256, message.nbytes, message.offset, call.payload)
            return Ack(message.sha256, *there, message.request), None
        if isinstance(message, Fetch):
            data, nbytes = self._blobs.read(owner, message.sha256, message.offset)
            return Chunk(message.sha256, message.offset, nbytes, message.request), data
        assert isinstance(message, Submit)
        self.accept(replace(call, message=self._inspect(owner, message)))
        return None, None

    def _inspect(self, owner: str, submit: Submit) -> Submit:
        """Check everything about a job that can be known without computing it; return it with all parameters."""
        task = task_named(submit.task, self._tasks)
        params = from_mapping(task.params, submit.params)
        total = sum(ref.nbytes for ref in submit.arrays)
        if total > self._limits.job_bytes:
            raise WireError("too_large", f"the job has {total} bytes of arrays; at most {self._limits.job_bytes} go")
        dimensions = check_inputs(task, params, submit.arrays)
        self._blobs.check_space(0)
        for ref in submit.arrays:
            path = self._blobs.path(owner, ref.sha256)
            if not path.exists():
                raise WireError("missing_blob", f"{ref.name} has not been uploaded", "upload it and submit again")
            if path.stat().st_size != ref.nbytes:
                raise WireError("invalid_array", f"{ref.name} has {path.stat().st_size} bytes, not {ref.nbytes}")
            spec = task.spec_of(ref.name)
            for block in self._blobs.blocks(owner, ref.sha256):
                check_block(ref, spec, dimensions[group_of(ref.name)], block)
        return replace(submit, params=to_mapping(params))
