"""Videos edited by score distillation: what is shared between frames, what comes back large, what the job promises."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from weft.benchmarks.csd_video import WAYS, table, video_rows
from weft.benchmarks.turntable import Turntable, turntable
from weft.errors import InvalidImage, InvalidInput
from weft.io.images import to_bytes
from weft.methods.score_distillation import Batch, Place
from weft.metrics import psnr
from weft.noise import gaussian, generator
from weft.spaces.frames import tracks
from weft.tasks.edit_video import edit_video
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.full_size import enlarged, fitted, working_size
from weft.tasks.instruction import Images
from weft.tasks.moving_frames import MovingFrames

ASKED: dict[str, Any] = {
    "prompt": "mossy stone", "fidelity": 0.6, "pattern_scale": 1.0, "rule": "csd_edit", "repulsion": True,
    "iterations": 2, "rate": 0.0, "noise_low": 0.0, "noise_high": 0.0, "size": 0, "batch": 3, "seed": 0,
    "report": False,
}  # fmt: skip


@cache
def scene() -> Turntable:
    return turntable(6, 64, 4.0)


def edit(frames: np.ndarray, masks: np.ndarray | None = None, **changes: Any) -> list[Event]:
    return list(edit_video(frames, masks, None, **(ASKED | changes)))


def frames_of(events: list[Event]) -> np.ndarray:
    assert isinstance(events[-1], Result)
    return events[-1].arrays["frames"]


# Frames that share what they show


def video(count: int = 5, side: int = 4, *, shared: bool = True, **more: Any) -> MovingFrames:
    """Frames of which every pixel is a track through all of them; the first column shows a new thing each time."""
    cells = np.repeat(np.arange(side * side, dtype=np.int32).reshape(1, side, side), count, 0)
    own = np.arange(cells.size, dtype=np.int32).reshape(cells.shape)
    cells[:, :, 0] = side * side + np.arange(count * side).reshape(count, side)
    source = gaussian((count, 3, side, side), generator(1))
    settings: dict[str, Any] = {"batch": 2} | more
    return MovingFrames(source, cells if shared else own, **settings)


@pytest.mark.parametrize("batch", [2, 3, 5, 9])
def test_all_frames_move_equally_often_and_none_twice_at_once(batch: int) -> None:
    moving, drawn = video(batch=batch), []
    random = generator(0)
    for _ in range(30):
        chosen = [place.image for place in moving.draw(random).places]
        assert len(set(chosen)) == len(chosen) == min(batch, 5)
        drawn += chosen
        counts = np.bincount(drawn, minlength=5)
        assert np.ptp(counts) <= 1


def test_frames_that_show_one_thing_have_one_noise_and_each_alone_is_white() -> None:
    moving = video(batch=5, side=40)
    noise = moving.draw(generator(0)).noise
    assert noise is not None
    assert (noise[1:, :, :, 1:] == noise[:-1, :, :, 1:]).all()
    assert not (noise[1:, :, :, 0] == noise[:-1, :, :, 0]).any()
    assert float(noise[0].mean()) == pytest.approx(0, abs=0.05)
    assert float(noise[0].std()) == pytest.approx(1, abs=0.05)
    right = noise[0, :, :, :-1].flatten() @ noise[0, :, :, 1:].flatten() / noise[0, :, :, 1:].numel()
    assert float(right) == pytest.approx(0, abs=0.05)


def test_a_step_moves_what_is_shared_by_the_mean_and_everywhere() -> None:
    moving = video()
    batch = Batch(moving.frames([1, 3]), (Place(1), Place(3)), moving.source[[1, 3]])
    gradient = gaussian((2, 3, 4, 4), generator(2))
    moving.descend(batch, gradient, 0.5)
    change = moving.frames(list(range(5))) - moving.source
    torch.testing.assert_close(change[:, :, :, 1:], (-0.5 * gradient.mean(0)).expand(5, -1, -1, -1)[..., 1:])
    torch.testing.assert_close(change[[1, 3], :, :, 0], -0.5 * gradient[..., 0])
    assert not change[[0, 2, 4], :, :, 0].any()  # nobody else shows it


def test_what_may_not_change_neither_moves_nor_counts() -> None:
    mask = torch.ones(5, 1, 4, 4)
    mask[1, :, 2:] = 0
    moving = video(mask=mask)
    batch = Batch(moving.frames([1, 3]), (Place(1), Place(3)), moving.source[[1, 3]])
    gradient = gaussian((2, 3, 4, 4), generator(2))
    moving.descend(batch, gradient, 1.0)
    change = moving.frames(list(range(5))) - moving.source
    assert not change[1, :, 2:].any()
    torch.testing.assert_close(change[0, :, 2:, 1:], -gradient[1, :, 2:, 1:])


def test_frames_that_share_nothing_are_images() -> None:
    """The plain reference: the same batches, the same steps."""
    moving = video(shared=False, clip=1.3)
    plain = Images(moving.source.clamp(-1.3, 1.3), moving.source, 2, clip=1.3)
    for k in range(4):
        chosen = [k, (k + 2) % 5]
        places = tuple(Place(i) for i in chosen)
        gradient = 0.1 * gaussian((2, 3, 4, 4), generator(3, k))
        moving.descend(Batch(moving.frames(chosen), places, moving.source[chosen]), gradient, 0.5)
        plain.descend(Batch(plain.x[chosen], places, moving.source[chosen]), gradient, 0.5)
    inside = (plain.x.abs() < 1.2) & (moving.source.abs() < 1.2)
    torch.testing.assert_close(moving.frames(list(range(5)))[inside], plain.x[inside])


def test_what_stands_still_is_one_thing_under_a_camera_s_noise() -> None:
    """Without `moving`, what moves begins anew in each frame."""
    still = ndimage.gaussian_filter(np.random.default_rng(0).random((48, 48, 3)), (2, 2, 0)).astype(np.float32)
    frames = np.repeat(still[None], 4, 0) + np.random.default_rng(1).normal(0, 1 / 255, (4, 48, 48, 3))
    frames[:, 16:32, 16:32] = [0.5 + 4 * (still[9 * k : 9 * k + 16, :16] - 0.5) for k in range(4)]
    for moving in (True, False):
        index = tracks(frames.astype(np.float32).clip(0, 1), moving=moving)
        around = np.ones((48, 48), bool)
        around[8:40, 8:40] = False
        assert (index[:, around] == index[0][around]).all()
    assert (index[1:, 20:28, 20:28] != index[:-1, 20:28, 20:28]).mean() > 0.9


# Small and large


def test_working_sizes_have_the_side_and_the_shape() -> None:
    assert working_size(1080, 1920, 256, 1) == (144, 256)
    assert working_size(1920, 1080, 640, 64) == (640, 384)
    assert working_size(2048, 40, 64, 16) == (64, 16)


@cache
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """A large source, and the small one that was edited."""
    large = turntable(1, 192, 4.0).frames
    return large[0], fitted(large, 96, 96)[0]


def test_no_change_changes_nothing_and_one_size_is_taken_as_it_is() -> None:
    large, small = pictures()
    assert np.array_equal(enlarged(large, small, small), to_bytes(large))
    other = np.roll(large, 7, 1)
    assert np.array_equal(enlarged(large, large, other), to_bytes(other))


def test_edits_meet_the_edges_of_the_large_picture() -> None:
    """A curve of tones, which is known at both sizes, against plain enlargement."""

    def toned(image: np.ndarray) -> np.ndarray:
        light = image @ np.array([0.3, 0.6, 0.1], np.float32)
        return np.stack([0.5 + 0.5 * np.sin(6 * light), light**2, 1 - light], -1).astype(np.float32)

    large, small = pictures()
    wanted, done = toned(large), fitted(toned(large)[None], 96, 96)[0]
    plain = fitted(done[None], 192, 192)[0]
    assert psnr(enlarged(large, small, done) / 255, wanted) > psnr(plain, wanted) + 5


def test_new_texture_is_not_lost() -> None:
    large, small = pictures()
    texture = 0.1 * np.sin(np.arange(96) * 1.5)[None, :, None] * np.ones((96, 1, 3))
    done = (0.8 * small + 0.1 + texture).astype(np.float32)
    back = fitted(enlarged(large, small, done)[None], 96, 96)[0]
    assert psnr(back, done) > 32


# The job


def test_a_turntable_flickers_less_than_half_as_much_as_frame_by_frame() -> None:
    short = turntable(4, 64, 4.0)
    found = [row for row, _ in video_rows(short, prompt="mossy stone", ways=(WAYS[0], WAYS[2]), visits=5)]
    before, alone, shared = (row.numbers for row in found)
    assert shared["flicker"] < 0.5 * alone["flicker"]
    assert shared["found"] < 0.6 * alone["found"]  # a flow that the edit does not know
    assert shared["still"] < 0.15 * alone["still"]
    assert shared["sharpness"] > 0.9 * alone["sharpness"]
    assert shared["detail"] > alone["detail"] - 0.05
    assert shared["flicker"] > before["flicker"]  # something was done at all
    assert [line[:8] for line in table(found)] == ["way     ", "as it is", "frame by", "CSD-Edit"]


def test_the_job_tells_how_far_it_is_and_what_came_out() -> None:
    frames = to_bytes(scene().frames)
    events = edit(frames, size=48, report=True)
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.step for event in progress if event.phase == "edit"] == [1, 2]
    previews = [event for event in events if isinstance(event, Preview)]
    assert previews[-1].image.shape == (48, 3 * 48, 3)
    result = events[-1]
    assert isinstance(result, Result)
    assert result.arrays["frames"].shape == frames.shape
    assert result.arrays["frames"].dtype == np.uint8
    assert result.arrays["contact_sheet"].ndim == 3
    info = result.info
    assert (info["frames"], info["size"], info["steps"], info["batch"]) == (6, [48, 48], 2, 3)
    assert 0 < info["flicker_before"] < info["flicker"] < 0.1
    assert info["sharpness"] > 0
    assert -1 < info["detail"] <= 1
    assert not any(isinstance(event, Warning) for event in events)
    assert np.array_equal(frames_of(edit(frames, size=48)), result.arrays["frames"])  # the same bytes again
    assert not np.array_equal(frames_of(edit(frames, size=48, seed=1)), result.arrays["frames"])


@pytest.mark.parametrize("size", [0, 48])
def test_what_may_not_change_stays_to_the_bit(size: int) -> None:
    frames, masks = to_bytes(scene().frames), scene().masks.copy()
    masks[2] = False
    edited = frames_of(edit(frames, masks, size=size))
    assert np.array_equal(edited[~masks], frames[~masks])
    assert (edited[masks] != frames[masks]).mean() > 0.5


def test_steps_grow_with_the_video_unless_they_are_asked_for() -> None:
    frames = np.repeat(scene().frames[:, ::2, ::2], 6, 0)
    asked: dict[str, Any] = ASKED | {"iterations": 0}
    events = edit_video(frames, None, None, **asked)
    first = next(event for event in events if isinstance(event, Progress) and event.phase == "edit")
    assert first.total == 120  # 36 frames, three at once, ten times each
    few = edit(frames, iterations=2)
    (told,) = [event for event in few if isinstance(event, Warning)]
    assert "2 steps of 3 frames do not reach all 36" in told.message


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda f, m: (f[:1], None), InvalidInput, "two or more"),
        (lambda f, m: (f[:, :20], None), InvalidImage, "64×20 px"),
        (lambda f, m: (f, m[:, :-1]), InvalidInput, "paint one mask for each frame"),
        (lambda f, m: (f, m[:3]), InvalidInput, r"masks of shape \[3, 64, 64\] for frames of \[6, 64, 64\]"),
        (lambda f, m: (f, 0 * m), InvalidInput, "masks are empty"),
        (lambda f, m: (np.where(m[..., None], np.nan, f), None), InvalidImage, "NaN"),
    ],
)
def test_bad_input_is_refused_before_any_work(change: Any, error: type[Exception], says: str) -> None:
    frames, masks = change(scene().frames, scene().masks)
    with pytest.raises(error, match=says):
        next(edit_video(frames, masks, None, **ASKED))


def test_a_network_keeps_still_what_stands_still(models_folder: Path) -> None:
    pytest.importorskip("diffusers")
    from weft.models.cards import card_named
    from weft.models.library import Library
    from weft.models.networks.cache import ModelCache
    from weft.models.requests import parse
    from weft.tasks.network import Network

    models = ModelCache(Library([models_folder]), torch.device("cpu"), torch.float32, 1 << 34)
    wish = parse("instruct-pix2pix", control="", geometry=False, style=False)
    network = Network(card_named("instruct-pix2pix"), lambda: models.get(wish.request), controls=wish.controls)
    frames = np.repeat(to_bytes(scene().frames[:1]), 3, 0)
    edited = frames_of(edit(frames, network=network, prompt="make it stone", size=64, batch=2))
    assert np.ptp(edited.astype(int), axis=0).max() <= 1  # though each step moved two of the three
    assert np.abs(edited[0].astype(int) - frames[0]).max() > 1
