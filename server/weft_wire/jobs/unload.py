"""Free the memory of loaded models. A job like others, so that it waits for the one at hand."""

from __future__ import annotations

from dataclasses import dataclass

from weft_wire.jobs.task import Task
from weft_wire.parameters import param

__all__ = ["UNLOAD", "UnloadParams"]


@dataclass(frozen=True, slots=True)
class UnloadParams:
    """Which models are to be unloaded."""

    name: str = param("", maximum=120, help="of a model; all of them when empty")


UNLOAD = Task(
    name="unload",
    help="free the memory of loaded models; the result's info lists them as `unloaded`, and has the `bytes` of weights",
    params=UnloadParams,
    inputs=(),
    results=(),
)
