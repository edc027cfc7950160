"""The models of this worker: one cache for its life, made when the first job asks for a network."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

from weft.errors import MissingDependency
from weft.models.library import Library
from weft_server.packages import absent_packages, install_command

if TYPE_CHECKING:
    from weft.models.networks.cache import ModelCache

__all__ = ["cache", "device", "dtype_on", "unload"]


@functools.cache
def cache() -> ModelCache:
    """The models that are loaded. Raises MissingDependency without diffusers and its company."""
    if absent := absent_packages():
        raise MissingDependency(f"models with trained weights need {', '.join(absent)}", install_command())
    from weft.models.networks.cache import ModelCache, memory_for_models  # seconds: only jobs with a network wait

    where = device()
    return ModelCache(Library.from_environment(), where, dtype_on(where), memory_for_models(where))


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype_on(where: torch.device) -> torch.dtype:
    """16 bits where they are faster; float32 on a CPU, where sums in 16 bits are emulated."""
    return torch.bfloat16 if where.type == "cuda" else torch.float32


def unload(name: str | None = None) -> list[str]:
    """Free the models of that card, or all; returns the names of those that were loaded."""
    return cache().unload(name) if cache.cache_info().currsize else []
