"""diffusers and transformers keep quiet: the one place that silences them.

They tell the screen what only their authors can act on: which optional image backends are absent, which arguments will
be renamed, how many weights were read, which weights are new. What a user can act on is checked here and raised as an
error, so nothing is lost. Set DIFFUSERS_VERBOSITY or TRANSFORMERS_VERBOSITY to hear them.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["hush", "quietly"]


def hush() -> None:
    """For their log lines, which begin while they are imported: call it before. Light, it imports neither."""
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


@contextmanager
def quietly() -> Iterator[None]:
    """No progress bars and no Python warnings out of the two libraries while the block runs."""
    from diffusers.utils import logging as diffusers_log
    from transformers.utils import logging as transformers_log

    logs = [log for log in (diffusers_log, transformers_log) if log.is_progress_bar_enabled()]
    for log in logs:
        log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log in logs:
            log.enable_progress_bar()
