"""Arrays on their way: what has been sent, asked for and received. No sockets in here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from weft_wire.arrays import ArrayRef, check_block, dtype_name, raw_bytes
from weft_wire.errors import WireError
from weft_wire.events import JobResult
from weft_wire.jobs import Task, check_inputs, group_of
from weft_wire.messages import CHUNK, JobState, Manifest, Submit
from weft_wire.parameters import to_mapping, validate

__all__ = ["Download", "Submission", "Upload"]

UNHASHED = "0" * 64


@dataclass(eq=False, slots=True)
class Upload:
    """One array on its way to the server."""

    ref: ArrayRef
    data: memoryview
    sent: int = -1  # bytes; -1 until the server has said how much it has
    complete: bool = False

    def next_chunk(self) -> tuple[int, memoryview] | None:
        """(offset, bytes) to send next; None when everything is on its way. An empty array is one empty chunk."""
        if self.sent < 0 or self.sent >= max(self.ref.nbytes, 1):
            return None
        offset = self.sent
        chunk = self.data[offset : offset + CHUNK]
        self.sent = offset + max(len(chunk), 1)
        return offset, chunk


@dataclass(eq=False, slots=True)
class Submission:
    """One job on its way to the server. The caller's arrays are read, not copied: leave them alone until accepted."""

    task: Task
    message: Submit
    arrays: dict[str, np.ndarray]
    dimensions: dict[str, dict[str, int]]  # of every group of arrays
    uploads: list[Upload] = field(default_factory=list)
    accepted: Future[JobState] = field(default_factory=Future)
    submitted: bool = False
    cancelled: bool = False  # while the answer to SUBMIT was awaited
    repairs: int = 0  # how often arrays turned out to be missing

    @classmethod
    def prepare(
        cls, task: Task, params: Any, arrays: dict[str, np.ndarray], labels: list[str], job_id: str
    ) -> Submission:
        """Check all that needs no look at the bytes; quick enough for a user interface."""
        refs = tuple(ArrayRef(n, dtype_name(a), tuple(map(int, a.shape)), UNHASHED) for n, a in arrays.items())
        dimensions = check_inputs(task, params, refs)
        message = Submit(job_id, task.name, to_mapping(params), refs, tuple(labels))
        validate(message)
        return cls(task, message, dict(arrays), dimensions)

    def hash_arrays(self) -> Iterator[Upload]:
        """Check and hash one array after the other (≈ 1 GiB/s); for a thread of its own."""
        for ref in self.message.arrays:
            data = raw_bytes(self.arrays[ref.name])
            spec, dimensions, digest = (
                self.task.spec_of(ref.name),
                self.dimensions[group_of(ref.name)],
                hashlib.sha256(),
            )
            for offset in range(0, len(data), CHUNK):
                check_block(ref, spec, dimensions, data[offset : offset + CHUNK])
                digest.update(data[offset : offset + CHUNK])
            yield Upload(ArrayRef(ref.name, ref.dtype, ref.shape, digest.hexdigest()), data)

    @property
    def complete(self) -> bool:
        return len(self.uploads) == len(self.message.arrays) and all(upload.complete for upload in self.uploads)


class Download:
    """The results of one job on their way to the client."""

    def __init__(self, manifest: Manifest, executor: Executor) -> None:
        self.job_id = manifest.job_id
        self._manifest = manifest
        self._executor = executor
        self._buffers = [np.empty(ref.nbytes, np.uint8) for ref in manifest.arrays]
        self._hashes = [hashlib.sha256() for _ in manifest.arrays]
        self._wanted = iter([(i, o) for i, r in enumerate(manifest.arrays) for o in range(0, max(r.nbytes, 1), CHUNK)])
        self._missing = sum(max(-(-ref.nbytes // CHUNK), 1) for ref in manifest.arrays)

    def next_piece(self) -> tuple[int, int, str] | None:
        """(array, offset, sha256) to ask for next; None when everything has been asked for."""
        index, offset = next(self._wanted, (-1, 0))
        return None if index < 0 else (index, offset, self._manifest.arrays[index].sha256)

    def received(self, index: int, offset: int, payload: Any) -> None:
        """Take one chunk. Chunks of one array come in order, so that its hash can follow them."""
        buffer = self._buffers[index]
        end = offset + len(payload)
        if end > buffer.size or len(payload) != min(CHUNK, buffer.size - offset):
            raise WireError("malformed", f"a chunk of {len(payload)} bytes does not fit at {offset}")
        buffer[offset:end] = np.frombuffer(payload, np.uint8)
        self._executor.submit(self._hashes[index].update, buffer[offset:end].data)
        self._missing -= 1

    @property
    def complete(self) -> bool:
        return self._missing == 0

    def result(self) -> Future[JobResult]:
        """The verified result; runs behind the hashing of the last chunk."""
        return self._executor.submit(self._verified)

    def _verified(self) -> JobResult:
        arrays = {}
        for ref, buffer, digest in zip(self._manifest.arrays, self._buffers, self._hashes, strict=True):
            if digest.hexdigest() != ref.sha256:
                raise WireError("blob_mismatch", f"{ref.name} arrived damaged", "fetch it again")
            arrays[ref.name] = buffer.view(f"<{ref.dtype}").reshape(ref.shape)
        return JobResult(arrays, dict(self._manifest.info), self._manifest.complete)
