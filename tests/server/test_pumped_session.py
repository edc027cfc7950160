"""The session that never blocks: for user interfaces with one main thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from practice_servers import connect, practice_options, wait_until
from practice_tasks import TASKS

from weft_server.server import Server
from weft_wire.errors import WireError
from weft_wire.events import (
    ConnectionEvent,
    Event,
    EventQueue,
    FailedRequest,
    PreviewAssembly,
    PreviewEvent,
    ProgressEvent,
    ResultEvent,
    StateEvent,
    WarningEvent,
)
from weft_wire.keys import key_pair, public_hex
from weft_wire.messages import CHUNK, PreviewChunk
from weft_wire.session import Session

ONE = {"data.0.values": np.arange(5, dtype="f4")}


class Pumped:
    """Polls as an interface does, and remembers."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.seen: list[Event] = []

    def until(self, kind: type[Any], condition: Callable[[Any], bool] = lambda _: True) -> Any:
        def found() -> Any:
            self.seen.extend(self.session.poll())
            return next((event for event in self.seen if isinstance(event, kind) and condition(event)), None)

        return wait_until(found)


def session_of(server: Server, name: str) -> Session:
    connect(server.options.home, name).close()  # authorises the key
    keys = server.options.home / "clients" / name / "keys"
    server_key = public_hex(key_pair("server", server.options.home / "keys").public)
    return Session(f"{server.address}#{server_key}", key_dir=keys, tasks=TASKS)


def test_a_job_by_polling(server: Server) -> None:
    with session_of(server, "pumped") as session:
        pumped = Pumped(session)
        assert pumped.until(ConnectionEvent).status == "connected"
        job_id = session.submit("practice", {}, ONE)
        pumped.until(StateEvent, lambda event: event.state == "succeeded")
        session.fetch(job_id)
        result = pumped.until(ResultEvent).result
        assert result.arrays["doubled.0"].tolist() == [0, 2, 4, 6, 8]
        session.release(job_id)
        session.fetch(job_id)
        assert pumped.until(FailedRequest).error.code == "unknown_job"


def test_what_is_wrong_at_once_raises_and_the_rest_arrives(server: Server) -> None:
    with session_of(server, "wrong") as session:
        pumped = Pumped(session)
        with pytest.raises(WireError, match="steps must be between"):
            session.submit("practice", {"steps": 0}, ONE)
        job_id = session.submit("practice", {}, {"data.0.values": np.array([np.nan], "f4")})
        failed = pumped.until(FailedRequest)
        assert (failed.job_id, failed.error.code) == (job_id, "invalid_array")
        session.watch("nothing")
        assert pumped.until(FailedRequest, lambda event: event.job_id == "nothing").error.code == "unknown_job"


def test_a_job_can_be_cancelled_before_it_has_left(tmp_path: Path) -> None:
    with Session("127.0.0.1:9#" + "11" * 32, key_dir=tmp_path, tasks=TASKS) as session:
        pumped = Pumped(session)
        job_id = session.submit("practice", {}, ONE)
        session.cancel(job_id)
        assert pumped.until(StateEvent).state == "cancelled"
        assert not any(isinstance(event, FailedRequest) for event in pumped.seen)


def test_cancel_right_after_submit_cancels(server: Server) -> None:
    with session_of(server, "hasty") as session:
        pumped = Pumped(session)
        pumped.until(ConnectionEvent)
        job_id = session.submit("practice", {"steps": 10_000, "pause": 0.05}, ONE)
        session.cancel(job_id)
        assert pumped.until(StateEvent, lambda event: event.terminal).state == "cancelled"
        assert [event.state for event in pumped.seen if isinstance(event, StateEvent)][-1] == "cancelled"


def test_a_session_waits_for_a_server_that_comes_later(tmp_path: Path) -> None:
    with Session(key_dir=tmp_path / "keys", tasks=TASKS) as session:
        pumped = Pumped(session)
        offline = pumped.until(ConnectionEvent)
        assert (offline.status, offline.error.code) == ("disconnected", "server_absent")
        job_id = session.submit("practice", {}, ONE)
        with Server(practice_options(tmp_path)):
            pumped.until(StateEvent, lambda event: event.state == "succeeded" and event.job_id == job_id)
        gone = pumped.until(ConnectionEvent, lambda event: event.error and event.error.code != "server_absent")
        assert gone.status == "disconnected"


def test_a_slow_reader_gets_the_latest_preview_only(server: Server) -> None:
    with session_of(server, "slow") as session, connect(server.options.home, "slow") as other:
        job_id = session.submit("practice", {"steps": 200, "pause": 0.001}, ONE)
        wait_until(lambda: any(job.state == "succeeded" for job in other.jobs()))
        events: list[Event] = []
        wait_until(lambda: events.extend(session.poll(1000)) or _ended(events))
    previews = [event for event in events if isinstance(event, PreviewEvent)]
    assert previews[-1].step == 200
    assert len(previews) < 20
    assert {event.job_id for event in previews} == {job_id}


def _ended(events: list[Event]) -> bool:
    return any(isinstance(event, StateEvent) and event.terminal for event in events)


def test_closing_twice_and_never_starting_are_harmless(tmp_path: Path) -> None:
    session = Session("127.0.0.1:9#" + "11" * 32, key_dir=tmp_path)
    session.close()
    session.start()
    session.close()
    session.close()


def test_the_queue_keeps_order_and_the_latest() -> None:
    events = EventQueue()
    events.put(StateEvent("a", 1, "queued", 0))
    for step in range(5):
        events.put(ProgressEvent("a", "x", step, 5))
        events.put(ProgressEvent("b", "x", step, 5))
    events.put(StateEvent("a", 2, "running", 1))
    assert events.pull(StateEvent) == StateEvent("a", 1, "queued", 0)
    assert events.take(2) == [ProgressEvent("a", "x", 4, 5), ProgressEvent("b", "x", 4, 5)]
    assert events.take(9) == [StateEvent("a", 2, "running", 1)]
    assert not events.wait(0)


def test_previews_are_whole_or_not_at_all() -> None:
    image = np.random.default_rng(0).integers(0, 256, (700, 600, 3), np.uint8)
    raw = image.tobytes()

    def parts(number: int) -> list[tuple[PreviewChunk, bytes]]:
        offsets = range(0, len(raw), CHUNK)
        return [(PreviewChunk("j", 0, number, 700, 600, o, 1, 2), raw[o : o + CHUNK]) for o in offsets]

    assembly = PreviewAssembly()
    assert assembly.add(*parts(1)[0]) is None
    assert assembly.add(*parts(2)[1]) is None  # of another preview
    assert assembly.add(*parts(3)[0]) is None
    whole = assembly.add(*parts(3)[1])
    assert whole is not None
    assert (whole.image == image).all()
    assert assembly.add(*parts(3)[1]) is None


def test_a_client_that_only_listens_stays_connected(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a job much longer than the silence after which the server gives up a connection."""
    monkeypatch.setattr("weft_wire.channel.HEARTBEAT", 0.3)
    monkeypatch.setattr("weft_server.front.SILENCE", 1.0)
    with session_of(server, "listener") as session:
        pumped = Pumped(session)
        job_id = session.submit("practice", {"steps": 100, "pause": 0.05}, ONE)
        pumped.until(StateEvent, lambda event: event.state == "succeeded")
        assert [event.status for event in pumped.seen if isinstance(event, ConnectionEvent)] == ["connected"]
        session.fetch(job_id)
        pumped.until(ResultEvent)


def test_a_connection_that_the_server_has_dropped_is_taken_up_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft_wire.channel.HEARTBEAT", 2.5)  # too seldom for this server
    monkeypatch.setattr("weft_server.front.SILENCE", 0.5)
    with session_of(server, "dropped") as session:
        pumped = Pumped(session)
        session.submit("practice", {"steps": 100, "pause": 0.05}, ONE)
        pumped.until(ConnectionEvent, lambda event: event.status == "disconnected")
        pumped.until(StateEvent, lambda event: event.state == "succeeded")
        sequence = [event.seq for event in pumped.seen if isinstance(event, StateEvent | WarningEvent)]
        assert sequence == list(range(1, len(sequence) + 1))
