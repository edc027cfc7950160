"""Flicker against videos whose flicker is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from weft.errors import InvalidImage, InvalidInput
from weft.metrics.flicker import Flow, flicker, video_flows

SIDE = 48


def matter(side: int = 96) -> np.ndarray:
    """f4 [side, side, 3] in [0, 1], irregular and smooth over a pixel or two."""
    field = ndimage.gaussian_filter(np.random.default_rng(1).random((side, side, 3)), (1.5, 1.5, 0), mode="wrap")
    return ((field - field.min()) / np.ptp(field)).astype(np.float32)


def shifted(step: tuple[int, int], count: int = 4) -> np.ndarray:
    """f4 [count, SIDE, SIDE, 3]: matter that moves by `step` (right, down) px a frame."""
    field = matter()
    corners = [(20 - k * step[1], 20 - k * step[0]) for k in range(count)]
    return np.stack([field[top : top + SIDE, left : left + SIDE] for top, left in corners])


def flows_of(step: tuple[int, int], count: int = 4) -> list[Flow]:
    """What is known of `shifted`: what has moved in was not there."""
    row, column = np.indices((SIDE, SIDE))
    back = np.broadcast_to(-np.array(step, np.float32), (SIDE, SIDE, 2))
    at = np.stack([column - step[0], row - step[1]], -1)
    return [Flow(back, ((at >= 0) & (at < SIDE)).all(-1))] * (count - 1)


@pytest.mark.parametrize("step", [(0, 0), (3, -2)])
def test_what_only_moves_does_not_flicker_however_bright(step: tuple[int, int]) -> None:
    frames, flows = shifted(step), flows_of(step)
    assert flicker(frames, flows) == 0
    assert flicker(frames * 0.5 + 0.2, flows) == pytest.approx(0, abs=1e-7)


def test_a_flash_counts_by_its_height_and_a_still_edit_not_at_all() -> None:
    frames, flows = shifted((3, -2)), flows_of((3, -2))
    flash = frames.copy()
    flash[2] += np.float32(0.25)  # two of three neighbours differ
    assert flicker(flash, flows) == pytest.approx(0.25 * 2 / 3, rel=1e-5)


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_white_noise_flickers_in_proportion(sigma: float) -> None:
    """E|n - n'| of two normal deviates is 2σ/√π."""
    frames, flows = shifted((2, -1), 8), flows_of((2, -1), 8)
    noisy = frames + sigma * np.random.default_rng(2).standard_normal(frames.shape)
    assert flicker(noisy, flows) == pytest.approx(2 * sigma / np.sqrt(np.pi), rel=0.02)


def test_only_known_pixels_count() -> None:
    frames, (flow, *_) = shifted((0, 0), 2), flows_of((0, 0), 2)
    frames[1][:10] = 1
    known = flow.known.copy()
    known[:10] = False
    assert flicker(frames, [Flow(flow.back, known)]) == 0
    assert flicker(frames, [flow]) > 0.05
    with pytest.raises(InvalidInput, match="no flow is known"):
        flicker(frames, [Flow(flow.back, np.zeros_like(known))])


@pytest.mark.parametrize("step", [(2, -1), (0, 0)])
def test_the_flow_of_frames_is_found(step: tuple[int, int]) -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    frames = shifted(step, 2)
    (flow,) = video_flows(frames)
    inner = (slice(8, -8),) * 2
    missed = np.linalg.norm(flow.back + np.array(step), axis=-1)[inner]
    assert flow.known[inner].mean() > 0.95
    assert np.median(missed) < 0.15
    still = [Flow(np.zeros_like(flow.back), flow.known)]
    assert flicker(frames, [flow]) <= 0.25 * flicker(frames, still)


def test_what_was_covered_is_not_known() -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    frames = np.repeat(matter()[None, :SIDE, :SIDE], 2, 0)
    for k in range(2):
        frames[k, 12:36, 6 + 6 * k : 24 + 6 * k] = matter()[60:84, 60:78]
    (flow,) = video_flows(frames)
    assert flow.known[14:34, 6:11].mean() < 0.5  # where the square was
    assert flow.known[:, 36:].mean() > 0.9


def test_what_fits_nothing_is_refused() -> None:
    frames = shifted((0, 0), 3)
    with pytest.raises(InvalidInput, match="1 flows"):
        flicker(frames, flows_of((0, 0), 2))
    with pytest.raises(InvalidInput, match="give one flow for each"):
        flicker(frames[:, :-1], flows_of((0, 0), 3))
    frames[0, 0, 0] = np.nan
    with pytest.raises(InvalidImage, match="NaN"):
        video_flows(frames)
