"""The models of this worker: one cache for its life, made when the first job asks for a network."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from weft.errors import MissingDependency
from weft.models.device_memory import memory_for_models
from weft.models.library import Library
from weft.tasks.events import Event, Result
from weft_server.models_told import models_told
from weft_server.packages import absent_packages, importing, install_command

if TYPE_CHECKING:
    from weft.models.networks.cache import ModelCache

__all__ = ["announced", "cache", "device", "dtype_on", "unload"]


@functools.cache
def cache() -> ModelCache:
    """The models that are loaded. Raises MissingDependency without diffusers and its company."""
    if absent := absent_packages():
        raise MissingDependency(f"models with trained weights need {', '.join(absent)}", install_command())
    with importing():
        from weft.models.networks.cache import ModelCache  # seconds: only jobs with a network wait

    where = device()
    return ModelCache(Library.from_environment(), where, dtype_on(where), memory_for_models(where))


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype_on(where: torch.device) -> torch.dtype:
    """16 bits where they are faster; float32 on a CPU, where sums in 16 bits are emulated."""
    return torch.bfloat16 if where.type == "cuda" else torch.float32


def announced() -> dict[str, Any]:
    """What a server tells of its models at its start: what there is, and the room for their weights."""
    where = device()
    room = {"model_memory": memory_for_models(where), "weight_bytes": dtype_on(where).itemsize}
    return {**models_told(Library.from_environment()), **room}


def unload(name: str) -> Iterator[Event]:
    """The task: free the models of that card, or all for "". The result's info lists those that were loaded, and the
    bytes of their weights."""
    gone, freed = [], 0
    if cache.cache_info().currsize:
        held = _bytes_held()
        gone = cache().unload(name or None)
        freed = held - _bytes_held()
    yield Result(
        {}, {"unloaded": list(dict.fromkeys(gone)), "bytes": freed}
    )  # one card, with other parts, may be twice


def _bytes_held() -> int:
    return sum(loaded.bytes for loaded in cache().loaded())
