"""What a command orders: a job that is checked, submitted, followed, fetched, written, released.

Everything that can be known here is refused before a server is started.
"""

from __future__ import annotations

import argparse
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from weft_server.able import EMBEDDED, check_able
from weft_server.local import local_server
from weft_server.model_folders import folders_of
from weft_server.terminal import Display, display, say
from weft_wire.client import Client
from weft_wire.errors import WireError
from weft_wire.events import JobResult, ProgressEvent, StateEvent, WarningEvent
from weft_wire.jobs import task_named
from weft_wire.jobs.networks import NETWORK
from weft_wire.parameters import params_of, to_mapping
from weft_wire.transfer import Submission

__all__ = ["MEASURES", "Order", "connected", "do", "follow", "ordered", "run"]

# Numbers of a report, by their names in the result's info.
MEASURES = (
    "rerender_psnr", "view_psnr", "pairwise_psnr", "pairwise_psnr_before", "train_psnr", "held_out_psnr",
    "painted_psnr", "sharpness", "detail", "flicker_before", "flicker", "seam_energy", "wrap_seam", "view_seam",
    "window_seam", "worst_seam", "patch_distance", "likeness_own", "likeness_other",
)  # fmt: skip
GROUPS = {"edited": "edited views", "held_out": "held-out views"}  # of an edited scene, each with measures of its own
KEEPING = 60.0  # seconds that fetching a checkpoint may take
SEEN = {"panorama": "pixels", "splat_texture": "splats"}  # what the views cover; texels otherwise


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """What a command wants: a job, at the server of that address (None: the local one), and what becomes of it."""

    task: str
    params: Any
    arrays: dict[str, np.ndarray]
    out: Path
    write: Callable[[Path, JobResult], list[Path]]  # makes the file at the path, and those beside it; returns all
    labels: Sequence[str] = ()
    server: str | None = None
    models: Sequence[Path] = ()  # folders of models for a server that is started here


def ordered(
    arguments: argparse.Namespace,
    params: Any,
    arrays: dict[str, np.ndarray],
    write: Callable[[Path, JobResult], list[Path]],
    labels: Sequence[str] = (),
) -> Order:
    """The order of a command, whose parser says its `task`."""
    return Order(arguments.task, params, arrays, arguments.out, write, labels, arguments.server, folders_of(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Do what the command orders; return the exit status. Raises whatever goes wrong, in one line."""
    order = arguments.order(arguments)
    started = time.monotonic()
    with connected(order) as client:
        result, files = do(client, order)
    _summarise(order.task, result.info, files, time.monotonic() - started)
    return 0


@contextmanager
def connected(order: Order) -> Iterator[Client]:
    """The server for an order that has been looked at: nothing is started for what would be refused."""
    _check(order)
    if unheeded := _unheeded(order.params):
        say(f"note: {EMBEDDED} does not heed {', '.join(unheeded)} (choose a network: --model NAME)")
    here = partial(check_able, order.task, to_mapping(order.params), order.arrays, order.models, {})
    with _stopped_by_signals(), _connected(order.server, order.models, here) as client:
        yield client


def do(client: Client, order: Order) -> tuple[JobResult, list[Path]]:
    """The result of an order, and the files that it was written to."""
    job_id = client.submit(order.task, order.params, order.arrays, order.labels)
    with display() as shown:
        follow(client, job_id, shown, lambda: _keep_checkpoint(client, job_id, order))
    result = client.fetch(job_id)
    files = order.write(order.out, result)
    client.release(job_id)
    return result, files


def _keep_checkpoint(client: Client, job_id: str, order: Order) -> None:
    """Write what a job that ended without success had made so far, if anything, and let it go."""
    try:
        left = client.fetch(job_id, timeout=KEEPING)
    except WireError:  # it had nothing; why it ended is told by the caller
        left = None
    if left is not None:
        say(f"kept what there was: wrote {', '.join(map(str, order.write(order.out, left)))}")
    client.release(job_id)


def _check(order: Order) -> None:
    """Refuse what the server would refuse, without one."""
    from weft.methods.cases import find_case

    task = task_named(order.task)
    for _ in Submission.prepare(task, order.params, order.arrays, list(order.labels), "not sent").hash_arrays():
        continue  # it looks at the values on the way
    if hasattr(order.params, "case"):
        find_case(order.params.case)


def _unheeded(params: Any) -> list[str]:
    """Options for networks that were given to the embedded denoiser."""
    if getattr(params, "model", "") != EMBEDDED:
        return []
    rows = [field for field, _, rule in params_of(type(params)) if rule.section == NETWORK]
    changed = [field.name for field in rows if getattr(params, field.name) != field.default]
    return [f"--{name.replace('_', '-')}" for name in changed]


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """A terminal that is closed and `kill` stop the job as Ctrl-C does: nobody would come for its result."""
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP
    if threading.current_thread() is not threading.main_thread():
        names = []  # only the main thread may
    before = {name: signal.signal(getattr(signal, name), signal.default_int_handler) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@contextmanager
def _connected(address: str | None, models: Sequence[Path], check: Callable[[], None]) -> Iterator[Client]:
    """The server asked for; else the running local one; else one that lives as long as this command, started where
    `check` does not refuse the job."""
    if address is not None:
        with Client(address) as client:
            yield client
        return
    try:
        client = Client()
    except WireError as error:
        if error.code not in ("server_absent", "handshake_failed"):
            raise
        check()
        say("no server runs: starting one for this job")
        with local_server(models=models) as started, started:
            yield started
        return
    with client:
        if models:
            say("note: a server runs, which searches its own folders of models, not those of --models")
        yield client


def follow(client: Client, job_id: str, shown: Display, after_failure: Callable[[], None] = lambda: None) -> None:
    """Show the job's progress to its end; Ctrl-C cancels it. Raises unless it succeeds; `after_failure` comes before
    that, where the job has ended and the server is there."""
    try:
        for event in client.events(job_id):
            _tell(event, shown)
            if isinstance(event, StateEvent) and event.terminal and event.state != "succeeded":
                after_failure()
                raise event.error or WireError("job_cancelled", "the job was cancelled")
    except KeyboardInterrupt:
        client.cancel(job_id)
        shown.note("cancelling")
        for event in client.events(job_id, timeout=15):
            if isinstance(event, StateEvent) and event.terminal:
                after_failure()
        raise


def _tell(event: Any, shown: Display) -> None:
    """Progress, warnings and restarts; a terminal shows no previews."""
    if isinstance(event, ProgressEvent):
        shown.show(event.phase, event.step, event.total, event.message)
    elif isinstance(event, WarningEvent):
        shown.note(f"note: {event.message}{f' ({event.hint})' if event.hint else ''}")
    elif isinstance(event, StateEvent) and event.error and not event.terminal:
        shown.note(f"note: {event.error}")


def _summarise(task: str, info: dict[str, Any], files: list[Path], seconds: float) -> None:
    """What was painted with, how much of it was seen, where the files lie."""
    materials = info.get("materials") or [info.get("material") or {}]
    for material in (material for material in materials if material.get("name")):
        note = f" ({material['note']})" if material.get("note") else ""
        say(f"material: {material['name']}{note}")
    if "way" in info:
        say(f"views: {info['views']}, {info['way']} through {info['geometry']}")
    if "coverage" in info:
        say(f"seen by the views: {100 * float(info['coverage']):.1f} % of the {SEEN.get(task, 'texels')}")
    if info.get("kept"):
        say(f"kept as they came: {100 * float(info['kept']):.1f} % of the texels")
    groups = {"measured": {name: info.get(name) for name in MEASURES}}
    groups |= {title: info[name] for name, title in GROUPS.items() if isinstance(info.get(name), dict)}
    told = {
        title: ", ".join(f"{name} {_plain(value)}" for name, value in group.items() if value is not None)
        for title, group in groups.items()
    }
    for title, measures in told.items():
        if measures:
            say(f"{title}: {measures}")
    if any(told.values()):
        say(f"seconds: {', '.join(f'{phase} {spent:.2f}' for phase, spent in info.get('seconds', {}).items())}")
    say(f"wrote {', '.join(map(str, files))} in {seconds:.1f} s")


def _plain(value: Any) -> str:
    """A measure, or one for each view or part."""
    if isinstance(value, dict):
        return " / ".join(f"{name} {each:g}" for name, each in value.items())
    return " / ".join(f"{each:g}" for each in value) if isinstance(value, list) else f"{value:g}"
