"""The procedural materials: seamless, the same at every size and on every run; prompts find the right one."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree

from weft.errors import InvalidInput, UnknownName
from weft.metrics import psnr, sharpness
from weft.models.materials import MATERIALS, Choice, choose_material, render
from weft.models.materials.blades import draw_blades
from weft.models.materials.canvas import Canvas
from weft.models.materials.tint import tinted
from weft.models.materials.words import COLOURS, KIN, NAMES

every_material = pytest.mark.parametrize("name", MATERIALS)


@functools.cache
def tile(name: str, size: int = 128) -> np.ndarray:
    return render(name, size)


def halved(image: np.ndarray) -> np.ndarray:
    h, w, c = image.shape
    return image.reshape(h // 2, 2, w // 2, 2, c).mean((1, 3))


def test_there_are_enough_materials_and_words_for_each() -> None:
    assert len(MATERIALS) >= 14
    assert set(NAMES) == set(KIN) == set(MATERIALS)
    assert all(m.description.endswith(".") for m in MATERIALS.values())
    assert all(set(m.colours.split()) <= set(COLOURS) for m in MATERIALS.values())


@every_material
def test_a_material_is_an_srgb_tile(name: str) -> None:
    image = tile(name)
    assert image.shape == (128, 128, 3)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert image.std() > 0.04


@every_material
def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_tile(name: str) -> None:
    assert tile(name).tobytes() == render(name, 128).tobytes()
    assert np.abs(tile(name) - render(name, 128, seed=1)).mean() > 0.005


@every_material
def test_every_size_shows_the_same_pattern(name: str) -> None:
    assert psnr(halved(tile(name, 256)), tile(name)) > 24


@every_material
def test_tiles_are_seamless(name: str) -> None:
    """Across the wrap nothing changes more than it does somewhere inside."""
    for axis in (0, 1):
        change = np.abs(tile(name) - np.roll(tile(name), 1, axis)).mean((1 - axis, 2))
        assert change[0] <= 1.15 * change[1:].max()


@every_material
def test_structure_is_crisp_but_not_white_noise(name: str) -> None:
    """Neighbouring pixels agree, or a patch denoiser would take the detail for noise."""
    image = tile(name, 256)
    image = image - image.mean((0, 1))
    for axis in (0, 1):
        assert (image * np.roll(image, 1, axis)).sum() / (image**2).sum() > 0.5
    assert sharpness(image) > 0.03


def test_unknown_names_and_sizes_are_refused() -> None:
    with pytest.raises(UnknownName, match="mosy stone") as caught:
        render("mosy stone")
    assert "mossy stone" in caught.value.hint
    with pytest.raises(UnknownName, match="octarine"):
        render("bricks", tint="octarine")
    for size in (0, 100_000):
        with pytest.raises(InvalidInput, match="size"):
            render("bricks", size)


# Prompts


@pytest.mark.parametrize(
    ("prompt", "name"),
    [(name, name) for name in MATERIALS]
    + [
        ("a stone covered in moss", "mossy stone"),
        ("Red Bricks!", "bricks"),
        ("old wooden boards", "wood planks"),
        ("rusty iron", "rusted metal"),
        ("golden", "hammered gold"),
        ("snake scales", "dragon scales"),
        ("knitted sweater", "knitted wool"),
        ("a grassy lawn, seamless 4k texture", "grass"),
        ("frozen", "ice"),
        ("zebra stripes", "zebra"),
    ],
)
def test_names_and_synonyms_are_exact(prompt: str, name: str) -> None:
    assert choose_material(prompt) == Choice(name, prompt, True)


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("granite", "mossy stone"),
        ("oak", "wood planks"),
        ("jeans", "woven fabric"),
        ("tiger", "leopard fur"),
        ("snow", "ice"),
    ],
)
def test_relatives_are_taken_and_the_note_says_so(prompt: str, name: str) -> None:
    choice = choose_material(prompt)
    assert (choice.name, choice.exact) == (name, False)
    assert prompt in choice.note
    assert name in choice.note
    assert "reference image" in choice.note


def test_misspelt_words_are_read() -> None:
    choice = choose_material("leopord")
    assert (choice.name, choice.exact) == ("leopard fur", False)
    assert "read as 'leopard'" in choice.note


def test_words_beside_a_material_are_named_in_the_note() -> None:
    choice = choose_material("a spaceship made of marble")
    assert (choice.name, choice.exact) == ("marble", True)
    assert "'spaceship'" in choice.note


def test_new_colours_tint_and_own_colours_do_not() -> None:
    assert choose_material("blue marble").tint == "blue"
    assert choose_material("blue marble").note == "coloured blue"
    assert choose_material("red bricks").tint is None
    assert choose_material("gold dragon scales").tint == "gold"
    assert choose_material("gold").tint is None
    assert choose_material("pink").name == "brain coral"


@pytest.mark.parametrize("prompt", ["", "  ", "?!", "_"])
def test_an_empty_prompt_is_refused(prompt: str) -> None:
    with pytest.raises(InvalidInput, match="names no material") as caught:
        choose_material(prompt)
    assert "reference image" in caught.value.hint


@given(st.text(min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_other_prompt_finds_something_and_explains_itself(prompt: str) -> None:
    try:
        choice = choose_material(prompt)
    except InvalidInput:
        assert not any(letter.isalnum() for letter in prompt)
        return
    assert choice.name in MATERIALS
    assert choice.exact or choice.note
    assert "\n" not in choice.note


# Tint


@pytest.mark.parametrize("colour", ["red", "green", "blue", "purple"])
def test_a_tint_moves_the_mean_towards_the_colour_and_keeps_the_order_of_light(colour: str) -> None:
    plain, target = tile("marble"), np.array([int(COLOURS[colour][i : i + 2], 16) for i in (0, 2, 4)]) / 255
    image = tinted(plain, target)
    assert np.argmax(image.mean((0, 1))) == np.argmax(target)
    before, after = plain.sum(-1).ravel(), image.sum(-1).ravel()
    assert np.corrcoef(np.argsort(np.argsort(before)), np.argsort(np.argsort(after)))[0, 1] > 0.9
    assert np.array_equal(render("marble", 128, tint=colour), tinted(plain, target.astype(np.float32)))


# The canvas


@pytest.mark.parametrize(
    ("across", "down", "stagger", "aspect"),
    [(6, 8, False, 1.0), (6, 8, True, 1.0), (10, 4, True, 0.4), (5, 9, False, 1.8)],
)
def test_cells_are_the_nearest_centres(across: int, down: int, stagger: bool, aspect: float) -> None:
    """Against a k-d tree over the centres and their neighbouring tiles."""
    c = Canvas(64, 3)
    warp = (0.05 * np.sin(6.28 * c.y), 0.05 * np.cos(6.28 * c.x))
    cells = c.cells(1, across, down, jitter=0.44, stagger=stagger, aspect=aspect, warp=warp)
    shifts = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    scale = np.array([1, aspect])
    centres = (cells.centres[None] + shifts[:, None]).reshape(-1, 2) * scale
    places = np.stack([(c.x + warp[0]) % 1, (c.y + warp[1]) % 1], -1).reshape(-1, 2) * scale
    distance, index = KDTree(centres).query(places)
    offset = np.stack([cells.dx, cells.dy * aspect], -1).reshape(-1, 2)
    assert np.allclose(np.linalg.norm(offset, axis=1), distance, atol=1e-5)
    assert (cells.index.ravel() == index % len(cells.centres)).mean() > 0.999
    # The border: the least distance to a bisector with any other centre.
    own = centres[index]
    gap = centres[None] - own[:, None]
    length = np.linalg.norm(gap, axis=-1)
    middle = (centres[None] + own[:, None]) / 2
    to_bisector = ((middle - places[:, None]) * gap).sum(-1) / np.maximum(length, 1e-9)
    to_bisector[length < 1e-6] = np.inf
    assert np.allclose(cells.border.ravel(), to_bisector.min(1), atol=1e-4)


def test_noise_has_unit_variance_and_keeps_its_band() -> None:
    c = Canvas(256, 0)
    field = c.noise(1, 0.0, low=10, high=20)
    assert field.std() == pytest.approx(1, abs=0.1)
    power = np.abs(np.fft.fft2(field)) ** 2
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(256) * 256] * 2))
    assert power[(k >= 10) & (k <= 24)].sum() > 0.99 * power.sum()
    coarse = Canvas(128, 0).noise(1, 0.0, low=10, high=20)
    assert np.abs(halved(field[..., None])[..., 0] - coarse).max() < 0.2


def test_a_labyrinth_is_the_same_at_every_size() -> None:
    fine, coarse = Canvas(256, 0).labyrinth(1, 8), Canvas(128, 0).labyrinth(1, 8)
    assert np.abs(halved(fine[..., None])[..., 0] - coarse).max() < 0.1
    assert 0.3 < (fine > 0).mean() < 0.7


def test_blades_wrap_and_later_ones_lie_on_top() -> None:
    root = np.array([(0.9, 0.5), (0.1, 0.3)], np.float32)
    tip = np.array([(1.3, 0.5), (0.1, 0.7)], np.float32)
    blade, along, across = draw_blades(
        100, root, tip, np.zeros(2, np.float32), np.full(2, 0.1, np.float32), np.float32(2)
    )
    assert blade[50, 95] == 0
    assert blade[50, 3] == 0
    assert blade[50, 10] == 1
    assert blade[90, 50] == -1
    assert along[50, 95] < along[50, 3]
    assert np.abs(across).max() <= 1
