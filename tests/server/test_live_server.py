"""A real server, real sockets, a real worker: what the protocol promises."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from practice_servers import PATIENCE, connect, ending, wait_until

from weft_server.server import Server
from weft_wire.client import Client
from weft_wire.errors import WireError
from weft_wire.events import PreviewEvent, ProgressEvent, StateEvent, WarningEvent

NUMBERS = np.random.default_rng(0).standard_normal(1000).astype("f4")
ONE = {"data.0.values": NUMBERS}


def test_a_job_from_submit_to_release(client: Client) -> None:
    large = np.random.default_rng(1).standard_normal(3 << 18).astype("f4")  # 3 MiB: more than a chunk
    job_id = client.submit(
        "practice", {"steps": 3, "preview": 700}, {**ONE, "data.1.values": large}, ["cube", "kugel ö"]
    )
    events = list(client.events(job_id, timeout=PATIENCE))
    durable = [event for event in events if isinstance(event, StateEvent | WarningEvent)]
    assert [event.seq for event in durable] == [1, 2, 3, 4]
    assert [e.state for e in durable if isinstance(e, StateEvent)] == ["queued", "running", "succeeded"]
    assert any(isinstance(event, ProgressEvent) and event.phase == "practising" for event in events)
    previews = [event for event in events if isinstance(event, PreviewEvent)]
    assert previews[-1].image.shape == (700, 700, 3)  # 1.4 MiB: two chunks
    assert (previews[-1].image == 255).all()
    result = client.fetch(job_id)
    assert result.arrays["doubled.0"].tobytes() == (2 * NUMBERS).tobytes()
    assert result.arrays["doubled.1"].tobytes() == (2 * large).tobytes()
    assert result.info["labels"] == ["cube", "kugel ö"]
    assert client.fetch(job_id).arrays["doubled.1"].tobytes() == (2 * large).tobytes()
    client.release(job_id)
    assert client.jobs() == []
    with pytest.raises(WireError, match="there is no job"):
        client.fetch(job_id)


def test_what_the_server_says_about_itself(client: Client) -> None:
    wait_until(lambda: client.welcome.ready)
    assert client.welcome.limits.open_jobs == 4
    assert client.welcome.capabilities["device"] == "practice"
    assert client.welcome.capabilities["tasks"]["practice"]["params"][0]["name"] == "steps"


@pytest.mark.parametrize(
    ("params", "arrays", "code"),
    [
        ({"steps": 0}, ONE, "invalid_parameter"),
        ({"stops": 3}, ONE, "invalid_parameter"),
        ({}, {}, "invalid_array"),
        ({}, {"data.0.values": np.zeros(3)}, "invalid_array"),
        ({}, {"data.0.values": np.array([1, np.nan], "f4")}, "invalid_array"),
        ({}, {**ONE, "data.0.order": np.array([0, 1000], "i4")}, "invalid_array"),
        ({}, {**ONE, "data.0.order": np.array([-1], "i4")}, "invalid_array"),
        ({}, {"data.0.values": np.zeros(17 << 20, "f4")}, "too_large"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(
    client: Client, params: dict[str, Any], arrays: dict[str, np.ndarray], code: str
) -> None:
    with pytest.raises(WireError) as caught:
        client.submit("practice", params, arrays)
    assert caught.value.code == code
    assert client.jobs() == []


def test_clients_take_turns(server: Server, client: Client) -> None:
    with connect(server.options.home, "bob") as bob:
        ours = [client.submit("practice", {"pause": 0.2}, ONE, job_id=f"ours {i}") for i in range(3)]
        theirs = bob.submit("practice", {}, ONE, job_id="theirs")
        assert ending(bob, theirs).state == "succeeded"
        states = {job.job_id: job.state for job in client.jobs()}
        assert states["ours 2"] == "queued"  # came first, and waits nevertheless
        assert [ending(client, job).state for job in ours] == ["succeeded"] * 3


def test_the_share_of_a_client_and_the_queue_are_bounded(server: Server, client: Client) -> None:
    jobs = [client.submit("practice", {"steps": 1000, "pause": 0.1}, ONE) for _ in range(4)]
    with pytest.raises(WireError, match="you have 4 jobs open") as caught:
        client.submit("practice", {}, ONE)
    assert (caught.value.code, caught.value.retry_after) == ("busy", 10.0)
    with connect(server.options.home, "carol") as carol:
        more = [carol.submit("practice", {}, ONE) for _ in range(3)]
        with pytest.raises(WireError, match="6 jobs are waiting"):
            carol.submit("practice", {}, ONE)
        for owner, job in [(carol, job) for job in more] + [(client, job) for job in reversed(jobs)]:
            owner.cancel(job)
            assert ending(owner, job).state == "cancelled"


def test_the_same_job_again_is_the_same_job(client: Client) -> None:
    first = client.submit("practice", {}, ONE, job_id="again")
    ending(client, first)
    assert client.submit("practice", {"steps": 3}, ONE, job_id="again") == first
    assert len(client.jobs()) == 1
    with pytest.raises(WireError, match="exists, with other content") as caught:
        client.submit("practice", {"steps": 4}, ONE, job_id="again")
    assert caught.value.code == "conflict"


def test_a_job_can_be_watched_from_another_connection(server: Server) -> None:
    with connect(server.options.home, "twin") as one, connect(server.options.home, "twin") as other:
        job_id = one.submit("practice", {"steps": 30, "pause": 0.02}, ONE)
        late = [event for event in other.events(job_id, after_seq=1) if isinstance(event, StateEvent)]
        assert [event.state for event in late] == ["running", "succeeded"]
        assert ending(one, job_id).state == "succeeded"


def test_results_that_are_not_there_say_why(client: Client) -> None:
    running = client.submit("practice", {"steps": 1000, "pause": 0.1}, ONE)
    with pytest.raises(WireError) as caught:
        client.fetch(running)
    assert caught.value.code == "not_finished"
    with pytest.raises(WireError, match="cancel it first"):
        client.release(running)
    client.cancel(running)
    assert ending(client, running).state == "cancelled"
    with pytest.raises(WireError) as caught:
        client.fetch(running)
    assert caught.value.code == "job_cancelled"
    failed = client.submit("practice", {"behaviour": "refuse"}, ONE)
    assert ending(client, failed).code == "invalid_input"
    with pytest.raises(WireError, match=r"ended failed: the numbers are odd \(send even ones\)"):
        client.fetch(failed)


def test_many_jobs_are_listed_page_by_page(client: Client) -> None:
    jobs = []
    for i in range(3):
        jobs.append(client.submit("practice", {"steps": 1}, ONE, job_id=f"job {i}"))
        ending(client, jobs[-1])
    assert [job.job_id for job in client.jobs()] == jobs


def test_submit_answers_quickly_while_a_job_runs(client: Client) -> None:
    """Not a measurement: a control request must not wait for the job."""
    running = client.submit("practice", {"steps": 1000, "pause": 0.1}, ONE)
    begin = time.monotonic()
    client.jobs()
    assert time.monotonic() - begin < 20
    client.cancel(running)
    ending(client, running)
