"""The splat rasteriser against a plain double-precision one, and the laws of its weights."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import pytest
from practice_clouds import ball, random_splats, ring_around
from practice_rasteriser import oracle

from weft.errors import InvalidCamera, InvalidInput
from weft.geometry.camera import Camera, look_at
from weft.geometry.splat_weights import SplatWeights, render_splats, splat_weights
from weft.geometry.splats import Splats

CAMERA = Camera(look_at((0.3, -4, 1), (0, 0, 0)), 45, 37, 50.0, 48.0, 21.3, 19.1)
INSIDE = Camera(look_at((0.1, -0.3, 0), (0, 1, 0)), 40, 40, 22.0, 22.0, 20.0, 20.0, near=0.05)
FLAT = replace(CAMERA, fx=15.0, fy=14.0, orthographic=True)


def dense(found: SplatWeights, splats: Splats) -> np.ndarray:
    """W [rows, S]; every splat appears in a row once."""
    rows = np.repeat(np.arange(len(found.row_starts) - 1), np.diff(found.row_starts))
    matrix = np.zeros((len(found.row_starts) - 1, splats.count))
    np.add.at(matrix, (rows, found.splats), found.weights)
    return matrix


@pytest.mark.parametrize("camera", [CAMERA, INSIDE, FLAT], ids=["outside", "inside the cloud", "orthographic"])
def test_weights_are_those_of_the_plain_rasterizer(camera):
    splats = random_splats()
    weights, through, doubtful = oracle(splats, camera)
    found = splat_weights(splats, [camera], prune=0.0)
    clear = ~doubtful
    assert clear.mean() > 0.95
    assert (weights[clear] > 0).sum() > 1000
    assert np.abs(dense(found, splats) - weights)[clear].max() < 2e-5
    assert np.abs(found.transmittance.ravel() - through)[clear].max() < 2e-5


def test_opaque_clouds_stop_where_the_plain_rasterizer_does():
    splats = replace(random_splats(400, 3), logits=np.full(400, np.inf, np.float32))
    weights, through, doubtful = oracle(splats, CAMERA)
    found = splat_weights(splats, [CAMERA], prune=0.0)
    assert through.min() < 2e-3
    assert np.abs(dense(found, splats) - weights)[~doubtful].max() < 2e-5


def test_rows_run_from_front_to_back():
    splats = random_splats()
    found = splat_weights(splats, [CAMERA])
    _, depth = CAMERA.project(splats.means)
    steps = np.diff(depth[found.splats])
    within = np.ones(len(steps), bool)
    ends = found.row_starts[1:-1]
    within[ends[(ends > 0) & (ends < len(found.splats))] - 1] = False
    assert (steps[within] >= -1e-6).all()


@pytest.mark.parametrize("prune", [0.0, 1e-3])
def test_weights_and_background_share_a_pixel(prune):
    splats = random_splats()
    found = splat_weights(splats, [CAMERA, INSIDE_SAME_SIZE], prune=prune)
    sums = dense(found, splats).sum(1)
    kept = np.diff(found.row_starts) > 0
    assert np.abs(sums + found.transmittance.ravel() - 1)[kept].max() < 1e-5
    assert found.transmittance.ravel()[~kept].min() > 1 - 20 * 1e-3


INSIDE_SAME_SIZE = replace(INSIDE, width=45, height=37)


def test_small_weights_are_left_out_and_images_stay():
    rng = np.random.default_rng(5)
    splats = ball(4000, rng.random((4000, 3)).astype(np.float32))
    camera = ring_around(splats, 1, 96)[0]
    whole, pruned = splat_weights(splats, [camera], prune=0.0), splat_weights(splats, [camera])
    assert len(pruned.weights) < 0.9 * len(whole.weights)
    assert np.array_equal(pruned.transmittance, whole.transmittance)
    gap = dense(pruned, splats) @ splats.colors - dense(whole, splats) @ splats.colors
    assert -10 * np.log10((gap**2).mean()) > 55


def test_bytes_do_not_depend_on_the_number_of_threads():
    splats, threads = random_splats(2000), numba.get_num_threads()
    many = splat_weights(splats, [CAMERA, INSIDE_SAME_SIZE])
    numba.set_num_threads(1)
    one = splat_weights(splats, [CAMERA, INSIDE_SAME_SIZE])
    numba.set_num_threads(threads)
    assert all(np.array_equal(a, b) for a, b in zip(many, one, strict=True))


def test_images_are_affine_in_the_colors():
    splats = random_splats()
    rng = np.random.default_rng(2)
    a, b = rng.random((2, splats.count, 3), np.float32)
    black = [render_splats(splats, CAMERA, c, 0.0) for c in (a, b, 0.25 * a + 0.5 * b)]
    assert np.abs(black[2] - 0.25 * black[0] - 0.5 * black[1]).max() < 1e-5
    grey = np.full((splats.count, 3), 0.4, np.float32)
    assert np.abs(render_splats(splats, CAMERA, grey, 0.4) - 0.4).max() < 1e-5
    own = render_splats(splats, CAMERA, background=(1.0, 0.0, 0.0))
    assert np.abs(own - render_splats(splats, CAMERA, splats.colors, (1.0, 0.0, 0.0))).max() == 0


def test_views_stand_one_after_the_other():
    splats = random_splats()
    cameras = [CAMERA, INSIDE_SAME_SIZE]
    both = splat_weights(splats, cameras)
    assert both.shape == (2, 37, 45)
    singles = [splat_weights(splats, [camera]) for camera in cameras]
    assert np.array_equal(both.weights, np.concatenate([single.weights for single in singles]))
    assert np.array_equal(both.splats, np.concatenate([single.splats for single in singles]))
    assert both.row_starts[-1] == len(both.weights)


def test_what_lies_behind_the_camera_is_not_drawn():
    splats = random_splats()
    away = replace(CAMERA, pose=look_at((0.3, -4, 1), (0.6, -8, 2)))
    found = splat_weights(splats, [away])
    assert len(found.weights) == 0
    assert (found.transmittance == 1).all()


def test_cameras_of_several_sizes_are_refused():
    for cameras in ([], [CAMERA, INSIDE]):
        with pytest.raises(InvalidCamera):
            splat_weights(random_splats(3), cameras)


def test_more_than_memory_should_hold_is_refused_before_it_is_held(monkeypatch):
    """The bounds are lowered: the true ones are gigabytes."""
    cloud = ball(200)
    cameras = ring_around(cloud, 4, 48)
    for name, says in (("_MOST_OVERLAPS", "tiles of one view"), ("_MOST_ENTRIES", "1 of 4 views alone")):
        with monkeypatch.context() as patch:
            patch.setattr(f"weft.geometry.splat_weights.{name}", 100)
            with pytest.raises(InvalidInput, match=says):
                splat_weights(cloud, cameras)
