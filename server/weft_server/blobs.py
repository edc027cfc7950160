"""Arrays on disk, named by their SHA-256, apart for every client. An array is there only when its hash was verified
and its bytes were synced; what is still arriving lies beside it and can be taken up again at its last byte."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from weft_wire.errors import WireError
from weft_wire.messages import CHUNK

__all__ = ["Blobs", "sync_folder"]

BLOCK = 1 << 20  # bytes read at once: whole elements of every type, and they stay in the cache
SYNC_EVERY = 16 << 20  # bytes
MOST_OPEN = 128  # arrays arriving at the same time; beyond, the stalest is closed and resumed from its file


@dataclass(slots=True)
class Arriving:
    """An array whose bytes are still coming. They are synced from time to time by another thread, so that the disk
    writes while the network brings more, and the last sync finds little to do."""

    file: BinaryIO
    offset: int
    digest: Any
    unsynced: int = 0
    syncing: Future[None] | None = None

    def append(self, data: Any, syncer: Executor) -> None:
        _write_all(self.file, data)
        self.digest.update(data)
        self.offset += len(data)
        self.unsynced += len(data)
        if self.unsynced >= SYNC_EVERY and (self.syncing is None or self.syncing.done()):
            self.unsynced = 0
            self.syncing = syncer.submit(os.fsync, self.file.fileno())

    def close(self, *, durable: bool = False) -> None:
        if self.syncing is not None:
            self.syncing.exception()
        if durable:
            os.fsync(self.file.fileno())
        self.file.close()


class Blobs:
    """One thread only, except `path` and `adopt`, which touch finished files."""

    def __init__(self, folder: Path, *, min_free_bytes: int, largest: int) -> None:
        self._folder = folder
        self._min_free = min_free_bytes
        self._largest = largest
        self._arriving: OrderedDict[Path, Arriving] = OrderedDict()
        self._syncer = ThreadPoolExecutor(1, "weft-sync")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, owner: str, sha256: str) -> Path:
        """Where the array lies, or will; both names are checked to be hex, and never reach outside the folder."""
        if len(sha256) != 64 or not set(sha256 + owner) <= set("0123456789abcdef"):
            raise WireError("unknown_blob", "a hash has 64 lower-case hex digits")
        return self._folder / owner[:32] / sha256[:2] / sha256

    def have(self, owner: str, sha256: str, nbytes: int) -> tuple[int, bool]:
        """(bytes that are there, whether that is all of them, verified)."""
        path = self.path(owner, sha256)
        if path.exists():
            os.utime(path)  # asked for means needed: the sweep spares it
            return path.stat().st_size, True
        if nbytes > self._largest:
            raise WireError("too_large", f"an array of {nbytes} bytes; at most {self._largest} are accepted")
        self.check_space(nbytes)
        begun = path in self._arriving or path.with_suffix(".part").exists()
        return (self._open(path).offset if begun else 0), False

    def put(self, owner: str, sha256: str, nbytes: int, offset: int, data: Any) -> tuple[int, bool]:
        """Append a chunk; what is there already is skipped, so that chunks may come twice. Returns as `have` does."""
        path = self.path(owner, sha256)
        if path.exists():
            return path.stat().st_size, True
        self.check_space(len(data))
        arriving = self._open(path)
        if offset > arriving.offset or arriving.offset > nbytes or offset + len(data) > nbytes:
            raise WireError("blob_mismatch", f"a chunk at {offset} came; {arriving.offset} is next", "send it again")
        fresh = data[arriving.offset - offset :]
        try:
            arriving.append(fresh, self._syncer)
        except OSError as error:
            self._discard(path)
            raise disk_full() from error
        return arriving.offset, arriving.offset == nbytes and self._complete(path, sha256)

    def read(self, owner: str, sha256: str, offset: int) -> tuple[bytes, int]:
        """(at most one chunk from `offset` on, size of the whole array)."""
        try:
            with self.path(owner, sha256).open("rb", buffering=0) as file:
                nbytes = os.fstat(file.fileno()).st_size
                file.seek(offset)
                return file.read(CHUNK), nbytes
        except (FileNotFoundError, OverflowError, OSError) as error:
            raise WireError("unknown_blob", f"there is no array {sha256[:12]}…", "was its job released?") from error

    def blocks(self, owner: str, sha256: str) -> Iterator[memoryview]:
        """The bytes of a finished array, a block at a time and each in the same memory, so that checking a large array
        needs little of it."""
        path, block = self.path(owner, sha256), memoryview(bytearray(BLOCK))
        os.utime(path)
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(block):
                yield block[:count]

    def adopt(self, owner: str, sha256: str, file: Path) -> None:
        """Take over a finished, synced file under its hash; durable on return."""
        path = self.path(owner, sha256)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.replace(path)
        sync_folder(path.parent)

    def sweep(self, in_use: set[Path], older_than: float) -> int:
        """Delete what no job needs and nobody asked for since `older_than` seconds; how many files that were."""
        deadline, count = time.time() - older_than, 0
        for path in self._folder.glob("*/*/*"):
            if path not in in_use and path.stat().st_mtime < deadline:
                self._discard(path.with_suffix(""))
                path.unlink(missing_ok=True)
                count += 1
        return count

    def check_space(self, nbytes: int) -> None:
        """Refuse what would leave less than the reserve, before it endangers results."""
        if shutil.disk_usage(self._folder).free - nbytes < self._min_free:
            raise disk_full()

    def close(self) -> None:
        while self._arriving:
            self._arriving.popitem()[1].close()
        self._syncer.shutdown()

    def _open(self, path: Path) -> Arriving:
        """The array that is arriving there; after a restart, from the bytes that its file has."""
        if path in self._arriving:
            self._arriving.move_to_end(path)
            return self._arriving[path]
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest, offset = hashlib.sha256(), 0
        file = path.with_suffix(".part").open("a+b", buffering=0)
        file.seek(0)
        block = memoryview(bytearray(BLOCK))
        while count := file.readinto(block):
            digest.update(block[:count])
            offset += count
        self._arriving[path] = Arriving(file, offset, digest)
        if len(self._arriving) > MOST_OPEN:
            self._arriving.popitem(last=False)[1].close()
        return self._arriving[path]

    def _complete(self, path: Path, sha256: str) -> bool:
        arriving = self._arriving[path]
        if arriving.digest.hexdigest() != sha256:
            self._discard(path)
            raise WireError("blob_mismatch", f"the bytes received are not those of {sha256[:12]}…", "send them again")
        self._arriving.pop(path).close(durable=True)
        path.with_suffix(".part").replace(path)
        sync_folder(path.parent)
        return True

    def _discard(self, path: Path) -> None:
        if arriving := self._arriving.pop(path, None):
            arriving.close()
            path.with_suffix(".part").unlink(missing_ok=True)


def _write_all(file: BinaryIO, data: Any) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def disk_full() -> WireError:
    message = "the server's disk is full"
    return WireError("disk_full", message, "release finished jobs, or make room on the server, and submit again")


def sync_folder(folder: Path) -> None:
    """Make renames in the folder durable (Windows does so by itself)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
