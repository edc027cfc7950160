"""Splats as arrays: harmonics against scipy's, turning against evaluating, covariances against their definition."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.spatial.transform
import scipy.special
from practice_splat_files import cloud

from weft.errors import InvalidInput
from weft.geometry.harmonics import SH_C0, sh_basis, sh_rotation
from weft.geometry.splats import (
    Splats,
    check_splats,
    covariances,
    evaluate_sh,
    f_dc_of,
    flipped,
    quaternion_matrices,
    rgb_of,
    transformed,
)


def directions(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def random_turn(seed: int, mirror: bool = False) -> np.ndarray:
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return turn * np.linalg.det(turn) * (-1 if mirror else 1)


def similarity(seed: int, mirror: bool = False, scale: float = 2.5) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = scale * random_turn(seed, mirror)
    matrix[:3, 3] = 3, -2, 7
    return matrix


def full(upper: np.ndarray) -> np.ndarray:
    matrix = np.zeros((len(upper), 3, 3))
    rows, columns = np.triu_indices(3)
    matrix[:, rows, columns] = matrix[:, columns, rows] = upper
    return matrix


def test_the_basis_is_that_of_scipy() -> None:
    """Real harmonics from the complex ones: √2 Im Y_l|m|, Y_l0, √2 Re Y_lm. scipy's have the Condon-Shortley phase."""
    d = directions(50)
    theta, phi = np.arccos(d[:, 2]), np.arctan2(d[:, 1], d[:, 0])
    columns = []
    for degree in range(4):
        for m in range(-degree, degree + 1):
            value = scipy.special.sph_harm_y(degree, abs(m), theta, phi)
            columns.append(value.real if m == 0 else math.sqrt(2) * (value.imag if m < 0 else value.real))
    assert np.abs(sh_basis(d, 3) - np.stack(columns, 1)).max() < 1e-12


def test_degree_one_is_minus_y_z_minus_x() -> None:
    d = directions(10)
    expected = 0.4886025 * np.stack([-d[:, 1], d[:, 2], -d[:, 0]], 1)
    assert np.abs(sh_basis(d, 1)[:, 1:] - expected).max() < 1e-7


def test_the_basis_is_orthonormal() -> None:
    """A product of two harmonics has degree ≤ 6: Gauss-Legendre in z with 4 knots and 8 angles integrate it exactly."""
    z, weight = np.polynomial.legendre.leggauss(4)
    angle = np.arange(8) * math.pi / 4
    x, y = (np.sqrt(1 - z * z)[:, None] * f(angle) for f in (np.cos, np.sin))
    points = np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], -1).reshape(-1, 3)
    basis = sh_basis(points, 3)
    gram = basis.T @ (np.repeat(weight, 8)[:, None] * basis) * (2 * math.pi / 8)
    assert np.abs(gram - np.eye(16)).max() < 1e-12


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_turned_harmonics_show_the_same_in_turned_directions(degree: int, mirror: bool) -> None:
    splats, matrix = cloud(40, degree), similarity(degree, mirror)
    turned = transformed(splats, matrix)
    d = directions(40)
    there = d @ (matrix[:3, :3] / 2.5).T
    assert np.abs(evaluate_sh(turned.sh, there) - evaluate_sh(splats.sh, d)).max() < 1e-5
    assert np.array_equal(turned.sh[:, 0], splats.sh[:, 0])


def test_turning_harmonics_is_a_group() -> None:
    a, b = random_turn(1), random_turn(2)
    assert np.abs(sh_rotation(a @ b, 3) - sh_rotation(a, 3) @ sh_rotation(b, 3)).max() < 1e-12
    assert np.abs(sh_rotation(np.eye(3), 3) - np.eye(16)).max() < 1e-12


@pytest.mark.parametrize("mirror", [False, True])
def test_covariances_move_as_they_must(mirror: bool) -> None:
    splats, matrix = cloud(40, 1), similarity(5, mirror)
    linear = matrix[:3, :3]
    expected = linear @ full(covariances(splats)) @ linear.T
    moved = transformed(splats, matrix)
    assert np.allclose(full(covariances(moved)), expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
    assert np.allclose(moved.means, splats.means @ linear.T + matrix[:3, 3], atol=1e-5)
    assert np.array_equal(moved.logits, splats.logits)


def test_covariance_of_one_long_splat() -> None:
    """Ninety degrees around z lay the long x axis along y."""
    turn = np.array([[math.sqrt(0.5), 0, 0, math.sqrt(0.5)]], np.float32) * 3  # of any length
    sizes = np.log(np.array([[4, 1, 0.5]], np.float32))
    one = Splats(np.zeros((1, 3), np.float32), turn, sizes, np.zeros(1, np.float32), np.zeros((1, 1, 3), np.float32))
    assert np.allclose(covariances(one), [[1, 0, 0, 16, 0, 0.25]], atol=1e-5)


@pytest.mark.parametrize("signs", [(1, -1, -1), (-1, 1, 1), (-1, -1, -1), (1, 1, 1)])
def test_flipping_is_transforming_by_the_diagonal(signs: tuple[int, int, int]) -> None:
    splats = cloud(30, 3)
    fast, slow = flipped(splats, signs), transformed(splats, np.diag([*signs, 1.0]))
    assert np.array_equal(fast.means, slow.means)
    assert np.allclose(fast.sh, slow.sh, atol=1e-6)
    assert np.allclose(covariances(fast), covariances(slow), atol=1e-6)
    again = flipped(fast, signs)
    assert all(np.array_equal(getattr(again, name), getattr(splats, name)) for name in ("means", "quaternions", "sh"))


def test_quaternions_turn_as_in_scipy() -> None:
    q = cloud(30, 0).quaternions
    expected = scipy.spatial.transform.Rotation.from_quat(q[:, [1, 2, 3, 0]]).as_matrix()
    assert np.abs(quaternion_matrices(q) - expected).max() < 1e-12


def test_moving_forth_and_back() -> None:
    splats, matrix = cloud(30, 3), similarity(9)
    back = transformed(transformed(splats, matrix), np.linalg.inv(matrix))
    for name in ("means", "log_scales", "sh"):
        assert np.allclose(getattr(back, name), getattr(splats, name), atol=2e-5)
    assert np.allclose(covariances(back), covariances(splats), rtol=1e-4, atol=1e-6)


def test_colours_and_opacity_by_the_formulas() -> None:
    rgb = np.random.default_rng(0).random((20, 3), dtype=np.float32)
    assert np.abs(rgb_of(f_dc_of(rgb)) - rgb).max() < 1e-6
    assert np.allclose(f_dc_of(rgb), (rgb - 0.5) / 0.28209479177387814, atol=1e-6)
    assert pytest.approx(1 / math.sqrt(4 * math.pi)) == SH_C0
    splats = replace(cloud(3, 0), logits=np.array([-200, 0, 200], np.float32), sh=np.full((3, 1, 3), -9, np.float32))
    assert splats.opacity.tolist() == [0, 0.5, 1]
    assert (splats.colors == 0).all()
    assert np.array_equal(splats.scales, np.exp(splats.log_scales))
    assert (splats.count, splats.degree, cloud(2, 3).degree) == (3, 0, 3)


def spoiled(name: str, value: float) -> Splats:
    array = getattr(cloud(6, 1), name).copy()
    array[4] = value
    return replace(cloud(6, 1), **{name: array})


@pytest.mark.parametrize(
    ("splats", "says"),
    [
        (spoiled("means", np.nan), "1 of 6 splats have a position.*number 4"),
        (spoiled("means", np.inf), "position"),
        (spoiled("sh", np.nan), "colour"),
        (spoiled("logits", np.nan), "opacity"),
        (spoiled("quaternions", 0), "length 0"),
        (spoiled("quaternions", np.inf), "rotation"),
        (spoiled("log_scales", np.nan), "log-scale"),
        (spoiled("log_scales", 60), "above 44"),
        (cloud(0, 1), "0 splats"),
        (replace(cloud(6, 1), means=np.zeros((6, 2), np.float32)), "means"),
        (replace(cloud(6, 1), logits=np.zeros(6)), "logits is float64"),
        (replace(cloud(6, 1), sh=np.zeros((6, 5, 3), np.float32)), "5 harmonics"),
        (replace(cloud(6, 1), sh=np.zeros(6, np.float32)), "sh is"),
    ],
)
def test_unsound_splats_are_refused(splats: Splats, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        check_splats(splats)


def test_sound_extremes_are_not_refused() -> None:
    check_splats(spoiled("logits", np.inf))
    check_splats(spoiled("log_scales", -np.inf))
    check_splats(cloud(6, 3))


@pytest.mark.parametrize(
    "matrix",
    [np.diag([1, 2, 1, 1.0]), np.eye(3), np.full((4, 4), np.nan), np.diag([0, 0, 0, 1.0]), np.eye(4) + np.eye(4, k=1)],
)
def test_what_is_no_similarity_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(InvalidInput):
        transformed(cloud(3, 1), matrix)
