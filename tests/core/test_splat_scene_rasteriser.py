"""The rasteriser that scenes of splats learn through: against a plain one, and against finite differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from practice_clouds import random_splats
from practice_rasteriser import oracle

from weft.errors import InvalidCamera
from weft.geometry.camera import Camera, look_at
from weft.geometry.harmonics import evaluate_sh, sh_basis
from weft.geometry.splat_weights import render_splats
from weft.scenes.picture_loss import picture_loss
from weft.scenes.splat_drawing import draw, parameter_gradients
from weft.scenes.splat_projection import LOGIT, MEAN, QUATERNION, SCALE, SH
from weft.scenes.splats import packed, unpacked

CAMERA = Camera(look_at((0.3, -4, 1), (0, 0, 0)), 45, 37, 50.0, 48.0, 21.3, 19.1)
INSIDE = Camera(look_at((0.1, -0.3, 0), (0, 1, 0)), 40, 40, 22.0, 22.0, 20.0, 20.0, near=0.05)
BACKGROUND = np.array([0.2, 0.5, 0.7], np.float32)
GROUPS = {
    "means": slice(MEAN, SCALE), "log scales": slice(SCALE, QUATERNION), "quaternions": slice(QUATERNION, LOGIT),
    "logits": slice(LOGIT, SH), "harmonics": slice(SH, None),
}  # fmt: skip


@pytest.mark.parametrize("camera", [CAMERA, INSIDE], ids=["outside", "inside the cloud"])
@pytest.mark.parametrize("degree", [0, 3])
def test_views_are_those_of_the_plain_rasteriser(camera, degree):
    splats = random_splats(degree=degree)
    weights, through, doubtful = oracle(splats, camera)
    directions = splats.means - camera.center
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    colors = np.maximum(0.5 + evaluate_sh(splats.sh, directions), 0)
    found = draw(packed(splats), camera, BACKGROUND)
    clear = ~doubtful
    assert clear.mean() > 0.95
    wanted = weights @ colors + through[:, None] * BACKGROUND
    assert np.abs(found.image.reshape(-1, 3) - wanted)[clear].max() < 1e-4
    assert np.abs(found.transmittance.ravel() - through)[clear].max() < 1e-4
    depths = (splats.means - camera.center) @ camera.forward
    assert np.abs(found.depth.ravel() - weights @ depths)[clear].max() < 1e-3


def test_views_are_those_that_fixed_weights_give():
    splats = random_splats(2000)
    for camera in (CAMERA, replace(CAMERA, width=46, height=33)):
        gap = np.abs(
            draw(packed(splats), camera, BACKGROUND).image - render_splats(splats, camera, background=BACKGROUND)
        )
        assert np.quantile(gap, 0.999) < 1e-4  # a few pixels are at a limit of alpha
        assert gap.max() < 1e-2


def plain_image(parameters: np.ndarray, camera: Camera) -> np.ndarray:
    """f8 [H, W, 3] of parameters f8."""
    splats = unpacked(parameters)
    directions = splats.means - camera.center
    basis = sh_basis(directions / np.linalg.norm(directions, axis=1, keepdims=True), splats.degree)
    colors = np.maximum(0.5 + np.einsum("nk,nkc->nc", basis, splats.sh), 0)
    weights, through, _ = oracle(splats, camera)
    image = weights @ colors + through[:, None] * BACKGROUND.astype(np.float64)
    return image.reshape(camera.height, camera.width, 3)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_gradients_are_finite_differences_of_the_plain_rasteriser(degree):
    """Cut-offs and all: steps of 1e-6 cross next to none of them."""
    splats = random_splats(16, 7 + degree, degree=degree)
    # Two stand beyond the edge of the frame, where J is held.
    splats.means[:2] = np.array([[1.1, 0.2, -2], [0.3, -1.3, -2.5]]) @ CAMERA.pose[:3, :3].T + CAMERA.center
    splats.log_scales[:2] = -0.5
    parameters = packed(splats)
    source = np.random.default_rng(degree)
    wanted = source.normal(size=(CAMERA.height, CAMERA.width, 3))
    found = parameter_gradients(draw(parameters, CAMERA, BACKGROUND), wanted)
    for name, columns in GROUPS.items():
        places = [(n, k) for n in range(16) for k in range(parameters.shape[1])[columns]]
        some = source.permutation(len(places))[:24]
        differences = []
        for n, k in (places[i] for i in some):
            values = []
            for step in (1e-6, -1e-6):
                moved = parameters.astype(np.float64)
                moved[n, k] += step
                values.append(float((plain_image(moved, CAMERA) * wanted).sum()))
            differences.append((values[0] - values[1]) / 2e-6)
        size = np.linalg.norm(differences)
        assert size > 1e-2, name
        gap = np.array([found[places[i]] for i in some]) - differences
        assert np.linalg.norm(gap) < 1e-3 * size, name


def test_only_perspective_cameras_look_at_scenes():
    with pytest.raises(InvalidCamera, match="orthographic"):
        draw(packed(random_splats(3)), replace(CAMERA, orthographic=True), BACKGROUND)


def test_the_gradient_of_the_loss_is_that_of_finite_differences():
    source = np.random.default_rng(0)
    image, picture = source.random((2, 17, 23, 3))
    loss, gradient = picture_loss(image, picture)
    assert loss > 0.1
    for place in zip(*(source.integers(n, size=40) for n in image.shape), strict=True):
        values = []
        for step in (1e-6, -1e-6):
            moved = image.copy()
            moved[place] += step
            values.append(picture_loss(moved, picture)[0])
        assert abs((values[0] - values[1]) / 2e-6 - gradient[place]) < 1e-9


def test_pictures_that_are_equal_or_masked_cost_and_want_nothing():
    source = np.random.default_rng(1)
    image, picture = source.random((2, 24, 20, 3)).astype(np.float32)
    same, nothing = picture_loss(image, image)
    assert same < 1e-6
    assert np.abs(nothing).max() < 1e-6
    mask = np.zeros((24, 20), bool)
    mask[5:15, 4:12] = True
    loss, gradient = picture_loss(image, picture, mask)
    assert loss > 0.1
    assert not gradient[~mask].any()
    other = np.where(mask[..., None], picture, 0).astype(np.float32)
    assert picture_loss(image, other, mask)[0] == loss
