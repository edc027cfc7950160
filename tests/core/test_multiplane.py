"""Laws of the multiplane image: least squares of least norm, and what becomes of noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from weft.errors import InvalidInput
from weft.noise import gaussian, generator
from weft.spaces.multiplane import PLANES, multiplane_space

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
