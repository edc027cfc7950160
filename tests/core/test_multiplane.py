"""Laws of the multiplane image: least squares of least norm, and what becomes of noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from weft.errors import InvalidInput
from weft.noise import gaussian, generator
from weft.spaces.multiplane import PLANES, multiplane_space, parallax_space

mixes = pytest.mark.parametrize(
    "names",
    [["identity"], ["jigsaw"], ["identity", "rotate_90"], ["negate", "skew"], ["identity", "inner_circle_45"]],
)


@mixes
def test_unprojection_is_least_squares_of_least_norm(names):
    space = multiplane_space(names, 16, planes=3)
    rows = gaussian((len(names) * 256, 2), generator(0))
    p = space.projection.to_scipy().toarray().astype(np.float64)
    exact, *_ = np.linalg.lstsq(p, rows.numpy().astype(np.float64), rcond=None)
    assert np.allclose(space.unproject(rows).numpy(), exact, atol=1e-5)


@pytest.mark.parametrize("name", ["identity", "rotate_270", "jigsaw", "negate"])
def test_one_view_is_reproduced(name):
    space = multiplane_space([name], 32)
    view = gaussian((1, 3, 32, 32), generator(0))
    assert torch.allclose(space.synchronize(view)[0], view, atol=1e-5)


@mixes
def test_synchronizing_twice_is_synchronizing_once(names):
    space = multiplane_space(names, 32, planes=4)
    once, _ = space.synchronize(gaussian((len(names), 3, 32, 32), generator(0)))
    assert torch.allclose(space.synchronize(once)[0], once, atol=1e-5)


@pytest.mark.parametrize("planes", [1, 4, PLANES])
def test_projected_noise_has_the_variance_of_a_mean(planes):
    space = multiplane_space(["identity", "flip_vertical"], 64, planes=planes)
    rows = space.project(gaussian((space.cells, 3), generator(1)))[: 64 * 64]
    assert abs(rows.var() * planes - 1) < 5 * (2 / rows.numel()) ** 0.5


def test_cells_count_plane_after_plane():
    space = multiplane_space(["identity"], 16, planes=2)
    z = torch.zeros(512, 1)
    z[256 + 5] = 1.0
    assert torch.equal(space.project(z).nonzero(), torch.tensor([[5, 0]]))


@pytest.mark.parametrize(("names", "planes"), [(["identity"], 0), ([], 3)])
def test_nothing_is_refused(names, planes):
    with pytest.raises(InvalidInput):
        multiplane_space(names, 16, planes=planes)


def test_parallax_shows_the_mean_of_shifted_planes():
    """Whole-pixel disparity, by hand; constants survive; one view alone is reproduced but for its mixed columns."""
    space = parallax_space(3, 16, planes=3, disparity=1.0, iterations=0)
    planes = gaussian((3 * 256, 2), generator(2))
    views = space.views_of(space.project(planes))
    cells = planes.reshape(3, 16, 16, 2).permute(0, 3, 1, 2)
    for view in range(3):
        shifted = [torch.roll(cells[m], -(view - 1) * (m - 1), dims=2) for m in range(3)]
        assert torch.allclose(views[view], torch.stack(shifted).mean(0), atol=1e-6)
    flat = torch.full((3, 1, 16, 16), 0.3)
    assert torch.allclose(parallax_space(3, 16).synchronize(flat)[0], flat, atol=1e-5)


def test_parallax_costs_noise_more_than_a_smooth_picture():
    """What tells Case 2 from Case 3: F keeps pictures and takes variance from noise."""
    space = parallax_space(3, 32)
    noise = gaussian((1, 3, 32, 32), generator(3)).repeat(3, 1, 1, 1)
    smooth = torch.cos(torch.arange(32) * (2 * torch.pi / 32)).expand(3, 3, 32, 32)
    kept = [float(space.synchronize(views)[0].var() / views.var()) for views in (noise, smooth)]
    assert kept[0] < 0.7
    assert kept[1] > 0.95


@pytest.mark.parametrize(("views", "planes"), [(0, 3), (2, 0)])
def test_parallax_of_nothing_is_refused(views, planes):
    with pytest.raises(InvalidInput):
        parallax_space(views, 16, planes=planes)
