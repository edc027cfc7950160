"""Freeing the memory of the server's loaded models: a job without a scene, beside the one on the desk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from weft_wire import events
from weft_wire.errors import WireError
from weft_wire.jobs import UNLOAD, UnloadParams
from weft_wire.sizes import size_of

from .errors import SceneError
from .link import LINK

__all__ = ["UNLOADING", "Unloading", "start", "take"]


@dataclass
class Unloading:
    """The last time that it was asked for."""

    job_id: str = ""  # while the server has not answered
    session: Any = None
    freed: list[str] = field(default_factory=list)
    message: str = ""  # what was freed, in words
    error: WireError | None = None

    @property
    def pending(self) -> bool:
        return bool(self.job_id) and self.session is LINK.session

    def end(self, message: str = "", error: WireError | None = None) -> None:
        self.job_id, self.message, self.error = "", message, error


UNLOADING = Unloading()


def start(name: str = "") -> None:
    """Ask the server to free the models of that name, or all; it does when the job at hand is done. Raises WireError
    without a server."""
    if UNLOADING.pending:
        raise SceneError("busy", "models are being unloaded already", "wait a moment")
    session = LINK.connection()
    job_id = session.submit(UNLOAD.name, UnloadParams(name=name), {})
    UNLOADING.end()
    UNLOADING.job_id, UNLOADING.session, UNLOADING.freed = job_id, session, []


def take(event: Any) -> None:
    """Follow what the server says of it; other events are none of its business."""
    if not UNLOADING.pending or getattr(event, "job_id", "") != UNLOADING.job_id:
        return
    match event:
        case events.StateEvent(state="succeeded"):
            UNLOADING.session.fetch(event.job_id)
        case events.StateEvent(state="failed" | "cancelled" | "poison"):
            UNLOADING.end(error=event.error or SceneError("job_failed", "no model was unloaded", "try again"))
        case events.FailedRequest():
            UNLOADING.end(error=event.error)
        case events.ResultEvent():
            info = event.result.info
            UNLOADING.freed = list(info["unloaded"])
            UNLOADING.end(in_words(UNLOADING.freed, info["bytes"]))
            UNLOADING.session.release(event.job_id)


def in_words(freed: list[str], count: int) -> str:
    """ "4.3 GB freed: sd15, sdxl (2)", a model counted as often as it was loaded in another way."""
    if not freed:
        return "no model was loaded"
    names = (name if times == 1 else f"{name} ({times})" for name, times in Counter(freed).items())
    return f"{size_of(count)} freed: {', '.join(names)}"
