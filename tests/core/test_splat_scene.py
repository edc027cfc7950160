"""Splats as a scene: what steps may and may not change, and that they find a scene again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pytest
from practice_clouds import ball, random_splats, ring_around

from weft.errors import InvalidInput, UnknownName
from weft.geometry.camera import Camera
from weft.geometry.splats import Splats
from weft.scenes import kinds, splats
from weft.scenes.kinds import Beginning, begin_scene
from weft.scenes.picture_loss import picture_loss
from weft.scenes.scene import TrainingViews
from weft.scenes.splat_start import unprojected
from weft.scenes.splats import SplatScene, unpacked
from weft.scenes.training import psnr_of, trained

GREY = np.full(3, 0.5, np.float32)
SIZE = 40


@pytest.fixture(scope="module")
def truth() -> SplatScene:
    """A ball of radius 0.4 in soft stripes of many colours."""
    unit = ball(600)
    cloud = ball(600, 0.5 + 0.4 * np.sin(5 * unit.means))
    small = np.float32(0.4)
    return SplatScene.from_splats(
        replace(cloud, means=cloud.means * small, log_scales=cloud.log_scales + np.log(small)), GREY
    )


def cameras(truth: SplatScene, count: int) -> tuple[Camera, ...]:
    return tuple(ring_around(truth.splats(), count, SIZE))


def views_of(truth: SplatScene, count: int) -> TrainingViews:
    seen = cameras(truth, count)
    return TrainingViews(np.stack([truth.render(camera).image for camera in seen]).clip(0, 1), seen)


@pytest.fixture(scope="module")
def views(truth) -> TrainingViews:
    return views_of(truth, 8)


def begun(truth: SplatScene, views: TrainingViews, count: int = 400, degree: int = 1) -> SplatScene:
    depths = np.stack([truth.render(camera).depth for camera in views.cameras])
    return SplatScene.begin(views, depths, count, degree, 0, GREY)


def after(scene: SplatScene, views: TrainingViews, steps: range, total: int) -> SplatScene:
    for step in steps:
        scene.fit(views, step, total, 3)
    return scene


def same(a: SplatScene, b: SplatScene) -> bool:
    first, second = a.arrays(), b.arrays()
    return first.keys() == second.keys() and all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_a_scene_is_found_again_from_splats_that_were_disturbed_in_every_way():
    cloud = random_splats(150, degree=1)
    cloud = replace(cloud, logits=cloud.logits / 2, sh=cloud.sh / 4)
    true = SplatScene.from_splats(cloud, GREY)
    source = np.random.default_rng(0)
    parameters = true.parameters + 0.2 * source.standard_normal(true.parameters.shape).astype(np.float32)
    scene = SplatScene.from_splats(unpacked(parameters), GREY)
    scene.restart(rate=3.0)
    seen = tuple(ring_around(cloud, 16, SIZE))
    views, held_out = (
        TrainingViews(np.stack([true.render(camera).image for camera in some]).clip(0, 1), some)
        for some in (seen[:9] + seen[12:], seen[9:12])
    )
    start = psnr_of(scene, held_out.images, held_out.cameras)
    steps = list(trained(scene, views, steps=200, seed=0))
    assert steps[-1].loss < 0.5 * steps[0].loss
    assert psnr_of(scene, held_out.images, held_out.cameras) > start + 4


def test_a_scene_that_forms_comes_near_its_pictures(truth, views):
    scene = begun(truth, views, 1000)
    start = psnr_of(scene, views.images, views.cameras)
    for _ in trained(scene, views, steps=120, seed=0):
        pass
    assert psnr_of(scene, views.images, views.cameras) > start + 3.5


def test_depth_and_opacity_are_those_of_the_surface(truth, views):
    camera = views.cameras[0]
    seen = truth.render(camera)
    middle = seen.depth[SIZE // 2, SIZE // 2]
    assert middle == pytest.approx(np.linalg.norm(camera.center) - 0.4, abs=0.05)
    assert seen.depth[0, 0] == np.inf
    assert seen.opacity[0, 0] == pytest.approx(0, abs=1e-6)
    points, colors = unprojected(views, np.stack([truth.render(c).depth for c in views.cameras]), 500, 0)
    assert np.abs(np.linalg.norm(points, axis=1) - 0.4).max() < 0.3
    assert len(points) == len(colors) == 500


def test_going_on_and_other_threads_give_the_same_bytes(truth, views, monkeypatch):
    monkeypatch.setattr(splats, "EVERY", 4)
    whole = after(begun(truth, views), views, range(24), 24)
    half = after(begun(truth, views), views, range(13), 24)
    again = SplatScene.from_arrays({name: array.copy() for name, array in half.arrays().items()})
    assert same(after(again, views, range(13, 24), 24), whole)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    alone = after(begun(truth, views), views, range(24), 24)
    numba.set_num_threads(threads)
    assert same(alone, whole)


def test_a_scene_that_forms_grows_to_its_capacity_and_no_farther(truth, views, monkeypatch):
    monkeypatch.setattr(splats, "EVERY", 4)
    scene = begun(truth, views, 50)
    assert scene.splats().count == 20
    after(scene, views, range(140), 140)
    assert scene.splats().count == 50
    scene.capacity = 55
    scene.restart()
    after(scene, views, range(24), 24)
    assert scene.splats().count == 50


def test_without_geometry_only_colors_change(truth, views):
    scene = SplatScene.from_splats(truth.splats(), GREY)
    scene.restart(geometry=False, rate=8.0)
    darker = replace(views, images=views.images * np.float32(0.5))
    before, error = scene.splats(), psnr_of(scene, darker.images, views.cameras)
    after(scene, darker, range(30), 30)
    now = scene.splats()
    for name in ("means", "quaternions", "log_scales", "logits"):
        assert getattr(now, name).tobytes() == getattr(before, name).tobytes()
    assert psnr_of(scene, darker.images, views.cameras) > error + 3


def test_only_what_is_trainable_changes(truth, views):
    scene = SplatScene.from_splats(truth.splats(), GREY)
    trainable = scene.places()[:, 2] > 0
    scene.restart(trainable=trainable)
    before = scene.parameters.copy()
    after(scene, replace(views, images=views.images * np.float32(0.5)), range(5), 5)
    assert scene.parameters[~trainable].tobytes() == before[~trainable].tobytes()
    assert (scene.parameters[trainable] != before[trainable]).any(1).mean() > 0.9
    with pytest.raises(InvalidInput, match="mask of what may change"):
        scene.restart(trainable=trainable[1:])


def test_an_anchor_holds_splats_near_where_they_were(truth, views):
    darker, moved = replace(views, images=views.images * np.float32(0.5)), []
    for anchor in (0.0, 1.0, 100.0):
        scene = SplatScene.from_splats(truth.splats(), GREY)
        before = scene.parameters.copy()
        scene.restart(anchor=anchor)
        after(scene, darker, range(20), 20)
        moved.append(float(np.square(scene.parameters - before).mean()))
    assert moved[0] > 1.5 * moved[1] > 3 * moved[2] > 0


def test_descending_along_the_gradient_of_the_loss_is_fitting(truth, views):
    scenes = [SplatScene.from_splats(truth.splats(), GREY) for _ in range(2)]
    one = TrainingViews(views.images[:1] * np.float32(0.7), views.cameras[:1])
    scenes[0].fit(one, 0, 10, 0)
    _, wanted = picture_loss(scenes[1].render(one.cameras[0]).image, one.images[0])
    scenes[1].descend(one.cameras, wanted[None], 0, 10, 0)
    assert same(*scenes)


def test_infinite_opacities_and_flat_splats_stay_and_harm_nothing(truth, views):
    sound = truth.splats()
    logits, log_scales = sound.logits.copy(), sound.log_scales.copy()
    logits[:50], logits[50:100], log_scales[100:200, 2] = np.inf, -np.inf, -np.inf
    scene = SplatScene.from_splats(replace(sound, logits=logits, log_scales=log_scales), GREY)
    scene.restart(anchor=0.1)
    after(scene, replace(views, images=views.images * np.float32(0.5)), range(5), 5)
    now = scene.splats()
    assert (now.logits[:50] == np.inf).all()
    assert (now.logits[50:100] == -np.inf).all()
    assert (now.log_scales[100:200, 2] == -np.inf).all()
    assert np.isfinite(now.logits[100:]).all()
    assert np.isfinite(now.means).all()
    assert np.isfinite(scene.render(views.cameras[0]).image).all()


def broken(cloud: Splats, **changes: float) -> Splats:
    for name, value in changes.items():
        array = getattr(cloud, name).copy()
        array[7] = value
        cloud = replace(cloud, **{name: array})
    return cloud


@pytest.mark.parametrize(
    "changes", [{"means": np.nan}, {"sh": np.inf}, {"logits": np.nan}, {"quaternions": 0.0}, {"log_scales": 50.0}]
)
def test_broken_splats_are_refused(changes):
    with pytest.raises(InvalidInput, match="the first is number 7"):
        SplatScene.from_splats(broken(random_splats(20), **changes), GREY)


def test_damaged_arrays_are_refused(truth):
    arrays = truth.arrays()
    for changed in (
        {name: array for name, array in arrays.items() if name != "optimiser.first"},
        arrays | {"optimiser.first": arrays["optimiser.first"][1:]},
        arrays | {"parameters": arrays["parameters"][:, 1:]},
        arrays | {"settings": arrays["settings"][:1]},
    ):
        with pytest.raises(InvalidInput):
            SplatScene.from_arrays(changed)


def test_masked_pixels_say_nothing(truth, views):
    masks = np.ones(views.images.shape[:3], bool)
    masks[:, :, SIZE // 2 :] = False
    half = np.where(masks[..., None], views.images, 0).astype(np.float32)
    scenes = [SplatScene.from_splats(random_splats(200), GREY) for _ in range(2)]
    for scene, images in zip(scenes, (views.images, half), strict=True):
        scene.fit(TrainingViews(images, views.cameras, masks), 0, 10, 0)
    assert same(*scenes)


def finished(*arguments: Any) -> tuple[int, Any]:
    """How many steps a beginning took, and the scene."""
    steps, generator = 0, begin_scene(*arguments)
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return steps, stop.value
        steps += 1


def test_splats_begin_on_points_or_on_the_depth_of_a_quick_nerf(truth, views, monkeypatch):
    monkeypatch.setattr(kinds, "_QUICK_STEPS", 30)
    monkeypatch.setattr(kinds, "_QUICK", 24)
    points = np.repeat(truth.splats().means, 2, 0)
    steps, scene = finished("splats", views, Beginning(300, bounded=True), points)
    assert (steps, len(scene.places()), scene.capacity) == (0, 120, 300)
    steps, scene = finished("splats", views, Beginning(300, bounded=True))
    assert steps == 30
    away = np.linalg.norm(scene.places(), axis=1)
    seen = 0.43  # where the ball's own depth lies: its splats are soft
    assert np.median(away) == pytest.approx(seen, abs=0.15)  # and grey matter before grey explains the pictures, too
    with pytest.raises(UnknownName, match="no scene is made of"):
        finished("clay", views, Beginning())
