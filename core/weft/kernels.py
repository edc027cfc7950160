"""How Weft compiles its CPU kernels: cached, without the interpreter lock, one parallel kernel at a time.

Numba offers three threading layers. OpenMP's threads spin while they wait: with another busy process on the machine a
kernel of 0.1 ms was measured to take 24 ms. TBB is rarely installed, and a process that also loads Blender gets
Blender's build of it. The layer that is part of Numba ("workqueue") does not spin and is everywhere, but aborts the
process when two Python threads are inside parallel kernels at once. So that layer is chosen and every parallel kernel
runs under `kernel_lock`; on a few cores a second one would only have taken turns with the first anyway.

Pin the dtypes of what you pass (float32 values, int32 indices): every new combination compiles again. Numba's cache
knows the file of the kernel itself, not of kernels it calls, so keep a kernel and its callees in one file.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Any

import numba
from numba.core import config

__all__ = ["kernel", "kernel_lock", "parallel_kernel"]

kernel_lock = threading.RLock()
"""Held while a parallel kernel runs. Re-entrant: take it around several kernels that must not be interleaved."""


if "NUMBA_THREADING_LAYER" not in os.environ:
    config.THREADING_LAYER = "workqueue"  # pyright: ignore[reportAttributeAccessIssue]


_REASSOCIATE = {"reassoc", "contract", "arcp", "nsz"}  # of the compiler's liberties those that keep NaN and infinity


def kernel(function: Callable[..., Any] | None = None, *, reassociate: bool = False) -> Any:
    """Compile a serial function, callable from other kernels; it releases the interpreter lock.

    `reassociate` lets sums be reordered and fused, so that they vectorise: not for code whose roundings must cancel.
    """
    if function is None:
        return functools.partial(kernel, reassociate=reassociate)
    return numba.njit(cache=True, nogil=True, fastmath=_REASSOCIATE if reassociate else False)(function)


def parallel_kernel(function: Callable[..., Any] | None = None, *, reassociate: bool = False) -> Callable[..., Any]:
    """Compile a function that uses `numba.prange`; calls from several Python threads wait for each other.

    Not callable from other kernels. `.py_func` is the plain Python function, for a reference in tests.
    """
    if function is None:
        return functools.partial(parallel_kernel, reassociate=reassociate)
    fastmath = _REASSOCIATE if reassociate else False
    compiled = numba.njit(cache=True, nogil=True, parallel=True, fastmath=fastmath)(function)

    @functools.wraps(function)
    def locked(*args: Any) -> Any:
        with kernel_lock:
            return compiled(*args)

    locked.py_func = function  # pyright: ignore[reportAttributeAccessIssue]
    return locked
