"""Jobs on disk: every history ends at most once, its events have no gaps, and all of it survives a restart."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from weft_server.store import DEATHS, JobStore, digest_of
from weft_wire.arrays import ArrayRef
from weft_wire.errors import WireError
from weft_wire.messages import StateEvent, Submit

ALICE, BOB = "a" * 64, "b" * 64


def submit(job_id: str = "one", seed: int = 0) -> Submit:
    return Submit(job_id, "practice", {"seed": seed}, (ArrayRef("data", "f4", (3,), "0" * 64),), ("cube",))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    opened = JobStore(tmp_path / "jobs.db")
    yield opened
    opened.close()


def states(store: JobStore, number: int) -> list[str]:
    return [event.state for event in store.events(number, 0) if isinstance(event, StateEvent)]


def test_a_job_comes_back_as_it_was_submitted(store: JobStore) -> None:
    row = store.accept(ALICE, submit())
    assert store.find(ALICE, "one") == row
    assert row.submit == submit()
    assert row.digest == digest_of(submit()) != digest_of(submit(seed=1))
    assert store.queued() == [(row.number, ALICE)]


def test_another_clients_job_is_as_unknown_as_none(store: JobStore) -> None:
    store.accept(ALICE, submit())
    refusals = []
    for owner, name in ((BOB, "one"), (BOB, "two")):
        with pytest.raises(WireError) as caught:
            store.find(owner, name)
        refusals.append(str(caught.value).replace(name, "?"))
    assert refusals[0] == refusals[1]
    assert store.list(BOB, 0, 10) == []
    assert store.accept(BOB, submit()).number != store.find(ALICE, "one").number


def test_a_terminal_state_is_never_left(store: JobStore) -> None:
    for state in ("failed", "cancelled"):
        number = store.accept(ALICE, submit(state)).number
        store.end(number, state)
        for leave in (store.begin, partial(store.end, state="failed"), partial(store.requeue, died=True)):
            with pytest.raises(WireError):
                leave(number)
        with pytest.raises(WireError):
            store.succeed(number, [], {})
        row = store.get(number)
        assert row is not None
        assert (row.state.state, row.state.attempt, row.deaths) == (state, 0, 0)


def test_the_third_death_is_poison_and_says_so(store: JobStore) -> None:
    number = store.accept(ALICE, submit()).number
    for _ in range(DEATHS):
        store.begin(number)
        store.requeue(number, died=True)
    assert states(store, number) == ["queued", *["running", "queued"] * (DEATHS - 1), "running", "poison"]
    assert store.events(number, 0)[-1].code == "job_poison"


def test_a_restart_requeues_what_ran_and_keeps_the_rest(tmp_path: Path) -> None:
    first = JobStore(tmp_path / "jobs.db")
    running, waiting, done = (first.accept(ALICE, submit(name)).number for name in ("run", "wait", "done"))
    first.begin(done)
    first.succeed(done, [{"name": "x", "dtype": "f4", "shape": [1], "sha256": "0" * 64}], {"mean": 0.5})
    first.begin(running)
    first.close()
    again = JobStore(tmp_path / "jobs.db")
    again.recover()
    assert again.epoch == first.epoch
    assert [number for number, _ in again.queued()] == [running, waiting]
    assert states(again, running) == ["queued", "running", "queued"]
    assert (again.results(done) or {})["info"] == {"mean": 0.5}
    assert again.results(waiting) is None
    again.begin(running)
    again.recover(clean=True)  # ended on purpose: not held against the job
    row = again.get(running)
    assert row is not None
    assert (row.deaths, row.state.state) == (1, "queued")
    again.close()


def test_one_store_has_one_server(tmp_path: Path) -> None:
    first = JobStore(tmp_path / "jobs.db")
    with pytest.raises(WireError, match="another Weft server uses this home"):
        JobStore(tmp_path / "jobs.db")
    first.close()
    JobStore(tmp_path / "jobs.db").close()


def test_a_damaged_store_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").write_bytes(b"this is no database, " * 100)
    with pytest.raises(WireError, match="move it away"):
        JobStore(tmp_path / "jobs.db")


def test_releasing_frees_the_arrays(store: JobStore) -> None:
    number = store.accept(ALICE, submit()).number
    assert store.blobs_in_use() == [(ALICE, "0" * 64)]
    store.end(number, "cancelled")
    assert store.expired(3600) == []
    assert store.expired(-1) == [number]
    store.release(number)
    assert store.blobs_in_use() == []
    assert store.events(number, 0) == []


class Histories(RuleBasedStateMachine):
    """Any order of transitions: the refused ones change nothing, the events count 1, 2, 3 …, the end is the end."""

    jobs: Bundle[int] = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.store = JobStore(Path(":memory:"))
        self.ended: dict[int, str] = {}
        self.count = 0

    @rule(target=jobs)
    def accept(self) -> int:
        self.count += 1
        return self.store.accept(ALICE, submit(f"job {self.count}")).number

    @rule(number=jobs, step=st.sampled_from(["begin", "die", "stop", "fail", "cancel", "succeed", "warn"]))
    def transition(self, number: int, step: str) -> None:
        steps = {
            "begin": lambda: self.store.begin(number),
            "die": lambda: self.store.requeue(number, died=True),
            "stop": lambda: self.store.requeue(number, died=False),
            "fail": lambda: self.store.end(number, "failed", WireError("x", "broken")),
            "cancel": lambda: self.store.end(number, "cancelled"),
            "succeed": lambda: self.store.succeed(number, [], {}),
            "warn": lambda: self.store.warn(number, "careful", ""),
        }
        before = self.store.get(number)
        try:
            steps[step]()
        except WireError:
            assert self.store.get(number) == before
        row = self.store.get(number)
        assert row is not None
        if row.finished:
            assert self.ended.setdefault(number, row.state.state) == row.state.state

    @invariant()
    def events_have_no_gaps(self) -> None:
        for state in self.store.list(ALICE, 0, 1000):
            events = self.store.events(state.number, 0)
            assert [event.seq for event in events] == list(range(1, state.last_seq + 1))
            assert sum(isinstance(event, StateEvent) and event.terminal for event in events) <= 1

    def teardown(self) -> None:
        self.store.close()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


def test_a_checkpoint_takes_the_place_of_the_one_before(store: JobStore) -> None:
    number = store.accept("a", submit()).number
    store.begin(number)
    inputs = set(store.blobs_in_use())
    for digit in "12":
        store.keep(number, [{"name": "scene", "dtype": "u1", "shape": [1], "sha256": digit * 64}], {"step": digit})
        assert set(store.blobs_in_use()) == inputs | {("a", digit * 64)}
    store.requeue(number, died=True)
    assert (store.results(number) or {})["info"] == {"step": "2"}
