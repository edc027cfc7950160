"""Windows that look around in a sphere: they cover it, see what is there, and give back what they were given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from practice_instructions import Painted

from weft.errors import InvalidInput
from weft.geometry.equirectangular import cell_directions
from weft.metrics import psnr
from weft.noise import generator
from weft.spaces.panorama import look_along, pixel_directions
from weft.spaces.sphere_windows import covering_directions, evened, gathered, read
from weft.tasks.sphere_windows import SphereWindows

HEIGHT = 48


def smooth(height: int = HEIGHT) -> np.ndarray:
    """f4 [H, 2H, 3] in [0, 1]: an image that has no seam and no pole."""
    return (cell_directions(height) @ np.array([[1, 2, 1], [-1, 1, 2], [2, 1, -1]], np.float32)) * 0.1 + 0.5


def variable(**more) -> SphereWindows:
    return SphereWindows(more.pop("instruction", Painted((1, 0, 0))), more.pop("image", smooth()), 24, **more)


@pytest.mark.parametrize("fov", [11, 30, 45, 61, 76, 90, 119])
def test_rings_of_windows_cover_the_sphere(fov):
    cameras = [look_along(*direction, size=8, fov=fov) for direction in covering_directions(fov)]
    _, seen = gathered(np.ones((len(cameras), 8, 8, 1), np.float32), cameras, 90, 1.0)
    assert seen.all()


def test_windows_that_see_next_to_nothing_or_too_much_are_refused():
    for fov in (4, 121):
        with pytest.raises(InvalidInput, match=f"windows of {fov}°"):
            covering_directions(fov)


def test_reading_and_gathering_agree_with_the_sphere():
    image = smooth()
    cameras = [look_along(*direction, size=32, fov=70) for direction in covering_directions(70)]
    views = read(image, cameras)
    rays = np.stack([pixel_directions(camera) for camera in cameras])
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    truth = rays @ np.array([[1, 2, 1], [-1, 1, 2], [2, 1, -1]], np.float32) * 0.1 + 0.5
    assert np.abs(views - truth).max() < 5e-3
    back, seen = gathered(views, cameras, HEIGHT, 12.0)
    assert seen.all()
    assert psnr(back, image) > 45


def test_evening_takes_away_what_only_poles_hold():
    image = smooth()
    assert psnr(evened(image), image) > 60
    noise = np.random.default_rng(0).standard_normal((HEIGHT, 2 * HEIGHT, 1)).astype(np.float32)
    left = evened(noise).std((1, 2))
    assert left[HEIGHT // 2] > 0.9
    assert left[0] < 0.25
    assert (np.diff(left[: HEIGHT // 4].reshape(-1, 4).mean(1)) > 0).all()
    np.testing.assert_allclose(evened(noise).mean(1), noise.mean(1), atol=1e-6)


def test_gathering_is_the_weighted_mean_of_what_windows_show():
    cameras = [look_along(azimuth, elevation, size=9, fov=80) for azimuth, elevation in [(0, 0), (50, 20), (10, 70)]]
    values = np.random.default_rng(0).random((3, 9, 9, 2), np.float32)
    fast, seen = gathered(values, cameras, 20, 3.0)
    total, norm = np.zeros((20, 40, 2)), np.zeros((20, 40))
    for camera, window in zip(cameras, values, strict=True):
        for cell in np.ndindex(20, 40):
            (x, y), depth = (part[0] for part in camera.project(cell_directions(20)[cell][None]))
            if depth > 0 and 0 <= x <= 9 and 0 <= y <= 9:
                weight = np.exp(-3 * ((2 * x / 9 - 1) ** 2 + (2 * y / 9 - 1) ** 2))
                column, row = np.clip([x - 0.5, y - 0.5], 0, 8)
                i, j = min(int(row), 7), min(int(column), 7)
                v, u = row - i, column - j
                norm[cell] += weight
                total[cell] += weight * (
                    (1 - v) * ((1 - u) * window[i, j] + u * window[i, j + 1])
                    + v * ((1 - u) * window[i + 1, j] + u * window[i + 1, j + 1])
                )
    assert np.array_equal(seen, norm > 0)
    np.testing.assert_allclose(fast[seen], (total / np.maximum(norm, 1e-12)[..., None])[seen], atol=2e-5)
    assert (fast[~seen] == 0).all()


def test_turning_the_sphere_turns_what_windows_see_and_give():
    image = np.random.default_rng(0).random((HEIGHT, 2 * HEIGHT, 3), np.float32)
    here, there = ([look_along(a, e, size=16, fov=70) for a, e in [(start, 0), (start + 80, 60)]] for start in (0, 90))
    values = read(image, here)
    np.testing.assert_allclose(values, read(np.roll(image, HEIGHT // 2, 1), there), atol=1e-4)
    back, _ = gathered(values, here, HEIGHT, 12.0)
    turned, _ = gathered(values, there, HEIGHT, 12.0)
    np.testing.assert_allclose(np.roll(back, HEIGHT // 2, 1), turned, atol=1e-4)


def test_a_constant_gradient_moves_every_pixel_by_rate_times_gradient():
    sphere = variable()
    for seed in range(3):
        before = sphere.now.copy()
        batch = sphere.draw(generator(seed))
        sphere.descend(batch, torch.full_like(batch.x, 0.2), 0.5)  # of x, which is twice as wide as colours are
        np.testing.assert_allclose(sphere.now, before - 0.05, atol=1e-5)


def test_a_batch_moves_what_it_sees():
    sphere = variable(batch=2)
    batch = sphere.draw(generator(0))
    assert len(batch.places) == sphere.count == 2
    sphere.descend(batch, torch.ones_like(batch.x), 0.1)
    moved = np.abs(sphere.now - sphere.image).max(-1) > 0.04
    assert 0.02 < moved.mean() < 0.5


def test_samples_are_cut_out_of_the_canvases():
    sphere = variable()
    canvases = sphere.instruction.encode(sphere.canvases(sphere.image))
    batch = sphere.draw(generator(1))
    assert batch.source is not None
    for at, source in zip(batch.places, batch.source, strict=True):
        cut = canvases[at.image, :, at.top : at.top + 24, at.left : at.left + 24]
        torch.testing.assert_close(source, cut, atol=1e-5, rtol=0)
    assert len({(at.top, at.left) for at in batch.places}) > 1


def test_latents_move_colours_by_what_they_decode_to_and_lose_nothing_else():
    image = np.random.default_rng(0).random((HEIGHT, 2 * HEIGHT, 3), np.float32) * 0.5 + 0.25
    sphere = variable(instruction=Painted((1, 0, 0), scale=4, unit=8), image=image)
    for seed in range(3):
        batch = sphere.draw(generator(seed))
        assert batch.x.shape[2:] == (6, 6)
        sphere.descend(batch, torch.zeros_like(batch.x), 1.0)
    assert np.array_equal(sphere.now, evened(image))
    sphere.descend(batch, torch.full_like(batch.x, 0.2), 0.5)
    np.testing.assert_allclose(sphere.now, evened(image) - 0.05, atol=1e-5)


def test_what_may_not_change_keeps_its_bytes():
    mask = np.zeros((HEIGHT, 2 * HEIGHT), bool)
    mask[:20, 30:] = True
    sphere = variable(mask=mask)
    batch = sphere.draw(generator(0))
    sphere.descend(batch, torch.ones_like(batch.x), 0.2)
    assert np.array_equal(sphere.picture()[~mask], sphere.image[~mask])
    assert (sphere.picture()[mask] < sphere.image[mask]).all()


def test_windows_are_as_fine_as_the_image_unless_they_would_be_too_wide():
    assert SphereWindows.best_window(2048, 256, 16) == 256
    assert SphereWindows.best_window(256, 256, 16) == 128
    assert variable().cameras[0].fx == pytest.approx(HEIGHT / np.pi)
    image = smooth()
    assert SphereWindows(Painted((1, 0, 0)), image, 48).cameras[0].fx == pytest.approx(24 / np.tan(np.radians(40)))
