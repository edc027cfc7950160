"""Light from all around: what shading is under lights whose answer is known, and that no light is lost."""

from __future__ import annotations

import numpy as np
import pytest

from weft.errors import InvalidImage, InvalidInput, UnknownName
from weft.geometry.environment import LUMINANCE, Environment
from weft.geometry.equirectangular import cell_directions, integrated, place
from weft.geometry.harmonics import sh_basis
from weft.geometry.lights import LIGHTS, light_named


def normals(count: int = 300) -> np.ndarray:
    n = np.random.default_rng(0).normal(size=(count, 3))
    return (n / np.linalg.norm(n, axis=1, keepdims=True)).astype(np.float32)


def even(value: float = 1.0, height: int = 8) -> Environment:
    return Environment(np.full((height, 2 * height, 3), value, np.float32))


def uneven(height: int = 24, seed: int = 1) -> Environment:
    return Environment(np.random.default_rng(seed).gamma(0.3, size=(height, 2 * height, 3)).astype(np.float32))


def single(row: int, column: int, height: int = 64) -> tuple[Environment, np.ndarray, np.ndarray]:
    """A light in one cell, its direction, and its solid angle times radiance / π, [3]."""
    radiance = np.zeros((height, 2 * height, 3), np.float32)
    radiance[row, column] = (300, 200, 100)
    strength = integrated(radiance, height)[0][row, column] / np.pi
    return Environment(radiance), cell_directions(height)[row, column], strength


@pytest.mark.parametrize("height", [2, 9, 64])
def test_even_light_shades_every_normal_with_its_radiance(height):
    assert np.abs(even(0.7, height).irradiance(normals()) - 0.7).max() < 0.7 * 2e-3


def test_one_bright_cell_shades_with_the_cosine():
    light, direction, strength = single(20, 37)
    expected = np.maximum(normals() @ direction, 0)[:, None] * strength
    assert np.abs(light.irradiance(normals()) - expected).max() < 1e-3 * strength.max()


def test_a_sun_of_one_texel_survives_downsampling():
    light, _, strength = single(77, 300, 256)
    coarse = light.downsampled(8)
    assert np.allclose(coarse.mean, light.mean, rtol=1e-5)
    assert light.irradiance(normals(5000)).max(0) == pytest.approx(strength, rel=5e-3)


def test_shading_is_linear_in_the_light():
    a, b = uneven(seed=1), uneven(seed=2)
    both = Environment(2 * a.radiance + 3 * b.radiance)
    expected = 2 * a.irradiance(normals()) + 3 * b.irradiance(normals())
    assert np.allclose(both.irradiance(normals()), expected, rtol=1e-3)


@pytest.mark.parametrize("degrees", [90.0, -45.0, 360.0, 123.456])
def test_turning_the_light_turns_the_shading(degrees):
    light, angle = light_named("sunset"), np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned = light.rotated(degrees)
    assert np.allclose(turned.mean, light.mean, rtol=1e-6)
    assert np.abs(turned.irradiance(normals() @ turn.T) - light.irradiance(normals())).max() < 1e-2


def test_a_quarter_turn_takes_light_from_x_to_y():
    light, direction, _ = single(31, 64)
    assert direction[0] > 0.99
    row, column = np.argwhere(light.rotated(90).radiance[..., 0] > 0)[0]
    assert cell_directions(64)[row, column][1] > 0.99


def test_exposure_doubles_the_light_with_every_step():
    assert np.allclose(uneven().exposed(1).radiance, 2 * uneven().radiance)
    assert np.allclose(uneven().exposed(-2).irradiance(normals()), uneven().irradiance(normals()) / 4, rtol=1e-5)
    with pytest.raises(InvalidInput, match="EV"):
        even().exposed(float("nan"))
    with pytest.raises(InvalidInput, match="turned"):
        even().rotated(float("inf"))


def test_light_of_low_frequency_shades_as_harmonics_say():
    # E/π of a radiance with coefficients L_lm is Σ A_l/π L_lm Y_lm with A = π, 2π/3, π/4 (Ramamoorthi, Hanrahan 2001).
    coefficients = np.array([4.0, 0.5, -0.8, 0.3, 0.4, -0.2, 0.6, 0.1, -0.5])
    directions = cell_directions(128)
    radiance = np.repeat((sh_basis(directions, 2) @ coefficients)[..., None], 3, -1)
    share = np.repeat([1, 2 / 3, 1 / 4], [1, 3, 5])
    expected = sh_basis(normals(), 2) @ (coefficients * share)
    assert radiance.min() > 0
    assert np.abs(Environment(radiance.astype(np.float32)).irradiance(normals())[:, 0] - expected).max() < 2e-3


@pytest.mark.parametrize(("height", "cells"), [(6, 4), (5, 16), (7, 7)])
def test_integrals_are_exact_between_any_two_sizes(height, cells):
    image = uneven(height).radiance
    power, moment = integrated(image, cells)
    fine_power, fine_moment = integrated(image, height * cells)
    across = (cells, height, 2 * cells, height, 3)
    assert np.allclose(power, fine_power.reshape(across).sum((1, 3)))
    assert np.allclose(moment, fine_moment.reshape(*across, 3).sum((1, 3)))
    assert integrated(np.ones((3, 6, 1)), cells)[0].sum() == pytest.approx(4 * np.pi)


def test_directions_and_places_are_inverse():
    rows, columns = np.mgrid[:16, :32]
    assert np.abs(place(cell_directions(16), 16) - np.stack([rows, columns], -1)).max() < 1e-4


@pytest.mark.parametrize(
    ("radiance", "said"),
    [
        (np.ones((8, 12, 3), np.float32), "no full sphere"),
        (np.ones((8, 16), np.float32), "shape"),
        (np.ones((8, 16, 3), np.uint8), "uint8"),
        (np.ones((1, 2, 3), np.float32), "rows"),
        (np.full((4, 8, 3), np.nan, np.float32), "NaN"),
        (np.full((4, 8, 3), -1, np.float32), "negative"),
        (np.zeros((4, 8, 3), np.float32), "black"),
    ],
)
def test_what_is_no_light_is_refused_in_one_line(radiance, said):
    with pytest.raises(InvalidImage, match=said) as caught:
        Environment(radiance)
    assert "\n" not in str(caught.value)
    assert caught.value.hint or said == "shape"


@pytest.mark.parametrize("name", LIGHTS)
def test_built_in_lights_are_well_exposed(name):
    light = light_named(name.upper())
    assert light.mean @ LUMINANCE == pytest.approx(LIGHTS[name].level, rel=1e-3)
    assert light.irradiance(normals()).min() > 0.01  # no side in utter darkness: quotients need a light
    assert light.irradiance(normals()).max() < 4


def test_an_unknown_light_names_those_that_exist():
    with pytest.raises(UnknownName, match="studio"):
        light_named("disco")


def test_only_white_from_everywhere_is_even():
    assert even().even
    assert not even(0.5).even
    assert not uneven().even
