"""Seconds by phase on any device, without making it wait: CUDA events where there are some, else this machine's clock.

An event takes its time when the device gets to it, after all that was asked of it before. Phases that the processor
works on while the device idles are as long as they are by the clock, so that phases one after the other add up.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch

__all__ = ["DeviceClock", "elapsed", "matmul_rate", "peak_memory"]

LARGE = {"cuda": 8192, "cpu": 512}  # side of the square matrices whose product is the ceiling
_WARM, _TIMED = 3, 10


class DeviceClock:
    """`with clock.phase("…")` adds up; phases do not nest."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._marks: defaultdict[str, list[tuple[Any, Any]]] = defaultdict(list)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begin = self._now()
        yield
        self._marks[name].append((begin, self._now()))

    def seconds(self) -> dict[str, float]:
        """Of every phase, in the order in which they first ended. Waits for the device."""
        if self._device.type != "cuda":
            return {name: sum(end - begin for begin, end in marks) for name, marks in self._marks.items()}
        torch.cuda.synchronize(self._device)
        return {name: sum(b.elapsed_time(e) for b, e in marks) / 1000 for name, marks in self._marks.items()}

    def _now(self) -> Any:
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event


def elapsed(device: torch.device, call: Callable[[], object]) -> float:
    """Seconds of one call."""
    clock = DeviceClock(device)
    with clock.phase("call"):
        call()
    return clock.seconds()["call"]


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a large square matrix product of random numbers: what the device reaches in practice, at most."""
    side = LARGE.get(device.type, LARGE["cpu"])
    source = torch.Generator(device).manual_seed(0)
    a, b = (torch.randn(side, side, generator=source, device=device).to(dtype) for _ in range(2))
    seconds = [elapsed(device, lambda: a @ b) for _ in range(_WARM + _TIMED)]
    return 2 * side**3 / median(seconds[_WARM:])


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Callable[[], int]]:
    """Yields a function: the most bytes that tensors took on the device since; 0 where nobody counts."""
    if device.type != "cuda":
        yield lambda: 0
        return
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    yield lambda: torch.cuda.max_memory_allocated(device)
