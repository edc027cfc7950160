"""Laws of the illusion views: what is 1-to-1 comes back whole, what is negated keeps its sign, noise stays white."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import label

from weft.errors import InvalidInput, UnknownName
from weft.noise import CanonicalNoise, gaussian, generator
from weft.spaces.illusion import VIEW_NAMES, illusion_space, transformation
from weft.spaces.shuffles import jigsaw

CIRCLES = [name for name in VIEW_NAMES if name.startswith("inner_circle")]
PERMUTATIONS = [name for name in VIEW_NAMES if name not in CIRCLES]
every_permutation = pytest.mark.parametrize("name", PERMUTATIONS)


def picture(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((size, size, 3)).astype(np.float32)


def parts(mask: np.ndarray) -> int:
    """How many connected parts a mask has."""
    labels = np.zeros(mask.shape, np.int32)
    label(mask, output=labels)
    return int(labels.max())


@pytest.mark.parametrize("size", [16, 48, 64, 208, 256])
@every_permutation
def test_permutations_are_bijective(name, size):
    view = transformation(name, size, seed=5)
    assert view.invertible
    assert np.array_equal(np.sort(view.source), np.arange(size**2))


@every_permutation
def test_a_view_and_its_inverse_cancel(name):
    view, image = transformation(name, 64, 1), picture(64)
    assert np.array_equal(view.restore(view.apply(image)), image)
    assert np.array_equal(view.inverse().apply(view.apply(image)), image)
    assert np.array_equal(view.apply(view.inverse().apply(image)), image)


def test_views_show_what_their_names_say():
    image = picture(32)
    expected = {
        "identity": image, "flip_horizontal": image[:, ::-1], "flip_vertical": image[::-1], "negate": -image,
        "rotate_90": np.rot90(image), "rotate_180": image[::-1, ::-1], "rotate_270": np.rot90(image, -1),
    }  # fmt: skip
    for name, view in expected.items():
        assert np.array_equal(transformation(name, 32).apply(image), view)
    skewed = transformation("skew", 32).apply(image)
    for column in (0, 7, 16, 31):
        assert np.array_equal(skewed[:, column], np.roll(image[:, column], round(1.5 * (column - 16)), 0))


@pytest.mark.parametrize("name", ["patch_permutation", "pixel_permutation", "jigsaw"])
def test_shuffles_follow_their_seed(name):
    sources = [transformation(name, 64, seed).source for seed in (3, 3, 4)]
    assert np.array_equal(sources[0], sources[1])
    assert not np.array_equal(sources[0], sources[2])


@pytest.mark.parametrize("size", [64, 256])
def test_jigsaw_pieces_tile_the_image_and_each_is_one_piece(size):
    pieces = jigsaw(size).pieces.reshape(size, size)
    assert np.array_equal(np.unique(pieces), np.arange(16))
    assert all(parts(pieces == piece) == 1 for piece in range(16))
    areas = np.bincount(pieces.ravel())
    assert len(np.unique(areas)) == 3  # corners, middles, edges
    quarter_turned = np.rot90(pieces)
    assert all(len(np.unique(quarter_turned[pieces == piece])) == 1 for piece in range(16))  # cut alike on all sides


@pytest.mark.parametrize("seed", range(4))
def test_jigsaw_pieces_arrive_whole_in_the_place_of_another(seed):
    view, pieces = transformation("jigsaw", 128, seed), jigsaw(128).pieces.reshape(128, 128)
    arrived = pieces.ravel()[view.source].reshape(128, 128)  # which piece lies where
    for piece in range(16):
        places = np.unique(pieces[arrived == piece])
        assert len(places) == 1
        assert places[0] != piece
        assert parts(arrived == piece) == 1


@pytest.mark.parametrize("name", CIRCLES)
def test_the_circle_turns_and_the_rest_stays(name):
    size, angle = 128, np.radians(int(name.rsplit("_", 1)[1]))
    view = transformation(name, size)
    rows, columns = np.divmod(np.arange(size**2), size)
    x, y = columns - (size - 1) / 2, (size - 1) / 2 - rows
    outside = np.hypot(x, y) >= 0.375 * size
    assert np.array_equal(view.source[outside], np.arange(size**2)[outside])
    inside = ~outside
    away = np.hypot(x[view.source] - (np.cos(angle) * x + np.sin(angle) * y),
                    y[view.source] - (np.cos(angle) * y - np.sin(angle) * x))  # fmt: skip
    assert away[inside].max() <= 0.5**0.5 + 1e-6  # the nearest pixel
    assert not view.invertible
    there_and_back = view.back[view.source]
    well_inside = ~outside[view.source]  # at the rim the nearest pixel may lie outside, which stays
    assert np.hypot(x[there_and_back] - x, y[there_and_back] - y)[well_inside].max() <= 2**0.5 + 1e-6


def test_what_cannot_be_inverted_is_refused():
    with pytest.raises(InvalidInput, match="inner_circle_45"):
        transformation("inner_circle_45", 64).inverse()


@pytest.mark.parametrize(
    ("name", "size", "error"),
    [("rotate_45", 64, UnknownName), ("Jigsaw!", 64, UnknownName), ("identity", 40, InvalidInput),
     ("jigsaw", 0, InvalidInput)],
)  # fmt: skip
def test_wrong_view_names_and_sides_are_refused(name, size, error):
    with pytest.raises(error):
        transformation(name, size)


def test_an_unknown_name_comes_with_the_nearest_one():
    with pytest.raises(UnknownName, match="did you mean 'patch_permutation'"):
        transformation("patch permute", 64)


def test_no_view_is_no_illusion():
    with pytest.raises(InvalidInput):
        illusion_space([], 64)


MIXES = [["identity", "rotate_90"], ["negate"], ["identity", "negate", "jigsaw"], ["flip_vertical", "skew", "negate"]]


@pytest.mark.parametrize("names", MIXES)
def test_permutation_spaces_are_projections(names):
    space = illusion_space(names, 32, 1)
    views = gaussian((len(names), 3, 32, 32), generator(0))
    once, z = space.synchronize(views)
    twice, z_again = space.synchronize(once)
    assert torch.allclose(twice, once, atol=1e-6)
    assert torch.allclose(z_again, z, atol=1e-6)
    images = [transformation(name, 32, 1 + i).restore(v) for i, (name, v) in
              enumerate(zip(names, views.permute(0, 2, 3, 1).numpy(), strict=True))]  # fmt: skip
    assert np.allclose(z.numpy().reshape(32, 32, 3), np.mean(images, 0), atol=1e-6)


@pytest.mark.parametrize("names", [["identity", "rotate_180"], ["jigsaw", "inner_circle_75"]])
def test_constants_survive_without_negatives(names):
    constant = torch.full((2, 3, 32, 32), 0.4)
    assert torch.allclose(illusion_space(names, 32).synchronize(constant)[0], constant, atol=1e-6)


def test_a_constant_and_its_negative_survive_and_equal_constants_cancel():
    space = illusion_space(["identity", "negate"], 32)
    ones = torch.ones(1, 3, 32, 32)
    signed = torch.cat([0.4 * ones, -0.4 * ones])
    assert torch.allclose(space.synchronize(signed)[0], signed, atol=1e-6)
    assert torch.allclose(space.synchronize(torch.cat([ones, ones]))[0], torch.zeros(2, 3, 32, 32), atol=1e-6)


@pytest.mark.parametrize("names", [["identity", "inner_circle_45"], ["inner_circle_135", "negate"]])
def test_the_circle_is_laid_back_by_the_opposite_turn(names):
    space, views = illusion_space(names, 32, 2), gaussian((2, 3, 32, 32), generator(3))
    _, z = space.synchronize(views)
    images = [transformation(name, 32, 2 + i).restore(v) for i, (name, v) in
              enumerate(zip(names, views.permute(0, 2, 3, 1).numpy(), strict=True))]  # fmt: skip
    assert np.allclose(z.numpy().reshape(32, 32, 3), np.mean(images, 0), atol=1e-6)


@pytest.mark.parametrize("names", [["identity", "negate", "jigsaw"], ["negate", "inner_circle_65"]])
def test_noise_is_white_and_has_the_sign_of_its_view(names):
    space, count = illusion_space(names, 64), 64 * 64
    noise = CanonicalNoise(space.nearest, space.cells, space.view_shape, space.signs)(3, generator(1))
    for view in noise.flatten(1):
        assert abs(view.mean()) < 5 / view.numel() ** 0.5
        assert abs(view.var() - 1) < 5 * (2 / view.numel()) ** 0.5
    rows = space.rows_of(noise)
    field = gaussian((count, 3), generator(1))  # what CanonicalNoise draws first
    for i, name in enumerate(names):
        view = transformation(name, 64, i)
        same = (rows[i * count : (i + 1) * count] == view.sign * field[torch.from_numpy(view.source).long()]).all(1)
        assert same.float().mean() > (0.99 if view.invertible else 0.8)
    if all(transformation(name, 64).invertible for name in names):
        assert torch.equal(rows, space.project(field))
