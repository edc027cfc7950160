"""Loaded models, kept between jobs as far as the device holds them: a second job with the same model loads nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from weft.errors import OutOfMemory
from weft.models.cards import CARDS, Card, ModelRequest
from weft.models.device_memory import memory_for_models
from weft.models.library import Resolved
from weft.models.networks.batching import release_memory
from weft.models.networks.compiling import compile_networks
from weft.models.networks.components import Components
from weft.models.networks.image_model import ImageModel
from weft.models.networks.loading import load
from weft.models.networks.multi_view import MultiViewModel
from weft.models.networks.open_model import open_model
from weft.models.networks.open_multi_view import open_multi_view

__all__ = ["COMPILE", "LoadedModel", "ModelCache", "memory_for_models"]

COMPILE = "compile"  # among the options of a request


Stamp = frozenset[tuple[str, int, int]]  # of files: where, bytes, when they were written


class Load(Protocol):
    """As `loading.load`."""

    def __call__(
        self, resolved: Resolved, request: ModelRequest, *, device: torch.device, dtype: torch.dtype
    ) -> Components: ...


class Resolver(Protocol):
    """As `library.Library`."""

    def resolve(self, request: ModelRequest) -> Resolved: ...


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """One model on the device."""

    request: ModelRequest
    model: ImageModel | MultiViewModel
    bytes: int  # of its weights
    paths: Mapping[str, Path]  # by role
    stamp: Stamp  # of its files when they were read

    @property
    def name(self) -> str:
        return self.request.name


class ModelCache:
    """Models by request, the least recently used first. For one thread.

    `budget_bytes` is what their weights may take together (see `memory_for_models`).
    """

    def __init__(
        self,
        library: Resolver,
        device: torch.device,
        dtype: torch.dtype,
        budget_bytes: int,
        *,
        load: Load = load,
        open_model: Callable[[Components], ImageModel] = open_model,
    ) -> None:
        self._library = library
        self._device, self._dtype, self._budget = device, dtype, budget_bytes
        self._load, self._open_model = load, open_model
        self._models: dict[ModelRequest, LoadedModel] = {}

    def get(self, request: ModelRequest) -> ImageModel:
        """The model of an equal request as it is, or a newly loaded one, for which others may have to go. Files that
        were replaced or taken away since are read anew.

        Raises what the library and loading raise, and OutOfMemory for a model larger than the budget.
        """
        return self._held(request, self._open_model)

    def prior(self, request: ModelRequest) -> MultiViewModel:
        """The same for a multi-view prior, by the name of a card from `prior_cards`."""
        return self._held(request, open_multi_view)

    def _held(self, request: ModelRequest, opened: Callable[[Components], Any]) -> Any:
        held = self._models.pop(request, None)
        if held is not None and held.stamp != _stamp(held.paths):
            held = None
            release_memory()
        if held is None:
            held = self._loaded(request, opened)
        self._models[request] = held  # the last to go
        return held.model

    def unload(self, name: str | None = None) -> list[str]:
        """Forget the models of this name, or all; returns the names of those that were loaded.

        Their memory is free once no job holds them.
        """
        gone = [request for request in self._models if name in (None, request.name)]
        for request in gone:
            del self._models[request]
        if gone:
            release_memory()
        return [request.name for request in gone]

    def loaded(self) -> list[LoadedModel]:
        """The least recently used first."""
        return list(self._models.values())

    def _loaded(self, request: ModelRequest, opened: Callable[[Components], Any]) -> LoadedModel:
        resolved = self._library.resolve(request)
        stamp = _stamp(resolved.paths)
        self._make_room(resolved.card, _estimate(resolved, self._dtype))
        components = self._components(resolved, request)
        size = components.bytes
        if size > self._budget:
            del components  # the error would hold it
        self._make_room(resolved.card, size)
        notices = compile_networks(components) if COMPILE in request.options else []
        model = opened(components)
        model.batches.notices.extend(notices)
        model.batches.relieve = partial(self._forget_others, request)
        return LoadedModel(request, model, size, resolved.paths, stamp)

    def _components(self, resolved: Resolved, request: ModelRequest) -> Components:
        """Loaded; where others stand in the way against the budget's word, they go."""
        try:
            return self._load(resolved, request, device=self._device, dtype=self._dtype)
        except OutOfMemory:
            if not self._models:
                raise
        self.unload()
        return self._load(resolved, request, device=self._device, dtype=self._dtype)

    def _forget_others(self, request: ModelRequest) -> bool:
        """Keep but one model, which needs the memory to compute; whether there were others."""
        others = [other for other in self._models if other != request]
        for other in others:
            del self._models[other]
        release_memory()
        return bool(others)

    def _make_room(self, card: Card, size: int) -> None:
        """Forget models until `size` bytes more are within the budget."""
        if size > self._budget:
            raise OutOfMemory(
                f"{card.name} needs {_gb(size)} for its weights; {self._device} has {_gb(self._budget)} for models",
                _advice(self._budget, besides=card),
            )
        before = len(self._models)
        while sum(held.bytes for held in self._models.values()) + size > self._budget:
            del self._models[next(iter(self._models))]
        if len(self._models) < before:
            release_memory()


def _stamp(paths: Mapping[str, Path]) -> Stamp:
    """Of all files of a model. Asked before every job: some fifty of them, a millisecond."""
    files = [file for path in set(paths.values()) for file in (path.rglob("*") if path.is_dir() else (path,))]
    found = [(str(file), file.stat()) for file in files if file.is_file()]
    return frozenset((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)


def _estimate(resolved: Resolved, dtype: torch.dtype) -> int:
    """Bytes on the device, before anything is loaded: files may hold a weight in more or fewer bits than are kept."""
    return resolved.values * dtype.itemsize or resolved.bytes


def _advice(budget: int, besides: Card) -> str:
    fitting = _fitting(CARDS.values(), budget, besides)
    if not fitting:
        return "no network fits: paint with the built-in model, exemplar, which needs none"
    return "these fit: " + ", ".join(f"{card.name} ({_gb(card.memory)})" for card in fitting)


def _fitting(cards: Iterable[Card], budget: int, besides: Card) -> list[Card]:
    """Cards that one view of can be painted with, the largest first."""
    fitting = [card for card in cards if 0 < card.memory <= budget and card.name != besides.name]
    return sorted(fitting, key=lambda card: card.memory, reverse=True)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
