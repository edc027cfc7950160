"""The quality metrics against pictures whose scores are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from weft import metrics
from weft.errors import InvalidInput, InvalidMesh
from weft.geometry.camera import Camera, look_at
from weft.geometry.mesh import Mesh
from weft.geometry.rasterize import interpolate, rasterize


def noise(size: int, smooth: float, seed: int = 0) -> np.ndarray:
    """f4 [size, size, 3], periodic, mean 0.5, standard deviation 0.15."""
    white = np.random.default_rng(seed).standard_normal((size, size, 3))
    soft = ndimage.gaussian_filter(white, (smooth, smooth, 0), mode="wrap")
    return (0.5 + 0.15 * soft / soft.std()).astype(np.float32)


# PSNR and sharpness


@given(offset=st.floats(0.01, 0.9))
@settings(max_examples=20, deadline=None)
def test_psnr_of_a_constant_offset(offset: float) -> None:
    image = np.full((8, 9, 3), 0.05)
    assert metrics.psnr(image, image + offset) == pytest.approx(-20 * np.log10(offset), abs=1e-6)
    assert metrics.psnr(image, image) == np.inf


def test_psnr_looks_only_inside_the_mask() -> None:
    a, b = np.zeros((6, 6, 3)), np.zeros((6, 6, 3))
    b[3:] = 0.1
    lower = np.zeros((6, 6), bool)
    lower[3:] = True
    assert metrics.psnr(a, b, ~lower) == np.inf
    assert metrics.psnr(a, b, lower) == pytest.approx(20)
    with pytest.raises(InvalidInput, match="no pixel"):
        metrics.psnr(a, b, np.zeros((6, 6), bool))
    with pytest.raises(InvalidInput, match="shapes"):
        metrics.psnr(a, b[:5])


def test_sharpness_of_a_ramp_is_its_slope() -> None:
    y, x = np.mgrid[:20, :30]
    ramp = np.repeat((0.01 * x + 0.02 * y)[..., None], 3, -1)
    assert metrics.sharpness(ramp) == pytest.approx(0.03)
    assert metrics.sharpness(ramp, np.ones((20, 30), bool)) == pytest.approx(0.03)


def test_sharpness_ignores_the_silhouette() -> None:
    image = np.zeros((40, 40, 3))
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    image[mask] = 1
    assert metrics.sharpness(image, mask) == 0
    with pytest.raises(InvalidInput, match="3 px"):
        metrics.sharpness(image, mask & (np.arange(40) < 14))


def test_blur_lowers_sharpness_and_shifts_do_not_change_it() -> None:
    image = noise(64, 1.0)
    blurred = [
        metrics.sharpness(ndimage.gaussian_filter(image, (s, s, 0), mode="wrap")) for s in (0.0001, 0.5, 1, 2, 4)
    ]
    assert all(a > b for a, b in itertools.pairwise(blurred))
    shifted = np.roll(image, (5, 11), (0, 1))
    assert metrics.sharpness(shifted) == pytest.approx(metrics.sharpness(image), rel=0.02)
    whole = np.ones((64, 64), bool)
    assert metrics.relative_sharpness([image, image], [whole, whole], image) == pytest.approx(1, rel=0.05)


# Views


def plane_views(texture: np.ndarray, eyes: list[tuple[float, float, float]]) -> tuple[list, ...]:
    """A square [-1, 1]² in the plane z = 0 with `texture` on it, seen from above by cameras at `eyes`."""
    vertices = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], np.float32)
    faces = np.array([(0, 1, 2), (0, 2, 3)], np.int32)
    images, cameras, positions, depths, cosines = [], [], [], [], []
    size = texture.shape[0]
    for eye in eyes:
        camera = Camera(look_at(eye, (0, 0, 0), (0, 1, 0)), 96, 96, 100.0, 100.0, 48.0, 48.0)
        fragments = rasterize(vertices, faces, camera)
        position = np.asarray(interpolate(fragments, vertices, faces))
        to_eye = np.array(eye) - position
        at = (np.stack([1 - position[..., 1], 1 + position[..., 0]]) / 2 * size - 0.5).astype(np.float64)
        shown = [ndimage.map_coordinates(texture[..., c], at, order=1, mode="nearest") for c in range(3)]
        images.append(np.stack(shown, -1))
        cameras.append(camera)
        positions.append(position)
        depths.append(fragments.depth)
        cosines.append(to_eye[..., 2] / np.linalg.norm(to_eye, axis=-1))
    return images, cameras, positions, depths, cosines


EYES = [(0.0, 0.0, 2.5), (0.9, 0.2, 2.4), (-0.8, 0.5, 2.4)]


def test_views_of_one_texture_agree_and_an_offset_is_measured() -> None:
    images, *rest = plane_views(noise(64, 3.0), EYES)
    same = metrics.pairwise_view_psnr(images, *rest)
    assert same is not None
    assert same > 38  # what two bilinear samplings lose
    flat = [np.full_like(image, 0.3 + 0.1 * i) for i, image in enumerate(images[:2])]
    offset = metrics.pairwise_view_psnr(flat, *(part[:2] for part in rest))
    assert offset == pytest.approx(20, abs=1e-3)


def test_other_textures_disagree() -> None:
    images, *rest = plane_views(noise(64, 3.0), EYES)
    images[1] = plane_views(noise(64, 3.0, seed=1), EYES)[0][1]
    score = metrics.pairwise_view_psnr(images, *rest)
    assert score is not None
    assert score < 30


def test_views_without_common_surface_give_none() -> None:
    images, *rest = plane_views(noise(64, 3.0), EYES[:1])
    assert metrics.pairwise_view_psnr(images, *rest) is None


def test_occluded_pixels_are_not_compared() -> None:
    """An occluder drawn into one view's depth and image leaves the other pixels' score untouched."""
    images, cameras, positions, depths, cosines = plane_views(noise(64, 3.0), EYES[:2])
    before = metrics.pairwise_view_psnr(images, cameras, positions, depths, cosines)
    images[0][40:56, 40:56] = 1
    positions[0][40:56, 40:56] += (0, 0, 1.0)
    depths[0][40:56, 40:56] -= 1.0
    cosines[0][40:56, 40:56] = 0.1  # it faces away, so that it is not compared with what lies behind it either
    after = metrics.pairwise_view_psnr(images, cameras, positions, depths, cosines)
    assert after == pytest.approx(before, abs=1.0)


def test_rerender_psnr_is_the_mean_over_views_of_facing_pixels() -> None:
    view = noise(32, 1.0)
    mask = np.ones((32, 32), bool)
    facing = np.where(np.arange(32) < 16, 0.9, 0.2) * np.ones((32, 1))
    near, far = view.copy(), view + 0.1
    near[:, 16:] = 0  # behind the limit of 0.3: does not count
    score = metrics.rerender_psnr([near + 0.01, far], [view, view], [mask, mask], [facing, facing])
    assert score == pytest.approx((40 + 20) / 2, abs=1e-3)
    with pytest.raises(InvalidInput, match="no view"):
        metrics.rerender_psnr([view], [view], [mask], [0 * facing])


# Textures and charts


def test_coverage_counts_seen_chart_texels() -> None:
    cosine = np.zeros((10, 10))
    cosine[:5] = 0.5
    inside = np.zeros((10, 10), bool)
    inside[:, :4] = True
    assert metrics.coverage(cosine, inside) == 0.5
    with pytest.raises(InvalidInput):
        metrics.coverage(cosine, ~inside & inside)


def two_charts(size: int, shift: float, gap: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A flat sheet cut down the middle; the right half lies `shift` texels lower on the surface and `gap` away."""
    y, x = np.mgrid[:size, :size].astype(np.float64)
    chart = np.where(x < size // 2, 0, 1).astype(np.int32)
    position = np.stack([x + gap * chart, y + shift * chart, 0 * x], -1) / size
    position[:, [0, -1]] = np.nan
    chart[:, [0, -1]] = -1
    return position.astype(np.float32), chart


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.5])
def test_a_continuous_texture_has_no_seam(shift: float) -> None:
    """Sampled from one function of space, however the charts are cut, the ratio is 1."""
    size = 128
    position, chart = two_charts(size, shift)
    waves = np.random.default_rng(0).integers(-9, 10, (60, 2))
    phase = np.random.default_rng(1).uniform(0, 6.28, 60)
    place = np.nan_to_num(position[..., :2].astype(np.float64))
    texture = np.sin(2 * np.pi * place @ waves.T + phase).mean(-1)[..., None].repeat(3, -1)
    assert metrics.seam_energy(texture, position, chart) == pytest.approx(1, abs=0.12)


def test_a_step_at_the_seam_is_measured() -> None:
    size = 64
    position, chart = two_charts(size, 0.0)
    y, x = np.mgrid[:size, :size]
    texture = np.repeat((0.01 * (x + y))[..., None], 3, -1)
    smooth = metrics.seam_energy(texture, position, chart)
    assert smooth == pytest.approx(1, abs=0.05)
    broken = metrics.seam_energy(texture + 0.05 * (chart == 1)[..., None], position, chart)
    assert 4.5 < broken < 8  # pairs across change by 0.06 on average, instead of 0.01
    worse = metrics.seam_energy(texture + 0.2 * (chart == 1)[..., None], position, chart)
    assert worse > 2 * broken


def test_seams_are_pairs_that_touch_in_space() -> None:
    position, chart = two_charts(64, 0.0, gap=5.0)
    texture = noise(64, 2.0) + (chart == 1)[..., None]
    assert metrics.seam_energy(texture, position, chart) == 1.0
    one = np.where(chart >= 0, 0, -1).astype(np.int32)
    assert metrics.seam_energy(texture, position, one) == 1.0
    flat = np.full((64, 64, 3), 0.5)
    touching, _ = two_charts(64, 0.0)
    assert metrics.seam_energy(flat, touching, chart) == 1.0
    assert metrics.seam_energy(flat + 0.1 * (chart == 1)[..., None], touching, chart) == np.inf
    with pytest.raises(InvalidInput, match="larger texture"):
        metrics.seam_energy(flat, touching, np.full((64, 64), -1, np.int32))


def cube() -> Mesh:
    """A unit cube with one UV island per side (side k fills the k-th cell of a 3×2 grid)."""
    vertices = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * 0.9 + 0.05
    faces, uv = [], []
    for number, side in enumerate(sides):
        cell = (square + np.array([number % 3, number // 3])) / (3, 2)
        for fan in ((0, 1, 2), (0, 2, 3)):
            faces.append([side[i] for i in fan])
            uv.append(cell[list(fan)])
    return Mesh("cube", vertices, np.array(faces, np.int32), np.array(uv, np.float32))


def test_each_side_of_a_cut_cube_is_a_chart() -> None:
    mesh = cube()
    charts = metrics.chart_ids(mesh)
    assert charts.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    together = Mesh("cube", mesh.vertices, mesh.faces, mesh.vertices[mesh.faces][..., :2].copy())
    assert metrics.chart_ids(together).tolist() == [0] * 12
    triangle = np.array([[-1, 0], [3, 11]], np.int32)
    assert metrics.chart_map(triangle, charts).tolist() == [[-1, 0], [1, 5]]
    with pytest.raises(InvalidMesh, match="no UVs"):
        metrics.chart_ids(Mesh("bare", mesh.vertices, mesh.faces))


def test_vertices_split_by_an_exporter_do_not_cut_charts() -> None:
    mesh = cube()
    assert mesh.corner_uv is not None
    soup = Mesh("soup", mesh.vertices[mesh.faces].reshape(-1, 3), np.arange(36, dtype=np.int32).reshape(-1, 3))
    soup = Mesh("soup", soup.vertices, soup.faces, mesh.corner_uv)
    assert np.array_equal(metrics.chart_ids(soup), metrics.chart_ids(mesh))


# Patch distance


def test_patch_distance_is_zero_to_itself_and_grows_with_blur() -> None:
    image = noise(96, 1.0)
    assert metrics.patch_distance([image], [image]) == 0
    scores = [
        metrics.patch_distance([ndimage.gaussian_filter(image, (s, s, 0), mode="wrap")], [image]) for s in (0.7, 1.5, 3)
    ]
    assert 0 < scores[0] < scores[1] < scores[2]


def test_patch_distance_does_not_care_where_patches_lie() -> None:
    """A rolled periodic texture has the same patches; another colour has not."""
    image = noise(96, 1.0)
    moved = metrics.patch_distance([np.roll(image, (30, 50), (0, 1))], [image])
    brighter = metrics.patch_distance([image + 0.2], [image])
    assert moved < 0.15 * brighter


def test_patch_distance_of_flat_colours_is_their_projected_difference() -> None:
    """Two constant images differ by c·1 in 147 dimensions: the mean |projection| of that is c·sqrt(2 / π)."""
    a, b = np.full((40, 40, 3), 0.2), np.full((40, 40, 3), 0.5)
    assert metrics.patch_distance([a], [b]) == pytest.approx(0.3 * np.sqrt(2 / np.pi), rel=0.12)


def test_patch_distance_keeps_inside_the_mask() -> None:
    image, framed = noise(64, 1.0), noise(64, 1.0)
    mask = np.zeros((64, 64), bool)
    mask[:, :40] = True
    framed[~mask] = 1
    inside = metrics.patch_distance([framed], [image], [mask])
    outside = metrics.patch_distance([framed], [image])
    assert inside < 0.4 * outside
    with pytest.raises(InvalidInput, match="patch"):
        metrics.patch_distance([image], [image], [np.zeros((64, 64), bool)])


def test_the_two_sides_of_a_sheet_are_no_seam():
    side = 24
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    position = np.full((side, 2 * side + 4, 3), np.nan, np.float32)
    chart = np.full(position.shape[:2], -1, np.int32)
    normal = np.zeros_like(position)
    for k, left in enumerate((0, side + 4)):  # front and back of one square, a hair apart
        position[:, left : left + side] = np.stack([columns, rows, np.full_like(rows, 0.01 * k)], -1)
        normal[:, left : left + side, 2] = 1 - 2 * k
        chart[:, left : left + side] = k
    texture = np.random.default_rng(0).random((*chart.shape, 3), np.float32)
    assert metrics.seam_energy(texture, position, chart, normal) == 1
    every = metrics.seam_energy(texture, position, chart)
    assert every > 1.1
    assert metrics.seam_energy(texture, position, chart, np.abs(normal)) == every
