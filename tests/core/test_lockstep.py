"""Parts in lockstep: their order, what they see of each other, and how they end."""

from __future__ import annotations

import signal
import threading
import time
from contextvars import ContextVar

import pytest
import torch

from weft.models.networks.lockstep import Lockstep


def _total(values: list[int]) -> int:
    return sum(values)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_part_gets_what_all_parts_gave(count: int) -> None:
    lockstep = Lockstep(count, tuple)

    def work(part: int) -> list[tuple[tuple[int, int], ...]]:
        assert lockstep.part == part
        return [lockstep.exchange((part, meeting)) for meeting in range(3)]

    expected = [tuple((part, meeting) for part in range(count)) for meeting in range(3)]
    assert lockstep.run(work) == [expected] * count


def test_one_part_runs_at_a_time_and_always_in_the_same_order() -> None:
    running, order = threading.Lock(), []
    lockstep = Lockstep(4, _total)

    def work(part: int) -> None:
        for meeting in range(3):
            assert running.acquire(blocking=False)
            time.sleep(0.002 * (4 - part))  # the later parts would overtake the earlier ones
            order.append((meeting, part))
            running.release()
            lockstep.exchange(part)

    lockstep.run(work)
    assert order == [(meeting, part) for meeting in range(3) for part in range(4)]


@pytest.mark.parametrize("failing", [0, 2, 3])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_error_in_one_part_ends_all_and_is_raised(failing: int, at: int) -> None:
    lockstep = Lockstep(4, _total)
    reached, left = [0] * 4, []

    def work(part: int) -> None:
        try:
            for meeting in range(3):
                if (part, meeting) == (failing, at):
                    raise ValueError(f"part {part}")
                reached[part] = lockstep.exchange(part) and meeting + 1
        finally:
            left.append(part)

    before = threading.active_count()
    with pytest.raises(ValueError, match=f"part {failing}"):
        lockstep.run(work)
    assert sorted(left) == [part for part in range(4) if at or part <= failing]  # the others had not begun
    assert max(reached) <= at
    assert threading.active_count() == before


def test_an_error_while_merging_ends_all() -> None:
    def full(values: list[int]) -> int:
        raise torch.OutOfMemoryError("CUDA out of memory")

    lockstep = Lockstep(3, full)
    with pytest.raises(torch.OutOfMemoryError):
        lockstep.run(lockstep.exchange)


def test_parts_that_meet_unequally_often_are_an_error_and_no_deadlock() -> None:
    lockstep = Lockstep(3, _total)

    def work(part: int) -> None:
        for _ in range(part):
            lockstep.exchange(part)

    with pytest.raises(RuntimeError, match="finished"):
        lockstep.run(work)


def test_an_interruption_from_outside_ends_all_parts() -> None:
    lockstep = Lockstep(2, _total)
    before, waiting = threading.active_count(), threading.get_ident()
    met = [0, 0]

    def work(part: int) -> None:
        for meeting in range(200):
            if (part, meeting) == (1, 3):
                signal.pthread_kill(waiting, signal.SIGINT)
            time.sleep(0.01)
            lockstep.exchange(part)
            met[part] += 1

    with pytest.raises(KeyboardInterrupt):
        lockstep.run(work)
    assert max(met) < 200
    assert threading.active_count() == before


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("grad", [False, True])
def test_parts_compute_under_the_settings_of_their_caller(inference: bool, grad: bool) -> None:
    lockstep = Lockstep(2, _total)

    def settings(part: int = 0) -> tuple[bool, bool, int, str]:
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_num_threads(), variable.get()

    variable = ContextVar("variable", default="")
    variable.set("set by the caller")
    with torch.inference_mode(inference), torch.set_grad_enabled(grad):
        assert lockstep.run(settings) == [settings()] * 2
