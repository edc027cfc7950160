"""The voxel radiance field against a plain renderer, and what a scene promises: resuming, masks, a frozen shape."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import pytest
import torch
from practice_radiance import RADIUS, ball_seen, ball_views, cameras_around, composited

from weft.errors import InvalidInput
from weft.scenes.grid_box import GridBox
from weft.scenes.scene import TrainingViews
from weft.scenes.training import trained
from weft.scenes.training_rays import Rays
from weft.scenes.voxel_field import VoxelField
from weft.scenes.voxels import Voxels

VIEWS = ball_views()
ON_BALL = np.stack([np.isfinite(ball_seen(camera)[1]) for camera in VIEWS.cameras])
WHITE = (1.0, 1.0, 1.0)
HALFWAY, STEPS = 60, 70  # before and after the first survey of what is occupied


def begun(views: TrainingViews = VIEWS) -> Voxels:
    return Voxels.begin(views, resolution=32, bounded=True, background=WHITE)


def fitted(scene: Voxels, views: TrainingViews = VIEWS, start: int = 0, stop: int = STEPS) -> Voxels:
    for step in range(start, stop):
        scene.fit(views, step, STEPS, seed=3)
    return scene


@pytest.fixture(scope="module")
def saved() -> list[dict[str, np.ndarray]]:
    """A scene that learns the ball, on the way and in the end."""
    scene, kept = begun(), []
    for start, stop in ((0, HALFWAY), (HALFWAY, STEPS)):
        kept.append(Voxels.from_arrays(fitted(scene, start=start, stop=stop).arrays()).arrays())
    return kept


@pytest.fixture(scope="module")
def ball(saved: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What it knows in the end. Scenes made of it have their own arrays."""
    return saved[1]


def small_field(contracted: bool) -> VoxelField:
    """Random, in double precision, and nothing of it left out."""
    rng, size = np.random.default_rng(0), 7
    return VoxelField(
        rng.normal(0.5, 1.5, (size,) * 3),
        rng.normal(0, 2, (size, size, size, 12)),
        GridBox(np.array([(0.05, 0, -0.05), (0.5, 0.4, 0.6)]), contracted),
        np.array([0.9, 0.5, 0.1]),
        np.ones((5, 5, 5), bool),
        (0.0, 0.0),
    )


def some_rays(count: int = 9) -> Rays:
    rng = np.random.default_rng(1)
    origins = rng.normal(0, 1, (count, 3))
    origins /= np.linalg.norm(origins, axis=1, keepdims=True)
    directions = rng.normal(0, 0.15, (count, 3)) - origins
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return Rays(origins, directions, np.broadcast_to([0.1, np.inf], (count, 2)))


def contract(points: np.ndarray) -> np.ndarray:
    """Mip-NeRF 360's Eq. 10 in the maximum norm, halved."""
    norm = np.maximum(np.abs(points).max(-1, keepdims=True), 1)
    return points * (2 - 1 / norm) / norm / 2


def reference(field: VoxelField, rays: Rays, jitter: np.ndarray) -> tuple[torch.Tensor, ...]:
    """Image, the leaves that it depends on, and distance."""
    edges, spans = field.box.edges(field.size), field.box.spans(rays)
    t = spans[:, :1] + edges[:-1] + np.diff(edges) * jitter[:, None]
    inside = t <= spans[:, 1:]
    points = (rays.origins[:, None] + t[..., None] * rays.directions[:, None] - field.box.extent[0]) / field.box.extent[
        1
    ]
    points = contract(points) if field.box.contracted else np.where(inside[..., None], points, 3.0)
    leaves = [torch.from_numpy(one.copy()).requires_grad_() for one in (field.density, field.color)]
    lengths = np.diff(edges) * 7.5 / field.box.half
    if not field.box.contracted:  # outside there is nothing, not softplus(0)
        lengths = lengths * inside
    at = torch.from_numpy(points)
    image, weights = composited(leaves[0], leaves[1], at, lengths, rays.directions, torch.from_numpy(field.background))
    return image, *leaves, (weights * torch.from_numpy(t)).sum(1)


@pytest.mark.parametrize("contracted", [False, True])
def test_rays_and_their_gradients_are_those_of_a_plain_renderer(contracted: bool) -> None:
    field, rays = small_field(contracted), some_rays()
    jitter = np.random.default_rng(2).random(len(rays))
    seen = field.record(rays, jitter)
    image, density, color, distance = reference(field, rays, jitter)
    np.testing.assert_allclose(seen.image, image.detach(), atol=1e-12)
    np.testing.assert_allclose(seen.distance, distance.detach(), atol=1e-12)
    assert seen.opacity.min() > 0.1

    by_image = np.random.default_rng(4).normal(0, 1, seen.image.shape)
    gradient = field.no_gradient()
    field.send_back(seen, by_image, gradient)
    image.backward(torch.from_numpy(by_image))
    for ours, theirs in ((gradient.density, density.grad), (gradient.color, color.grad)):
        assert theirs is not None
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
        assert np.abs(ours).max() > 1e-2
    assert np.array_equal(gradient.touched > 0, np.abs(gradient.color).sum(-1) > 0)


def test_gradients_are_the_slopes_of_differences() -> None:
    field, rays = small_field(True), some_rays()
    seen = field.record(rays)
    by_image, gradient = 2 * (seen.image - 0.3), field.no_gradient()
    field.send_back(seen, by_image, gradient)
    for name in ("density", "color"):
        way = np.random.default_rng(5).normal(0, 1, getattr(field, name).shape)
        ahead, back = (
            ((replace(field, **{name: getattr(field, name) + h * way}).look(rays)[0] - 0.3) ** 2).sum()
            for h in (1e-5, -1e-5)
        )
        assert (getattr(gradient, name) * way).sum() == pytest.approx((ahead - back) / 2e-5, rel=1e-7)


def test_a_finer_grid_shows_the_same_field() -> None:
    field = small_field(False)
    finer = field.resized(13)  # every other vertex is an old one
    assert np.array_equal(finer.box.extent, field.box.extent)  # occupied everywhere
    np.testing.assert_allclose(finer.density[::2, ::2, ::2], field.density, atol=1e-12)
    np.testing.assert_allclose(finer.color[::2, ::2, ::2], field.color, atol=1e-12)
    np.testing.assert_allclose(finer.density[1::2], (finer.density[:-2:2] + finer.density[2::2]) / 2, atol=1e-12)


def test_a_box_is_drawn_around_what_is_occupied() -> None:
    field = small_field(False)
    field.occupied[:] = False
    field.occupied[1:3, 2, 4] = True  # z y x
    low, high = field.box.extent[0] - field.box.extent[1], field.box.extent.sum(0)
    box = field.resized(9).box.extent
    side = (high - low) / 5
    np.testing.assert_allclose(box[0] - box[1], low + side * [4, 2, 1], atol=1e-12)
    np.testing.assert_allclose(box[0] + box[1], low + side * [5, 3, 3], atol=1e-12)


def test_it_learns_a_ball_with_its_depth_and_leaves_the_rest_empty(ball: dict[str, np.ndarray]) -> None:
    scene = Voxels.from_arrays(ball)
    (camera,) = cameras_around(1, 32, 0.9)
    seen, (image, depth) = scene.render(camera), ball_seen(camera)
    solid = np.isfinite(depth)
    inner = np.hypot(*(np.indices(depth.shape) - 15.5)) < 8
    assert solid[inner].all()
    assert -10 * np.log10(((seen.image - image)[inner] ** 2).mean()) > 22
    assert np.isfinite(seen.depth[inner]).all()
    assert np.median(np.abs(seen.depth[inner] - depth[inner])) < 0.3 * RADIUS
    assert seen.opacity[inner].min() > 0.8
    assert np.median(seen.opacity[~solid]) < 0.05
    assert np.array_equal(np.isinf(seen.depth), seen.opacity < 0.5)


def test_stopping_saving_and_going_on_changes_no_byte(saved: list[dict[str, np.ndarray]]) -> None:
    half, ball = saved
    whole = fitted(Voxels.from_arrays(half), start=HALFWAY).arrays()
    assert all(np.array_equal(whole[name], ball[name]) for name in ball)
    assert not np.array_equal(half["occupied"], ball["occupied"])


def test_the_number_of_threads_changes_no_byte(ball: dict[str, np.ndarray]) -> None:
    threads = numba.get_num_threads()
    try:
        results = []
        for count in (1, threads):
            numba.set_num_threads(count)
            results.append(fitted(Voxels.from_arrays(ball), stop=5).arrays())
        assert all(np.array_equal(results[0][name], results[1][name]) for name in ball)
    finally:
        numba.set_num_threads(threads)


def test_what_is_masked_is_never_looked_at() -> None:
    masks = np.random.default_rng(6).random(VIEWS.images.shape[:3]) < 0.7
    noise = np.random.default_rng(7).random(VIEWS.images.shape).astype(np.float32)
    results = []
    for hidden in (VIEWS.images, noise):
        views = replace(VIEWS, images=np.where(masks[..., None], VIEWS.images, hidden), masks=masks)
        results.append(fitted(begun(views), views, stop=5).arrays())
    assert np.array_equal(results[0]["color"], results[1]["color"])
    assert np.array_equal(results[0]["density"], results[1]["density"])
    nothing = replace(VIEWS, masks=np.zeros_like(masks))
    with pytest.raises(InvalidInput, match="masks leave nothing"):
        begun(nothing).fit(nothing, 0, 9, 0)


def test_without_geometry_only_colours_change(ball: dict[str, np.ndarray]) -> None:
    scene = Voxels.from_arrays(ball)
    scene.restart(geometry=False)
    darker = replace(VIEWS, images=VIEWS.images * 0.5, masks=ON_BALL)
    before = float(np.mean([step.loss for step in trained(scene, darker, steps=3, seed=1)]))
    gradients = np.stack([scene.render(camera).image for camera in VIEWS.cameras[:2]])
    scene.descend(VIEWS.cameras[:2], gradients, 3, 30, 0)
    after = float(np.mean([step.loss for step in trained(scene, darker, steps=30, start=4, seed=1)][-3:]))
    assert np.array_equal(scene.field.density, ball["density"])
    assert after < 0.6 * before


def test_it_descends_along_gradients_of_its_pictures_whatever_their_scale(ball: dict[str, np.ndarray]) -> None:
    cameras = VIEWS.cameras[:3]
    target = np.float32(0.2)

    def error(scene: Voxels) -> np.ndarray:
        return (np.stack([scene.render(camera).image for camera in cameras]) - target) * ON_BALL[:3, ..., None]

    results = []
    for scale in (1.0, 1024.0):
        scene = Voxels.from_arrays(ball)
        scene.restart()
        before = (error(scene) ** 2).mean()
        for step in range(20):
            scene.descend(cameras, error(scene) * np.float32(scale), step, 20, 0)
        results.append(scene)
    assert (error(results[0]) ** 2).mean() < 0.7 * before
    assert np.array_equal(results[0].field.color, results[1].field.color)
    still = results[0].field.color.copy()
    results[0].descend(cameras, np.zeros_like(error(scene)), 20, 21, 0)
    assert np.array_equal(results[0].field.color, still)


def test_what_makes_no_grid_is_refused() -> None:
    with pytest.raises(InvalidInput, match="grid of 4 vertices"):
        Voxels.begin(VIEWS, resolution=4)
