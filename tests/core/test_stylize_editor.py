"""Views painted from a style's patches: guides that views agree on, spheres that are found, palettes that are kept."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from practice_shapes import box
from torch import Tensor

from weft.denoiser import Denoiser
from weft.errors import InvalidImage, InvalidInput
from weft.geometry.camera import Camera, frame_object, look_at, standard_ring
from weft.methods.view_editing import Models, edited_views, find_way
from weft.metrics import psnr
from weft.models.materials import render
from weft.noise import gaussian, generator
from weft.spaces.linear import identity
from weft.spaces.surface import build_surface
from weft.spaces.view_geometry import ViewGeometry, of_mesh
from weft.tasks.painted_sphere import Sphere, find_sphere
from weft.tasks.style_guides import continued, lightness_guides, normal_guides
from weft.tasks.stylize_editor import StyleEditor
from weft.tasks.view_plan import space_of

VIEWS, HEIGHT, WIDTH = 2, 50, 70
ROUNDISH = ("mossy stone", "leopard fur", "hammered gold", "watercolour")
EVERYWHERE = np.ones((VIEWS, HEIGHT, WIDTH), bool)


@functools.cache
def style() -> np.ndarray:
    return render("oil paint", 128)


@functools.cache
def pictures() -> np.ndarray:
    """Two views f4 [2, 50, 70, 3] of blobs of several hues."""
    fields = np.random.default_rng(3).standard_normal((VIEWS, 5, 7, 3)).astype(np.float32)
    planes = torch.from_numpy(fields).permute(0, 3, 1, 2)
    smooth = torch.nn.functional.interpolate(planes, size=(HEIGHT, WIDTH), mode="bicubic")
    return (0.5 + 0.16 * smooth.permute(0, 2, 3, 1).numpy()).clip(0, 1)


def sphere_picture(size: int, row: float, column: float, radius: float, ground: float = 0.9) -> np.ndarray:
    """A ball lit from the upper left, f4 [size, size, 3], before a ground that is a little rough."""
    rows, columns = np.indices((size, size)) + 0.5
    x, y = (columns - column) / radius, (row - rows) / radius
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    shade = np.clip(0.15 + 0.8 * (-0.5 * x + 0.6 * y + 0.62 * z), 0.05, 1)
    inside = (x**2 + y**2 < 1)[..., None]
    picture = np.where(inside, shade[..., None] * np.array([1.0, 0.5, 0.2]), ground)
    return (picture + 0.02 * np.random.default_rng(0).standard_normal(picture.shape)).clip(0, 1).astype(np.float32)


@functools.cache
def ball() -> ViewGeometry:
    surface = build_surface([box(6, sphere=True)], 64)
    return of_mesh(space_of(surface, frame_object(surface.vertices, standard_ring(3), 48)))


def editor(fidelity: float = 0.6, **options) -> StyleEditor:
    return StyleEditor(pictures(), None, EVERYWHERE, style(), fidelity=fidelity, steps=8, **options)


def painted(made: StyleEditor, denoiser: Denoiser, seed: int = 0) -> Tensor:
    """x0 after going one way alone."""
    source = generator(seed, 1)

    def noise() -> Tensor:
        return gaussian(made.shape, source)

    x = made.schedule.levels[0].sigma * noise()
    for step in edited_views(find_way("per_view"), Models(denoiser), made.schedule, x, strength=0.0, noise=noise):
        x = step.x0
    return x


@functools.cache
def result() -> Tensor:
    made = editor()
    return painted(made, made.editor(0))


def luminance(images: np.ndarray) -> np.ndarray:
    return images @ np.array([0.299, 0.587, 0.114], np.float32)


# Guides


def test_the_order_of_the_views_orders_their_guides_and_changes_nothing_else() -> None:
    views, own = lightness_guides(pictures(), EVERYWHERE, style())
    turned, same = lightness_guides(pictures()[::-1], EVERYWHERE, style())
    np.testing.assert_allclose(turned[::-1], views, atol=1e-4)
    np.testing.assert_array_equal(same, own)


@pytest.mark.parametrize(("gain", "offset"), [(0.6, 0.0), (0.7, 0.25)])
def test_exposure_and_contrast_of_all_views_make_no_difference(gain: float, offset: float) -> None:
    views, _ = lightness_guides(pictures(), EVERYWHERE, style())
    other, _ = lightness_guides(gain * pictures() + np.float32(offset), EVERYWHERE, style())
    assert np.abs(views[..., 0] - other[..., 0]).mean() < 1e-3
    assert np.abs(views - other).mean() < 0.02  # a floor under what counts as colour is no part of the law


def test_lightness_gets_the_style_s_distribution_over_all_views_on_the_mask() -> None:
    mask = EVERYWHERE.copy()
    mask[0, :, :40] = False
    views, own = lightness_guides(pictures(), mask, style())
    levels = np.linspace(0.02, 0.98, 25)
    np.testing.assert_allclose(np.quantile(views[mask][:, 0], levels), np.quantile(own[..., 0], levels), atol=0.03)
    assert np.abs(views[mask].mean(0) - own.mean((0, 1)))[1:].max() < 1e-4


def test_flat_views_are_guided_nowhere() -> None:
    views, _ = lightness_guides(np.full((1, 32, 32, 3), 0.4, np.float32), np.ones((1, 32, 32), bool), style())
    assert np.ptp(views, axis=(0, 1, 2)).max() < 1e-3


def test_guides_go_on_beyond_the_mask_and_are_untouched_on_it() -> None:
    guides = np.random.default_rng(0).random((1, 20, 20, 2)).astype(np.float32)
    mask = np.zeros((1, 20, 20), bool)
    mask[0, 5:10, 5:10] = True
    filled, grown = continued(guides, mask, 3)
    np.testing.assert_array_equal(filled[mask], guides[mask])
    np.testing.assert_array_equal(filled[0, 7, 10:], np.broadcast_to(guides[0, 7, 9], (10, 2)))
    assert grown[0, 7].nonzero()[0].tolist() == list(range(2, 13))


def test_normals_do_not_depend_on_how_the_world_lies() -> None:
    rng = np.random.default_rng(1)
    normal = rng.standard_normal((2, 4, 4, 3))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    turn *= np.linalg.det(turn)
    cameras = [Camera(look_at((x, -4, 1), (0, 0, 0)), 4, 4, 4, 4, 2, 2) for x in (-1, 2)]
    turned = []
    for camera in cameras:
        pose = camera.pose.copy()
        pose[:3] = turn @ pose[:3]
        turned.append(Camera(pose, 4, 4, 4, 4, 2, 2))
    ball_at = Sphere(16, 16, 12)
    first, own = normal_guides(normal, cameras, ball_at, 32, 32)
    second, _ = normal_guides(normal @ turn.T, turned, ball_at, 32, 32)
    np.testing.assert_allclose(first, second, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(first[..., :3], axis=-1), 1, atol=1e-6)
    np.testing.assert_array_equal(own[..., 3] > 0, np.linalg.norm(own[..., :3], axis=-1) < 0.5)


def test_seen_from_all_around_the_front_is_where_objects_face() -> None:
    views, _ = normal_guides(ball().normal, ball().cameras, Sphere(16, 16, 12), 32, 32)
    normal = ball().normal
    np.testing.assert_allclose(views[..., 0], normal[..., 0], atol=1e-5)
    np.testing.assert_allclose(views[..., 1], normal[..., 2], atol=1e-5)
    np.testing.assert_allclose(views[..., 2], np.abs(normal[..., 1]), atol=1e-5)


# Spheres


@pytest.mark.parametrize(("row", "column", "radius"), [(60, 60, 50), (50.5, 70, 38.3), (80, 44, 24)])
@pytest.mark.parametrize("ground", [0.95, 0.4])
def test_a_painted_sphere_is_found(row: float, column: float, radius: float, ground: float) -> None:
    found = find_sphere(sphere_picture(120, row, column, radius, ground))
    assert found is not None
    assert abs(found.row - row) < 1
    assert abs(found.column - column) < 1
    assert abs(found.radius - radius) < 1.5


def test_a_sphere_s_normals_are_those_of_the_ball_in_the_picture() -> None:
    normals, inside = Sphere(20, 24, 16).normals(40, 48)
    rows, columns = np.nonzero(inside)
    assert np.hypot(rows + 0.5 - 20, columns + 0.5 - 24).max() < 16
    np.testing.assert_allclose(np.linalg.norm(normals[inside], axis=-1), 1, atol=1e-5)
    assert (normals[19, 23] * [0, 0, 1]).sum() > 0.99
    assert normals[19, 36, 0] > 0.7
    assert normals[8, 23, 1] > 0.7


def test_other_pictures_hold_no_sphere() -> None:
    square = np.full((96, 96, 3), 0.9, np.float32)
    square[20:70, 25:75] = (0.7, 0.2, 0.1)
    two = np.minimum(sphere_picture(96, 30, 30, 18), sphere_picture(96, 68, 66, 18))
    pictures_without = [square, two, np.full((96, 96, 3), 0.5, np.float32), *(render(name, 96) for name in ROUNDISH)]
    assert not any(find_sphere(picture) for picture in pictures_without)


# Painting


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_picture() -> None:
    again = editor()
    assert painted(again, again.editor(0)).numpy().tobytes() == result().numpy().tobytes()
    assert (painted(again, again.editor(1), seed=1) - result()).abs().mean() > 0.02


def test_views_keep_their_size_and_hold_the_style_s_colours_only() -> None:
    made = editor()
    assert result().shape == made.shape == (VIEWS, 3, HEIGHT, WIDTH)
    pixels = result().permute(0, 2, 3, 1).reshape(-1, 3).numpy() / 2 + 0.5
    palette = made.style.reshape(-1, 3)
    for direction in np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32):
        assert (pixels @ direction).min() > (palette @ direction).min() - 1e-4
        assert (pixels @ direction).max() < (palette @ direction).max() + 1e-4


def test_more_fidelity_keeps_more_of_the_views_light() -> None:
    kept = []
    for fidelity in (0.0, 0.3, 0.8):
        made = editor(fidelity)
        images = made.images(painted(made, made.editor(0))).permute(0, 2, 3, 1).numpy()
        kept.append(np.corrcoef(luminance(images).ravel(), luminance(pictures()).ravel())[0, 1])
    assert kept[0] < kept[1] < kept[2]
    assert kept[2] > kept[0] + 0.3


def test_told_of_an_edited_view_the_prior_repeats_it() -> None:
    """Nearer to the edit than the editor comes by itself, which paints other strokes."""
    made = editor()
    edited = result()[1]
    repeated = painted(made, made.prior(1, edited, 5), seed=5)[1]
    alone = painted(made, made.editor(5), seed=5)[1]
    near, far = (psnr(one.numpy() / 2, edited.numpy() / 2) for one in (repeated, alone))
    assert near > far + 5


def test_what_may_not_change_stays_and_is_agreed_on() -> None:
    mask = EVERYWHERE.copy()
    mask[:, :, 30:] = False
    made = StyleEditor(pictures(), None, mask, style(), steps=4)
    x0 = gaussian(made.shape, generator(0))
    for shown in (made.images(x0), made.agreed(identity((VIEWS, HEIGHT, WIDTH)))(x0)):
        np.testing.assert_allclose(
            shown[..., 30:].numpy() / 2 + 0.5, pictures()[:, :, 30:].transpose(0, 3, 1, 2), atol=1e-6
        )
        np.testing.assert_array_equal(shown[..., :30], x0[..., :30])


def test_a_painted_sphere_lights_a_ball_from_the_same_side() -> None:
    geometry = ball()
    images = np.full((*geometry.shape, 3), 0.5, np.float32)
    made = StyleEditor(images, geometry, geometry.mask, sphere_picture(96, 48, 48, 40), steps=6)
    assert made.guide == "normals"
    view = made.images(painted(made, made.editor(0)))[0].permute(1, 2, 0).numpy() / 2 + 0.5
    lit, dark = (geometry.normal[0] @ light > 0.8 for light in np.array([(-0.5, -0.62, 0.6), (0.6, -0.5, -0.6)]))
    assert luminance(view[lit]).mean() > luminance(view[dark]).mean() + 0.2
    assert (view[geometry.mask[0]][:, 2] < 0.6).all()  # none of the ground


def test_automatic_guides_by_what_is_there() -> None:
    geometry = ball()
    images = np.full((*geometry.shape, 3), 0.5, np.float32)
    sphere = sphere_picture(96, 48, 48, 40)
    assert StyleEditor(images, None, geometry.mask, sphere).guide == "luminance"
    assert StyleEditor(images, geometry, geometry.mask, style()).guide == "luminance"


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"guide": "colour"}, InvalidInput, "colour"),
        ({"fidelity": 1.5}, InvalidInput, "1.5"),
        ({"guide": "normals"}, InvalidImage, "sphere"),
        ({"guide": "normals", "style": sphere_picture(64, 32, 32, 26)}, InvalidInput, "normals"),
        ({"mask": np.zeros_like(EVERYWHERE)}, InvalidInput, "mask"),
    ],
)
def test_what_cannot_be_painted_is_said_in_one_line(options: dict, error: type[Exception], match: str) -> None:
    made = {"mask": EVERYWHERE, "style": style(), "images": pictures(), "geometry": None} | options
    with pytest.raises(error, match=match):
        StyleEditor(**made)
