"""Workers fail, hang, die and are killed; accepted jobs still end once, and rightly."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from practice_servers import PATIENCE, connect, ending, practice_options, wait_until

from weft_server.server import Server
from weft_wire.client import Client
from weft_wire.errors import WireError
from weft_wire.events import ProgressEvent, StateEvent

ONE = {"data.0.values": np.arange(5, dtype="f4")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """As elsewhere, but it loses patience with hung tasks after three seconds."""
    with Server(practice_options(tmp_path_factory.mktemp("home"), cancel_grace=0.5, stall=3.0)) as running:
        yield running


def starts(note: Path) -> list[int]:
    """The process ids of the workers that began the job."""
    return [int(line) for line in note.read_text().splitlines()] if note.exists() else []


def running(client: Client, job_id: str, step: int = 1) -> None:
    """Wait until the job's task has said that this step is done."""
    for event in client.events(job_id, timeout=PATIENCE):
        if isinstance(event, ProgressEvent) and event.phase == "practising" and event.step >= step:
            return


def test_a_queued_job_is_cancelled_at_once(client: Client) -> None:
    before = client.submit("practice", {"steps": 1000, "pause": 0.1}, ONE)
    queued = client.submit("practice", {}, ONE)
    assert client.cancel(queued).state == "cancelled"
    assert client.cancel(queued).state == "cancelled"
    assert [e.state for e in client.events(queued) if isinstance(e, StateEvent)] == ["queued", "cancelled"]
    client.cancel(before)
    assert ending(client, before).state == "cancelled"


def test_a_running_job_is_cancelled_between_steps_and_the_worker_lives(client: Client, tmp_path: Path) -> None:
    note = tmp_path / "starts"
    job_id = client.submit("practice", {"steps": 10_000, "pause": 0.02, "note": str(note)}, ONE)
    running(client, job_id)
    client.cancel(job_id)
    client.cancel(job_id)
    assert ending(client, job_id).state == "cancelled"
    assert client.cancel(job_id).state == "cancelled"
    ending(client, client.submit("practice", {"note": str(note)}, ONE))
    first, second = starts(note)
    assert first == second


@pytest.mark.parametrize("behaviour", ["hang", "deaf"])
def test_a_job_that_does_not_listen_is_cancelled_by_force(client: Client, tmp_path: Path, behaviour: str) -> None:
    """ "deaf" does not even hear SIGTERM."""
    note = tmp_path / "starts"
    job_id = client.submit("practice", {"behaviour": behaviour, "note": str(note)}, ONE)
    wait_until(lambda: starts(note))
    client.cancel(job_id)
    assert ending(client, job_id).state == "cancelled"
    assert ending(client, client.submit("practice", {}, ONE)).state == "succeeded"


def test_a_killed_worker_costs_an_attempt_and_no_result(client: Client, tmp_path: Path) -> None:
    note = tmp_path / "starts"
    job_id = client.submit("practice", {"steps": 20, "pause": 0.05, "note": str(note)}, ONE)
    running(client, job_id)
    os.kill(starts(note)[0], signal.SIGKILL)
    states = [event for event in client.events(job_id, timeout=PATIENCE) if isinstance(event, StateEvent)]
    assert [event.state for event in states] == ["queued", "running", "succeeded"]
    assert (states[0].code, states[-1].attempt) == ("worker_died", 2)
    assert client.fetch(job_id).arrays["doubled.0"].tolist() == [0, 2, 4, 6, 8]
    assert len(set(starts(note))) == 2


def test_a_job_whose_worker_dies_by_itself_is_tried_again(client: Client, tmp_path: Path) -> None:
    job_id = client.submit("practice", {"behaviour": "die_once", "note": str(tmp_path / "starts")}, ONE)
    assert ending(client, job_id).state == "succeeded"


def test_a_job_that_always_kills_its_worker_is_poison_and_its_neighbours_finish(client: Client, tmp_path: Path) -> None:
    note = tmp_path / "starts"
    poison = client.submit("practice", {"behaviour": "die", "note": str(note)}, ONE)
    neighbour = client.submit("practice", {}, ONE)
    last = ending(client, poison)
    assert (last.state, last.code) == ("poison", "job_poison")
    assert len(starts(note)) == 3
    assert ending(client, neighbour).state == "succeeded"
    with pytest.raises(WireError) as caught:
        client.fetch(poison)
    assert caught.value.code == "job_poison"
    client.release(poison)


def test_a_stopped_worker_is_replaced(client: Client, tmp_path: Path) -> None:
    """A task that says nothing for longer than the server's patience counts as hung."""
    note = tmp_path / "starts"
    job_id = client.submit("practice", {"steps": 20, "pause": 0.05, "note": str(note)}, ONE)
    running(client, job_id)
    os.kill(starts(note)[0], signal.SIGSTOP)
    assert ending(client, job_id).state == "succeeded"
    assert len(set(starts(note))) == 2


def test_errors_of_the_science_cross_and_defects_do_not(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    known = ending(client, client.submit("practice", {"behaviour": "refuse"}, ONE))
    assert (known.state, known.code) == ("failed", "invalid_input")
    assert (known.message, known.hint) == ("the numbers are odd", "send even ones")
    defect = ending(client, client.submit("practice", {"behaviour": "break"}, ONE))
    assert (defect.state, defect.code) == ("failed", "internal")
    assert "secret" not in defect.message + defect.hint
    assert "incident" in defect.message


def test_a_worker_that_cannot_load_says_why(tmp_path: Path) -> None:
    with Server(practice_options(tmp_path, runners="practice_unable")), connect(tmp_path) as client:
        wait_until(lambda: refusal(client).code == "missing_dependency")
        assert "pip install" in refusal(client).hint


def refusal(client: Client) -> WireError:
    """Why a job is refused; jobs that are accepted meanwhile are withdrawn."""
    try:
        client.cancel(client.submit("practice", {}, ONE))
    except WireError as error:
        return error
    return WireError("none", "it was accepted")


def test_a_full_disk_refuses_jobs_and_says_so(tmp_path: Path) -> None:
    with Server(practice_options(tmp_path, min_free_bytes=1 << 60)), connect(tmp_path) as client:
        with pytest.raises(WireError, match="disk is full") as caught:
            client.submit("practice", {}, ONE)
        assert caught.value.code == "disk_full"
        assert client.jobs() == []


@pytest.mark.parametrize(("behaviour", "state"), [("break", "failed"), ("die", "poison")])
def test_a_job_that_ends_badly_leaves_its_last_checkpoint(client: Client, behaviour: str, state: str) -> None:
    job_id = client.submit("practice", {"steps": 9, "keep": 2, "behaviour": behaviour}, ONE)
    assert ending(client, job_id).state == state
    left = client.fetch(job_id)
    assert not left.complete
    assert set(left.arrays) == {"done.0"}
    assert left.arrays["done.0"].item() == left.info["step"] == 4


def test_a_cancelled_job_leaves_its_last_checkpoint_and_can_be_gone_on_with(client: Client) -> None:
    job_id = client.submit("practice", {"steps": 10_000, "keep": 1, "pause": 0.02}, ONE)
    running(client, job_id, step=3)
    client.cancel(job_id)
    assert ending(client, job_id).state == "cancelled"
    left = client.fetch(job_id)
    again = client.submit("practice", {"steps": left.info["step"] + 3}, ONE | left.arrays)
    assert ending(client, again).state == "succeeded"
    result = client.fetch(again)
    assert result.complete
    assert result.info["begun"] == left.info["step"] > 0


def test_an_attempt_after_a_death_begins_from_the_checkpoint(client: Client, server: Server, tmp_path: Path) -> None:
    asked = {"steps": 9, "keep": 2, "behaviour": "die_once", "note": str(tmp_path / "starts")}
    job_id = client.submit("practice", asked, ONE)
    assert ending(client, job_id).state == "succeeded"
    result = client.fetch(job_id)
    assert result.info["begun"] == 4
    assert result.info["starts"] == 2
    assert set(result.arrays) == {"doubled.0"}, "a result takes the checkpoint's place"
    assert not list((server.options.home / "scratch").iterdir())


def test_without_a_checkpoint_a_failed_job_has_nothing(client: Client) -> None:
    job_id = client.submit("practice", {"behaviour": "break"}, ONE)
    ending(client, job_id)
    with pytest.raises(WireError, match="ended failed"):
        client.fetch(job_id)
