"""The one job that this Blender follows, as plain values, so that it outlives undo and file loading.

The variants of a gallery are jobs that follow one another on the desk; the server has all of them from the start, so
that they are made even if Blender ends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from weft_wire.errors import WireError

from .task import Collected, SceneTask
from .tasks import TASKS
from .variant_ids import gallery_of, number_of, variant_id

__all__ = ["DESK", "Desk", "Job", "working"]


@dataclass
class Job:
    """What the add-on knows about one job."""

    id: str
    task: SceneTask
    targets: list[Any]  # of the class task.target
    params: dict[str, Any]
    state: str = "sending"  # then the server's states, and at the end: applied | failed | cancelled
    phase: str = ""
    step: int = 0
    total: int = 0
    warnings: list[str] = field(default_factory=list)
    error: WireError | None = None
    info: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)  # the results, for scripts
    started: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)  # export, first_preview, total

    @property
    def ended(self) -> bool:
        return self.state in ("applied", "failed", "cancelled", "poison")

    @property
    def gallery(self) -> str:
        """The gallery that the job makes a variant of; empty if it stands alone."""
        return gallery_of(self.id)

    @property
    def number(self) -> int:
        """Which variant of its gallery, from 1."""
        return number_of(self.id)

    def sibling(self, number: int) -> Job:
        """The job of another variant of the same gallery, of unknown state."""
        params = {**self.params, "variant": number}
        job_id = variant_id(self.gallery, number)
        return Job(job_id, self.task, self.targets, params, state="waiting", started=self.started)

    @property
    def fraction(self) -> float:
        """How far the present phase is, 0 to 1."""
        return self.step / self.total if self.total else 0.0

    def record(self) -> dict[str, Any]:
        """What a file must remember to find the job again."""
        targets = [asdict(target) for target in self.targets]
        return {"id": self.id, "task": self.task.name, "targets": targets, "params": self.params}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Job:
        """The job that `record` describes, of unknown state. Raises AttributeError, KeyError or TypeError if it is no
        record."""
        task = TASKS[record.get("task", "texture")]  # the first version knew no other task, and did not name it
        targets = [task.target(**target) for target in record["targets"]]
        return cls(str(record["id"]), task, targets, dict(record["params"]), state="waiting")


@dataclass
class Desk:
    """The one job on the desk, those that follow it, and pictures that the thread is preparing for it."""

    job: Job | None = None
    queue: list[Job] = field(default_factory=list)  # variants that follow
    unsent: list[Job] = field(default_factory=list)  # of these: what the server gets once it has the first one's arrays
    done: list[Job] = field(default_factory=list)  # applied, and perhaps in no saved file
    chosen: str = ""  # the variant (its job) that was chosen while others are made: it stays on
    inputs: dict[str, Collected] = field(default_factory=dict)  # by gallery: what its jobs are made of, the latest last
    complaint: WireError | None = None  # why the last button did nothing
    previews: bool = True
    kept: list[Any] = field(default_factory=list)  # by target: what of the scene its pictures need
    preparing: dict[int, Future[Any]] = field(default_factory=dict)  # by object, the latest
    result: Future[Any] | None = None
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="weft-pixels"))

    def put(self, job: Job | None) -> None:
        """Follow `job` from now on; with none, nothing follows it either."""
        if job is None:
            self.queue, self.unsent, self.done, self.chosen = [], [], [], ""
        self.job, self.preparing, self.result = job, {}, None
        self.kept = job.task.keep(job.targets) if job is not None and not job.ended else []

    def record(self, jobs: Sequence[Job]) -> dict[str, Any]:
        """What a file must remember to find `jobs` again, variants that follow the first one."""
        return {**jobs[0].record(), "queue": [job.number for job in jobs[1:]]}

    def running(self) -> list[Job]:
        """The job under way and those that follow it."""
        return [self.job, *self.queue] if self.job is not None and not self.job.ended else []


DESK = Desk()


def working() -> str:
    """The id of the job on the desk while it is under way, otherwise empty."""
    return DESK.job.id if DESK.job is not None and not DESK.job.ended else ""
