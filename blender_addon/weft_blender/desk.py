"""The one job that this Blender follows, as plain values, so that it outlives undo and file loading."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from weft_wire.errors import WireError

from .task import SceneTask
from .tasks import TASKS

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
    """The one job on the desk, and pictures that the thread is preparing for it."""

    job: Job | None = None
    complaint: WireError | None = None  # why the last button did nothing
    previews: bool = True
    kept: list[Any] = field(default_factory=list)  # by target: what of the scene its pictures need
    preparing: dict[int, Future[Any]] = field(default_factory=dict)  # by object, the latest
    result: Future[Any] | None = None
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="weft-pixels"))

    def put(self, job: Job | None) -> None:
        self.job, self.preparing, self.result = job, {}, None
        self.kept = job.task.keep(job.targets) if job is not None and not job.ended else []


DESK = Desk()


def working() -> str:
    """The id of the job on the desk while it is under way, otherwise empty."""
    return DESK.job.id if DESK.job is not None and not DESK.job.ended else ""
