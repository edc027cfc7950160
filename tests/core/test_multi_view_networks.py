"""Multi-view priors with weights: what views know of each other, of cameras and of the reference; coupled partners."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import Attention
from practice_components import components, latents
from practice_loading import changed
from torch import Tensor

from weft.errors import BadCheckpoint, InvalidInput, ModelMismatch, UnknownName, WeftError
from weft.geometry.camera import Camera, look_at, orbit
from weft.methods.coupled_sampling import CoupledStep, Trajectory, coupled, matched
from weft.models.cards import CARDS, ModelRequest, notice
from weft.models.library import Library
from weft.models.networks.batching import Batches
from weft.models.networks.cache import ModelCache
from weft.models.networks.image_model import Conditioning
from weft.models.networks.multi_view import GeometryPictures, MultiViewConditioning
from weft.models.networks.mv_adapter import MultiViewAdapterModel, shifted_levels
from weft.models.networks.mv_adapter_layers import MultiViewLayers, cube_bands
from weft.models.networks.mv_adapter_views import CUBE, camera_numbers, cube_cameras, geometry_numbers
from weft.models.networks.noise_levels import DiffusionLevels
from weft.models.networks.open_model import open_model
from weft.models.networks.open_multi_view import open_multi_view
from weft.models.networks.seva import SevaModel, scene_rays
from weft.models.networks.seva_levels import SevaLevels
from weft.models.networks.seva_network import SevaNetwork
from weft.models.networks.unet_model import UNetModel
from weft.models.prior_cards import (
    LATENT_SPACES,
    PRIORS,
    card_of,
    check_partners,
    latents_of,
    multi_view_cards,
    parse_prior,
)
from weft.models.seva_sizes import SevaSizes, seva_sizes
from weft.noise import generator
from weft.schedule import NoiseLevel, stable_diffusion

SIDE = 64  # px
POINTS = np.array([[-1.0, -0.8, -1], [1, 0.8, 1]])
LEVEL = NoiseLevel(0.6, 0.8)
RING = (0, 70, 150, 220, 300)  # degrees
ADAPTERS = [name for name, card in PRIORS.items() if card.part("adapter")]
FREE = [name for name, card in PRIORS.items() if not card.geometry]  # whose cameras are anybody's


def camera(azimuth: float, elevation: float = 0.0) -> Camera:
    return Camera(orbit(azimuth, elevation, 2.5), SIDE, SIDE, 80.0, 80.0, SIDE / 2, SIDE / 2)


def picture(seed: int = 0) -> Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=generator(seed, 5)) * 2 - 1


def wanted(name: str, **changes: Any) -> MultiViewConditioning:
    """Something that the prior can do: views of the ring, or of the cube's sides."""
    if not PRIORS[name].geometry:
        return replace(MultiViewConditioning(tuple(map(camera, RING)), (1,), picture()), **changes)
    random = generator(7)
    normals = torch.nn.functional.normalize(torch.randn(6, 3, SIDE, SIDE, generator=random), dim=1)
    mask = torch.zeros(6, 1, SIDE, SIDE)
    mask[:, :, 10:-10, 14:-6] = 1
    geometry = GeometryPictures(torch.randn(6, 3, SIDE, SIDE, generator=random), normals, mask)
    cameras = cube_cameras(POINTS, SIDE)
    return replace(MultiViewConditioning(cameras, (0,), picture(), geometry=geometry), **changes)


@pytest.fixture(scope="module")
def prior(models_folder: Path) -> Callable[[str], Any]:
    """The model of a card; each is loaded once."""
    return cache(lambda name: open_multi_view(components(models_folder, name)))


def noisy(name: str, seed: int = 0) -> Tensor:
    return latents(6 if PRIORS[name].geometry else len(RING), seed=seed)


def apart(a: Tensor, b: Tensor) -> Tensor:
    """[N], the greatest difference in each view."""
    return (a - b).abs().flatten(1).amax(1)


# Cards


def test_priors_have_cards_of_their_own() -> None:
    assert not set(PRIORS) & set(CARDS)
    for card in multi_view_cards():
        assert card_of(card.name) is card
        assert [part.role for part in card.parts].count("base") == 1
        assert all(part.licence and part.size and part.source.count("/") == 1 for part in card.parts)
        assert card.view_size % 64 == 0
        assert card.views > 1
        assert card.memory > sum(part.size for part in card.parts) / 2  # in 16 bits, where files have 32
    assert {card.family for card in (*CARDS.values(), *PRIORS.values())} <= set(LATENT_SPACES)
    terms = notice(PRIORS["seva"]) or ""
    assert "not for commercial use" in terms
    assert "accept its terms" in terms
    assert not any(notice(PRIORS[name]) for name in ADAPTERS)


def test_a_job_names_a_prior_or_leaves_it_to_the_geometry() -> None:
    assert parse_prior("automatic") is parse_prior(" ") is None
    assert parse_prior(" seva ") is PRIORS["seva"]
    with pytest.raises(UnknownName, match="sd15 paints views one by one"):
        parse_prior("sd15")
    with pytest.raises(UnknownName, match=r"no multi-view prior is called 'sevan' \(priors: automatic, mv-adapter"):
        parse_prior("sevan")


def test_partners_share_their_latents() -> None:
    for editor in CARDS.values():
        for card in PRIORS.values():
            if latents_of(editor) == latents_of(card):
                check_partners(editor, card)
                continue
            with pytest.raises(ModelMismatch) as caught:
                check_partners(editor, card)
            assert editor.name in caught.value.message
            assert card.name in caught.value.message
            assert "\n" not in str(caught.value)
    check_partners(CARDS["ic-light"], PRIORS["seva"])
    check_partners(CARDS["sdxl"], PRIORS["mv-adapter-sdxl"])
    with pytest.raises(ModelMismatch, match="the embedded editor edits pictures, seva makes latents of"):
        check_partners(None, PRIORS["seva"])
    with pytest.raises(ModelMismatch, match="priors of its latents: none"):
        check_partners(CARDS["flux2-klein-edit"], PRIORS["seva"])


# What views know


@pytest.mark.parametrize("name", PRIORS)
def test_every_view_sees_the_reference_and_every_other_view(prior: Callable[[str], Any], name: str) -> None:
    model = prior(name)
    x = noisy(name)
    denoiser = model.bind(wanted(name))
    x0 = denoiser(x, LEVEL)
    assert x0.shape == x.shape
    assert x0.isfinite().all()
    assert torch.equal(denoiser(x, LEVEL), x0)
    assert (apart(model.bind(wanted(name, images=picture(1)))(x, LEVEL), x0) > 1e-4).all()
    other = x.clone()
    other[3] = noisy(name, 1)[3]
    assert (apart(denoiser(other, LEVEL), x0) > 1e-6).all()


@pytest.mark.parametrize("name", FREE)
def test_permuting_views_with_their_cameras_permutes_the_result(prior: Callable[[str], Any], name: str) -> None:
    model, order = prior(name), [3, 0, 4, 1, 2]
    prompts = tuple(f"a fox {view}" for view in range(len(RING)))
    told = wanted(name, prompts=prompts)
    moved = replace(
        told, cameras=tuple(told.cameras[view] for view in order), references=(order.index(1),),
        prompts=tuple(prompts[view] for view in order),
    )  # fmt: skip
    x = noisy(name)
    straight, permuted = model.bind(told)(x, LEVEL), model.bind(moved)(x[order], LEVEL)
    torch.testing.assert_close(permuted, straight[order], rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("name", FREE)
def test_cameras_count_and_the_place_of_the_world_does_not(prior: Callable[[str], Any], name: str) -> None:
    model, told, x = prior(name), wanted(name), noisy(name)
    x0 = model.bind(told)(x, LEVEL)
    elsewhere = (*told.cameras[:4], camera(260))
    assert (apart(model.bind(replace(told, cameras=elsewhere))(x, LEVEL), x0)[-1] > 1e-5).all()
    turn = orbit(40, 0, 0.0)
    turn[:3, :3] = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])  # about +Z
    turn[:3, 3] = (3, -1, 2)
    moved = []
    for one in told.cameras:
        pose = turn @ one.pose
        pose[:3, 3] *= 7
        moved.append(replace(one, pose=pose))
    torch.testing.assert_close(model.bind(replace(told, cameras=tuple(moved)))(x, LEVEL), x0, rtol=1e-3, atol=5e-4)


@pytest.mark.parametrize("name", ["seva", "mv-adapter"])
def test_rows_of_guidance_may_be_computed_one_by_one(
    models_folder: Path, prior: Callable[[str], Any], name: str
) -> None:
    one = type(prior(name))(components(models_folder, name), batches=Batches(1))
    x = noisy(name)
    together = prior(name).bind(wanted(name, guidance=2.5))(x, LEVEL)
    torch.testing.assert_close(one.bind(wanted(name, guidance=2.5))(x, LEVEL), together, rtol=1e-4, atol=1e-4)


# MV-Adapter


@pytest.mark.parametrize("name", ["mv-adapter", "mv-adapter-geometry-sdxl"])
def test_an_adapter_of_zeros_is_its_base_bit_for_bit(models_folder: Path, name: str) -> None:
    parts = components(models_folder, name)
    for key, weight in parts.adapter.state_dict().items():  # type: ignore[union-attr]
        if "to_out" in key or key.startswith("encoder"):
            weight.zero_()
    model = MultiViewAdapterModel(parts)
    base = replace(CARDS["sdxl" if "sdxl" in name else "sd15"])
    painter = UNetModel(replace(parts, card=base, adapter=None))
    model.levels = painter.levels  # without the shift
    x = noisy(name)
    prompts = ("a fox", "a stone wall") * (len(x) // 2) + ("a fox",) * (len(x) % 2)
    told = wanted(name, prompts=prompts, negative="grey", guidance=3.0)
    painted = painter.bind(Conditioning(prompts, negative="grey", guidance=3.0))(x, LEVEL)
    assert torch.equal(model.bind(told)(x, LEVEL), painted)
    stock = {type(processor).__name__ for processor in model.network.attn_processors.values()}
    assert stock == {"AttnProcessor2_0"}  # nothing stays behind in the U-Net


def test_rows_go_around_the_cube_and_columns_over_it() -> None:
    """With queries of zero attention is a mean: over the same row of the four sides; over the same column of front,
    back, top and bottom, where the front runs mirrored; front and back are in both."""
    attention = Attention(query_dim=2, heads=1, dim_head=2)
    layers = MultiViewLayers(torch.nn.ModuleDict({"attn1": attention}))
    with torch.no_grad():
        for key, weight in layers.state_dict().items():
            weight.copy_(torch.eye(2) if "v_mv" in key or "out_mv.0.weight" in key else torch.zeros_like(weight))
        for weight in attention.to_out.parameters():  # type: ignore[union-attr]
            weight.zero_()
        h, w = 3, 4
        x = torch.randn(6, h * w, 2, generator=generator(1))
        with layers.attending(h, w, 6, cube_bands(), {"attn1": torch.zeros(1, 5, 2)}):
            found = attention(x).unflatten(1, (h, w))
    views = x.unflatten(1, (h, w))
    around = views[:4].mean((0, 2))  # [h, 2]
    over = torch.stack([views[0].flip(1), views[2], views[4], views[5]]).mean((0, 1))  # [w, 2]
    around, over = around[:, None].expand(h, w, 2), over[None].expand(h, w, 2)
    expected = [(around + over.flip(1)) / 2, around, (around + over) / 2, around, over, over]
    torch.testing.assert_close(found, torch.stack(expected))


def test_levels_are_shifted_by_eight_at_the_noisiest() -> None:
    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    plain, moved = (levels.alpha_bars for levels in (DiffusionLevels(config), shifted_levels(config)))
    ratio = np.log(plain / (1 - plain)) - np.log(moved / (1 - moved))
    np.testing.assert_allclose(ratio, np.log(8) * np.arange(1000) / 999, atol=2e-4)


def test_the_front_is_where_the_reference_sees_it() -> None:
    cameras = [camera(azimuth + 33) for azimuth in (0, 90, 180)]
    forward, outward = (camera_numbers(cameras, 0) * 2 - 1).split(3, dim=1)
    np.testing.assert_allclose(outward, [[0, -1, 0], [1, 0, 0], [0, 1, 0]], atol=1e-6)
    np.testing.assert_allclose(forward, -outward, atol=1e-6)


def test_geometry_fills_its_cube_and_is_grey_beyond_the_object() -> None:
    told = wanted("mv-adapter-geometry")
    assert told.geometry is not None
    numbers, inside = geometry_numbers(told.geometry, told.cameras[0]), told.geometry.mask.expand(-1, 6, -1, -1) > 0
    assert (numbers[~inside] == 0.5).all()
    places = numbers[:, :3].permute(1, 0, 2, 3)[:, told.geometry.mask[:, 0] > 0]
    assert (places.min(), places.max()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))
    larger = replace(told.geometry, positions=told.geometry.positions * 3 + 5)
    torch.testing.assert_close(geometry_numbers(larger, told.cameras[0]), numbers, rtol=0, atol=1e-5)


def test_sides_of_the_cube_are_seen_whole() -> None:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-0.8, 0.8) for z in (-1, 1)])
    for one, (azimuth, elevation) in zip(cube_cameras(POINTS, SIDE), CUBE, strict=True):
        xy, depth = one.project(corners)
        assert (depth > one.near).all()
        assert (abs(xy - SIDE / 2) <= SIDE / 2.2 + 1e-3).all()
        np.testing.assert_allclose(one.pose[:3, :3], orbit(azimuth, elevation, 1)[:3, :3])


# SEVA


def test_the_published_network_has_its_published_size() -> None:
    with torch.device("meta"):
        weights = SevaNetwork(SevaSizes()).state_dict()
    assert len(weights) == 1146  # tensors in modelv1.1.safetensors
    assert seva_sizes({name: tuple(weight.shape) for name, weight in weights.items()}, "it") == SevaSizes()


def test_its_levels_begin_far_above_those_of_stable_diffusion() -> None:
    levels = SevaLevels()
    ratios = [level.s for level in levels.schedule(50).levels]
    noisiest = stable_diffusion(1000).levels[0].s
    assert sum(s > noisiest for s in ratios) == 19
    assert ratios[-1] == 0
    assert [levels.timestep(level) for level in levels.schedule(3).levels] == [999, 666, 333, 0]
    between = NoiseLevel(1.0, (ratios[3] * ratios[4]) ** 0.5)
    first, second = (levels.timestep(NoiseLevel(1.0, s)) for s in ratios[3:5])
    assert second < levels.timestep(between) < first
    with pytest.raises(InvalidInput, match="steps = 0"):
        levels.schedule(0)


def test_rays_lose_the_world_but_not_the_cameras() -> None:
    cameras = [camera(azimuth, 10) for azimuth in RING]
    rays = scene_rays(cameras, 2, 4, 4)
    turn = look_at((1, 2, 3), (0, 0.5, 1))
    moved = []
    for one in cameras:
        pose = turn @ one.pose
        pose[:3, 3] *= 0.2
        moved.append(replace(one, pose=pose))
    np.testing.assert_allclose(scene_rays(moved, 2, 4, 4), rays, atol=1e-5)
    np.testing.assert_allclose(rays[2, 3:], 0, atol=1e-6)  # in its own frame the first known camera is the origin
    still = [replace(one, pose=cameras[0].pose) for one in cameras]
    assert np.isfinite(scene_rays(still, 0, 4, 4)).all()


def test_known_views_are_guided_less(prior: Callable[[str], Any]) -> None:
    model, x = prior("seva"), noisy("seva")
    plain, least, much = (model.bind(wanted("seva", guidance=g))(x, LEVEL) for g in (1.0, 1.2, 2.0))
    assert torch.equal(least[1], much[1])
    step = (least - plain) / 0.2  # x0 is affine in the guidance of its view
    others = [0, 2, 3, 4]
    torch.testing.assert_close(much[others], (plain + step)[others], rtol=1e-3, atol=1e-2)


def test_more_views_may_be_known(prior: Callable[[str], Any]) -> None:
    model, x = prior("seva"), noisy("seva")
    two = wanted("seva", references=(1, 4), images=torch.cat([picture(), picture(2)]))
    x0 = model.bind(two)(x, LEVEL)
    assert (apart(x0, model.bind(wanted("seva"))(x, LEVEL)) > 1e-4).all()
    with pytest.raises(InvalidInput, match="mv-adapter looks at 1 reference view, 2 were given"):
        prior("mv-adapter").bind(replace(two))


# Predictions to x0


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_what_seva_predicts_becomes_x0(models_folder: Path, scale: float) -> None:
    """A network that knows the noise gives the picture back, in whatever normalisation it comes."""
    model = SevaModel(components(models_folder, "seva"))
    told = wanted("seva", guidance=2.0)
    clean, noise = noisy("seva", 3), noisy("seva", 4)
    clean[1] = model.codec.encode(told.images)[0]
    noise_known = noise.clone()
    noise_known[1] = 0  # the network reads the known view without noise where it is told
    seen = []

    class Knowing(torch.nn.Module):
        def forward(self, x: Tensor, timestep: Tensor, *_: Any) -> Tensor:
            seen.append(float(timestep))
            return torch.cat([noise, noise_known])

    model.network = Knowing()
    level = NoiseLevel(0.28 * scale, 0.96 * scale)
    x0 = model.bind(told)(level.alpha * clean + level.sigma * noise, level)
    torch.testing.assert_close(x0, clean, rtol=1e-4, atol=1e-4)
    assert seen == [pytest.approx(model.levels.timestep(level))]


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_what_a_base_predicts_becomes_x0(models_folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SD 2.1 predicts the noise at 512 px and the velocity at 768."""
    parts = components(models_folder, "mv-adapter")
    model = MultiViewAdapterModel(replace(parts, scheduler={**parts.scheduler, "prediction_type": kind}))
    clean, noise = noisy("mv-adapter", 3), noisy("mv-adapter", 4)
    denoiser = model.bind(wanted("mv-adapter"))
    told = noise if kind == "epsilon" else LEVEL.alpha * noise - LEVEL.sigma * clean
    monkeypatch.setattr(model, "evaluate", lambda x, *_: told.repeat(len(x) // len(told), 1, 1, 1))
    torch.testing.assert_close(denoiser(LEVEL.alpha * clean + LEVEL.sigma * noise, LEVEL), clean)


# Coupled with a 2D editor


def test_an_editor_is_coupled_with_priors_that_begin_higher(models_folder: Path, prior: Callable[[str], Any]) -> None:
    editor = UNetModel(components(models_folder, "instruct-pix2pix"))
    count = len(RING)
    images = torch.rand(count, 3, SIDE, SIDE, generator=generator(9)) * 2 - 1
    own = editor.levels.schedule(2)
    edits = editor.bind(Conditioning(("make it old",) * count, image=images))
    priors = [(prior(name), wanted(name)) for name in ("mv-adapter", "seva")]
    schedules = [matched(model.levels.schedule(5), own) for model, _ in priors]

    def steps(kappa: float) -> list[CoupledStep]:
        trajectories = [Trajectory(edits, own, noisy("seva"), 0.0)]
        trajectories += [
            Trajectory(model.bind(told), schedule, noisy("seva", 1), 0.0)
            for (model, told), schedule in zip(priors, schedules, strict=True)
        ]
        return list(coupled(trajectories, kappa))

    free, tied, again = steps(0.0), steps(0.4), steps(0.4)
    alone = len(tied) - len(own)
    assert alone == sum(level.s > own.levels[0].s for level in SevaLevels().schedule(5).levels) > 2
    assert [step.coupled for step in tied] == [False] * alone + [True] * len(own)
    assert torch.equal(tied[alone - 1].x[2], free[alone - 1].x[2])
    for step, same in zip(tied, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(step.x0, same.x0, strict=True))
    for partner in range(3):
        assert tied[-1].x0[partner].isfinite().all()
        assert (apart(tied[-1].x0[partner], free[-1].x0[partner]) > 0).all()


def test_priors_are_kept_like_other_models(models_folder: Path) -> None:
    held = ModelCache(Library([models_folder]), torch.device("cpu"), torch.float32, 10**9)
    model = held.prior(ModelRequest("mv-adapter"))
    assert held.prior(ModelRequest("mv-adapter")) is model
    assert [one.name for one in held.loaded()] == ["mv-adapter"]
    with pytest.raises(UnknownName, match="mv-adapter is a multi-view prior"):
        open_model(components(models_folder, "mv-adapter"))
    with pytest.raises(UnknownName, match="sd15 is no multi-view prior"):
        open_multi_view(components(models_folder, "sd15"))


# What cannot be used


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_resolves(models_folder: Path, name: str) -> None:
    found = Library([models_folder]).resolve(ModelRequest(name))
    assert {part.role for part in PRIORS[name].parts} <= set(found.paths)
    assert 0 < 4 * found.values < found.bytes


@pytest.mark.parametrize(
    ("name", "file", "change", "error"),
    [
        ("mv-adapter", "adapter", lambda weights: weights.pop(sorted(weights)[-1]), BadCheckpoint),
        ("mv-adapter", "adapter", lambda weights: weights.update(more=torch.ones(2)), BadCheckpoint),
        ("mv-adapter", "adapter", lambda weights: weights.pop("adapter.conv_in.weight"), BadCheckpoint),
        ("seva", "base", lambda weights: weights.pop("out.2.bias"), BadCheckpoint),
        ("seva", "base", lambda weights: weights.pop("input_blocks.0.0.weight"), BadCheckpoint),
        ("seva", "base", lambda weights: weights.update(more=torch.ones(2)), BadCheckpoint),
    ],
)  # fmt: skip
def test_files_that_are_not_whole_are_refused(
    models_folder: Path, tmp_path: Path, name: str, file: str, change: Callable[[dict[str, Tensor]], object],
    error: type[WeftError],
) -> None:  # fmt: skip
    part = PRIORS[name].part(file)
    assert part is not None
    for one in PRIORS[name].parts:
        (tmp_path / one.source).parent.mkdir(parents=True, exist_ok=True)
        if one is not part:
            (tmp_path / one.source).symlink_to(models_folder / one.source)
    (tmp_path / part.source).mkdir()
    changed(Path(shutil.copy(models_folder / part.source / part.files[0], tmp_path / part.source)), change)
    with pytest.raises(error) as caught:
        open_multi_view(components_of(tmp_path, models_folder, name))
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def components_of(folder: Path, models_folder: Path, name: str) -> Any:
    """As `practice_components.components`; links of `folder` lead into the other one."""
    from weft.models.networks.loading import load

    request = ModelRequest(name)
    return load(
        Library([folder, models_folder]).resolve(request), request, device=torch.device("cpu"), dtype=torch.float32
    )


def test_parts_of_other_bases_are_refused(models_folder: Path, tmp_path: Path) -> None:
    adapters, small = (PRIORS[name].part("adapter") for name in ("mv-adapter-sdxl", "mv-adapter"))
    assert adapters is not None
    assert small is not None
    place = tmp_path / small.source / small.files[0]
    place.parent.mkdir(parents=True)
    shutil.copy(models_folder / adapters.source / adapters.files[0], place)
    with pytest.raises(ModelMismatch, match=r"the adapter mvadapter_i2mv_sd21.safetensors has .*; sd2-community.* has"):
        Library([tmp_path, models_folder]).resolve(ModelRequest("mv-adapter"))
    with pytest.raises(InvalidInput, match="seva takes no other checkpoint"):
        Library([models_folder]).resolve(ModelRequest("seva", "practice-sd15"))


def told(**changes: Any) -> Callable[[MultiViewConditioning], MultiViewConditioning]:
    return lambda known: replace(known, **changes)


def shown(**changes: Any) -> Callable[[Any], MultiViewConditioning]:
    return lambda known: replace(known, geometry=replace(known.geometry, **changes))


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("seva", told(cameras=(camera(0),)), "1 camera for a multi-view prior"),
        ("seva", told(references=()), "reference views [] of 5 views"),
        ("seva", told(references=(5,)), "reference views [5] of 5 views"),
        ("seva", told(images=torch.zeros(2, 3, SIDE, SIDE)), "have the shape [2, 3, 64, 64], expected [1, 3, H, W]"),
        ("seva", told(images=torch.zeros(1, 3, SIDE, 72)), "72 x 64 px, not multiples of 16"),
        ("seva", told(images=torch.zeros(1, 3, SIDE, 128)), "a camera of 64 x 64 px with pictures of 128 x 64 px"),
        ("seva", told(prompts=("a",)), "1 prompts for 5 views"),
        ("seva", told(guidance=float("nan")), "guidance is not a finite number"),
        ("mv-adapter-geometry", told(geometry=None), "follows the geometry of the views, and was given none"),
        ("mv-adapter-geometry", told(cameras=tuple(map(camera, RING))), "makes 6 views at once, 5 cameras were given"),
        ("mv-adapter-geometry", told(cameras=tuple(map(camera, (*RING, 9)))), "is not parallel from azimuth 0"),
        ("mv-adapter-geometry", shown(mask=torch.zeros(6, 1, SIDE, SIDE)), "the masks are empty"),
        ("mv-adapter-geometry", shown(normals=torch.zeros(6, 3, 32, 32)), "normals are of [32, 32] px"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_in_one_line(
    prior: Callable[[str], Any], name: str, change: Callable[[Any], Any], says: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        prior(name).bind(change(wanted(name)))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_views_that_are_not_level_are_told(prior: Callable[[str], Any]) -> None:
    model = prior("mv-adapter")
    model.bind(wanted("mv-adapter", cameras=tuple(camera(azimuth, azimuth / 10) for azimuth in RING)))
    assert "mv-adapter knows level views" in model.batches.notices.pop()
    with pytest.raises(InvalidInput, match=r"expected \[5, 4, h, w\]"):
        model.bind(wanted("mv-adapter"))(noisy("mv-adapter")[:4], LEVEL)
