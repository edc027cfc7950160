"""Moving a part of a scene under its cameras: rigid motions, which cells move, and what views tell of the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from practice_clouds import ball
from practice_moves import RIGID, beside, cameras, from_depth, painted, psnr, rendered, scene, stage

from weft.errors import InvalidInput, WeftError
from weft.geometry.rigid import Rigid
from weft.spaces.carried import coarse_edit
from weft.spaces.membrane import membrane
from weft.spaces.mesh_texture import MeshTextureSpace
from weft.spaces.moved import Moved, check_moved, members_masked, members_named, moved_depth, moved_mesh, moved_splats
from weft.spaces.splat_geometry import splat_view_geometry


def test_motions_form_a_group() -> None:
    a, b = Rigid.of((1, 2, 3), (10, 20, 30), (1, 0, 0)), Rigid.of((0, -1, 0.5), (-70, 5, 160))
    points = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    np.testing.assert_allclose((a @ b).points(points), a.points(b.points(points)), atol=1e-5)
    np.testing.assert_allclose(a.inverse.points(a.points(points)), points, atol=1e-5)
    np.testing.assert_allclose((a @ a.inverse).matrix, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(a.directions(points), a.points(points) - a.points(np.zeros(3)), atol=1e-5)
    assert (a @ a.inverse).reach(points) < 1e-9 < a.reach(points)


def test_a_turn_leaves_its_pivot_and_goes_about_x_then_y_then_z() -> None:
    pivot = np.array([(0.3, -2.0, 1.0)])
    np.testing.assert_allclose(Rigid.of(rotate=(30, 40, 50), pivot=pivot[0]).points(pivot), pivot, atol=1e-6)
    quarter = Rigid.of(rotate=(90, 0, 90))
    np.testing.assert_allclose(quarter.points(np.array([(0, 1.0, 0)])), [(0, 0, 1)], atol=1e-6)  # Y to Z, which stays
    np.testing.assert_allclose(quarter.points(np.array([(1.0, 0, 0)])), [(0, 1, 0)], atol=1e-6)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), "expected 4 × 4"),
        (np.full((4, 4), np.nan), "finite"),
        (np.eye(4) + np.eye(4, k=-1), "last row"),
        (np.diag([2.0, 2, 2, 1]), "scales by 2 2 2"),
        (np.diag([-1.0, 1, 1, 1]), "mirrors"),
        (np.array([[1, 0.6, 0, 0], [0, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "shears"),
    ],
)
def test_what_is_not_rigid_is_refused_in_one_line(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        Rigid(matrix)
    assert "\n" not in str(caught.value)


def test_a_mask_of_known_cells_is_lifted_back() -> None:
    at = stage()
    masks = at.moved.was
    for geometry, least in ((at.moved.before, 0.99), (from_depth(), 0.97)):
        lifted = members_masked(geometry, masks)
        shown = lifted[geometry.space(1.0).nearest.reshape(geometry.shape)]
        assert (shown == masks)[geometry.mask].mean() > least
    seen = at.moved.before.space(1.0).seen
    assert (members_masked(at.moved.before, masks) == at.ball)[seen].mean() > 0.99


def test_no_motion_gives_the_views_back_bit_by_bit() -> None:
    at, still = stage(), Rigid(np.eye(4))
    lifted = members_masked(from_depth(), at.moved.was)
    for moved in (moved_mesh(at.space, at.ball, still), moved_depth(from_depth(), lifted, still)):
        coarse = coarse_edit(moved, at.images)
        np.testing.assert_array_equal(coarse.images, at.images)
        assert coarse.kept.all()
        assert not coarse.holes.any()


def test_there_and_back_is_where_it_was() -> None:
    at = stage()
    assert isinstance(at.moved.scene, MeshTextureSpace)
    back = moved_mesh(at.moved.scene, at.moved.members, RIGID.inverse)
    np.testing.assert_allclose(back.after.cell_position, at.moved.before.cell_position, atol=1e-5)
    assert (back.now == at.moved.was).mean() > 0.999
    again = coarse_edit(back, at.coarse.images)
    assert psnr(again.images, at.images, at.moved.was & ~again.holes) > 24


def test_carried_views_are_those_of_the_moved_scene() -> None:
    at = stage()
    coarse, now = at.coarse, at.moved.now
    carried, appeared = now & ~coarse.holes, at.moved.was & ~now & ~coarse.holes
    assert psnr(coarse.images, at.truth, carried) > 28
    assert psnr(coarse.images, at.truth, carried & ~beside(now)) > 31
    assert psnr(coarse.images, at.truth, appeared) > 36
    assert psnr(coarse.images, at.truth, np.ones_like(now)) > 37
    np.testing.assert_array_equal(coarse.images[coarse.kept], at.images[coarse.kept])
    np.testing.assert_array_equal(at.truth[coarse.kept], at.images[coarse.kept])
    assert coarse.kept.sum() > 0.95 * (at.truth == at.images).all(-1).sum()


def test_depth_maps_carry_as_meshes_do() -> None:
    at = stage()
    moved = moved_depth(from_depth(), members_masked(from_depth(), at.moved.was), RIGID)
    coarse = coarse_edit(moved, at.images)
    both = moved.now & at.moved.now
    assert both.sum() > 0.9 * (moved.now | at.moved.now).sum()
    assert psnr(coarse.images, at.truth, both & ~coarse.holes) > 27
    assert psnr(coarse.images, at.truth, np.ones_like(both)) > 34
    np.testing.assert_array_equal(coarse.images[coarse.kept], at.images[coarse.kept])


def test_colours_are_carried_unmixed() -> None:
    """A ball of one colour before a wall of another: nothing in between but along the new outline."""
    moved = stage().moved
    red, blue = np.array((0.9, 0.1, 0.2), np.float32), np.array((0.1, 0.3, 0.8), np.float32)
    images = np.where(moved.was[..., None], red, blue)
    images[beside(moved.was)] = (red + blue) / 2  # as lenses mix
    coarse = coarse_edit(moved, images)
    sure = ~beside(moved.now)
    np.testing.assert_allclose(coarse.images[sure], np.where(moved.now[..., None], red, blue)[sure], atol=1e-5)


def test_a_uniform_backdrop_is_continued_and_what_nobody_saw_is_a_hole() -> None:
    space = scene(wall=False)
    own, images = np.ones(space.surface.cells, bool), rendered(space, painted(space.surface))
    moved = moved_mesh(space, own, RIGID)
    coarse = coarse_edit(moved, images)
    left = moved.was & ~moved.now & ~beside(moved.now)
    assert coarse.holes[left].all()
    assert np.ptp(coarse.images[left], axis=0).max() < 1e-4
    lifted = moved_mesh(space, own, Rigid.of((0, 0, 0.3)))
    assert coarse_edit(lifted, images).holes[lifted.now].mean() < 0.02


def test_a_back_that_no_view_saw_is_a_hole() -> None:
    at = stage()
    turned = coarse_edit(moved_mesh(at.space, at.ball, Rigid.of(rotate=(0, 0, 180))), at.images)
    assert turned.holes[at.moved.was].mean() > 0.4
    assert np.isfinite(turned.images).all()
    assert at.coarse.holes.mean() < 0.02


def test_splats_move_with_their_cells() -> None:
    cloud = ball(1200)
    shift = np.array((3.0, 0, 0), np.float32)
    both = replace(
        cloud, **{
            name: np.concatenate([getattr(cloud, name), getattr(cloud, name) + (shift if name == "means" else 0)])
            for name in ("means", "quaternions", "log_scales", "logits", "sh")
        },
    )  # fmt: skip
    looks = [replace(camera, fx=60.0, fy=60.0) for camera in cameras(20)]
    before = splat_view_geometry(both, looks)
    moved = moved_splats(both, before, np.arange(2400) < 1200, Rigid.of((-1.0, 0, 0)))
    np.testing.assert_allclose(moved.after.cell_position[:1200], before.cell_position[:1200] - [1, 0, 0], atol=1e-5)
    np.testing.assert_array_equal(moved.after.cell_position[1200:], before.cell_position[1200:])
    images = np.where(before.mask[..., None], np.float32(0.2), np.float32(0.8)).repeat(3, -1)
    coarse = coarse_edit(moved, images)
    assert np.abs(coarse.images[moved.now & ~beside(moved.now)] - 0.2).max() < 0.02
    assert np.abs(coarse.images[moved.was & ~moved.after.mask & ~beside(moved.now)] - 0.8).max() < 0.02


def test_membranes_continue_slopes_and_keep_what_is_known() -> None:
    ramp = np.stack(np.meshgrid(np.linspace(0, 1, 40), np.linspace(0, 1, 32)), -1)[None].astype(np.float32)
    hole = np.zeros((1, 32, 40), bool)
    hole[0, 8:22, 11:30] = True
    spoiled = np.where(hole[..., None], np.float32(9), ramp)
    filled = membrane(spoiled, ~hole, hole)
    np.testing.assert_array_equal(filled[~hole], ramp[~hole])
    np.testing.assert_allclose(filled[hole], ramp[hole], atol=0.02)


def asked(members: np.ndarray, rigid: Rigid) -> Moved:
    moved = moved_mesh(stage().space, members, rigid)
    check_moved(moved)
    return moved


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: members_named(stage().space.surface, "cow"), "no mesh is called 'cow' .*ball, wall"),
        (lambda: members_masked(stage().moved.before, np.zeros_like(stage().moved.was)), "empty"),
        (lambda: asked(stage().ball, Rigid(np.eye(4))), "leaves the object where it is"),
        (lambda: asked(stage().ball, Rigid.of((0, 0, 50))), "in no view any more"),
        (lambda: asked(stage().ball, Rigid.of((0, 5, 0))), "in no view any more"),
    ],
)
def test_what_cannot_be_moved_is_refused_in_one_line(ask: Callable[[], object], message: str) -> None:
    with pytest.raises(WeftError, match=message) as caught:
        ask()
    assert "\n" not in str(caught.value)
