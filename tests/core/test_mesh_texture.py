"""Mesh textures as a linear space: what views read of texels, and which texels see which views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from practice_shapes import box, needs_data, quad, real_mesh
from torch import Tensor

from weft.geometry.camera import Camera, frame_object, look_at, orbit, standard_ring
from weft.geometry.mesh import Mesh
from weft.geometry.rasterize import Fragments, interpolate
from weft.spaces.mesh_texture import (
    LEAST_COSINE,
    MeshTextureSpace,
    Trust,
    build_space,
    rasterize_views,
    sample_views,
)
from weft.spaces.surface import Surface, build_surface

RING = [(20.0, 10.0), (110.0, -15.0), (200.0, 10.0), (290.0, -15.0), (30.0, 80.0), (70.0, -75.0)]


def space_of(meshes: list[Mesh], *, size: int = 96, texels: int = 96, directions=RING, trust=None) -> MeshTextureSpace:
    surface = build_surface(meshes, texels)
    cameras = frame_object(surface.vertices, directions, size)
    return seen_by(surface, cameras, trust or Trust())


def seen_by(surface: Surface, cameras: list[Camera], trust: Trust) -> MeshTextureSpace:
    return build_space(surface, rasterize_views(surface, cameras, jump=0.08 * surface.radius()), trust)


@pytest.fixture(scope="module")
def ball() -> MeshTextureSpace:
    return space_of([box(10, sphere=True)])


@pytest.fixture(scope="module")
def cube() -> MeshTextureSpace:
    return space_of([box(2)])


def texel_uv(surface: Surface) -> Tensor:
    """[cells, 2], of the texels' centres."""
    _, rows, columns = np.nonzero(surface.chart)
    uv = np.stack([(columns + 0.5) / surface.size, 1 - (rows + 0.5) / surface.size], 1)
    return torch.from_numpy(uv.astype(np.float32))


def random_views(space: MeshTextureSpace, seed: int = 0) -> Tensor:
    n, height, width = space.views.shape
    return torch.rand((n, 3, height, width), generator=torch.Generator().manual_seed(seed))


def fragments(space: MeshTextureSpace) -> Fragments:
    return Fragments(space.views.triangle, space.views.barycentric, space.views.depth)


# Views read texels


def test_reading_is_exact_for_linear_functions_of_uv(ball):
    """Away from chart borders, where all four texels of a bilinear read belong to the chart."""
    surface, size = ball.surface, ball.surface.size
    read = ball.linear(1.0).project(texel_uv(surface)).numpy()
    uv = interpolate(fragments(ball), surface.corner_uv).reshape(-1, 2)
    x, y = uv[:, 0] * size - 0.5, (1 - uv[:, 1]) * size - 0.5
    left, top = (np.clip(np.floor(v).astype(int), 0, size - 2) for v in (x, y))
    chart = surface.chart[0]
    whole = chart[top, left] & chart[top, left + 1] & chart[top + 1, left] & chart[top + 1, left + 1]
    inner = ball.views.mask.reshape(-1) & whole
    assert inner.sum() > 0.85 * ball.views.mask.sum()
    assert np.abs(read - uv)[inner].max() < 1e-5


def test_a_pixel_reads_the_average_of_its_texels_or_nothing(ball):
    covered = ball.views.mask.reshape(-1)
    assert np.abs(ball.projection.row_sums[covered] - 1).max() < 1e-5
    assert not ball.projection.row_counts[~covered].any()
    assert ball.projection.values.min() > -1e-6


def test_pixels_read_their_own_object():
    """Two objects with equal UVs: values never leak from one texture into the other."""
    space = space_of([box(2), replace(box(2), vertices=box(2).vertices + np.array([3, 0, 0], np.float32))])
    owner = torch.from_numpy(space.surface.object.astype(np.float32))[:, None]
    read = space.linear(1.0).project(owner)[:, 0].numpy().reshape(space.views.shape)
    expected = space.surface.face_object[space.views.triangle]
    assert np.array_equal(read[space.views.mask].round(4), expected[space.views.mask])


def test_facing_is_the_cosine_of_the_view_angle(ball):
    normal = interpolate(fragments(ball), ball.surface.normals, ball.surface.faces)
    position = interpolate(fragments(ball), ball.surface.vertices, ball.surface.faces)
    for i, camera in enumerate(ball.views.cameras):
        hit = ball.views.mask[i]
        n = normal[i][hit] / np.linalg.norm(normal[i][hit], axis=1, keepdims=True)
        assert np.abs((n * camera.toward(position[i][hit])).sum(1) - ball.facing[i][hit]).max() < 1e-4
        assert not ball.facing[i][~hit].any()


# Texels look back


@pytest.mark.parametrize("exponent", [1.0, 6.0, 60.0])
@pytest.mark.parametrize("taps", [2, 4])
def test_a_texel_takes_a_weighted_average_or_nothing(ball, exponent, taps):
    gather = ball.linear(exponent, taps=taps).gather
    seen = ball.sampling.weight[:, 0] > 0
    assert seen.mean() > 0.9
    assert np.abs(gather.row_sums[seen] - 1).max() < 1e-5
    assert not gather.row_counts[~seen].any()


@pytest.mark.parametrize(("taps", "passes"), [(2, 0), (4, 0), (4, 2)])
def test_constants_survive(cube, taps, passes):
    linear = cube.linear(6.0, taps=taps, residual_passes=passes)
    constant = torch.full((len(RING), 3, 96, 96), 0.7)
    views, z = linear.synchronize(constant)
    assert (views - constant).abs().max() < 1e-5
    assert (z - 0.7).abs().max() < 1e-5


def test_background_pixels_are_neither_read_nor_written_far_from_the_object(ball):
    """Pixels more than a tap away from the object count for nothing; background pixels keep what they had."""
    views = random_views(ball)
    far = torch.nn.functional.max_pool2d(torch.from_numpy(ball.views.mask)[:, None].float(), 5, 1, 2) == 0
    changed = torch.where(far, views + 9, views)
    linear = ball.linear(6.0, taps=4)
    (one, z_one), (two, z_two) = linear.synchronize(views), linear.synchronize(changed)
    assert torch.equal(z_one, z_two)
    outside = ~torch.from_numpy(ball.views.mask)[:, None].expand(-1, 3, -1, -1)
    assert torch.equal(one[outside], views[outside])
    assert torch.equal(two[outside], changed[outside])


@pytest.mark.parametrize("taps", [2, 4])
def test_a_texture_comes_back_where_it_is_seen_squarely(ball, taps):
    """A smooth function of position, painted, seen and gathered again."""
    position = torch.from_numpy(ball.surface.position)
    z = torch.sin(4 * position)
    linear = ball.linear(6.0, taps=taps)
    again = linear.aggregate(linear.project(z))
    square = torch.from_numpy(ball.sampling.cosine > 0.65)
    assert square.float().mean() > 0.4
    error = (again - z).abs()
    assert error[square].mean() < 0.012
    assert error[square].quantile(0.99) < 0.06
    assert linear.synchronize(linear.views_of(linear.project(z)))[1].shape == z.shape


def test_weights_are_those_of_the_definition(cube):
    """cos^power times trust in the pixel times the radial fall-off, of every cell and view, one by one."""
    trust = Trust(power=2.0, radial=0.7, ramp=4, kept=6)
    surface, views = cube.surface, cube.views
    sampling = sample_views(surface, views, trust)
    edges = np.maximum(views.edge_trust(4), 0.02)
    _, height, width = views.shape
    for i, camera in enumerate(views.cameras):
        at, depth = camera.project(surface.position)
        cosine = (surface.normal * camera.toward(surface.position)).sum(1)
        x, y = (at - 0.5).T
        column, row = (np.clip(np.rint(v), 0, n - 1).astype(int) for v, n in ((x, width), (y, height)))
        squares = ((2 * x + 1 - width) / width) ** 2 + ((2 * y + 1 - height) / height) ** 2
        expected = cosine.clip(0) ** 2 * edges[i, row, column] * np.exp(-0.7 * squares)
        used = (sampling.image == i) & (sampling.weight > 0)
        cell = np.flatnonzero(used.any(1))
        assert len(cell) > 500
        assert np.allclose(sampling.weight[used], expected[cell], rtol=0.03, atol=1e-4)
        assert np.abs(sampling.x[used] - x[cell]).max() < 1e-2
        assert np.abs(sampling.y[used] - y[cell]).max() < 1e-2
        # Conversely: what is in front, squarely seen and on solid ground is not left out.
        solid = (cosine > 0.3) & (views.edge_trust(4)[i, row, column] == 1)
        solid &= np.abs(depth - views.depth[i, row, column]) < views.jump / 4
        assert used.any(1)[solid].all()


def test_views_are_listed_best_first_and_each_once(ball):
    weight, image = ball.sampling.weight, ball.sampling.image
    assert (np.diff(weight, axis=1) <= 0).all()
    for k in range(1, weight.shape[1]):
        used = weight[:, k] > 0
        assert (image[used, k, None] != image[used, :k]).all()


def test_candidates_limit_the_views_tried(ball):
    """Naming all views for every cell changes nothing; naming none leaves the cell unseen."""
    n = ball.surface.cells
    every = np.tile(np.arange(len(RING), dtype=np.int32), (n, 1))
    assert np.array_equal(sample_views(ball.surface, ball.views, Trust(), every).weight, ball.sampling.weight)
    every[: n // 2] = -1
    every[n // 2 :, 1:] = -1
    limited = sample_views(ball.surface, ball.views, Trust(), every)
    assert not limited.weight[: n // 2].any()
    assert not limited.image[limited.weight > 0].any()
    assert limited.weight[n // 2 :].any()


def test_back_faces_are_not_seen(cube):
    surface = cube.surface
    for i, camera in enumerate(cube.views.cameras):
        turned_away = (surface.normal * camera.toward(surface.position)).sum(1) < LEAST_COSINE - 1e-3
        assert turned_away.sum() > 1000
        assert not ((cube.sampling.image == i) & (cube.sampling.weight > 0))[turned_away].any()


def test_what_another_object_hides_is_not_seen():
    """A small square in front of a large one, from the front: its shadow, two pixels smaller, is unseen."""
    surface = build_surface([quad("behind", 1.0, 0.5), quad("before", 0.4, -0.5)], 128)
    space = seen_by(surface, frame_object(surface.vertices, [(0.0, 0.0)], 128), Trust())
    camera = space.views.cameras[0]
    corners, _ = camera.project(surface.vertices[surface.faces[surface.face_object == 1]].reshape(-1, 3))
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    at, _ = camera.project(surface.position)
    behind, seen = surface.object == 0, space.sampling.weight[:, 0] > 0
    inside = np.minimum.reduce([at[:, 0] - left, right - at[:, 0], at[:, 1] - top, bottom - at[:, 1]])
    assert (behind & (inside > 2)).sum() > 500
    assert not seen[behind & (inside > 2)].any()
    assert seen[behind & (inside < -2)].all()
    assert seen[~behind].all()
    assert (space.sampling.cosine[behind & (inside > 2)] == 0).all()


def test_the_colour_of_an_occluder_stays_on_it():
    surface = build_surface([quad("behind", 1.0, 0.5), quad("before", 0.4, -0.5)], 128)
    cameras = frame_object(surface.vertices, [(-35.0, 0.0), (0.0, 0.0), (35.0, 0.0)], 128)
    space = seen_by(surface, cameras, Trust())
    owner = torch.from_numpy(space.surface.object.astype(np.float32))[:, None]
    linear = space.linear(6.0)
    again = linear.aggregate(linear.project(owner))
    wrong = (again - owner).abs()[torch.from_numpy(space.surface.object == 0)]
    assert (wrong > 0.25).float().mean() < 0.02


# Frames that cut the object


@pytest.mark.parametrize("shift", [(0.0, 0.0), (60.0, -25.0)], ids=["centred", "to the side"])
def test_what_lies_outside_every_frame_is_never_sampled(shift):
    """A lens too long for the object: clamping would smear the frame's border over what it cuts off."""
    surface = build_surface([box(8, sphere=True)], 96)
    wide = frame_object(surface.vertices, [(0.0, 0.0), (90.0, 0.0)], 96)
    cameras = [replace(c, fx=2 * c.fx, fy=2 * c.fy, cx=48 + shift[0], cy=48 + shift[1]) for c in wide]
    space = seen_by(surface, cameras, Trust())
    for i, camera in enumerate(cameras):
        at, _ = camera.project(surface.position)
        used = ((space.sampling.image == i) & (space.sampling.weight > 0)).any(1)
        outside = ((at < 0.5 - 1e-3) | (at > 95.5 + 1e-3)).any(1)
        assert outside.sum() > 500
        assert used.any()
        assert not (used & outside).any()
    stripes = torch.zeros(2, 3, 96, 96)
    stripes[..., 0] = stripes[..., -1] = stripes[..., 0, :] = stripes[..., -1, :] = 1
    linear = space.linear(6.0, taps=4)
    z = linear.unproject(linear.rows_of(stripes))[torch.from_numpy(space.sampling.weight[:, 0] > 0)]
    assert (z > 0.5).float().mean() < 0.05


def test_the_object_behind_the_camera_is_not_seen():
    surface = build_surface([box(2)], 48)
    ahead = Camera(look_at((0, -4, 0), (0, -8, 0)), 64, 64, 60.0, 60.0, 32.0, 32.0)
    space = seen_by(surface, [ahead], Trust())
    assert not space.views.mask.any()
    assert not space.sampling.weight.any()
    assert space.coverage == 0
    assert space.linear(1.0).unproject(torch.zeros(64 * 64, 3)).abs().max() == 0


def test_more_views_never_see_less():
    surface = build_surface([box(8, sphere=True)], 64)
    cameras = frame_object(surface.vertices, standard_ring(12), 64)
    coverage = [seen_by(surface, cameras[:n], Trust()).coverage for n in (1, 2, 4, 8, 12)]
    assert coverage == sorted(coverage)
    assert coverage[0] < 0.5
    assert coverage[-1] > 0.99


def test_orthographic_and_distant_views_agree():
    """An orthographic camera is a perspective one from very far."""
    surface = build_surface([box(8, sphere=True)], 64)
    far = Camera(orbit(30, 20, 400.0), 64, 64, 28.0 * 400, 28.0 * 400, 32.0, 32.0, near=390.0)
    flat = Camera(orbit(30, 20, 400.0), 64, 64, 28.0, 28.0, 32.0, 32.0, near=390.0, orthographic=True)
    one, two = (seen_by(surface, [camera], Trust()) for camera in (far, flat))
    assert (one.views.mask != two.views.mask).mean() < 0.01
    assert np.mean((one.sampling.weight[:, 0] > 0) != (two.sampling.weight[:, 0] > 0)) < 0.02
    both = (one.sampling.weight[:, 0] > 0) & (two.sampling.weight[:, 0] > 0)
    assert np.abs(one.sampling.x[both, 0] - two.sampling.x[both, 0]).max() < 0.1
    assert np.abs(one.facing - two.facing)[one.views.mask & two.views.mask].max() < 0.02


# Ownership and taps


def test_high_exponents_give_each_texel_one_owner(ball):
    """Every view is painted in a colour of its own: the best view's colour arrives, at low exponents a blend."""
    n = len(RING)
    colours = torch.arange(n, dtype=torch.float32)[:, None, None, None].expand(n, 3, 96, 96)
    rows = ball.linear(1.0).rows_of(colours)
    seen = torch.from_numpy(ball.sampling.weight[:, 0] > 0)
    best = torch.from_numpy(ball.sampling.image[:, 0].astype(np.float32))[:, None]

    def owned(exponent: float) -> float:
        z = ball.linear(exponent).gather @ rows
        return ((z - best).abs().amax(1) < 1e-3)[seen].float().mean().item()

    shares = [owned(exponent) for exponent in (1.0, 6.0, 60.0, 1000.0)]
    assert shares == sorted(shares)
    assert shares[0] < 0.7
    assert shares[-1] > 0.95


@pytest.mark.parametrize("taps", [2, 4])
def test_taps_reproduce_ramps(ball, taps):
    """Bilinear and Catmull-Rom reads sum to 1 and are exact for linear ramps: here the pixel's own coordinates."""
    height, width = ball.views.shape[1:]
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    ramps = torch.stack([x, y, torch.ones_like(x)]).expand(len(RING), 3, height, width)
    linear = ball.linear(1000.0, taps=taps)
    z = (linear.gather @ linear.rows_of(ramps)).numpy()
    ratio = ball.sampling.weight[:, 1] / np.maximum(ball.sampling.weight[:, 0], 1e-9)
    alone = (ball.sampling.weight[:, 0] > 0) & (ratio < 0.99)
    expected = np.stack([ball.sampling.x[:, 0], ball.sampling.y[:, 0], np.ones(ball.surface.cells)], 1)
    assert alone.mean() > 0.9
    assert np.abs(z - expected)[alone].max() < 2e-3


def test_four_taps_are_sharper_than_two(ball):
    views = random_views(ball)
    two, four = (ball.linear(60.0, taps=taps).synchronize(views)[1].std() for taps in (2, 4))
    assert four > 1.05 * two


def test_residual_passes_bring_the_views_closer_to_what_they_were(ball):
    """One pass undoes part of the blur of reading and gathering."""
    z = torch.sin(25 * torch.from_numpy(ball.surface.position))
    original = ball.linear(1.0).project(z)

    def error(passes: int) -> float:
        linear = ball.linear(6.0, taps=4, residual_passes=passes)
        return (linear.project(linear.aggregate(original)) - original).square().mean().item()

    assert error(1) < 0.7 * error(0)


# Unseen texels


def test_unseen_texels_copy_the_nearest_seen_one_of_their_object():
    """From one side: each of the balls fills its back from its own front, even where the other ball is nearer."""
    second = replace(box(8, sphere=True), vertices=box(8, sphere=True).vertices + np.array([0, 2.05, 0], np.float32))
    space = space_of([box(8, sphere=True), second], directions=[(60.0, 0.0)], texels=64)
    surface, seen = space.surface, space.sampling.weight[:, 0] > 0
    assert np.array_equal(surface.object[space.fill], surface.object)
    assert seen[space.fill].all()
    assert np.array_equal(space.fill[seen], np.flatnonzero(seen))
    for index in range(2):
        own = surface.object == index
        targets = np.flatnonzero(~seen & own)[::7]
        assert len(targets) > 50
        distance = np.linalg.norm(surface.position[targets, None] - surface.position[None, seen & own], axis=2).min(1)
        chosen = np.linalg.norm(surface.position[targets] - surface.position[space.fill[targets]], axis=1)
        assert np.abs(chosen - distance).max() < 1e-5


def test_an_object_that_nobody_sees_copies_from_the_others():
    space = space_of([box(6, sphere=True), box(2, radius=0.2, name="inside")], texels=48)
    surface, seen = space.surface, space.sampling.weight[:, 0] > 0
    inner = surface.object == 1
    assert not seen[inner].any()
    assert seen[space.fill[inner]].all()
    assert (space.linear(6.0).synchronize(torch.ones(len(RING), 3, 96, 96))[1] - 1).abs().max() < 1e-5


def test_where_nothing_is_seen_nothing_is_copied():
    """No camera looks at the object: the texture stays empty, and nothing fails."""
    surface = build_surface([quad()], 16)
    behind = [Camera(orbit(180, 0, 4.0), 32, 32, 30.0, 30.0, 16.0, 16.0)]
    space = seen_by(surface, behind, Trust())
    assert space.coverage == 0
    views, z = space.linear(6.0).synchronize(torch.ones(1, 3, 32, 32))
    assert not z.any()
    assert torch.isfinite(views).all()


# Real meshes


@needs_data
def test_a_real_mesh_obeys_too():
    space = space_of([real_mesh("spot.obj")], size=128, texels=256, directions=standard_ring(10))
    assert space.coverage > 0.9
    linear = space.linear(6.0)
    z = torch.sin(6 * torch.from_numpy(space.surface.position))
    again = linear.aggregate(linear.project(z))
    square = torch.from_numpy(space.sampling.cosine > 0.8)
    assert (again - z).abs()[square].mean() < 0.02
    constant = torch.full((10, 3, 128, 128), -0.3)
    assert (linear.synchronize(constant)[0] - constant).abs().max() < 1e-5
