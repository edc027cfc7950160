"""Clients take turns."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from weft_server.turns import Turns


@given(st.lists(st.sampled_from("abcd"), max_size=40))
def test_nobody_waits_for_more_than_one_job_of_each_other_client(owners: list[str]) -> None:
    queued = list(enumerate(owners))
    turns, served = Turns(), []
    while queued:
        number = turns.order(queued)[0]
        owner = dict(queued)[number]
        waiting = {o for _, o in queued}
        turns.served(owner)
        queued.remove((number, owner))
        served.append((owner, waiting))
    for start in range(len(served)):
        counts: Counter[str] = Counter()
        for owner, waiting in served[start:]:
            counts[owner] += 1
            assert all(counts[owner] <= counts[other] + 1 for other in waiting)


@given(st.lists(st.sampled_from("abc"), max_size=20))
def test_the_order_announced_is_the_order_served(owners: list[str]) -> None:
    queued = list(enumerate(owners))
    turns, served = Turns(), []
    announced = turns.order(queued)
    while queued:
        number = turns.order(queued)[0]
        owner = dict(queued)[number]
        turns.served(owner)
        queued.remove((number, owner))
        served.append(number)
    assert served == announced


def test_each_client_gets_its_own_jobs_in_order() -> None:
    assert Turns().order([(1, "a"), (2, "a"), (3, "b"), (4, "a"), (5, "b")]) == [1, 3, 2, 5, 4]
