"""What a finished job says of itself: measures that notice what they should, a contact sheet, a turntable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from practice_shapes import box, quad
from scipy.ndimage import gaussian_filter

from weft.geometry.camera import Camera, frame_object, look_at
from weft.geometry.mesh import Mesh
from weft.spaces.surface import Surface, build_surface
from weft.tasks.guide import Guide
from weft.tasks.phases import DECAL_SCALE, MOST_EXEMPLAR, Painter, decal_phase, resized, view_phase
from weft.tasks.rendering import BACKGROUND, render_surface
from weft.tasks.report import Finished, contact_sheet, measure, textures_of, turntable
from weft.tasks.texture import texture
from weft.tasks.view_plan import plan_views

MEASURES = {
    "rerender_psnr", "view_psnr", "pairwise_psnr", "sharpness", "sharpness_own_resolution", "seam_energy",
    "seam_energy_with_rims", "patch_distance", "peak_memory_mb", "instance_views",
}  # fmt: skip


def checks(side: int = 96, cell: int = 6) -> np.ndarray:
    """An exemplar f4 [side, side, 3] of squares in three colours."""
    choice = np.random.default_rng(0).integers(0, 3, (side // cell, side // cell)).repeat(cell, 0).repeat(cell, 1)
    return np.array([(0.8, 0.2, 0.1), (0.9, 0.8, 0.3), (0.1, 0.2, 0.3)], np.float32)[choice]


@pytest.fixture(scope="module")
def finished() -> Finished:
    """A ball, 96² views, then decals."""
    surface = build_surface([box(8, sphere=True)], 160)
    views = plan_views(surface, size=96, count=10, cameras_from="automatic", scene=[])
    painter = Painter(checks(), 58)
    states = []
    for step in view_phase(painter, views, steps=8, seed=0, alone=False).steps():
        states.append((step.level.s, step.z))
    phase = decal_phase(painter, surface, views, states[-1][1], steps=12, seed=0)
    for step in phase.steps():
        states.append((step.level.s, step.z))
    return Finished(
        surface, views, phase, states[-1][1], Guide("exemplar", painter.picture, painter),
        (states[0], states[4], states[-1]), 0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def measured(finished: Finished) -> dict[str, Any]:
    return measure(finished)


def blurred(finished: Finished) -> Finished:
    """The same run with a soft texture."""
    image = gaussian_filter(finished.textures[0], (2, 2, 0)) * 2 - 1
    chart = torch.from_numpy(image[finished.surface.chart[0]])
    return replace(finished, z=chart)


# Numbers


def test_all_measures_are_there_and_plausible(measured, finished):
    assert set(measured) == MEASURES
    assert all(isinstance(value, (int, float)) for value in measured.values())
    assert 15 < measured["rerender_psnr"] < 60
    assert 15 < measured["view_psnr"] < 60
    assert 0.3 < measured["sharpness"] < 1.3
    assert 0.5 < measured["seam_energy"] < 1.6
    assert 0 < measured["patch_distance"] < 0.2
    assert measured["instance_views"] == len(finished.phase.space.views.cameras)
    assert measured["peak_memory_mb"] > 50


def test_blur_lowers_sharpness_and_leaves_the_patches_of_the_exemplar(measured, finished):
    soft = measure(blurred(finished))
    assert soft["sharpness"] < 0.6 * measured["sharpness"]
    assert soft["patch_distance"] > measured["patch_distance"]
    assert soft["rerender_psnr"] < measured["rerender_psnr"]


def test_the_same_run_measures_the_same(measured, finished):
    again = measure(replace(finished))
    assert {k: v for k, v in again.items() if k != "peak_memory_mb"} == {
        k: v for k, v in measured.items() if k != "peak_memory_mb"
    }


def test_a_seam_is_noticed(measured, finished):
    """Every other face of the ball is made brighter: the charts no longer fit together."""
    face = finished.surface.triangle // 128  # 8 x 8 squares of two triangles on each of six charts
    z = finished.z * 0.7 + torch.from_numpy(np.where(face % 2 == 0, 0.3, -0.3).astype(np.float32))[:, None]
    assert measure(replace(finished, z=z))["seam_energy"] > 1.5 * measured["seam_energy"]


def report_of(mesh: Mesh, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "exemplar": checks(), "cameras": [], "prompt": "", "size": 64, "steps": 6, "seed": 0, "texture_size": 64,
        "views": 4, "cameras_from": "automatic", "pattern_scale": 1.0, "decals": True, "report": True,
        }  # fmt: skip
    *_, result = texture([mesh], **(settings | changes))
    return result


@pytest.mark.parametrize("decals", [True, False])
def test_a_job_with_a_report_brings_pictures_and_numbers(decals):
    result = report_of(box(2), decals=decals)
    assert set(result.arrays) == {"texture.0", "contact_sheet", "turntable"}
    assert set(result.info) >= MEASURES
    assert result.info["seconds"]["report"] > 0


def test_a_flat_object_is_measured_where_it_shows_more_than_an_edge():
    info = report_of(quad(margin=0.02)).info
    assert info["sharpness"] > 0.2
    assert info["rerender_psnr"] > 15


def test_what_cannot_be_measured_is_left_open():
    """An exemplar of one colour has no sharpness; the job still ends well."""
    info = report_of(box(2), exemplar=np.full((32, 32, 3), 0.25, np.float32)).info
    assert info["sharpness_own_resolution"] is None
    assert info["patch_distance"] == pytest.approx(0, abs=1e-3)


# Pictures


def test_the_contact_sheet_shows_three_rows(finished):
    sheet = contact_sheet(finished)
    assert sheet.shape == (3 * 288, 5 * 288, 3)
    assert 0 <= sheet.min() <= sheet.max() <= 1
    tiles = sheet.reshape(3, 288, 5, 288, 3).swapaxes(1, 2)
    shown = [[tile.std() > 0.02 for tile in row] for row in tiles]
    assert shown == [[True] * 5, [True] * 4 + [False], [True] * 5]
    assert not np.array_equal(tiles[1, 0, 20:], tiles[1, 3, 20:])  # the first step is not the last


def test_the_turntable_goes_once_around(finished):
    frames = turntable(finished)
    assert frames.shape == (36, 96, 96, 3)
    assert 0 <= frames.min() <= frames.max() <= 1
    steps = np.abs(frames - np.roll(frames, 1, 0)).mean((1, 2, 3))
    assert steps.min() > 0.003
    assert steps[0] < 2 * np.median(steps)  # from the last frame to the first is a step like the others


def test_textures_hold_values_in_range_and_fill_their_gutters(finished):
    bright = finished.z * 3
    image = textures_of(finished.surface, bright)[0]
    assert image.min() == 0
    assert image.max() == 1
    chart = finished.surface.chart[0]
    expected = (bright.numpy() * 0.5 + 0.5).clip(0, 1)
    assert np.abs(image[chart] - expected).max() < 1e-6
    assert set(map(tuple, image[~chart].round(5))) <= set(map(tuple, image[chart].round(5)))


# Rendering


def front(size: int = 48) -> Camera:
    """Sees the square of half-side 1 at y = 0 from edge to edge of the middle half of the frame."""
    return Camera(look_at((0, -4, 0), (0, 0, 0)), size, size, size, size, size / 2, size / 2)


def square() -> Surface:
    return build_surface([quad()], 64)


def test_a_plain_texture_renders_plain():
    image, mask = render_surface(square(), [np.full((64, 64, 3), 0.3, np.float32)], front())
    assert mask[13:35, 13:35].all()
    assert mask.sum() == pytest.approx(24 * 24, abs=4)
    assert np.abs(image[mask] - 0.3).max() < 1e-6
    outside = np.ones_like(mask)
    outside[11:37, 11:37] = False
    assert (image[outside] == BACKGROUND).all()


def test_a_ramp_renders_at_its_pixels():
    """Left to right and top to bottom, as a viewer in front sees it."""
    ramp = (np.arange(64) + 0.5) / 64
    texture_ = np.stack([*np.broadcast_arrays(ramp[None, :], ramp[:, None]), np.zeros((64, 64))], -1).astype(np.float32)
    image, mask = render_surface(square(), [texture_], front())
    expected = (np.arange(48) + 0.5 - 12) / 24
    inside = mask & (np.abs(expected - 0.5) < 0.45) & (np.abs(expected - 0.5) < 0.45)[:, None]
    assert np.abs(image[..., 0] - expected[None, :])[inside].max() < 2e-3
    assert np.abs(image[..., 1] - expected[:, None])[inside].max() < 2e-3


def test_supersampling_averages_what_is_finer_than_a_pixel():
    fine = np.zeros((64, 64, 3), np.float32)
    fine[:, ::2] = 1
    aliased, mask = render_surface(square(), [fine], front(), supersample=1)
    averaged, _ = render_surface(square(), [fine], front(), supersample=4)
    inner = mask & np.roll(mask, 2, 1) & np.roll(mask, -2, 1)
    assert averaged[inner].std() < 0.5 * aliased[inner].std()
    assert averaged[inner].mean() == pytest.approx(0.5, abs=0.02)


def test_each_object_wears_its_own_texture():
    left = replace(quad(), vertices=quad().vertices - np.array([1.1, 0, 0], np.float32))
    right = replace(quad(), vertices=quad().vertices + np.array([1.1, 0, 0], np.float32))
    surface = build_surface([left, right], 16)
    textures = [np.full((16, 16, 3), value, np.float32) for value in (0.2, 0.6)]
    camera = frame_object(surface.vertices, [(0.0, 0.0)], 64)[0]
    image, mask = render_surface(surface, textures, camera)
    assert np.unique(image[:, :31][mask[:, :31]].round(4)).tolist() == pytest.approx([0.2])
    assert np.unique(image[:, 33:][mask[:, 33:]].round(4)).tolist() == pytest.approx([0.6])


def test_shading_darkens_what_turns_away_and_nothing_else():
    surface = build_surface([box(8, sphere=True)], 32)
    white = [np.ones((32, 32, 3), np.float32)]
    camera = frame_object(surface.vertices, [(0.0, 0.0)], 64)[0]
    plain, mask = render_surface(surface, white, camera)
    shaded, _ = render_surface(surface, white, camera, shaded=True)
    assert np.abs(plain[mask] - 1).max() < 1e-6
    assert 0.4 < shaded[mask].min() < shaded[mask].max() <= 1
    assert shaded[20, 24].mean() > shaded[50, 44].mean() + 0.2  # the lamp is at the upper left
    assert np.array_equal(plain[0], shaded[0])


# The painter


@pytest.mark.parametrize(
    ("shape", "longer", "expected"),
    [((100, 200), 50, (25, 50)), ((100, 200), 100, (50, 100)), ((10, 200), 100, (24, 100)), ((60, 30), 120, (120, 60))],
)
def test_pictures_are_resized_by_their_longer_side(shape, longer, expected):
    picture = np.full((*shape, 3), 0.4, np.float32)
    scaled = resized(picture, longer)
    assert scaled.shape == (*expected, 3)
    assert np.abs(scaled - 0.4).max() < 1e-5


def test_of_a_huge_pattern_the_middle_is_taken_at_its_scale():
    """A ramp over a picture that spans 6000 view pixels: steep as it should be, and no longer than memory allows."""
    ramp = np.broadcast_to(np.linspace(0, 1, 1200, dtype=np.float32)[None, :, None], (600, 1200, 3))
    for scale in (1.0, 2.0):
        exemplar = Painter(ramp, 6000.0).exemplar(scale)
        height, width = exemplar.image.shape[:2]
        assert width == pytest.approx(MOST_EXEMPLAR * scale / DECAL_SCALE, abs=1)
        assert height == pytest.approx(width / 2, rel=0.02)
        values = exemplar.image[0, :, 0] * 0.5 + 0.5
        assert values[-1] - values[0] == pytest.approx(width / (6000 * scale), rel=0.02)
        assert values.mean() == pytest.approx(0.5, abs=2e-3)


def test_shrinking_a_picture_averages_it():
    picture = np.zeros((200, 200, 3), np.float32)
    picture[::2] = 1
    assert resized(picture, 50).std() < 0.05
    assert Painter(picture, 40.0).exemplar(2.0).side == 80
