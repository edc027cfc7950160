"""Jobs and their durable events in SQLite (WAL, synced at every commit). One thread only.

A terminal state is never left again. Every transition and its event are one transaction, so that what a client was
told survives whatever dies next. The database is locked for as long as the server lives: one server, one store.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from weft_wire.codec import pack, unpack
from weft_wire.errors import WireError
from weft_wire.messages import MESSAGES, TERMINAL, JobState, StateEvent, Submit, WarningEvent
from weft_wire.parameters import from_mapping, to_mapping

__all__ = ["DEATHS", "JobRow", "JobStore", "digest_of"]

DEATHS = 3  # of its worker, after which a job is given up
LARGEST = 1 << 24  # bytes of one stored message
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, job_id TEXT NOT NULL, task TEXT NOT NULL,
    digest TEXT NOT NULL, request BLOB NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0, last_seq INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL,
    finished REAL, results BLOB, UNIQUE (owner, job_id));
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE, seq INTEGER NOT NULL, verb TEXT NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (number, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blobs (
    number INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE, owner TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (number, sha256)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as stored. `attempt` counts starts and fences off late words of earlier ones."""

    number: int
    owner: str
    state: JobState
    digest: str
    submit: Submit
    deaths: int

    @property
    def finished(self) -> bool:
        return self.state.state in TERMINAL


class JobStore:
    """All that must survive the server."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.5)
        try:
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.executescript(SCHEMA)
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (secrets.token_hex(8),))
        except sqlite3.OperationalError as error:
            self._db.close()
            message = f"{path} cannot be opened: {error}"
            raise WireError(
                "store", message, "another Weft server uses this home; stop it, or set WEFT_HOME"
            ) from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise WireError(
                "store", f"{path} is damaged: {error}", f"move it away; jobs in {path.parent} are lost"
            ) from error
        self.epoch: str = self._db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]

    def close(self) -> None:
        self._db.close()

    def recover(self, *, clean: bool = False) -> None:
        """Jobs that were running when the server ended go back to the queue; `clean`: it is ending now, on purpose,
        which is not held against them."""
        for number in self._numbers("state = 'running'"):
            self.requeue(number, died=not clean)

    def find(self, owner: str, job_id: str) -> JobRow:
        """The client's job; another client's is as unknown as one that never was."""
        rows = self._rows("owner = ? AND job_id = ?", owner, job_id)
        if not rows:
            raise WireError("unknown_job", f"there is no job {job_id}", "it was released, or never submitted")
        return rows[0]

    def get(self, number: int) -> JobRow | None:
        rows = self._rows("number = ?", number)
        return rows[0] if rows else None

    def queued(self) -> list[tuple[int, str]]:
        """(number, owner) of the waiting jobs, oldest first."""
        return self._db.execute("SELECT number, owner FROM jobs WHERE state = 'queued' ORDER BY number").fetchall()

    def open_jobs(self, owner: str) -> int:
        query = "SELECT count(*) FROM jobs WHERE owner = ? AND state IN ('queued', 'running')"
        return self._db.execute(query, (owner,)).fetchone()[0]

    def list(self, owner: str, after: int, limit: int) -> list[JobState]:
        return [
            row.state for row in self._rows("owner = ? AND number > ? ORDER BY number LIMIT ?", owner, after, limit)
        ]

    def events(self, number: int, after_seq: int) -> list[Any]:
        """The durable events, in order."""
        query = "SELECT verb, body FROM events WHERE number = ? AND seq > ? ORDER BY seq"
        rows = self._db.execute(query, (number, after_seq))
        return [from_mapping(MESSAGES[verb], unpack(body, largest=LARGEST), extra="ignore") for verb, body in rows]

    def results(self, number: int) -> dict[str, Any] | None:
        """{"arrays": plain ArrayRefs, "info": …} of a succeeded job, or the last checkpoint of another."""
        (body,) = self._db.execute("SELECT results FROM jobs WHERE number = ?", (number,)).fetchone()
        return None if body is None else unpack(body, largest=LARGEST)

    def accept(self, owner: str, submit: Submit) -> JobRow:
        """Commit a new job as queued."""
        with self._transaction():
            cursor = self._db.execute(
                "INSERT INTO jobs (owner, job_id, task, digest, request, state, created) VALUES (?,?,?,?,?,'queued',?)",
                (owner, submit.job_id, submit.task, digest_of(submit), pack(to_mapping(submit)), time.time()),
            )
            number = int(cursor.lastrowid or 0)
            self._use_blobs(number, owner, [ref.sha256 for ref in submit.arrays])
            self._note(number, StateEvent(submit.job_id, 1, "queued", 0))
        return self._existing(number)

    def begin(self, number: int) -> JobRow:
        """The job starts: one more attempt."""
        with self._transaction():
            self._db.execute("UPDATE jobs SET attempt = attempt + 1 WHERE number = ?", (number,))
            self._enter(number, "running")
        return self._existing(number)

    def requeue(self, number: int, *, died: bool) -> JobRow:
        """The attempt ended without a result: back to the queue, or, at the third death, poison."""
        with self._transaction():
            self._db.execute("UPDATE jobs SET deaths = deaths + ? WHERE number = ?", (int(died), number))
            row = self._existing(number)
            if row.deaths >= DEATHS:
                message = f"its worker died {row.deaths} times; the job was given up"
                self._enter(number, "poison", WireError("job_poison", message, "a smaller size may help; see the log"))
            elif died:
                self._enter(number, "queued", WireError("worker_died", "the worker died; the job starts again"))
            else:
                self._enter(number, "queued")
        return self._existing(number)

    def end(self, number: int, state: str, error: WireError | None = None) -> JobRow:
        """The job reaches a terminal state without a result."""
        with self._transaction():
            self._enter(number, state, error)
        return self._existing(number)

    def keep(self, number: int, arrays: list[dict[str, Any]], info: dict[str, Any]) -> None:
        """What the job has so far; its arrays are durable already."""
        with self._transaction():
            self._set_results(self._existing(number), arrays, info)

    def succeed(self, number: int, arrays: list[dict[str, Any]], info: dict[str, Any]) -> JobRow:
        """The job has its result; its arrays are durable already."""
        with self._transaction():
            self._set_results(self._existing(number), arrays, info)
            self._enter(number, "succeeded")
        return self._existing(number)

    def warn(self, number: int, message: str, hint: str) -> None:
        with self._transaction():
            row = self._existing(number)
            self._note(number, WarningEvent(row.state.job_id, row.state.last_seq + 1, message, hint))

    def release(self, number: int) -> None:
        """Forget a job and what only it needed."""
        with self._transaction():
            self._db.execute("DELETE FROM jobs WHERE number = ?", (number,))

    def expired(self, lifetime: float) -> list[int]:
        return self._numbers("finished < ?", time.time() - lifetime)

    def blobs_in_use(self) -> list[tuple[str, str]]:
        """(owner, hash) of every array that a job needs."""
        return self._db.execute("SELECT DISTINCT owner, sha256 FROM blobs").fetchall()

    def _enter(self, number: int, state: str, error: WireError | None = None) -> None:
        row = self._existing(number)
        if row.finished:
            raise WireError("internal", f"job {row.state.job_id} is {row.state.state} and stays so")
        finished = time.time() if state in TERMINAL else None
        self._db.execute("UPDATE jobs SET state = ?, finished = ? WHERE number = ?", (state, finished, number))
        event = StateEvent(row.state.job_id, row.state.last_seq + 1, state, row.state.attempt)
        if error is not None:
            event = replace(event, code=error.code, message=error.message[:4000], hint=error.hint[:4000])
        self._note(number, event)

    def _note(self, number: int, event: Any) -> None:
        verb = "STATE" if isinstance(event, StateEvent) else "WARNING"
        body = pack(to_mapping(event))
        self._db.execute("INSERT INTO events VALUES (?,?,?,?)", (number, event.seq, verb, body))
        self._db.execute("UPDATE jobs SET last_seq = ? WHERE number = ?", (event.seq, number))

    def _set_results(self, row: JobRow, arrays: list[dict[str, Any]], info: dict[str, Any]) -> None:
        """These results, and no earlier ones."""
        body = pack({"arrays": arrays, "info": info})
        self._db.execute("UPDATE jobs SET results = ? WHERE number = ?", (body, row.number))
        self._db.execute("DELETE FROM blobs WHERE number = ?", (row.number,))
        inputs = [ref.sha256 for ref in row.submit.arrays]
        self._use_blobs(row.number, row.owner, inputs + [ref["sha256"] for ref in arrays])

    def _use_blobs(self, number: int, owner: str, hashes: list[str]) -> None:
        rows = [(number, owner, sha256) for sha256 in hashes]
        self._db.executemany("INSERT OR IGNORE INTO blobs VALUES (?,?,?)", rows)

    def _existing(self, number: int) -> JobRow:
        row = self.get(number)
        assert row is not None, number
        return row

    def _numbers(self, where: str, *values: Any) -> list[int]:
        return [n for (n,) in self._db.execute(f"SELECT number FROM jobs WHERE {where} ORDER BY number", values)]

    def _rows(self, where: str, *values: Any) -> list[JobRow]:
        columns = "number, owner, job_id, task, state, attempt, last_seq, created, digest, request, deaths"
        return [_row(*columns) for columns in self._db.execute(f"SELECT {columns} FROM jobs WHERE {where}", values)]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def digest_of(submit: Submit) -> str:
    """Two submits with the same digest ask for the same job."""
    arrays = sorted((ref.name, ref.dtype, ref.shape, ref.sha256) for ref in submit.arrays)
    return hashlib.sha256(pack([submit.task, sorted(submit.params.items()), arrays, submit.labels])).hexdigest()


def _row(
    number: int, owner: str, job_id: str, task: str, state: str, attempt: int, last_seq: int, created: float,
    digest: str, request: bytes, deaths: int,
) -> JobRow:  # fmt: skip
    submit = from_mapping(Submit, unpack(request, largest=LARGEST), extra="ignore")
    line = JobState(job_id, task, state, attempt, last_seq, number, created)
    return JobRow(number, owner, line, digest, submit, deaths)
