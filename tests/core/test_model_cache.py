"""Loaded models between jobs: which stay, which go, and what is said when one is too large."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from weft.errors import ModelMissing, OutOfMemory
from weft.models.cards import CARDS, ModelRequest
from weft.models.library import Library, Resolved
from weft.models.networks.batching import Batches
from weft.models.networks.cache import COMPILE, ModelCache, memory_for_models
from weft.models.networks.image_model import Conditioning, Control, ViewNeighbours
from weft.models.networks.unet_model import UNetModel

GB = 10**9
SIZES = {"sd15": 3 * GB, "sdxl": 9 * GB, "instruct-pix2pix": 2 * GB, "ic-light": 4 * GB}


@dataclass(eq=False)
class _Parts:
    """As much of `Components` as the cache looks at."""

    card: Any
    bytes: int


@dataclass(eq=False)
class _Model:
    parts: _Parts
    batches: Batches = field(default_factory=Batches)


@dataclass
class _World:
    """A library, a loader and an opener; `told` is what the library says of sizes, in values of one byte each."""

    sizes: dict[str, int] = field(default_factory=lambda: dict(SIZES))
    told: dict[str, int] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    loads: list[str] = field(default_factory=list)
    alive: list[weakref.ref[_Parts]] = field(default_factory=list)
    seen: list[set[str]] = field(default_factory=list)  # what was alive when loading began
    refusals: int = 0  # of the device, whatever the budget says

    def cache(self, budget: int = 10 * GB) -> ModelCache:
        opened: Any = _Model
        loader: Any = self.load
        return ModelCache(self, torch.device("cpu"), torch.int8, budget, load=loader, open_model=opened)

    def resolve(self, request: ModelRequest) -> Resolved:
        if request.name not in self.sizes:
            raise ModelMissing(f"{request.name} is not on this machine", "fetch it")
        told = self.told.get(request.name, self.sizes[request.name])
        return Resolved(CARDS[request.name], self.paths, 2 * told, told)

    def load(self, resolved: Resolved, request: ModelRequest, **_: Any) -> _Parts:
        self.loads.append(request.name)
        self.seen.append(self.held)
        if self.refusals:
            self.refusals -= 1
            raise OutOfMemory("the device has less left", "unload other models")
        parts = _Parts(resolved.card, self.sizes[request.name])
        self.alive.append(weakref.ref(parts))
        return parts

    @property
    def held(self) -> set[str]:
        return {parts.card.name for ref in self.alive if (parts := ref()) is not None}


SD15, SDXL, EDIT, LIGHT = (ModelRequest(name) for name in SIZES)


def _names(cache: ModelCache) -> list[str]:
    return [held.name for held in cache.loaded()]


def test_an_equal_request_gets_the_same_model_and_loads_nothing() -> None:
    world = _World()
    cache = world.cache()
    model = cache.get(ModelRequest("sd15", controls=("depth",), loras=(("ink", 0.5),)))
    assert cache.get(ModelRequest("sd15", controls=("depth",), loras=(("ink", 0.5),))) is model
    assert cache.get(ModelRequest("sd15", controls=("depth",))) is not model
    assert world.loads == ["sd15", "sd15"]


def test_files_that_were_replaced_are_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "unet" / "weights.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"old")
    world = _World()
    world.paths = {"base": tmp_path, "preview": file}
    cache = world.cache()
    model = cache.get(SD15)
    assert cache.get(SD15) is model
    file.write_bytes(b"newer")
    newer = cache.get(SD15)
    assert newer is not model
    assert cache.get(SD15) is newer
    file.unlink()
    assert cache.get(SD15) is not newer  # what the library says of it counts, not what was loaded
    assert world.loads == ["sd15"] * 3


def test_the_least_recently_used_goes_first_and_only_as_many_as_must() -> None:
    world = _World()
    cache = world.cache()
    for request in (SD15, EDIT, LIGHT):  # 9 of 10 GB
        cache.get(request)
    cache.get(SD15)
    cache.get(ModelRequest("instruct-pix2pix", controls=("depth",)))  # 11: the plain editor goes
    assert _names(cache) == ["ic-light", "sd15", "instruct-pix2pix"]
    cache.get(SDXL)  # all go
    assert _names(cache) == ["sdxl"]
    assert world.held == {"sdxl"}
    assert sum(held.bytes for held in cache.loaded()) == 9 * GB


def test_where_memory_runs_out_while_computing_other_models_go() -> None:
    world = _World()
    cache = world.cache()
    painter = cache.get(SD15)
    cache.get(EDIT)
    cache.get(LIGHT)
    assert painter.batches.relieve()
    assert _names(cache) == ["sd15"]
    assert world.held == {"sd15"}
    assert cache.get(SD15) is painter
    assert not painter.batches.relieve()


def test_room_is_made_before_the_new_one_is_loaded() -> None:
    world = _World()
    cache = world.cache()
    cache.get(SD15)
    cache.get(SDXL)
    assert world.seen == [set(), set()]


def test_what_was_loaded_counts_not_what_the_files_promised() -> None:
    world = _World(told={"sdxl": 1 * GB})
    cache = world.cache()
    cache.get(SD15)
    cache.get(SDXL)
    assert _names(cache) == ["sdxl"]


@pytest.mark.parametrize("told", [{}, {"sdxl": 1 * GB}])
def test_one_that_never_fits_is_refused_with_those_that_do(told: dict[str, int]) -> None:
    world = _World(told=told)
    cache = world.cache(6 * GB)
    with pytest.raises(OutOfMemory) as caught:
        cache.get(SDXL)
    assert "sdxl needs 9.0 GB" in caught.value.message
    assert "cpu has 6.0 GB" in caught.value.message
    assert "\n" not in caught.value.message
    assert "sd15 (5.0 GB)" in caught.value.hint
    assert "sdxl" not in caught.value.hint
    assert _names(cache) == []
    del caught
    assert world.held == set()
    assert cache.get(SD15)


def test_where_nothing_fits_the_built_in_model_is_named() -> None:
    with pytest.raises(OutOfMemory, match="exemplar"):
        _World().cache(GB).get(SD15)


def test_others_go_when_the_device_has_less_than_the_budget_says() -> None:
    world = _World()
    cache = world.cache()
    cache.get(EDIT)
    world.refusals = 1
    assert cache.get(SD15)
    assert _names(cache) == ["sd15"]
    assert world.held == {"sd15"}
    world.refusals = 2
    with pytest.raises(OutOfMemory):
        cache.get(EDIT)
    assert cache.loaded() == []


def test_a_model_that_cannot_be_loaded_costs_no_other() -> None:
    cache = _World().cache()
    cache.get(SD15)
    with pytest.raises(ModelMissing):
        cache.get(ModelRequest("flux2-klein"))
    assert _names(cache) == ["sd15"]


def test_unloading_by_name_or_all() -> None:
    world = _World()
    cache = world.cache()
    for request in (SD15, EDIT, LIGHT):
        cache.get(request)
    assert cache.unload("sdxl") == []
    assert cache.unload("sd15") == ["sd15"]
    assert world.held == {"instruct-pix2pix", "ic-light"}
    assert cache.unload() == ["instruct-pix2pix", "ic-light"]
    assert cache.loaded() == []
    assert world.held == set()


def test_a_job_is_told_when_its_model_could_not_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.models.networks.cache.compile_networks", lambda parts: ["runs uncompiled"])
    cache = _World().cache()
    assert cache.get(SD15).batches.notices == []
    assert cache.get(ModelRequest("sd15", options=frozenset({COMPILE}))).batches.notices == ["runs uncompiled"]


def test_this_machine_has_memory_for_models() -> None:
    assert GB // 4 < memory_for_models(torch.device("cpu")) < 2**46


def test_real_models_are_kept_and_weigh_what_was_estimated(models_folder: Path) -> None:
    library = Library([models_folder])
    request = ModelRequest("sd15", controls=("depth",), style=True)
    promised = library.resolve(request).values * 4
    cache = ModelCache(library, torch.device("cpu"), torch.float32, 2 * promised)
    model = cache.get(request)
    assert cache.get(request) is model
    assert cache.loaded()[0].bytes == pytest.approx(promised, rel=0.01)
    cache.get(ModelRequest("instruct-pix2pix"))
    cache.get(SDXL)
    assert request not in [held.request for held in cache.loaded()]


def test_style_and_views_that_see_each_other_go_together_in_parts_of_any_size(models_folder: Path) -> None:
    """The adapter's processors sit in the layers beside those that views share."""
    request = ModelRequest("sd15", controls=("depth",), style=True)
    model = ModelCache(Library([models_folder]), torch.device("cpu"), torch.float32, GB).get(request)
    generator = torch.Generator().manual_seed(2)
    wanted = Conditioning(
        ("a fox", "a stone", "a fox"),
        controls=(Control("depth", torch.rand(3, 3, 64, 64, generator=generator)),),
        style=torch.rand(3, 40, 50, generator=generator) * 2 - 1,
        neighbours=ViewNeighbours(((0, 1), (0, 1, 2), (1, 2)), (0, 0, 0)),
    )
    x, level = torch.randn(3, 4, 8, 8, generator=generator), model.levels.schedule(10).levels[0]
    whole = model.bind(wanted)(x, level)
    assert isinstance(model, UNetModel)
    model.batches = Batches(2)
    assert torch.allclose(model.bind(wanted)(x, level), whole, rtol=1e-4, atol=1e-4)
    plain = model.bind(replace(wanted, style=None))(x, level)
    apart = model.bind(replace(wanted, neighbours=None))(x, level)
    assert min((plain - whole).abs().max(), (apart - whole).abs().max()) > 1e-3
