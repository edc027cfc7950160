"""Networks as editors of views: what each is shown, what is held, how views agree, and what A' is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from practice_shapes import box

from weft.errors import InvalidInput
from weft.geometry.camera import Camera, frame_object
from weft.geometry.environment import Environment
from weft.geometry.equirectangular import cell_directions
from weft.methods.view_editing import Models, edited_views, find_way
from weft.models.requests import ControlWish
from weft.noise import gaussian, generator
from weft.spaces.linear import identity, lookup
from weft.spaces.mesh_texture import rasterize_views
from weft.spaces.panorama import look_along
from weft.spaces.surface import build_surface
from weft.spaces.view_geometry import ViewGeometry, of_mesh
from weft.tasks.control_images import mesh_controls
from weft.tasks.view_controls import view_controls
from weft.tasks.view_plan import space_of
from weft.tasks.view_surroundings import radiance, seen_behind, turned_maps

pytest.importorskip("diffusers")
from practice_components import components

from weft.models.cards import CARDS
from weft.models.networks.open_model import open_model
from weft.tasks.network import Network
from weft.tasks.views_network import NetworkEditor

SIDE, STEPS = 64, 3
DIRECTIONS = [(0.0, 10.0), (70.0, 10.0)]


@pytest.fixture(scope="module")
def geometry() -> ViewGeometry:
    mesh = box(8, sphere=True)
    return of_mesh(space_of(build_surface([mesh], 32), frame_object(mesh.vertices, DIRECTIONS, SIDE)))


@pytest.fixture(scope="module")
def models(models_folder: Path) -> dict[str, Any]:
    """Loaded models by the name of their card, each with all that these tests ask of it."""
    wanted = {"sd15": {"controls": ("depth", "canny"), "style": True}}
    names = ("sd15", "instruct-pix2pix", "sd15-inpainting", "ic-light", "ic-light-background", "flux2-klein-edit")
    return {name: open_model(components(models_folder, name, **wanted.get(name, {}))) for name in names}


def pictures(seed: int, views: int = 2) -> np.ndarray:
    tiles = np.random.default_rng(seed).random((views, 8, 8, 3), np.float32)
    return np.kron(tiles, np.ones((1, 8, 8, 1), np.float32))


def network(models: dict[str, Any], name: str, **settings: Any) -> Network:
    return Network(CARDS[name], lambda: models[name], **settings)


def editor(
    models: dict[str, Any], name: str, *, settings: dict[str, Any] | None = None, **wanted: Any
) -> NetworkEditor:
    given = {"views": pictures(1), "prompt": "a stone at dusk", "steps": STEPS} | wanted
    return NetworkEditor(network(models, name, **(settings or {})), **given)


def first(own: NetworkEditor, seed: int = 0) -> torch.Tensor:
    level = own.schedule.levels[0]
    noise = level.sigma * gaussian(own.shape, generator(seed))
    return noise if own.clean is None else level.alpha * own.clean + noise


def walked(way: str, own: NetworkEditor, models: Models) -> torch.Tensor:
    *_, last = edited_views(find_way(way), models, own.schedule, first(own), strength=0.4, eta=0.0)
    return last.x0


EVERY = (
    ("sd15", {"strength": 0.7, "style": pictures(5, 1)[0]}, {"controls": (ControlWish("canny"), ControlWish("depth"))}),
    ("instruct-pix2pix", {}, {}),
    ("sd15-inpainting", {}, {}),
    ("ic-light", {}, {}),
    ("ic-light-background", {"environment": Environment(np.ones((8, 16, 3), np.float32))}, {}),
    ("flux2-klein-edit", {}, {}),
)


@pytest.mark.parametrize(("name", "wanted", "settings"), EVERY, ids=[row[0] for row in EVERY])
def test_every_card_edits_views_in_every_way(name, wanted, settings, models, geometry):
    own = editor(models, name, geometry=geometry, mask=geometry.mask, settings=settings, **wanted)
    edited = walked("per_view", own, Models(own.editor(0)))[0]
    prior = own.prior(0, edited, 0)
    tied = own.agreed(geometry.space(1.0))
    both = Models(own.editor(0), lambda x, level: tied(prior(x, level)), lambda x0, level: tied(x0))
    results = {way: walked(way, own, both) for way in ("per_view", "coupled", "synchronized")}
    shown = {way: own.images(x0) for way, x0 in results.items()}
    for images in shown.values():
        assert images.shape == (2, 3, SIDE, SIDE)
        assert images.abs().max() <= 1  # and finite
    assert not torch.equal(shown["per_view"], shown["coupled"])
    assert not torch.equal(shown["per_view"], shown["synchronized"])


def test_what_may_not_change_is_held_unless_the_light_changes(models, geometry):
    mask = np.zeros(geometry.shape, bool)
    mask[:, 16:48, 16:48] = True
    for name in ("sd15", "sd15-inpainting", "instruct-pix2pix"):
        own = editor(models, name, geometry=geometry, mask=mask)
        x0 = own.agreed(geometry.space(1.0))(own.editor(0)(first(own), own.schedule.levels[0]))
        old = own.network.model.codec.encode(torch.from_numpy(own.views).permute(0, 3, 1, 2) * 2 - 1)
        beyond = torch.from_numpy(mask[:, ::8, ::8])[:, None].expand_as(x0).logical_not()
        assert torch.equal(x0[beyond], old[beyond])
        assert not torch.isclose(x0[~beyond], old[~beyond]).any()
    free = editor(models, "ic-light", mask=mask), editor(models, "ic-light", mask=mask)
    assert torch.equal(*(own.editor(0)(first(own), own.schedule.levels[0]) for own in free))  # deterministic
    assert not torch.isclose(free[0].editor(0)(first(free[0]), free[0].schedule.levels[0])[beyond], old[beyond]).all()


def test_views_that_agree_stay_and_others_come_nearer(models):
    own = editor(models, "instruct-pix2pix")
    views = (2, SIDE, SIDE)
    x0 = gaussian(own.shape, generator(3))
    assert torch.equal(own.agreed(identity(views))(x0), x0)
    everything_shared = lookup(np.tile(np.arange(SIDE * SIDE, dtype=np.int32), 2), SIDE * SIDE, views)
    same = x0[:1].repeat(2, 1, 1, 1)
    torch.testing.assert_close(own.agreed(everything_shared)(same), same, rtol=0, atol=1e-5)
    tied = own.agreed(everything_shared)(x0)
    assert not torch.equal(tied, x0)


def test_the_prior_holds_the_edited_view_and_tells_the_others(models, geometry):
    edits = [gaussian((4, SIDE // 8, SIDE // 8), generator(seed)) for seed in (7, 8)]

    def last(name: str, edited: torch.Tensor, **settings: Any) -> torch.Tensor:
        own = editor(models, name, geometry=geometry, settings=settings)
        prior = own.prior(1, edited, 0)
        at_once = prior(first(own), own.schedule.levels[0])
        assert torch.equal(at_once[1], edited)
        return torch.stack([at_once, walked("single_edit", own, Models(own.editor(0), prior))])

    for name, at_once, at_last in (("sd15", True, True), ("instruct-pix2pix", False, True)):
        a, b = (last(name, edited) for edited in edits)
        assert torch.equal(a[1, 1], edits[0])
        assert bool((a[0, 0] != b[0, 0]).any()) == at_once  # an adapter shows the edited view itself
        assert bool((a[1, 0] != b[1, 0]).any()) == at_last  # attention what becomes of its noisy latents
    alone = [last("instruct-pix2pix", edited, view_attention=False) for edited in edits]
    assert torch.equal(alone[0][:, 0], alone[1][:, 0])


def test_models_that_see_no_picture_begin_from_the_noised_views(models):
    painter, seeing = (editor(models, name, strength=0.4, steps=10) for name in ("sd15", "instruct-pix2pix"))
    assert (len(painter.schedule), len(seeing.schedule)) == (4, 10)
    assert seeing.clean is None
    assert painter.clean is not None
    codec = painter.network.model.codec
    assert torch.equal(painter.clean, codec.encode(torch.from_numpy(painter.views).permute(0, 3, 1, 2) * 2 - 1))
    assert editor(models, "sd15", strength=1.0).clean is None


def test_neighbours_need_cameras_and_transformers_have_none(models, geometry):
    assert editor(models, "sd15", geometry=geometry)._neighbours is not None
    with_poses = editor(models, "sd15", cameras=geometry.cameras)._neighbours
    assert with_poses == editor(models, "sd15", geometry=geometry)._neighbours
    assert editor(models, "sd15")._neighbours is None
    assert editor(models, "flux2-klein-edit", geometry=geometry)._neighbours is None


def test_a_background_is_needed_and_a_map_is_one(models, geometry):
    with pytest.raises(InvalidInput, match="no background"):
        editor(models, "ic-light-background", geometry=geometry).editor(0)
    environment = Environment(np.random.default_rng(0).random((16, 32, 3), np.float32))
    lit = editor(models, "ic-light-background", geometry=geometry, environment=environment)
    dark = editor(models, "ic-light-background", geometry=geometry, environment=environment.exposed(-6))
    x, level = first(lit), lit.schedule.levels[0]
    assert not torch.equal(lit.editor(0)(x, level), dark.editor(0)(x, level))


# What is drawn of pictures and of geometry


def test_canny_shows_patterns_of_the_pictures_and_depth_what_meshes_show(geometry):
    views = np.full((2, SIDE, SIDE, 3), 0.4, np.float32)
    views[:, :, 32:] = 0.8
    edges = view_controls(["canny"], views)["canny"]
    assert edges.shape == (2, 3, SIDE, SIDE)
    columns = edges[0, 0].sum(0)
    assert columns.argmax() in (31, 32)
    assert (columns.max(), (columns > 0).sum()) == (SIDE, 1)
    faint = np.where(views > 0.5, np.float32(0.44), np.float32(0.4))
    assert not view_controls(["canny"], faint)["canny"].any()
    drawn = view_controls(["depth", "normal"], views, geometry)
    mesh = box(8, sphere=True)
    surface = build_surface([mesh], 32)
    wanted = mesh_controls(["depth", "normal"], rasterize_views(surface, geometry.cameras, jump=0.1), surface)
    torch.testing.assert_close(drawn["depth"], wanted["depth"])
    assert (drawn["normal"] - wanted["normal"]).abs().mean() < 0.02
    with pytest.raises(InvalidInput, match="no geometry"):
        view_controls(["canny", "depth"], views)


def test_a_map_is_read_at_its_texels_and_round_its_seam():
    environment = np.random.default_rng(1).random((6, 12, 3), np.float32)
    light = Environment(environment)
    np.testing.assert_allclose(radiance(light, 3 * cell_directions(6)), environment, atol=1e-5)
    seam = radiance(light, np.array([[-1.0, 1e-7, 0.0], [-1.0, -1e-7, 0.0]]))
    np.testing.assert_allclose(seam[0], seam[1], atol=1e-4)
    np.testing.assert_allclose(seam[0], environment[2:4][:, [0, -1]].mean((0, 1)), atol=1e-4)


def lamp(direction: np.ndarray, bright: float = 1.0) -> Environment:
    cosine = cell_directions(32) @ (direction / np.linalg.norm(direction)).astype(np.float32)
    return Environment(np.repeat(bright * np.exp((cosine - 1) * 200)[..., None], 3, -1).astype(np.float32))


def test_a_lamp_is_seen_where_the_camera_sees_its_direction():
    camera = look_along(40.0, 10.0, size=48, fov=70.0)
    direction = camera.forward + 0.3 * camera.pose[:3, 0] + 0.2 * camera.pose[:3, 1]
    seen = seen_behind(lamp(direction), [camera])
    assert seen.shape == (1, 3, 48, 48)
    row, column = np.unravel_index(int(seen[0, 0].argmax()), (48, 48))
    at, _ = camera.project(1000 * direction[None] + camera.center)
    assert np.abs(at[0] - (column + 0.5, row + 0.5)).max() < 3
    np.testing.assert_allclose(
        seen_behind(Environment(np.full((4, 8, 3), 0.5, np.float32)), [camera]), 2 * 0.7354 - 1, atol=1e-3
    )


def test_maps_turn_with_the_camera():
    camera = look_along(-65.0, -20.0, size=16, fov=60.0)
    right, up, ahead = camera.pose[:3, 0], camera.pose[:3, 1], camera.forward

    def peak(direction: np.ndarray) -> tuple[int, int]:
        low, high = turned_maps(lamp(direction), [camera], (32, 64))
        places = [np.unravel_index(int(own[0, 0].argmax()), (32, 64)) for own in (low, high)]
        assert places[0] == places[1]
        return int(places[0][0]), int(places[0][1])

    assert np.abs(np.subtract(peak(ahead), (15.5, 15.5))).max() <= 1  # a quarter from the left
    assert np.abs(np.subtract(peak(right), (15.5, 31.5))).max() <= 1  # the middle
    assert peak(up)[0] <= 1
    low, high = turned_maps(lamp(ahead, 30), [camera], (32, 64))
    assert high.max() == pytest.approx(1, abs=1e-3)
    assert low.max() == pytest.approx(1, abs=1e-3)
    assert (low > 0).sum() > (high > 0).sum()  # clipped, and not


def test_orthographic_cameras_see_one_place(geometry):
    flat = Camera(look_along(0, 0, size=8, fov=60).pose, 8, 8, 4, 4, 4, 4, orthographic=True)
    seen = seen_behind(Environment(np.random.default_rng(2).random((8, 16, 3), np.float32)), [flat])
    assert seen.std((2, 3)).max() < 1e-6
