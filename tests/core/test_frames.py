"""Frames tied by what moves in them: the flow, the tracks that follow it, and edits that stay on things."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from weft.errors import InvalidImage, InvalidInput
from weft.geometry.optical_flow import agreeing, optical_flow, sampled
from weft.methods.view_editing import Models, edited_views, find_way
from weft.models.gaussian_mixture import GaussianMixture, diagonal
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel, stable_diffusion
from weft.spaces.frames import frame_space, tracks

SIDE = 64
RIM = 12  # px at the border, where what moves in is new


def matter(seed: int, side: int = 128) -> np.ndarray:
    """f4 [side, side, 3] in [0, 1], irregular and smooth over a pixel or two."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).random((side, side, 3)), (1.2, 1.2, 0), mode="wrap")
    return ((field - field.min()) / np.ptp(field)).astype(np.float32)


def moving(step: tuple[float, float], count: int = 2, side: int = SIDE) -> np.ndarray:
    """f4 [count, side, side, 3]: matter that moves by `step` (right, down) px a frame."""
    row, column = np.indices((side, side), np.float32)
    at = np.stack([column, row], -1) + 30
    return np.stack([sampled(matter(1), at - k * np.array(step, np.float32)) for k in range(count)])


def covered(step: int = 3, count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a square that moves to the right over still matter, and bool [count, H, W] where the square is."""
    frames, on = np.repeat(matter(1)[None, :SIDE, :SIDE], count, 0), np.zeros((count, SIDE, SIDE), bool)
    for k in range(count):
        on[k, 20:44, 16 + step * k : 40 + step * k] = True
        frames[k][on[k]] = matter(2)[:24, :24].reshape(-1, 3)
    return frames, on


@pytest.mark.parametrize("step", [(3, -2), (0.4, 0.3), (7, 5), (0, 0)])
def test_matter_that_moves_has_the_flow_of_its_movement(step: tuple[float, float]) -> None:
    first, second = moving(step)
    flow = optical_flow(first, second)
    missed = np.linalg.norm(flow - np.array(step), axis=-1)[RIM:-RIM, RIM:-RIM]
    assert np.median(missed) < 0.08
    assert np.quantile(missed, 0.95) < 0.3
    known = agreeing(flow, optical_flow(second, first))
    assert known[RIM:-RIM, RIM:-RIM].mean() > 0.99


def test_where_nothing_is_seen_nothing_moves() -> None:
    flat = np.full((40, 52, 3), 0.3, np.float32)
    assert not optical_flow(flat, flat).any()
    with pytest.raises(InvalidImage, match="no common pixels"):
        optical_flow(flat, flat[1:])


@pytest.mark.parametrize(("step", "moved"), [((2, -1), (6, -3)), ((0.4, 0.3), (1, 1)), ((0, 0), (0, 0))])
def test_a_translated_picture_has_exact_tracks(step: tuple[float, float], moved: tuple[int, int]) -> None:
    """Also where a movement of less than a pixel a frame adds up."""
    index = tracks(moving(step, 4))
    inside = slice(RIM, SIDE - RIM)
    shifted = np.roll(index[0], moved[::-1], (0, 1))
    assert (index[3][inside, inside] == shifted[inside, inside]).mean() > 0.99
    for frame in index:
        assert len(np.unique(frame)) == frame.size  # no cell twice in a frame
    if step == (0, 0):
        assert (index == index[0]).all()


def test_what_is_uncovered_is_new_and_what_moves_is_followed() -> None:
    frames, on = covered()
    index = tracks(frames)
    before, after = index[0], index[1]
    square = after[on[1]] == before[on[0]]
    still = ~on[0] & ~on[1]
    assert square.mean() > 0.85  # its rim, half of whose window stands still, may be lost
    assert (after[still] == before[still]).mean() > 0.95
    uncovered = ~on[1] & on[0]
    owners = dict(zip(before.ravel().tolist(), on[0].ravel().tolist(), strict=True))
    stolen = [owners.get(int(cell), False) for cell in after[uncovered]]
    assert np.mean(stolen) < 0.1  # of the background that appears, hardly any is taken for the square


def test_consistent_frames_stay_and_the_rest_is_averaged_along_its_way() -> None:
    frames = moving((2, -1), 4)
    space = frame_space(frames)
    shown = torch.from_numpy(frames).permute(0, 3, 1, 2)
    kept = space.synchronize(shown)[0]
    inside = (slice(None), slice(None), slice(RIM, -RIM), slice(RIM, -RIM))
    torch.testing.assert_close(kept[inside], shown[inside], rtol=0, atol=1e-5)
    noise = gaussian(shown.shape, generator(0))
    calmed = space.synchronize(noise)[0]
    assert calmed[inside].std() == pytest.approx(0.5, abs=0.03)  # the mean of four
    torch.testing.assert_close(space.synchronize(calmed)[0], calmed, rtol=0, atol=1e-6)


def test_unlike_frames_keep_their_own() -> None:
    frames = np.stack([matter(seed)[:SIDE, :SIDE] for seed in (3, 4)])
    space = frame_space(frames)
    assert space.cells > 1.7 * SIDE * SIDE


def test_frames_edited_together_flicker_less() -> None:
    """An editor that is right frame by frame, but for what it makes up anew in each: here N(frame + its own, v)."""
    frames = moving((2, -1), 4, 48)
    own = 0.3 * gaussian((4, 3, 48, 48), generator(5)).double()
    wanted = torch.from_numpy(frames).permute(0, 3, 1, 2).double() * 2 - 1 + own
    editors = [GaussianMixture([diagonal(mean, 0.01)], (1.0,)) for mean in wanted]
    space = frame_space(frames)

    def editor(x: Tensor, level: NoiseLevel, /) -> Tensor:
        return torch.cat([alone(frame, level) for alone, frame in zip(editors, x.split(1), strict=True)])

    def agreed(x0: Tensor, level: NoiseLevel) -> Tensor:
        return space.synchronize(x0.float())[0].to(x0)

    models = Models(editor, lambda x, level: agreed(editor(x, level), level), agreed)
    schedule = stable_diffusion(12)
    first = schedule.levels[0].sigma * gaussian((4, 3, 48, 48), generator(1)).double()

    def flicker(way: str, strength: float) -> float:
        """Mean difference of what one place shows in neighbouring frames."""
        *_, step = edited_views(find_way(way), models, schedule, first, strength=strength, eta=0.0)
        moved = torch.roll(step.x0[:-1], (-1, 2), (2, 3))
        return float((moved - step.x0[1:])[:, :, RIM:-RIM, RIM:-RIM].abs().mean())

    alone, tied = flicker("per_view", 0), flicker("synchronized", 0)
    coupled = [flicker("coupled", strength) for strength in (0.1, 0.4)]
    assert tied < 0.1 * alone
    assert max(coupled) < 0.8 * alone


def test_what_is_no_video_is_refused() -> None:
    with pytest.raises(InvalidInput, match="one frame"):
        frame_space(moving((0, 0), 1))
    broken = moving((0, 0), 2)
    broken[0, 3, 3] = np.nan
    with pytest.raises(InvalidImage, match="NaN"):
        frame_space(broken)
