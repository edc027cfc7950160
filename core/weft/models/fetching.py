"""The commands that bring missing parts to this machine. Weft shows them; it downloads nothing itself."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from weft.errors import BadCheckpoint, ModelMissing
from weft.models.cards import Part

__all__ = ["configs_command", "fetch_command", "whole_command", "with_remedy"]

CONFIGS = ("*.json", "*.txt", "*.model", "*.jinja")
# Of a whole pipeline: no other formats, no halves beside wholes, no single files beside folders.
WHOLE = (*CONFIGS, "*/*.safetensors")
NOT = ("*.fp16*", "*non_ema*", "safety_checker/*")
AGAIN = "fetch it again"


def fetch_command(part: Part) -> str:
    """What to type: exactly the files of this part, into the hub's cache."""
    if part.files:
        return shlex.join(["hf", "download", part.source, *part.files])
    return whole_command(part.source)


def whole_command(source: str) -> str:
    """The same for a pipeline in diffusers' layout, or for any other repository."""
    patterns = [word for pattern in WHOLE for word in ("--include", pattern)]
    patterns += [word for pattern in NOT for word in ("--exclude", pattern)]
    return shlex.join(["hf", "download", source, *patterns])


def configs_command(source: str) -> str:
    """Everything of a pipeline but its weights: what a single file of weights lacks."""
    return shlex.join(["hf", "download", source, *(w for p in CONFIGS for w in ("--include", p))])


@contextmanager
def with_remedy(command: str) -> Iterator[None]:
    """Inside, errors that ask for a download tell how."""
    try:
        yield
    except ModelMissing as error:
        hint = f"fetch it: {command}" if command else "name a whole model"
        raise ModelMissing(error.message, error.hint or hint) from None
    except BadCheckpoint as error:
        hint = f"{error.hint}: {command}" if error.hint.endswith(AGAIN) and command else error.hint
        raise BadCheckpoint(error.message, hint) from None
