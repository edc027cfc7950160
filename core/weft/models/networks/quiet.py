"""diffusers and transformers keep quiet: the one place that silences them.

They tell the screen what only their authors can act on: which optional image backends are absent, which arguments will
be renamed, how many weights were read, which weights are new. What a user can act on is checked here and raised as an
error, so nothing is lost. Set DIFFUSERS_VERBOSITY or TRANSFORMERS_VERBOSITY (debug, info) to hear them.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

__all__ = ["hush", "quietly"]


def hush() -> None:
    """For their log lines, which begin while they are imported: call it before. Light, it imports neither."""
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


@contextmanager
def quietly() -> Iterator[None]:
    """No progress bars, no Python warnings and no log lines out of the two libraries while the block runs.

    Their errors are logged and raised: the second is enough.
    """
    from diffusers.utils import logging as diffusers_log
    from transformers.utils import logging as transformers_log

    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for log in (diffusers_log, transformers_log):
            stack.enter_context(_silent(log))
        yield


@contextmanager
def _silent(log: Any) -> Iterator[None]:
    """`log` is the module through which one of the libraries logs and shows progress."""
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    if level >= logging.WARNING:  # unless somebody wants to hear more
        log.set_verbosity(logging.CRITICAL)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
