"""Parallel kernels survive concurrent callers, on every threading layer that this machine has."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numba
import numpy as np
import pytest

import weft.kernels
from weft.kernels import kernel, kernel_lock, parallel_kernel

CONCURRENT = """
import sys, threading
import numpy as np, torch
from weft.spaces.sparse import SparseMatrix
matrix = SparseMatrix.from_index(np.arange(30000) % 700, 700)
dense = torch.arange(2100.0).reshape(700, 3)
results = []
def work():
    for _ in range(20):
        result = matrix @ dense
    results.append(result)
threads = [threading.Thread(target=work) for _ in range(3)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
assert len(results) == 3 and all(torch.equal(result, results[0]) for result in results)
"""


@pytest.mark.parametrize("layer", ["default", "workqueue", "omp"])
def test_two_threads_in_parallel_kernels_do_not_abort(layer):
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_THREADING_LAYER"}
    if layer != "default":
        environment["NUMBA_THREADING_LAYER"] = layer
    done = subprocess.run([sys.executable, "-c", CONCURRENT], env=environment, capture_output=True, text=True)
    if layer == "omp" and "No threading layer could be loaded" in done.stderr:
        pytest.skip("this Numba has no OpenMP layer")
    assert done.returncode == 0, done.stderr[-2000:]


@kernel
def _square(value):
    return value * value


@parallel_kernel
def _squares(values, out):
    for i in numba.prange(len(values)):
        out[i] = _square(values[i])


def test_parallel_kernel_equals_its_python_function():
    values = np.arange(1000, dtype=np.float32)
    fast, plain = np.empty_like(values), np.empty_like(values)
    _squares(values, fast)
    _squares.py_func(values, plain)  # pyright: ignore[reportFunctionMemberAccess]
    assert np.array_equal(fast, plain)


def test_lock_is_reentrant_and_makes_others_wait():
    values, out = np.ones(8, np.float32), np.zeros(8, np.float32)
    other = threading.Thread(target=_squares, args=(values, out))
    with kernel_lock:
        other.start()
        _squares(values, np.empty_like(out))  # the holder itself is not blocked
        assert not out.any()
    other.join()
    assert out.all()


def test_no_kernel_goes_around_the_lock():
    sources = [path.read_text("utf-8") for path in Path(weft.kernels.__file__).parent.rglob("*.py")]
    parallel = [source for source in sources if "parallel=True" in source]
    assert parallel
    assert all("with kernel_lock:" in source for source in parallel)
