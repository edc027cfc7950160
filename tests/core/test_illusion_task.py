"""The illusion task from pictures to an image and its film, small: its events, its promises, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import pytest

from weft.errors import InvalidImage, InvalidInput, UnknownName, WeftError
from weft.spaces.illusion import VIEW_NAMES, transformation
from weft.spaces.shuffles import jigsaw, squares
from weft.tasks.events import Event, Preview, Progress, Result, Warning
from weft.tasks.illusion import illusion
from weft.tasks.illusion_animation import MARGIN, MOVE, REST, animate
from weft.tasks.illusion_report import likeness
from weft.tasks.illusion_targets import make_targets, squared

SMALL: dict[str, Any] = {
    "prompt_1": "", "prompt_2": "", "prompt_3": "", "view_1": "identity", "view_2": "rotate_90",
    "view_3": "flip_vertical", "size": 64, "steps": 4, "seed": 0, "case": "synctweedies", "report": False,
}  # fmt: skip


def dots(seed: int = 0, size: int = 80) -> np.ndarray:
    """A picture f4 [S, S + 10, 3] of dark squares on a light ground."""
    random = np.random.default_rng(seed)
    picture = np.full((size, size + 10, 3), random.uniform(0.6, 0.9, 3), np.float32)
    for row, column in random.integers(5, size - 15, (8, 2)):
        picture[row : row + 12, column : column + 12] = random.uniform(0, 0.5, 3)
    return picture


def run(**changes: Any) -> Iterator[Event]:
    settings: dict[str, Any] = {**SMALL, "exemplars": [dots(0), dots(1), None], **changes}
    return illusion(**settings)


def result_of(**changes: Any) -> Result:
    *_, last = run(**changes)
    assert isinstance(last, Result)
    return last


def middle(frame: np.ndarray, size: int = 64) -> np.ndarray:
    margin = round(MARGIN * size)
    return frame[margin : margin + size, margin : margin + size]


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return list(run(report=True, steps=6))


# What comes


def test_progress_and_previews_lead_to_one_result(events):
    assert isinstance(events[-1], Result)
    progress = [event for event in events if isinstance(event, Progress)]
    assert list(dict.fromkeys(event.phase for event in progress)) == ["prepare", "denoise", "finish"]
    steps = [event.step for event in progress if event.phase == "denoise"]
    assert steps == list(range(1, 7))
    previews = [event for event in events if isinstance(event, Preview)]
    assert [preview.step for preview in previews] == steps
    assert {preview.image.shape for preview in previews} == {(64, 64, 3)}


def test_views_are_transformations_of_the_image(events):
    arrays = events[-1].arrays
    assert set(arrays) == {"image", "view.0", "view.1", "animation", "contact_sheet"}
    assert all(a.dtype == np.float32 and 0 <= a.min() <= a.max() <= 1 for a in arrays.values())
    assert np.allclose(arrays["view.0"], arrays["image"], atol=1e-6)
    assert np.allclose(arrays["view.1"], np.rot90(arrays["image"]), atol=1e-6)


def test_the_film_begins_with_the_image_and_rests_on_each_view(events):
    arrays = events[-1].arrays
    film = arrays["animation"]
    assert film.shape == (2 * REST + 2 * MOVE, 80, 80, 3)
    assert all(np.array_equal(middle(frame), arrays["image"]) for frame in film[:REST])
    assert np.allclose(middle(film[0]), arrays["view.0"], atol=1e-6)
    resting = film[REST + MOVE : 2 * REST + MOVE]
    assert all(np.array_equal(middle(frame), arrays["view.1"]) for frame in resting)


def test_measures_are_plain_numbers_for_each_view(events):
    info = events[-1].info
    json.dumps(info)
    for name in ("likeness_own", "likeness_other", "patch_distance_own", "patch_distance_other"):
        assert len(info[name]) == 2
    assert info["views"] == ["identity", "rotate_90"]


def test_each_view_resembles_its_own_picture_more_than_the_other(events):
    info = events[-1].info
    assert all(own > other + 0.1 for own, other in zip(info["likeness_own"], info["likeness_other"], strict=True))


def test_the_same_seed_gives_the_same_bytes():
    first, again, other = (result_of(seed=seed).arrays["image"] for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("words", "warned"), [(("qqq", "xxx"), True), (("moss", "moss"), False), (("ice", "xxx"), False)]
)
def test_words_that_all_mean_the_same_for_want_of_better_are_pointed_out_at_once(words, warned):
    events = run(exemplars=[None] * 3, prompt_1=words[0], prompt_2=words[1])
    first = next(events)
    said = [f"{first.message} ({first.hint})"] if isinstance(first, Warning) else []
    assert len(said) == warned
    assert all("'qqq' or 'xxx'" in line and "reference images" in line for line in said)


def test_a_closed_generator_stops():
    events = run()
    assert isinstance(events, Generator)
    assert isinstance(next(events), Progress)
    events.close()
    with pytest.raises(StopIteration):
        next(events)


def test_three_views_from_words_and_pictures():
    result = result_of(exemplars=[dots(0), None, None], prompt_2="bricks", prompt_3="moss", view_3="negate", size=70)
    assert {f"view.{i}" for i in range(3)} < set(result.arrays)
    assert result.arrays["image"].shape == (80, 80, 3)
    assert np.allclose(result.arrays["view.2"], 1 - result.arrays["image"], atol=1e-6)
    assert result.info["materials"][0]["name"] == "reference image"


@pytest.mark.parametrize("case", ["0", "1", "5", "54"])
def test_other_cases_run(case):
    assert np.isfinite(result_of(case=case, view_2="jigsaw").arrays["image"]).all()


@pytest.mark.parametrize("view", [name for name in VIEW_NAMES if not name.startswith("inner")] + ["inner_circle_55"])
def test_every_view_can_be_seen(view):
    first = "rotate_90" if view == "identity" else "identity"
    result = result_of(view_1=first, view_2=view, steps=2)
    assert likeness(result.arrays["view.1"], squared(dots(1), 64)) > 0.1


# What is refused


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"case": "61"}, UnknownName, "61"),
        ({"view_2": "rotate_91"}, UnknownName, "did you mean 'rotate_90'"),
        ({"view_2": "sideways"}, UnknownName, "choose one of"),
        ({"exemplars": [dots(0), None, None]}, InvalidInput, "view 2 has neither"),
        ({"exemplars": [None, dots(0), None]}, InvalidInput, "view 1 has neither"),
        ({"exemplars": []}, InvalidInput, "view 1 has neither"),
        ({"exemplars": [dots(0)] * 4}, InvalidInput, "at most 3"),
        ({"view_2": "identity"}, InvalidInput, "alike"),
        ({"view_1": "inner_circle_45", "view_2": "inner_circle_55"}, InvalidInput, "inverted"),
        ({"size": 63}, InvalidInput, "63"),
        ({"size": 1025}, InvalidInput, "1025"),
        ({"steps": 0}, InvalidInput, "steps"),
        ({"seed": -1}, InvalidInput, "-1"),
        ({"exemplars": [dots(0), np.zeros((9, 9, 3), np.float32)]}, InvalidImage, "24"),
    ],
)
def test_bad_input_is_refused_before_the_first_event(changes, error, words):
    with pytest.raises(error, match=words) as caught:
        next(run(**changes))
    assert isinstance(caught.value, WeftError)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


# The parts


@pytest.mark.parametrize("cut", [squares(64, 8), jigsaw(64)], ids=["squares", "jigsaw"])
def test_pictures_of_the_same_pieces_are_recognised(cut):
    """If one picture is the other, shuffled, the arrangement is found and nothing is left to quarrel about."""
    name = "jigsaw" if len(cut.kinds) == 3 else "patch_permutation"
    picture = np.random.default_rng(0).random((64, 64, 3), np.float32)
    goals = cut.random(np.random.default_rng(1))
    other = picture.reshape(-1, 3)[cut.source(goals)].reshape(64, 64, 3)
    targets = make_targets([picture, other], ["identity", name], 64, 5)
    assert np.array_equal(targets.views[1].source, cut.source(goals))


def test_targets_share_their_coarse_light():
    targets = make_targets([dots(0), 0.3 * dots(1)], ["identity", "flip_vertical"], 64, 0)
    first, second = targets.wanted[0], targets.wanted[1][::-1]
    assert abs(first.mean() - second.mean()) < 0.02
    assert np.allclose(targets.weights.sum(0), 1, atol=1e-5)


def test_pictures_that_are_flat_still_work():
    flat = np.full((64, 64, 3), 0.5, np.float32)
    targets = make_targets([flat, flat], ["identity", "jigsaw"], 64, 0)
    assert all(np.isfinite(wanted).all() for wanted in targets.wanted)
    assert np.isfinite(targets.weights).all()


@pytest.mark.parametrize("view", ["rotate_270", "flip_horizontal", "negate", "skew", "jigsaw", "pixel_permutation",
                                  "patch_permutation", "inner_circle_95"])  # fmt: skip
def test_films_move_without_jumps(view):
    """No frame differs from the next by more than half of what all of them differ."""
    image = squared(dots(2), 64)
    film = animate(image, [transformation("identity", 64), transformation(view, 64)])
    assert len(film) == 2 * REST + 2 * MOVE
    assert np.array_equal(film[REST + MOVE - 1], film[2 * REST + MOVE])  # back as it came
    steps = np.abs(np.diff(film, axis=0)).mean((1, 2, 3))
    assert steps[REST - 1 : REST + MOVE].max() < 0.5 * steps[REST - 1 : REST + MOVE].sum()
    assert steps[REST - 1] < 0.25 * steps.max()  # starts gently


def test_large_images_are_played_smaller():
    film = animate(np.zeros((640, 640, 3), np.float32), [transformation("negate", 640)])
    assert film.shape[1:] == (400, 400, 3)
