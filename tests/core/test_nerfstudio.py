"""The plug-in for nerfstudio: imported without it, images and rounds on stand-ins, its configuration where it is."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from practice_instructions import Painted

from weft.errors import InvalidInput, MissingDependency, UnknownName
from weft.methods.score_distillation import Distillation
from weft_nerfstudio.networks import network_named
from weft_nerfstudio.training_images import images_of, scaled
from weft_nerfstudio.view_edits import ViewEdits, working_size

HERE = importlib.util.find_spec("nerfstudio") is not None
ROOT = Path(__file__).parents[2]
PICTURES = np.random.default_rng(0).random((6, 12, 20, 3)).astype(np.float32)


def listed(pictures: np.ndarray, dtype: torch.dtype = torch.float32) -> Any:
    """A `FullImageDatamanager` as far as its images go: a cached list, float or bytes."""
    values = torch.from_numpy(pictures)
    if dtype == torch.uint8:
        values = (values * 255).round()
    return SimpleNamespace(cached_train=[{"image": one, "image_idx": i} for i, one in enumerate(values.to(dtype))])


def collated(pictures: np.ndarray, order: list[int]) -> Any:
    """A `VanillaDataManager`: one batch, whose `image_idx` tells which view lies where."""
    batch = {"image": torch.from_numpy(pictures[order].copy()), "image_idx": torch.tensor(order)}
    loader = SimpleNamespace(cache_all_images=True, cached_collated_batch=batch)
    return SimpleNamespace(train_image_dataloader=loader)


def test_entry_points_lead_to_the_methods() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = project["entry-points"]["nerfstudio.method_configs"]
    assert set(named) == {"weft-csd", "weft-csd-nerfacto"}
    for name, value in named.items():
        point = EntryPoint(name, value, "nerfstudio.method_configs")
        if HERE:
            assert point.load().config.method_name == name
        else:
            with pytest.raises(MissingDependency, match=f"{name} needs nerfstudio: .*nerfstudio"):
                point.load()


def test_nothing_of_nerfstudio_is_imported_before_it_is_asked_for() -> None:
    code = "import sys, weft_nerfstudio.methods; sys.exit('nerfstudio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "manager",
    [listed(PICTURES), listed(PICTURES, torch.uint8), collated(PICTURES, [3, 1, 0, 2, 5, 4])],
    ids=["listed", "bytes", "collated"],
)
def test_images_are_read_and_replaced_where_the_trainer_looks(manager: Any) -> None:
    images = images_of(manager)
    assert len(images) == 6
    for view in range(6):
        assert np.abs(images.get(view) - PICTURES[view]).max() <= 0.5 / 255 + 1e-6
    images.put(2, np.full((12, 20, 3), 0.6, np.float32))
    again = images_of(manager)
    assert np.allclose(again.get(2), 0.6)
    for view in (0, 1, 3, 4, 5):
        assert np.abs(again.get(view) - PICTURES[view]).max() <= 0.5 / 255 + 1e-6
    kept = getattr(manager, "cached_train", None)
    if kept is not None:
        assert kept[2]["image"].dtype == kept[0]["image"].dtype


def test_transparency_stays() -> None:
    pictures = np.concatenate([PICTURES, np.full((6, 12, 20, 1), 0.25, np.float32)], -1)
    manager = listed(pictures)
    images = images_of(manager)
    assert np.allclose(images.get(0), 0.25 * PICTURES[0] + 0.75)
    images.put(0, PICTURES[1])
    assert torch.equal(manager.cached_train[0]["image"][..., 3], torch.full((12, 20), 0.25))


def test_managers_whose_images_are_out_of_reach_are_told() -> None:
    with pytest.raises(InvalidInput, match="SimpleNamespace keeps its images where they cannot be replaced"):
        images_of(SimpleNamespace())
    some = collated(PICTURES, list(range(6)))
    some.train_image_dataloader.cache_all_images = False
    with pytest.raises(InvalidInput, match="only some of the training images are kept"):
        images_of(some)


def edits(manager: Any, **more: Any) -> ViewEdits:
    wanted = {"size": 16, "batch": 4, "every": 20, "seed": 3} | more
    instruction = Painted((0.2, 0.7, 0.4), unit=4)
    return ViewEdits(images_of(manager), instruction, instruction.defaults, **wanted)


def test_batches_take_every_view_once_before_one_comes_again() -> None:
    manager = listed(PICTURES)
    run = edits(manager)
    assert [run.due(step, 10) for step in (10, 11, 29, 30, 50)] == [True, False, False, True, True]
    first, second = run.edit(lambda view: PICTURES[view]), run.edit(lambda view: PICTURES[view])
    assert (len(first), len(second)) == (4, 2)
    assert sorted(first + second) == list(range(6))
    third = run.edit(lambda view: PICTURES[view])
    assert run.edited == first + second + third


def test_edited_views_have_their_own_size_again_and_others_are_untouched() -> None:
    manager = listed(PICTURES)
    chosen = edits(manager).edit(lambda view: PICTURES[view])
    images = images_of(manager)
    for view in range(6):
        assert images.get(view).shape == (12, 20, 3)
        if view in chosen:
            assert np.abs(images.get(view) - [0.2, 0.7, 0.4]).mean() < 0.1
        else:
            assert np.array_equal(images.get(view), PICTURES[view])


def test_views_are_edited_from_what_the_scene_shows_of_them() -> None:
    """With no step to speak of, what comes back is the render and not the photograph."""
    manager = listed(PICTURES)
    settings = Distillation(steps=1, rate=1e-9, rate_end=1e-9)
    run = ViewEdits(images_of(manager), Painted((0, 0, 0)), settings, size=20, batch=4, every=20, seed=3)
    flat = np.full((12, 20, 3), 0.5, np.float32)
    chosen = run.edit(lambda view: flat)
    for view in chosen:
        assert np.allclose(images_of(manager).get(view), 0.5, atol=1e-5)


def test_sizes_are_whole_units() -> None:
    assert working_size((1080, 1920, 3), 512, 8) == (288, 512)
    assert working_size((30, 40, 3), 512, 16) == (32, 32)
    assert working_size((4, 400, 3), 128, 16) == (16, 128)
    assert scaled(PICTURES, 6, 10).shape == (6, 6, 10, 3)
    with pytest.raises(InvalidInput, match="batches of 0 views"):
        edits(listed(PICTURES), batch=0)


def test_networks_are_found_by_name_and_not_loaded_for_it() -> None:
    network = network_named("instruct-pix2pix")
    assert network is not None
    assert network.edits
    assert network_named("exemplar") is None
    with pytest.raises(UnknownName):
        network_named("nobody-knows-it")


@pytest.mark.skipif(not HERE, reason="nerfstudio is not installed: its configurations are not compared")
def test_the_methods_are_those_of_nerfstudio_with_our_pipeline() -> None:
    from nerfstudio.configs.method_configs import all_methods, method_configs  # pyright: ignore[reportMissingImports]

    from weft_nerfstudio import methods
    from weft_nerfstudio.pipeline import CsdPipelineConfig

    for name, (method, base) in methods.METHODS.items():
        specification = getattr(methods, name)
        assert isinstance(specification.config.pipeline, CsdPipelineConfig)
        assert specification.config.method_name == method
        assert specification.config.pipeline.model == method_configs[base].pipeline.model
        pipeline = specification.config.pipeline
        assert (pipeline.batch, pipeline.every, pipeline.network) == (16, 2000, "exemplar")
        assert set(specification.config.optimizers) == set(method_configs[base].optimizers)
        assert method_configs[base].method_name == base  # not changed by ours
        if method in all_methods:
            assert isinstance(all_methods[method].pipeline, CsdPipelineConfig)
