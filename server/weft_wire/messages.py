"""Every message of the protocol, as a closed dataclass. PROTOCOL.md's tables are generated from these."""

# ruff: noqa: RUF009 (param() makes a dataclass field; nothing mutable is shared)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from weft_wire.arrays import ArrayRef
from weft_wire.errors import WireError
from weft_wire.parameters import param

__all__ = ["CHUNK", "MESSAGES", "PROTOCOL", "TERMINAL", "Kind", "Limits"]

PROTOCOL = 1  # the major version: the fifth byte of every message
CHUNK = 1 << 20  # bytes of one payload, at most
HEADER = 1 << 16  # bytes of one header, at most
HEARTBEAT, SILENCE = 10.0, 30.0  # seconds: between two PINGs; until a silent peer counts as gone
STATES = ("queued", "running", "succeeded", "failed", "cancelled", "poison")
TERMINAL = frozenset(("succeeded", "failed", "cancelled", "poison"))

T = TypeVar("T", bound=type)


@dataclass(frozen=True, slots=True)
class Kind:
    """How a message travels: its verb, who sends it, whether a payload follows the header."""

    verb: str
    sender: str  # client | server
    payload: bool


MESSAGES: dict[str, type[Any]] = {}
KINDS: dict[type[Any], Kind] = {}


def message(verb: str, sender: str, *, payload: bool = False) -> Callable[[T], T]:
    def register(cls: T) -> T:
        MESSAGES[verb] = cls
        KINDS[cls] = Kind(verb, sender, payload)
        return cls

    return register


def request() -> Any:
    return param(0, minimum=0, help="chosen by the client; the answer carries the same number")


def job_id() -> Any:
    return param(minimum=1, maximum=64, help="chosen by the client, unique among its own jobs")


def sha256() -> Any:
    return param(minimum=64, maximum=64, help="64 lower-case hex digits")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server accepts; announced in WELCOME."""

    job_bytes: int = param(2 << 30, minimum=1, unit="bytes", help="of all input arrays of one job")
    open_jobs: int = param(32, minimum=1, help="jobs of one client that are queued or running")
    queued_jobs: int = param(256, minimum=1, help="jobs of all clients that are queued")
    credit: int = param(16, minimum=1, help="chunks in flight on one connection, in each direction")
    result_lifetime: float = param(
        7 * 86400.0, minimum=1, unit="s", help="a finished job is kept so long, unless released"
    )


@message("HELLO", "client")
@dataclass(frozen=True, slots=True)
class Hello:
    """The first message on every connection. Answer: WELCOME, or ERROR protocol_version."""

    oldest: int = param(minimum=1, help="oldest protocol the client speaks")
    newest: int = param(minimum=1, help="newest protocol the client speaks")
    client: str = param("", maximum=200, help="name and version of the program")
    request: int = request()


@message("WELCOME", "server")
@dataclass(frozen=True, slots=True)
class Welcome:
    """Comes after HELLO, and again whenever the capabilities change (the worker has warmed up)."""

    protocol: int = param(help="the version that both ends speak from here on")
    server: str = param(maximum=200, help="version of the server")
    epoch: str = param(maximum=64, help="names the job store: with another epoch, earlier jobs are unknown")
    limits: Limits = param(help="see Limits")
    ready: bool = param(help="the worker is up, and the capabilities below are complete")
    capabilities: dict[str, Any] = param(help="tasks with their parameters, materials, models, device")
    request: int = request()


@message("PING", "client")
@dataclass(frozen=True, slots=True)
class Ping:
    """After 10 s without sending, whatever was received; 30 s of silence end a connection. Answer: PONG."""

    request: int = request()


@message("PONG", "server")
@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to PING."""

    request: int = request()


@message("BLOB_HAVE", "client")
@dataclass(frozen=True, slots=True)
class BlobHave:
    """How much of these bytes has the server from this client? Answer: ACK."""

    sha256: str = sha256()
    nbytes: int = param(minimum=0, unit="bytes", help="whole size")
    request: int = request()


@message("BLOB_PUT", "client", payload=True)
@dataclass(frozen=True, slots=True)
class BlobPut:
    """The next bytes, at most 1 MiB, at the offset of the last ACK or of the chunk before. Answer: ACK."""

    sha256: str = sha256()
    nbytes: int = param(minimum=0, unit="bytes", help="whole size")
    offset: int = param(minimum=0, unit="bytes", help="where the payload begins")
    request: int = request()


@message("ACK", "server")
@dataclass(frozen=True, slots=True)
class Ack:
    """`offset` bytes are there; `complete` once the hash is verified and the bytes are safe on disk."""

    sha256: str = sha256()
    offset: int = param(minimum=0, unit="bytes")
    complete: bool = param()
    request: int = request()


@message("SUBMIT", "client")
@dataclass(frozen=True, slots=True)
class Submit:
    """Answer: JOB once the job is committed. The same id with the same content answers JOB again, with other
    content ERROR conflict; an array that was not uploaded, ERROR missing_blob."""

    job_id: str = job_id()
    task: str = param(minimum=1, maximum=80, help="one of the tasks in WELCOME")
    params: dict[str, Any] = param(help="the task's parameters; what is left out takes its default")
    arrays: tuple[ArrayRef, ...] = param(maximum=512, help="inputs, all uploaded before")
    labels: tuple[str, ...] = param((), maximum=256, help="names of the objects, for messages")
    request: int = request()


@message("SUBSCRIBE", "client")
@dataclass(frozen=True, slots=True)
class Subscribe:
    """Replay the durable events after `after_seq`, then send every new one on this connection. Answer: JOB."""

    job_id: str = job_id()
    after_seq: int = param(0, minimum=0, help="the last durable event that the client has seen")
    request: int = request()


@message("CANCEL", "client")
@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop the job; a finished one stays as it is. May be repeated. Answer: JOB."""

    job_id: str = job_id()
    request: int = request()


@message("RESULTS", "client")
@dataclass(frozen=True, slots=True)
class Results:
    """Which arrays did the job make? Answer: MANIFEST, or, without any, ERROR not_finished, job_failed, job_cancelled,
    job_poison."""

    job_id: str = job_id()
    request: int = request()


@message("MANIFEST", "server")
@dataclass(frozen=True, slots=True)
class Manifest:
    """The results of a succeeded job, or the last checkpoint of one that ended otherwise; their bytes come by FETCH."""

    job_id: str = job_id()
    arrays: tuple[ArrayRef, ...] = param(maximum=512)
    info: dict[str, Any] = param(help="plain values: material, seconds, coverage, metrics")
    complete: bool = param(True, help="the job succeeded; otherwise this is what it had so far")
    request: int = request()


@message("FETCH", "client")
@dataclass(frozen=True, slots=True)
class Fetch:
    """At most 1 MiB of an array of this client's, from `offset` on. Answer: CHUNK."""

    sha256: str = sha256()
    offset: int = param(minimum=0, unit="bytes")
    request: int = request()


@message("CHUNK", "server", payload=True)
@dataclass(frozen=True, slots=True)
class Chunk:
    """The answer to FETCH; `nbytes` is the whole size."""

    sha256: str = sha256()
    offset: int = param(minimum=0, unit="bytes")
    nbytes: int = param(minimum=0, unit="bytes")
    request: int = request()


@message("RELEASE", "client")
@dataclass(frozen=True, slots=True)
class Release:
    """Forget a finished job and its results (a running one is refused with not_finished). Answer: JOB."""

    job_id: str = job_id()
    request: int = request()


@message("LIST", "client")
@dataclass(frozen=True, slots=True)
class List:
    """This client's jobs, oldest first. Answer: JOBS."""

    after: int = param(0, minimum=0, help="only jobs with a greater number; for the next page")
    request: int = request()


@dataclass(frozen=True, slots=True)
class JobState:
    """A job in one line."""

    job_id: str = job_id()
    task: str = param(maximum=80)
    state: str = param(choices=STATES)
    attempt: int = param(minimum=0, help="how often it was started")
    last_seq: int = param(minimum=0, help="number of its newest durable event")
    number: int = param(minimum=0, help="grows with every job that the server accepts")
    created: float = param(unit="s", help="since 1970, by the server's clock")


@message("JOB", "server")
@dataclass(frozen=True, slots=True)
class Job:
    """The present state of one job."""

    job: JobState = param()
    request: int = request()


@message("JOBS", "server")
@dataclass(frozen=True, slots=True)
class Jobs:
    """One page of LIST."""

    jobs: tuple[JobState, ...] = param(maximum=200)
    more: bool = param(help="ask again with `after` = the last number")
    request: int = request()


@message("STATE", "server")
@dataclass(frozen=True, slots=True)
class StateEvent:
    """Durable: the job entered a state; `code`, `message` and `hint` say why it failed, or was tried again."""

    job_id: str = job_id()
    seq: int = param(minimum=1, help="counts the job's durable events, without gaps")
    state: str = param(choices=STATES)
    attempt: int = param(minimum=0)
    code: str = param("")
    message: str = param("")
    hint: str = param("")

    @property
    def error(self) -> WireError | None:
        return WireError(self.code, self.message, self.hint) if self.code else None

    @property
    def terminal(self) -> bool:
        return self.state in TERMINAL


@message("WARNING", "server")
@dataclass(frozen=True, slots=True)
class WarningEvent:
    """Durable: something the user should know; the job goes on."""

    job_id: str = job_id()
    seq: int = param(minimum=1)
    message: str = param()
    hint: str = param("")


@message("PROGRESS", "server")
@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """Ephemeral, the latest wins: `step` of `total` of `phase` is done."""

    job_id: str = job_id()
    phase: str = param(maximum=200)
    step: int = param(minimum=0)
    total: int = param(minimum=0)
    message: str = param("")


@message("PREVIEW", "server", payload=True)
@dataclass(frozen=True, slots=True)
class PreviewChunk:
    """Ephemeral, the latest wins: a part of an image u1 [height, width, 3]; chunks of one `number` come in order."""

    job_id: str = job_id()
    object: int = param(minimum=0, help="of which object")
    number: int = param(minimum=0, help="grows with every preview; a new one replaces an unfinished one")
    height: int = param(minimum=1, maximum=8192, unit="px")
    width: int = param(minimum=1, maximum=8192, unit="px")
    offset: int = param(minimum=0, unit="bytes")
    step: int = param(minimum=0)
    total: int = param(minimum=0)


@message("ERROR", "server")
@dataclass(frozen=True, slots=True)
class Error:
    """The answer to a request that cannot be met; HELLO and ERROR keep their layout in every version."""

    code: str = param(maximum=80)
    message: str = param()
    hint: str = param("")
    request: int = request()
    retry_after: float = param(0.0, minimum=0, unit="s", help="with busy: when to try again")

    @classmethod
    def of(cls, error: WireError, number: int) -> Error:
        return cls(error.code[:80], error.message[:4000], error.hint[:4000], number, error.retry_after)

    def raised(self) -> WireError:
        return WireError(self.code, self.message, self.hint, self.retry_after)
