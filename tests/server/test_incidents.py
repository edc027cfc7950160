"""What a job that failed is told of errors that nobody meant to raise."""

from __future__ import annotations

import errno

import pytest
import torch

from weft.errors import BadCheckpoint
from weft_server.incidents import as_error


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), "out_of_memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/somewhere/inside"), "disk_full"),
        (BadCheckpoint("unet is cut off", "fetch it again"), "bad_checkpoint"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied at /somewhere/inside"), "internal"),
    ],
)
def test_every_error_has_a_code_and_a_remedy_and_no_internals(problem: Exception, code: str):
    error = as_error(problem)
    assert error.code == code
    assert error.message
    assert error.hint
    assert "inside" not in error.message + error.hint
