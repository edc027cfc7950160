"""What a client is told when something went wrong here: known errors as they are, defects by a number in the log."""

from __future__ import annotations

import errno
import logging
import secrets
import sqlite3

from weft_wire.errors import WireError

__all__ = ["as_error"]

log = logging.getLogger("weft.server")


def as_error(problem: BaseException) -> WireError:
    """Any error that carries code, message and hint crosses as it is; no internals of others leave the server."""
    code, message, hint = (getattr(problem, name, None) for name in ("code", "message", "hint"))
    if isinstance(code, str) and isinstance(message, str) and isinstance(hint, str):
        return problem if isinstance(problem, WireError) else WireError(code, message, hint)
    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return WireError("disk_full", "the server's disk is full", "make room on the server and submit again")
    if isinstance(problem, sqlite3.OperationalError) and "full" in str(problem):
        return WireError("disk_full", "the server's disk is full", "make room on the server and submit again")
    if (
        isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError"
    ):  # torch's is none, and not here
        return WireError("out_of_memory", "the server ran out of memory", "smaller size, texture_size or fewer views")
    incident = secrets.token_hex(4)
    log.error("incident %s", incident, exc_info=problem)
    return WireError("internal", f"a defect of the server (incident {incident})", "its log has the details")
