"""What repainting stands on: spaces that hold cells, textures as cells and back, the rim of an edit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from practice_shapes import box, quad

from weft.errors import InvalidInput
from weft.geometry.camera import frame_object
from weft.spaces.decals import build_decals
from weft.spaces.held import holding
from weft.spaces.linear import LinearSpace, lookup
from weft.spaces.mesh_texture import Trust, build_space, rasterize_views
from weft.spaces.surface import build_surface
from weft.tasks.canvas import build_canvas, fitted, nearest
from weft.tasks.edit import Edit
from weft.tasks.view_plan import plan_views


def small_space() -> LinearSpace:
    """Two views of 4 x 5 pixels that look up 30 cells, some pixels none."""
    index = np.random.default_rng(0).integers(-1, 30, 2 * 4 * 5).astype(np.int32)
    return lookup(index, 30, (2, 4, 5))


# Holding


def test_held_cells_keep_their_values_and_the_others_do_not_notice():
    space, held = small_space(), np.arange(30) % 3 == 0
    rows, values = torch.randn(40, 3), torch.randn(30, 3)
    z = holding(space, held, values).aggregate(rows)
    assert torch.equal(z[held], values[held])
    assert torch.equal(z[~held], space.aggregate(rows)[~held])


def test_views_show_what_is_held():
    space, held, values = small_space(), np.ones(30, bool), torch.randn(30, 3)
    views, z = holding(space, held, values).synchronize(torch.randn(2, 3, 4, 5))
    assert torch.equal(z, values)
    covered = torch.from_numpy(space.covered)
    assert torch.equal(space.rows_of(views)[covered], space.project(values)[covered])


def test_holding_nothing_changes_nothing():
    space, views = small_space(), torch.randn(2, 3, 4, 5)
    ours = holding(space, np.zeros(30, bool), torch.zeros(30, 3)).synchronize(views)
    for one, other in zip(ours, space.synchronize(views), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("flags", "values"), [(29, 30), (30, 29)])
def test_holding_wants_one_of_each_per_cell(flags, values):
    with pytest.raises(InvalidInput, match="30 cells"):
        holding(small_space(), np.zeros(flags, bool), torch.zeros(values, 3))


# Textures as cells and back


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).random((height, width, 3), np.float32)


def test_a_square_texture_comes_back_from_its_cells():
    texture = image(64, 64)
    canvas = build_canvas([box(2)], [texture], [None], [None])
    assert canvas.surface.size == 64
    chart = canvas.surface.chart[0]
    assert np.abs(canvas.image(canvas.z(), 0) - texture)[chart].max() < 1e-6


@pytest.mark.parametrize("shape", [(48, 64), (64, 17), (1, 64)])
def test_the_grid_is_as_fine_as_the_longer_side(shape):
    """A ramp survives the way to the grid and back."""
    ramp = np.broadcast_to(((np.arange(shape[1]) + 0.5) / shape[1])[None, :, None], (*shape, 3)).astype(np.float32)
    canvas = build_canvas([quad()], [ramp], [None], [None])
    assert canvas.surface.size == 64
    back = canvas.image(canvas.z(), 0)
    assert back.shape == ramp.shape
    assert np.abs(back - ramp)[:, 2:-2].max() < 0.02


def test_the_largest_texture_decides_for_all():
    canvas = build_canvas([quad("a"), quad("b")], [image(20, 30), image(40, 10)], [None, None], [None, None])
    assert canvas.surface.chart.shape == (2, 40, 40)
    assert [canvas.preview(canvas.z(), i).shape for i in range(2)] == [(20, 30, 3), (40, 10, 3)]


def test_previews_of_large_textures_are_thinned():
    texture = np.zeros((1100, 900, 3), np.float32)
    texture[::2, ::2] = 1
    canvas = build_canvas([quad()], [texture], [np.eye(1100, 900)], [None])
    preview = canvas.preview(canvas.z(), 0)
    assert preview.shape == (550, 450, 3)
    assert (preview[~np.eye(550, 450, dtype=bool)] == 1).all()


def test_flags_follow_the_middle_of_each_texel():
    flags = np.array([[True, False], [False, True]])
    assert np.array_equal(nearest(flags, (4, 4)), flags.repeat(2, 0).repeat(2, 1))
    assert np.array_equal(nearest(nearest(flags, (6, 10)), (2, 2)), flags)


def test_fitting_keeps_means_and_what_has_the_size_already():
    texture = image(40, 60)
    assert fitted(texture, (40, 60)) is texture
    assert fitted(texture, (20, 30)).mean() == pytest.approx(texture.mean(), abs=0.01)


# Cells that are wanted


def test_views_and_decals_go_where_something_is_wanted():
    surface = build_surface([box(4)], 96)
    top = surface.normal[:, 2] > 0.9
    views = plan_views(surface, size=64, count=10, cameras_from="automatic", scene=[], wanted=top)
    everywhere = plan_views(surface, size=64, count=10, cameras_from="automatic", scene=[])
    assert (views.sampling.cosine[top] > 0.1).mean() > 0.97
    assert 0 < len(views.views.cameras) < len(everywhere.views.cameras)
    assert all(camera.center[2] > 1 for camera in views.views.cameras)
    settings = {"size": 48, "pixels_per_unit": 40.0, "most": 99}
    decals = build_decals(surface, random=np.random.default_rng(0), wanted=top, **settings)
    assert (decals.sampling.cosine[top] > 0.9).mean() > 0.97
    assert len(decals.views.cameras) < 0.4 * len(
        build_decals(surface, random=np.random.default_rng(0), **settings).views.cameras
    )
    unseen = decals.sampling.weight[:, 0] == 0
    assert (decals.fill[top] >= 0).all()
    assert (decals.fill[~top & unseen] == -1).all()


# The rim


def half_painted() -> tuple[Edit, np.ndarray]:
    """The right half of a square seen from the front is repainted white over black: the edit, softened, as an image."""
    mask = np.broadcast_to(np.arange(64) >= 32, (64, 64))
    canvas = build_canvas([quad()], [np.zeros((64, 64, 3), np.float32)], [mask], [None])
    views = rasterize_views(canvas.surface, frame_object(canvas.surface.vertices, [(0.0, 0.0)], 96), jump=0.1)
    edit = Edit(canvas.z(), canvas.cells(), 1.0)
    space = build_space(canvas.surface, views, Trust(), wanted=edit.cells)
    return edit, canvas.image(edit.softened(space, torch.ones_like(edit.z)), 0)[..., 0]


def test_the_rim_rises_from_the_border_and_stops_there():
    _, painted = half_painted()
    assert (painted[:, :32] == 0).all()
    profile = painted[20:44].mean(0)
    assert 0 < profile[32] < 0.7
    assert (np.diff(profile[32:40]) > -1e-6).all()
    assert profile[38:58].min() > 0.999


def test_the_outline_of_an_object_is_no_rim():
    _, painted = half_painted()
    assert painted[:, 60:].min() > 0.95
    assert painted[0, 40:].min() > 0.95
