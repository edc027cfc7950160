"""Control pictures of splats: a ball whose surface is known, and what does not count as surface."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from practice_clouds import ball, ring_around
from scipy.ndimage import binary_dilation, binary_erosion

from weft.errors import UnknownName
from weft.geometry.splats import Splats
from weft.spaces.splat_colors import SplatColorSpace, build_splat_colors
from weft.spaces.splat_surface import see_surface
from weft.tasks.control_encoding import FARTHEST
from weft.tasks.splat_controls import splat_controls

KINDS = ("depth", "normal", "canny")


@pytest.fixture(scope="module")
def space() -> SplatColorSpace:
    cloud = ball()
    return build_splat_colors(cloud, ring_around(cloud))


@pytest.fixture(scope="module")
def made(space) -> dict[str, torch.Tensor]:
    return splat_controls(KINDS, space)


def test_every_view_has_its_pictures(space, made):
    assert list(made) == list(KINDS)
    for picture in made.values():
        assert picture.shape == (space.shape[0], 3, *space.shape[1:])
        assert 0 <= picture.min() <= picture.max() <= 1


def test_depth_is_the_inverse_of_the_expected_one(space, made):
    for view, camera in enumerate(space.cameras):
        away = (space.projection @ torch.from_numpy(camera.project(space.means)[1][:, None])).numpy()
        away = away.reshape(space.shape)[view]
        mask, plane = space.mask[view], made["depth"][view, 0].numpy()
        assert not plane[~mask].any()
        assert plane[mask].min() == pytest.approx(FARTHEST)
        assert plane.max() == 1
        inner = mask & (plane > FARTHEST) & (plane < 1)
        line = np.polyfit(1 / away[inner].astype(np.float64), plane[inner], 1)
        np.testing.assert_allclose(np.polyval(line, 1 / away[inner]), plane[inner], atol=1e-4)


def test_normals_are_those_of_the_ball(space, made):
    seen = see_surface(space.cameras, space.projection, space.means, space.shape)
    for view, camera in enumerate(space.cameras):
        truth = seen.position[view] @ camera.pose[:3, :3]
        truth /= np.linalg.norm(truth, axis=-1, keepdims=True)
        found = (made["normal"][view].permute(1, 2, 0).numpy() * 2 - 1) * (-1, 1, 1)
        clear = seen.mask[view] & (truth[..., 2] > 0.6)
        assert ((found * truth).sum(-1)[clear] > 0.95).mean() > 0.98
    outside = made["normal"].permute(0, 2, 3, 1)[torch.from_numpy(~space.mask)]
    assert (outside == torch.tensor([0.5, 0.5, 1.0])).all()


def test_edges_are_the_outline(space, made):
    mask, edges = space.mask[0], made["canny"][0, 0].numpy() > 0
    outline = binary_dilation(~mask) & mask
    assert binary_dilation(edges, iterations=2)[outline].all()
    assert not edges[binary_erosion(mask, iterations=9)].any()
    assert not edges[binary_erosion(~mask, iterations=2, border_value=1)].any()


def test_a_floating_splat_does_not_take_the_range():
    cloud = ball()
    camera = ring_around(cloud, 1, 128)[0]
    parts = {name: getattr(cloud, name) for name in ("means", "quaternions", "log_scales", "logits", "sh")}
    floating = {name: np.concatenate([part, part[:1]]) for name, part in parts.items()}
    floating["means"][-1] = camera.center + 0.5 * camera.forward + 0.1 * camera.pose[:3, 0]  # before the ball's side
    floating["log_scales"][-1] = np.log(5e-4)
    depths = []
    for splats in (cloud, Splats(**floating)):
        space = build_splat_colors(splats, [camera])
        depths.append(splat_controls(["depth"], space)["depth"][0, 0][torch.from_numpy(space.mask[0])])
    change = (depths[0] - depths[1]).abs()
    assert change.max() > 0.05
    assert change.median() < 0.02
    assert (change > 0.05).float().mean() < 0.01


def test_a_surface_that_is_known_is_not_looked_for_again(space, made):
    seen = see_surface(space.cameras, space.projection, space.means, space.shape)
    again = splat_controls(["normal"], space, replace(seen, normal=np.zeros_like(seen.normal)))["normal"]
    assert (again == torch.tensor([0.5, 0.5, 1.0])[:, None, None]).all()
    assert torch.equal(splat_controls(["depth"], space, seen)["depth"], made["depth"])


def test_unknown_pictures_are_refused(space):
    assert splat_controls([], space) == {}
    with pytest.raises(UnknownName, match="'pose'"):
        splat_controls(["pose"], space)
