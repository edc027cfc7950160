"""The embedded relighting editor: the quotient of two lights, what it keeps, and what shadows add."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from practice_shapes import box, quad

from weft.errors import InvalidInput
from weft.geometry.camera import frame_object, standard_ring
from weft.geometry.colour import encoded, linear
from weft.geometry.environment import Environment
from weft.geometry.lights import light_named
from weft.geometry.mesh import Mesh
from weft.geometry.shading import shading
from weft.methods.view_editing import WAYS, Models, edited_views
from weft.metrics import psnr
from weft.noise import gaussian, generator
from weft.schedule import CLEAN
from weft.spaces.surface import build_surface
from weft.spaces.view_geometry import ViewGeometry, of_mesh
from weft.tasks.relight_editor import RANGE, RelightEditor
from weft.tasks.view_plan import space_of

EVEN = Environment(np.ones((2, 4, 3), np.float32))
STUDIO, SUNSET = light_named("studio"), light_named("sunset")


def geometry_of(mesh: Mesh, views: int = 2, size: int = 48) -> ViewGeometry:
    surface = build_surface([mesh], 64)
    return of_mesh(space_of(surface, frame_object(mesh.vertices, standard_ring(views), size)))


def checked(geometry: ViewGeometry) -> np.ndarray:
    """Linear albedo f4 [N, H, W, 3], checks of the world's own."""
    checks = np.floor(geometry.position * 2.5).sum(-1, keepdims=True) % 2
    return np.where(checks > 0, [0.5, 0.4, 0.3], [0.15, 0.2, 0.35]).astype(np.float32)


def pictures(geometry: ViewGeometry, light: Environment) -> np.ndarray:
    return encoded(np.where(geometry.mask[..., None], checked(geometry) * light.irradiance(geometry.normal), 0.2))


def edited(editor: RelightEditor, way: str, seed: int = 3) -> torch.Tensor:
    source = generator(seed)
    agreed = editor.agreed(editor._geometry.space(2.0))
    models = Models(editor.editor(seed), agreed=lambda x0, level: agreed(x0))

    def noise() -> torch.Tensor:
        return gaussian(editor.shape, source)

    x = editor.schedule.levels[0].sigma * noise()
    *_, last = edited_views(WAYS[way], models, editor.schedule, x, strength=0.0, eta=editor.eta, noise=noise)
    return last.x0


@pytest.fixture(scope="module")
def ball() -> ViewGeometry:
    return geometry_of(box(10, sphere=True, margin=0.02), size=56)  # no multiple of 16


@pytest.fixture(scope="module")
def relit(ball: ViewGeometry) -> tuple[RelightEditor, torch.Tensor]:
    editor = RelightEditor(pictures(ball, STUDIO), ball, ball.mask, SUNSET, STUDIO, steps=6)
    return editor, edited(editor, "synchronized")


def test_albedo_and_detail_survive_the_change_of_light(ball: ViewGeometry, relit):
    editor, x0 = relit
    made = editor.images(x0).permute(0, 2, 3, 1).numpy() / 2 + 0.5
    truth, source = pictures(ball, SUNSET), pictures(ball, STUDIO)
    for one, right, before, mask in zip(made, truth, source, ball.mask, strict=True):
        assert psnr(one, right, mask) > 27
        assert psnr(one, right, mask) > psnr(before, right, mask) + 8
        assert np.abs(one - before)[~mask].max() < 1e-5


def test_one_seed_gives_the_same_bytes(ball: ViewGeometry, relit):
    editor, x0 = relit
    assert torch.equal(edited(editor, "synchronized"), x0)
    again = RelightEditor(pictures(ball, STUDIO), ball, ball.mask, SUNSET, STUDIO, steps=6)
    assert torch.equal(edited(again, "synchronized"), x0)


def test_the_same_light_changes_nothing(ball: ViewGeometry):
    source = pictures(ball, STUDIO)
    editor = RelightEditor(source, ball, ball.mask, STUDIO, STUDIO, steps=3)
    made = editor.images(edited(editor, "per_view")).permute(0, 2, 3, 1).numpy() / 2 + 0.5
    assert np.abs(made - source).max() < 1e-3


def test_twice_the_light_is_twice_as_bright(ball: ViewGeometry):
    source = pictures(ball, STUDIO)
    editor = RelightEditor(source, ball, ball.mask, STUDIO.exposed(0.5), STUDIO, steps=3)
    made = linear(editor.images(edited(editor, "per_view")).permute(0, 2, 3, 1).numpy() / 2 + 0.5)
    assert np.allclose(made[ball.mask], (linear(source)[ball.mask] * 2**0.5).clip(0, 1), rtol=2e-2)


def test_textures_that_hold_no_light_get_it(ball: ViewGeometry):
    albedo = encoded(checked(ball))
    editor = RelightEditor(albedo, ball, ball.mask, SUNSET, EVEN, steps=6)
    made = editor.images(edited(editor, "per_view")).permute(0, 2, 3, 1).numpy() / 2 + 0.5
    assert psnr(made[ball.mask], pictures(ball, SUNSET)[ball.mask]) > 27


def test_an_edited_view_tells_the_others(ball: ViewGeometry, relit):
    editor, x0 = relit
    prior = editor.prior(0, x0[0], seed=1)
    level = editor.schedule.levels[2]
    told = prior(level.sigma * gaussian(editor.shape, generator(1)), level)
    # Views from the front and from behind share few normals: those of the reference come back as they were.
    mask = torch.from_numpy(ball.mask[0])
    assert (told - x0)[0, :, :56, :56][:, mask].abs().mean() < 0.08
    assert torch.isfinite(told).all()


def test_only_what_may_change_agrees(ball: ViewGeometry):
    mask = ball.mask.copy()
    mask[:, :28] = False
    editor = RelightEditor(pictures(ball, STUDIO), ball, mask, SUNSET, STUDIO, steps=3)
    x0 = torch.rand(editor.shape) - 0.5
    after = editor.agreed(ball.space(1.0))(x0)
    assert after.shape == x0.shape
    changed = (after - x0).abs().amax(1)[:, :56, :56].numpy() > 0
    assert not changed[~mask].any()
    assert changed[mask].mean() > 0.2


def test_shadows_of_both_lights_are_known(ball: ViewGeometry):
    """A floor under a roof: what is bright in one light and shaded in the other follows from geometry alone."""
    floor, roof = quad(half=1.0), quad(half=0.5, y=-0.7)
    vertices = np.concatenate([floor.vertices, roof.vertices])
    occluders = (vertices, np.concatenate([floor.faces, roof.faces + 4]))
    editor = RelightEditor(
        pictures(ball, STUDIO), ball, ball.mask, light_named("noon"), STUDIO, steps=3, occluders=occluders
    )
    points = np.array([(0, 0, -0.2), (0, 0, 0), (0.9, 0, 0.9)], np.float32)
    normals = np.broadcast_to(np.array([0, -1, 0], np.float32), points.shape)
    new, old = (
        shading(light, points, normals, occluders, albedo=editor._albedo) / light.irradiance(normals)
        for light in (light_named("noon"), STUDIO)
    )
    assert np.allclose(editor.visibility_at(points, normals), new / old, rtol=0.02)
    assert np.ptp(new / old) > 0.1


def test_cells_are_recoloured_as_pixels_are(ball: ViewGeometry, relit):
    editor, x0 = relit
    at = ball.mask[0]
    rows = x0[0, :, :56, :56].permute(1, 2, 0)[torch.from_numpy(at)]
    source, ratio = pictures(ball, STUDIO)[0][at], editor.visibility[0][at]
    expected = editor.images(x0)[0].permute(1, 2, 0).numpy()[at] / 2 + 0.5
    assert np.abs(editor.recoloured(rows, source, ratio) - expected).max() < 1e-4


def test_without_a_light_of_old_it_is_fitted(ball: ViewGeometry):
    editor = RelightEditor(pictures(ball, STUDIO), ball, ball.mask, SUNSET, None, steps=3)
    normals = ball.normal[ball.mask]
    logs = np.log(editor.old.irradiance(normals) / STUDIO.irradiance(normals)).mean(1)
    assert logs.std() < 0.25
    assert np.log(STUDIO.irradiance(normals)).mean(1).std() > 0.3


def test_quotients_have_a_range(ball: ViewGeometry):
    editor = RelightEditor(pictures(ball, STUDIO), ball, ball.mask, STUDIO.exposed(12), STUDIO, steps=3)
    assert editor._spheres.image.max() <= 1
    assert np.exp(RANGE) == pytest.approx(16)
    assert editor.editor(0)(torch.zeros(editor.shape), CLEAN).abs().max() <= 1


def test_an_empty_mask_is_refused(ball: ViewGeometry):
    with pytest.raises(InvalidInput, match="no pixel"):
        RelightEditor(pictures(ball, STUDIO), ball, ~ball.mask, SUNSET, STUDIO, steps=3)
