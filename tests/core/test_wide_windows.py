"""Windows of wide images: every pixel is seen equally often, moved as it should be, and borders are no borders."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from practice_instructions import Painted

from weft.errors import InvalidInput
from weft.methods.score_distillation import Batch, Place
from weft.noise import generator
from weft.tasks.wide_windows import Axis, WideWindows

AXES = [Axis(40, 16), Axis(32, 16), Axis(33, 16), Axis(47, 16), Axis(16, 16), Axis(9, 16), Axis(17, 16), Axis(5, 2)]
RINGS = [Axis(40, 16, ring=True), Axis(32, 16, ring=True), Axis(9, 16, ring=True), Axis(7, 3, ring=True)]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def windows(height: int = 24, width: int = 40, *, window: int = 16, wrap: bool = False, **more) -> WideWindows:
    instruction = more.pop("instruction", Painted((1, 0, 0)))
    return WideWindows.of(instruction, noise(height, width), window, wrap=wrap, **more)


def appearances(axis: Axis, phase: int) -> np.ndarray:
    """How often each unit is seen in one tiling, mirror images left out."""
    seen, own = axis.extended(axis.around), axis.own
    count = np.zeros(axis.length, int)
    for start in axis.starts(phase):
        assert start >= 0
        window = slice(start, start + axis.window)
        assert len(seen[window]) == axis.window
        np.add.at(count, seen[window][own[window]], 1)
    return count


@pytest.mark.parametrize("axis", AXES, ids=str)
def test_each_tiling_shows_every_pixel_once_up_to_both_borders(axis):
    for phase in range(axis.phases):
        assert (appearances(axis, phase) == 1).all()


@pytest.mark.parametrize("axis", RINGS, ids=str)
def test_around_a_ring_all_phases_together_show_every_pixel_equally_often(axis):
    each = np.array([appearances(axis, phase) for phase in range(axis.phases)])
    assert each.min() >= 1
    assert (each.sum(0) == axis.count * axis.window).all()


@pytest.mark.parametrize("axis", [Axis(40, 16), Axis(32, 16), Axis(200, 64)], ids=str)
def test_windows_begin_in_enough_places_that_none_shows(axis):
    assert axis.phases > axis.window // 2


@pytest.mark.parametrize("wrap", [False, True])
def test_a_constant_gradient_moves_every_pixel_by_rate_times_gradient(wrap):
    variable = windows(wrap=wrap)
    for seed in range(5):
        before = variable.x.clone()
        batch = variable.draw(generator(seed))
        variable.descend(batch, torch.full_like(batch.x, 2.0), 0.25)
        torch.testing.assert_close(variable.x, before - 0.5)


def test_a_batch_moves_only_what_it_shows_and_every_pixel_in_the_long_run():
    variable = windows(batch=1)
    source, moved = generator(0), torch.zeros(24, 40)
    for _ in range(300):
        variable.x = variable.source.clone()
        batch = variable.draw(source)
        assert len(batch.places) == variable.count == 1
        variable.descend(batch, torch.ones_like(batch.x), 1.0)
        moved += (variable.x != variable.source)[0, 0]
    tiles = variable.rows.count * variable.columns.count
    rate = moved / 300
    assert float(rate.min()) > 0.5 / tiles  # borders and corners too
    assert float(rate.max()) < 1.7 / tiles


def test_samples_are_what_the_canvas_shows_at_their_places():
    for wrap in (False, True):
        variable = windows(wrap=wrap)
        canvas = variable.instruction.encode(variable.canvases(variable.image))[0]
        batch = variable.draw(generator(3))
        assert batch.source is not None
        for place, x, source in zip(batch.places, batch.x, batch.source, strict=True):
            cut = canvas[:, place.top : place.top + 16, place.left : place.left + 16]
            assert torch.equal(x, cut)
            assert torch.equal(source, cut)


def test_turning_a_ring_turns_its_windows():
    here, there = windows(wrap=True), windows(wrap=True)
    there.x = there.x.roll(7, 3)
    places = tuple(Place(0, 3, left) for left in (0, 16, 30))
    turned = tuple(Place(0, 3, (place.left + 7) % 40) for place in places)
    gradient = torch.randn(3, 3, 16, 16, generator=generator(0))
    here.descend(Batch(gradient, places), gradient, 1.0)
    there.descend(Batch(gradient, turned), gradient, 1.0)
    torch.testing.assert_close(here.x.roll(7, 3), there.x)


def test_where_windows_overlap_the_mean_of_their_gradients_counts():
    variable = windows(wrap=True)
    before = variable.x.clone()
    places = (Place(0, 7, 0), Place(0, 7, 8))
    gradient = torch.stack([torch.full((3, 16, 16), 1.0), torch.full((3, 16, 16), 3.0)])
    variable.descend(Batch(gradient, places), gradient, 1.0)
    moved = (before - variable.x)[0, 0].max(0).values
    torch.testing.assert_close(moved[:25], torch.tensor([1.0] * 8 + [2.0] * 8 + [3.0] * 8 + [0.0]))


def test_what_may_not_change_keeps_its_bytes():
    mask = np.zeros((24, 40), bool)
    mask[5:19, 3:20] = True
    variable = windows(mask=mask)
    batch = variable.draw(generator(0))
    variable.descend(batch, torch.ones_like(batch.x), 1.0)
    assert np.array_equal(variable.picture()[~mask], variable.image[~mask])
    assert (variable.picture()[mask] < variable.image[mask]).any()


@pytest.mark.parametrize(("height", "width", "wrap"), [(24, 48, True), (21, 45, False)])
def test_latents_see_across_borders_and_come_back_as_large_as_they_were(height, width, wrap):
    instruction = Painted((1, 0, 0), scale=4, unit=8)
    smooth = np.full((height, width, 3), 0.25, np.float32)
    variable = WideWindows.of(instruction, smooth, 16, wrap=wrap)
    assert variable.columns.ring == wrap
    assert variable.picture().shape == (height, width, 3)
    np.testing.assert_allclose(variable.picture(), smooth, atol=1e-6)
    if wrap:  # the seam is interpolated like any other place
        variable.x[:] = torch.arange(12.0) / 24
        turned = WideWindows.of(instruction, smooth, 16, wrap=True)
        turned.x = variable.x.roll(5, 3)
        np.testing.assert_allclose(np.roll(variable.picture(), 20, 1), turned.picture(), atol=1e-6)


def test_the_canvas_goes_on_smoothly_beyond_borders():
    ramp = np.tile(np.arange(45, dtype=np.float32)[None, :, None] / 45, (21, 1, 3))
    canvas = WideWindows.of(Painted((1, 0, 0), scale=4, unit=8), ramp, 16, wrap=False).canvases(ramp)[0]
    assert np.abs(np.diff(canvas[..., 0], axis=1)).max() < 1.01 / 45


def test_windows_that_the_model_cannot_take_are_refused():
    with pytest.raises(InvalidInput, match=r"windows of 20 px .*multiple of 8 px"):
        windows(window=20, instruction=Painted((1, 0, 0), scale=4, unit=8))
