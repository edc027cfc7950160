"""Splats on gsplat: with its conventions on any machine, against the scene on the processor."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from practice_clouds import random_splats, ring_around
from practice_gsplat import gsplat

from weft.scenes.picture_loss import picture_loss
from weft.scenes.scene import TrainingViews
from weft.scenes.splats import SplatScene
from weft.scenes.splats_cuda import CudaSplatScene, picture_loss_of

GREY = np.full(3, 0.5, np.float32)


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the strategy was called with."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setitem(sys.modules, "gsplat", gsplat(calls))
    return calls


@pytest.fixture(scope="module")
def views() -> TrainingViews:
    source = np.random.default_rng(0)
    return TrainingViews(source.random((3, 20, 20, 3), np.float32), tuple(ring_around(random_splats(30), 3, 20)))


def both(degree: int = 1, **more: Any) -> tuple[SplatScene, CudaSplatScene]:
    cloud = random_splats(30, degree=degree)
    cloud = replace(cloud, sh=cloud.sh / 4, logits=cloud.logits / 3)
    return SplatScene(cloud, GREY, **more), CudaSplatScene(cloud, GREY, device="cpu", **more)


@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_is_that_of_the_processor(masked):
    source = np.random.default_rng(0)
    image, picture = source.random((2, 22, 19, 3), np.float32)
    mask = source.random((22, 19)) > 0.3 if masked else None
    loss, gradient = picture_loss(image, picture, mask)
    found = torch.from_numpy(image).requires_grad_()
    same = picture_loss_of(found, torch.from_numpy(picture), None if mask is None else torch.from_numpy(mask))
    same.backward()
    assert same.item() == pytest.approx(loss, rel=1e-5)
    assert found.grad is not None
    known = slice(None) if mask is None else mask
    assert np.abs(found.grad.numpy() - gradient)[known].max() < 1e-7


@pytest.mark.parametrize("degree", [0, 1])
def test_steps_are_those_of_the_processor(placed, views, degree):
    plain, scene = both(degree)
    seen, found = plain.render(views.cameras[0]), scene.render(views.cameras[0])
    assert np.abs(seen.image - found.image).max() < 1e-4
    assert np.abs(seen.opacity - found.opacity).max() < 1e-4
    solid = np.isfinite(seen.depth) & np.isfinite(found.depth)
    assert solid.mean() > 0.1
    assert np.abs(seen.depth[solid] - found.depth[solid]).max() < 1e-3
    before = plain.parameters.copy()
    for step in range(4):
        assert scene.fit(views, step, 4, 0) == pytest.approx(plain.fit(views, step, 4, 0), rel=1e-3)
    moved = np.linalg.norm(plain.parameters - before)
    assert moved > 0.1
    assert np.linalg.norm(scene.parameters - plain.parameters) < 0.05 * moved
    wanted = np.random.default_rng(1).normal(size=(2, 20, 20, 3)).astype(np.float32)
    for each in (plain, scene):
        each.restart(rate=2.0)
        each.descend(views.cameras[:2], wanted, 0, 4, 0)
    assert np.linalg.norm(scene.parameters - plain.parameters) < 0.05 * moved
    assert placed == []


def test_a_scene_goes_on_from_its_arrays_on_either(placed, views):
    _, scene = both()
    for step in range(2):
        scene.fit(views, step, 6, 0)
    arrays = scene.arrays()
    plain = SplatScene.from_arrays(arrays)
    assert plain.arrays().keys() == arrays.keys()
    assert all(np.array_equal(array, arrays[name]) for name, array in plain.arrays().items())
    assert scene.fit(views, 2, 6, 0) == pytest.approx(plain.fit(views, 2, 6, 0), rel=1e-3)


def test_what_is_held_keeps_its_bytes(placed, views):
    _, scene = both()
    trainable = np.arange(30) < 10
    before = scene.parameters
    scene.restart(trainable=trainable, anchor=1.0)
    scene.fit(views, 0, 2, 0)
    assert scene.parameters[~trainable].tobytes() == before[~trainable].tobytes()
    assert (scene.parameters[trainable] != before[trainable]).any()
    before = scene.parameters
    scene.restart(geometry=False)
    scene.fit(views, 1, 2, 0)
    assert scene.parameters[:, :11].tobytes() == before[:, :11].tobytes()
    assert (scene.parameters[:, 11:] != before[:, 11:]).any()


def test_colors_shift_on_the_device(placed, views):
    _, scene = both()
    before, change = scene.parameters, np.zeros((30, 3), np.float32)
    change[3] = 0.5
    scene.shift_colors(change)
    assert np.array_equal(np.flatnonzero((scene.parameters != before).any(1)), [3])
    scene.fit(views, 0, 2, 0)
    assert (scene.parameters != before).any(1).mean() > 0.9


def test_the_strategy_places_splats_while_a_scene_forms(placed, views):
    for _ in range(2):
        _, scene = both(capacity=50, near=0.05)
        for step in range(2):
            scene.fit(views, step, 200, 0)
    assert [call["step"] for call in placed] == [0, 1, 0, 1]
    assert [call["draw"] for call in placed[:2]] == [call["draw"] for call in placed[2:]]
    assert placed[0]["draw"] != placed[1]["draw"]
    assert placed[0]["cap_max"] == 50
    assert placed[0]["refine_stop_iter"] == 160
