"""Direction words at their bounds, and the laws of who attends to whom."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from weft.geometry.camera import Camera, orbit, standard_ring
from weft.tasks.view_words import direction_words, neighbours_of, prompt_of, view_angles, words_of

MIDDLE = np.array([0.3, -0.2, 1.0])


def cameras_at(directions: list[tuple[float, float]], *, orthographic: bool = False, distance: float = 3.0):
    return [
        Camera(orbit(a, e, distance, tuple(MIDDLE)), 64, 64, 64.0, 64.0, 32.0, 32.0, orthographic=orthographic)
        for a, e in directions
    ]


def ring(count: int, start: float = 0.0, elevation: float = 0.0) -> list[tuple[float, float]]:
    return [(start + 360 * k / count, elevation) for k in range(count)]


@pytest.mark.parametrize(
    ("azimuth", "elevation", "words"),
    [
        (0, 0, "front view"), (44.9, 0, "front view"), (-44.9, 30, "front view"), (359, -60, "front view"),
        (45, 0, "side view"), (315, 0, "side view"), (90, 60, "side view"), (135, 0, "side view"),
        (135.1, 0, "back view"), (180, 0, "back view"), (-180, 10, "back view"), (224.9, 0, "back view"),
        (0, 60.1, "top view"), (90, 90, "top view"), (180, -60.1, "bottom view"), (0, -90, "bottom view"),
    ],
)  # fmt: skip
def test_words_and_their_bounds(azimuth, elevation, words):
    assert direction_words(azimuth, elevation) == words
    assert direction_words(azimuth + 360, elevation) == words
    assert direction_words(-azimuth, elevation) == words  # left and right alike


@pytest.mark.parametrize("orthographic", [False, True])
def test_angles_are_those_the_cameras_were_made_with(orthographic):
    directions = [(0.0, 0.0), (90.0, 0.0), (225.0, 30.0), (300.0, -75.0)]
    cameras = cameras_at(directions, orthographic=orthographic)
    np.testing.assert_allclose(view_angles(cameras, MIDDLE), directions, atol=1e-3)


def test_the_standard_ring_is_symmetric_in_words():
    cameras = cameras_at(list(standard_ring(12)))
    assert words_of(cameras, MIDDLE) == (
        "front view", "side view", "side view", "side view", "back view", "side view", "side view", "side view",
        "front view", "back view", "bottom view", "top view",
    )  # fmt: skip


def test_a_camera_in_the_middle_looks_out_of_its_own_back():
    inside = cameras_at([(180.0, 0.0)], distance=1e-12)
    assert words_of(inside, inside[0].center) == ("back view",)


def test_prompts_get_the_words_behind_them():
    assert prompt_of("a red handbag", "side view") == "a red handbag, side view"
    assert prompt_of("a red handbag, ", "side view") == "a red handbag, side view"
    assert prompt_of("  ", "side view") == "side view"
    assert prompt_of("a red handbag", "") == "a red handbag"


def test_a_ring_attends_to_its_neighbours():
    found = neighbours_of(cameras_at(ring(8)), MIDDLE)
    assert found.keys == tuple(((k - 1) % 8, k, (k + 1) % 8) for k in range(8))
    assert found.front == (0,) * 8


@pytest.mark.parametrize("by", [0.1, 45.0, 217.0])
def test_a_turned_ring_has_the_same_neighbours(by):
    directions = [(a, 20.0 * (k % 2)) for k, (a, _) in enumerate(ring(7))]
    turned = [((a + by) % 360, e) for a, e in directions]
    assert neighbours_of(cameras_at(turned), MIDDLE).keys == neighbours_of(cameras_at(directions), MIDDLE).keys


def test_the_order_of_the_cameras_does_not_matter():
    directions = list(standard_ring(10))
    order = np.random.default_rng(0).permutation(10)
    plain = neighbours_of(cameras_at(directions), MIDDLE)
    mixed = neighbours_of(cameras_at([directions[k] for k in order]), MIDDLE)
    for place, view in enumerate(order):
        assert {int(order[k]) for k in mixed.keys[place]} == set(plain.keys[view])
        assert order[mixed.front[place]] == plain.front[view]


def test_raised_views_attend_to_the_nearer_of_front_and_back():
    found = neighbours_of(cameras_at([*ring(8), (0, 30), (180, 30), (80, 45), (100, -45), (350, 90)]), MIDDLE)
    assert found.keys[8:] == ((0, 8), (4, 9), (0, 10), (4, 11), (0, 12))


def test_cameras_without_a_ring_attend_to_the_two_nearest():
    directions = [(0.0, 0.0), (10.0, 0.0), (25.0, 5.0), (70.0, 40.0), (60.0, 50.0)]
    found = neighbours_of(cameras_at(directions), MIDDLE)
    assert found.keys == ((0, 1, 2), (1, 0, 2), (2, 1, 0), (3, 4, 2), (4, 3, 2))
    turned = neighbours_of(cameras_at([(a + 33, e) for a, e in directions]), MIDDLE)
    assert turned.keys == found.keys


@pytest.mark.parametrize("count", range(1, 15))
def test_every_view_contains_itself_once_and_only_views_there_are(count):
    for directions in (list(standard_ring(count)), [(3.0 * k, 10.0) for k in range(count)]):
        found = neighbours_of(cameras_at(directions), MIDDLE)
        assert len(found.keys) == len(found.front) == count
        for view, keys in enumerate(found.keys):
            assert view in keys
            assert len(set(keys)) == len(keys)
            assert set(keys) <= set(range(count))


def test_the_front_is_the_view_nearest_to_it():
    assert neighbours_of(cameras_at([(200, 0), (90, 0), (20, 10), (-15, 40)]), MIDDLE).front == (2,) * 4


def test_words_need_no_network_library():
    code = "import sys, weft.tasks.view_words; print({'diffusers', 'transformers'} & set(sys.modules) or 'none')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"
