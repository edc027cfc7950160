"""The radiance field of planes and lines is the one of voxels that its products make; and it is a scene like others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from practice_radiance import ball_seen, ball_views, composited
from torch import Tensor

from weft.errors import InvalidInput
from weft.scenes import tensorf
from weft.scenes.grid_box import GridBox
from weft.scenes.scene import TrainingViews
from weft.scenes.tensorf import TensoRF
from weft.scenes.tensorf_field import TensorField
from weft.scenes.training_rays import rays_of

VIEWS = ball_views(count=8)
STEPS = 10


def begun(views: TrainingViews = VIEWS) -> TensoRF:
    return TensoRF.begin(views, resolution=36, degree=1, bounded=True, background=(1, 1, 1), seed=2)


def fitted(scene: TensoRF, start: int = 0, stop: int = STEPS, views: TrainingViews = VIEWS) -> list[float]:
    return [scene.fit(views, step, STEPS, seed=3) for step in range(start, stop)]


def voxels_of(planes: Tensor, lines: Tensor) -> Tensor:
    """The components as grids [3 R, N, N, N] (z y x)."""
    line = lines[..., 0]
    by_hand = (
        torch.einsum("ryx,rz->rzyx", planes[0], line[0]),
        torch.einsum("rzx,ry->rzyx", planes[1], line[1]),
        torch.einsum("rzy,rx->rzyx", planes[2], line[2]),
    )
    return torch.cat(by_hand)


@pytest.fixture
def field() -> TensorField:
    """With something in it."""
    box = GridBox(np.array([(0, 0.05, 0), (0.4, 0.3, 0.5)], np.float32), False)
    made = TensorField.random(6, 1, box, np.full(3, 0.2), seed=1)
    made.density_planes *= 40
    made.color_planes *= 20
    return made


def test_rays_see_what_the_products_make_as_voxels(field: TensorField) -> None:
    camera = replace(VIEWS.cameras[3], width=6, height=5, cx=3.0, cy=2.5, fx=6.0, fy=6.0)
    rays, _ = rays_of(camera, 0.1)
    image, opacity, distance = field.look(rays)
    density = voxels_of(field.density_planes, field.density_lines).sum(0) - 6
    parts = voxels_of(field.color_planes, field.color_lines)
    color = torch.einsum("kp,pzyx->zyxk", field.basis, parts)
    edges, spans = field.box.edges(6), field.box.spans(rays)
    t = spans[:, :1] + edges[:-1] + np.diff(edges) / 2
    at = (rays.origins[:, None] + t[..., None] * rays.directions[:, None] - field.box.extent[0]) / field.box.extent[1]
    lengths = np.diff(edges) * (np.abs(at).max(-1) < 1) * 20 / field.box.half
    expected, weights = composited(
        density.double(), color.double(), torch.from_numpy(at).double(), lengths, rays.directions,
        torch.full((3,), 0.2, dtype=torch.float64),
    )  # fmt: skip
    np.testing.assert_allclose(image, expected, atol=1e-3)  # whose weight is below 1e-4 is not shaded
    np.testing.assert_allclose(opacity, weights.sum(1), atol=1e-5)
    np.testing.assert_allclose(distance, (weights * torch.from_numpy(t)).sum(1), atol=1e-5)
    assert 0.1 < float(opacity.mean()) < 0.99


def test_finer_grids_show_the_same_field(field: TensorField) -> None:
    finer = field.resized(11)
    for one, other in ((field.density_planes, finer.density_planes), (field.color_lines, finer.color_lines)):
        np.testing.assert_allclose(other[:, :, ::2, :: 2 if one.shape[3] > 1 else 1], one, atol=1e-4)


def test_it_learns_and_goes_on_from_what_was_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorf, "_RAYS", 256)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole, halves = begun(), begun()
        losses = fitted(whole)
        assert np.mean(losses[-3:]) < losses[0]
        fitted(halves, stop=3)  # grids grow before and after
        halves = TensoRF.from_arrays(halves.arrays())
        fitted(halves, start=3)
    finally:
        torch.set_num_threads(threads)
    one, other = whole.arrays(), halves.arrays()
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert whole.field.size == 36

    frozen = whole.field.density_planes.detach().clone()
    whole.restart(geometry=False)
    fitted(whole, start=STEPS - 2)
    image = whole.render(VIEWS.cameras[0]).image
    whole.descend(VIEWS.cameras[:1], image[None] - 1, STEPS, STEPS + 1, 0)
    assert torch.equal(whole.field.density_planes, frozen)
    assert not np.array_equal(whole.render(VIEWS.cameras[0]).image, image)
    with pytest.raises(InvalidInput, match="planes and lines"):
        whole.restart(anchor=1.0)


def test_gradients_of_pictures_lead_where_they_point() -> None:
    scene, camera = begun(), VIEWS.cameras[1]
    target, _ = ball_seen(camera)
    errors = []
    for step in range(9):
        error = scene.render(camera).image - target
        errors.append(float((error**2).mean()))
        scene.descend([camera], 2 * error[None], step, 1000, 0)
    assert errors[-1] < 0.97 * errors[0]
