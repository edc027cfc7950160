"""What a server is told at its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weft_wire.address import DEFAULT_PORT
from weft_wire.jobs import TASKS, Task
from weft_wire.keys import home
from weft_wire.messages import Limits

__all__ = ["ServerOptions"]


@dataclass(frozen=True)
class ServerOptions:
    """Where a server listens, what it keeps, and what it allows. `runners` names the module that does the tasks."""

    home: Path = field(default_factory=home)
    bind: str = "127.0.0.1"
    port: int = DEFAULT_PORT  # 0: any free one
    limits: Limits = field(default_factory=Limits)
    min_free_bytes: int = 512 << 20  # of the disk; below it, submits are refused
    cancel_grace: float = 1.5  # seconds from the wish to stop until the worker is stopped by force
    silence: float = 60.0  # seconds without a heartbeat until a worker counts as hung
    stall: float = 900.0  # seconds without an event of its task until a worker counts as hung
    tasks: Mapping[str, Task] = field(default_factory=lambda: TASKS)
    runners: str = "weft_server.tasks"
    models: tuple[Path, ...] = ()  # folders to search for models before those that the environment names
