"""Networks that edit and are no pipeline of diffusers, once more in the plainest way, from the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from practice_components import components, latents
from practice_loading import changed
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from transformers import CLIPVisionModelWithProjection

from weft.errors import BadCheckpoint, InvalidInput, ModelMismatch
from weft.geometry.camera import frame_object
from weft.geometry.environment import Environment
from weft.methods.synchronized import INDEPENDENT, synchronized
from weft.models.cards import CARDS, ModelRequest
from weft.models.library import Library
from weft.models.networks.image_model import Conditioning, as_planes
from weft.models.networks.neural_gaffer import NeuralGaffer
from weft.models.networks.open_model import open_model
from weft.models.networks.quiet import quietly
from weft.noise import generator
from weft.spaces.linear import identity
from weft.tasks.network import Network
from weft.tasks.view_surroundings import turned_maps
from weft.tasks.views_network import NetworkEditor

STEPS, SIDE = 4, 64
FIXUP = "HadiZayer/MagicFixup/magic_fixup.safetensors"
GAFFER = "coast01/Neural_Gaffer/model.safetensors"


@pytest.fixture(scope="module")
def gaffer(models_folder: Path) -> Any:
    return open_model(components(models_folder, "neural-gaffer"))


def drawn(seed: int, channels: int = 3, views: int = 2) -> Tensor:
    """[views, channels, SIDE, SIDE] in [-1, 1]: random tiles."""
    tiles = torch.rand(views, channels, 8, 8, generator=generator(seed)) * 2 - 1
    return functional.interpolate(tiles, scale_factor=SIDE // 8)


def squares(views: int = 2) -> Tensor:
    mask = torch.zeros(views, 1, SIDE, SIDE)
    mask[:, :, 9:50, 20:60] = 1
    return mask


def wanted(**changes: Any) -> Conditioning:
    given = {"guidance": 3.0, "image": drawn(1), "mask": squares(), "surroundings": drawn(2, 6)} | changes
    return Conditioning(("", ""), **given)


def test_neural_gaffer_is_its_definition(models_folder: Path, gaffer: Any) -> None:
    assert isinstance(gaffer, NeuralGaffer)
    assert gaffer.unit == 16
    source, asked, x = models_folder / "kxic/zero123-xl", wanted(), latents(2)
    image, mask, light = drawn(1), squares(), drawn(2, 6)
    parts: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
    with quietly(), torch.no_grad():
        vae: Any = AutoencoderKL.from_pretrained(str(source / "vae"), **parts)
        encoder: Any = CLIPVisionModelWithProjection.from_pretrained(str(source / "image_encoder"), **parts)
        base: Any = UNet2DConditionModel.from_pretrained(str(source / "unet"), **parts)
        unet: Any = UNet2DConditionModel.from_config(dict(base.config), in_channels=16)
        unet.load_state_dict(load_file(models_folder / GAFFER))
        white, high, low = image * mask + (1 - mask), light[:, :3], light[:, 3:]
        beside = torch.cat([vae.encode(own).latent_dist.mode() for own in (white, high, low)], 1)  # not scaled
        small = functional.interpolate(white, (32, 32), mode="bicubic", align_corners=True)
        mean, deviation = (
            torch.tensor([0.48145466, 0.4578275, 0.40821073]),
            torch.tensor([0.26862954, 0.26130258, 0.27577711]),
        )
        seen = encoder(((small + 1) / 2 - mean[:, None, None]) / deviation[:, None, None]).image_embeds[:, None]
        scheduler: Any = DDIMScheduler.from_pretrained(str(source / "scheduler"), local_files_only=True)
        scheduler.set_timesteps(STEPS)
        walk = x
        for t in scheduler.timesteps:
            told = unet(torch.cat([walk, beside], 1), t, seen).sample
            without = unet(torch.cat([walk, 0 * beside], 1), t, 0 * seen).sample
            walk = scheduler.step(without + 3 * (told - without), t, walk).prev_sample
        there = (vae.decode(walk / 0.18215).sample / 2 + 0.5).clamp(0, 1)
    *_, last = synchronized(gaffer.bind(asked), identity((2, 8, 8)), gaffer.levels.schedule(STEPS), x, case=INDEPENDENT)
    here = (gaffer.codec.decode(last.x) / 2 + 0.5).clamp(0, 1)
    assert there.std() > 0.05
    torch.testing.assert_close(here, there, rtol=0, atol=2e-3)


def test_neural_gaffer_looks_at_the_object_and_at_the_light_alone(gaffer: Any) -> None:
    x, level = latents(2), gaffer.levels.schedule(STEPS).levels[1]
    first = gaffer.bind(wanted())(x, level)
    behind = wanted(image=drawn(1) * squares() + drawn(5) * (1 - squares()))
    assert torch.equal(gaffer.bind(behind)(x, level), first)
    for changes in ({"surroundings": drawn(3, 6)}, {"image": drawn(4)}, {"mask": 1 - squares()}, {"guidance": 1.0}):
        assert not torch.isclose(gaffer.bind(wanted(**changes))(x, level), first).all()
    for name in ("image", "mask", "surroundings"):
        with pytest.raises(InvalidInput, match=f"was given no {name}"):
            gaffer.bind(wanted(**{name: None}))
    with pytest.raises(InvalidInput, match=r"surroundings has the shape \[2, 3, 64, 64\]"):
        gaffer.bind(wanted(surroundings=drawn(2, 3)))
    assert gaffer.cut("many words") == ""


def test_neural_gaffer_relights_views_by_a_map(gaffer: Any) -> None:
    views = drawn(1).permute(0, 2, 3, 1).numpy() / 2 + 0.5
    points = np.array([[-1, -1, -1], [1, 1, 1]], np.float32)
    cameras = frame_object(points, [(0.0, 10.0), (120.0, 0.0)], SIDE)
    environment = Environment(np.random.default_rng(0).random((8, 16, 3), np.float32))
    network = Network(CARDS["neural-gaffer"], lambda: gaffer)
    assert network.relights

    def relit(light: Environment | None) -> NetworkEditor:
        mask = squares()[:, 0].numpy() > 0
        return NetworkEditor(network, views, "", STEPS, mask=mask, cameras=cameras, environment=light)

    own = relit(environment)
    low, high = turned_maps(environment, cameras, (SIDE, SIDE))
    shown = Conditioning(
        ("", ""), guidance=3.0, image=as_planes(views), mask=squares(),
        surroundings=torch.cat([high, low], 1),
    )  # fmt: skip
    x, level = latents(2), own.schedule.levels[0]
    alone = Network(CARDS["neural-gaffer"], lambda: gaffer, view_attention=False)
    own.network = alone
    assert torch.equal(own.editor(0)(x, level), gaffer.bind(shown)(x, level))
    with pytest.raises(InvalidInput, match="by an environment map"):
        relit(None).editor(0)


def test_what_is_no_neural_gaffer_is_refused(models_folder: Path, tmp_path: Path) -> None:
    import shutil

    def resolved(change: Any) -> None:
        folder = tmp_path / "models"
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("kxic", "coast01"):
            shutil.copytree(models_folder / name, folder / name)
        changed(folder / GAFFER, change)
        Library([folder]).resolve(ModelRequest("neural-gaffer"))

    resolved(lambda tensors: None)
    with pytest.raises(BadCheckpoint, match="takes 8 channels, not 16"):
        resolved(lambda t: t.update({"conv_in.weight": t["conv_in.weight"][:, :8].clone()}))
    with pytest.raises(BadCheckpoint, match="holds no U-Net"):
        resolved(lambda t: t.pop("conv_in.weight"))
    with pytest.raises(ModelMismatch, match=r"has another conv_out\.bias"):
        resolved(lambda t: t.update({"conv_out.bias": torch.zeros(7)}))


# Magic Fixup


@pytest.fixture(scope="module")
def fixup(models_folder: Path) -> Any:
    return open_model(components(models_folder, "magic-fixup"))


def fixed(**changes: Any) -> Conditioning:
    given = {"guidance": 1.0, "image": drawn(1), "mask": squares(), "before": drawn(2)} | changes
    return Conditioning(("", ""), **given)


def test_a_block_of_magic_fixup_is_its_definition(models_folder: Path, fixup: Any) -> None:
    """By the names and weights of the published file, the attentions written out."""
    tensors = load_file(models_folder / FIXUP)
    seen: dict[str, Any] = {}
    first, second = (
        unet.down_blocks[0].attentions[0].transformer_blocks[0] for unet in (fixup.network.first, fixup.network.second)
    )
    hooks = [
        first.register_forward_hook(lambda _, given, result: seen.update(x=given[0], y=result)),
        second.register_forward_hook(lambda _, given, result: seen.update(old=given[0])),
        fixup.network.second.register_forward_pre_hook(lambda _, given: seen.update(input=given[0], t=given[1])),
    ]
    level = fixup.levels.schedule(STEPS).levels[1]
    fixup.bind(fixed())(latents(2), level)
    for hook in hooks:
        hook.remove()

    def own(name: str, network: str = "diffusion_model") -> Tensor:
        return tensors[f"model.{network}.input_blocks.1.1.transformer_blocks.0.{name}"]

    def norm(x: Tensor, name: str, network: str = "diffusion_model") -> Tensor:
        weight, bias = own(f"{name}.weight", network), own(f"{name}.bias", network)
        return functional.layer_norm(x, x.shape[-1:], weight, bias)

    def attention(x: Tensor, tokens: Tensor, name: str) -> Tensor:
        q, k, v = (
            (given @ own(f"{name}.to_{part}.weight").T).unflatten(-1, (heads, -1)).transpose(1, 2)
            for part, given in (("q", x), ("k", tokens), ("v", tokens))
        )
        mixed = (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5).softmax(-1) @ v
        return mixed.transpose(1, 2).flatten(2) @ own(f"{name}.to_out.0.weight").T + own(f"{name}.to_out.0.bias")

    heads, x = first.attn1.heads, seen["x"]
    tokens = norm(x, "norm1")
    x = x + attention(tokens, tokens, "attn1")
    x = x + attention(norm(x, "norm2"), norm(seen["old"], "norm1", "reference_model"), "attn3")
    wide, gate = (norm(x, "norm3") @ own("ff.net.0.proj.weight").T + own("ff.net.0.proj.bias")).chunk(2, -1)
    y = x + (wide * functional.gelu(gate)) @ own("ff.net.2.weight").T + own("ff.net.2.bias")
    torch.testing.assert_close(seen["y"], y, rtol=0, atol=1e-5)
    # The old picture is seen at the level of the new one, under one and the same noise, beside itself and the mask.
    old = fixup.codec.encode(drawn(2))
    noise = (seen["input"][:, :4] - level.alpha * old) / level.sigma
    torch.testing.assert_close(noise[0], noise[1], rtol=0, atol=1e-4)
    assert noise.std() == pytest.approx(1, abs=0.2)
    torch.testing.assert_close(seen["input"][:, 4:8], old, rtol=0, atol=1e-6)
    known = seen["input"][:, 8]
    assert (known[:, 2:5, 3:7] == 0).all()
    assert (known[:, 7] == 1).all()


def test_magic_fixup_looks_at_the_edit_and_at_the_picture_before(fixup: Any) -> None:
    x, level = latents(2), fixup.levels.schedule(STEPS).levels[1]
    result = fixup.bind(fixed())(x, level)
    assert torch.equal(fixup.bind(fixed())(x, level), result)
    assert torch.equal(
        fixup.bind(fixed(guidance=4.0))(x, level).round(decimals=3), result.round(decimals=3)
    )  # no words
    for changes in ({"image": drawn(4)}, {"mask": 1 - squares()}, {"before": drawn(5)}):
        assert not torch.isclose(fixup.bind(fixed(**changes))(x, level), result).all()
    with pytest.raises(InvalidInput, match="was given no before"):
        fixup.bind(fixed(before=None))


def test_magic_fixup_moves_things_in_views(fixup: Any) -> None:
    """It begins at the edit, takes new noise, and is free everywhere."""
    views, before = (drawn(seed).permute(0, 2, 3, 1).numpy() / 2 + 0.5 for seed in (1, 2))
    holes = squares()[:, 0].numpy() > 0
    own = NetworkEditor(
        Network(CARDS["magic-fixup"], lambda: fixup), views, "", STEPS, mask=holes, before=before
    )  # fmt: skip
    assert own.eta == 1
    x, level = latents(2), own.schedule.levels[1]
    wanted = fixed(image=as_planes(views), before=as_planes(before))
    assert torch.equal(own.editor(0)(x, level), fixup.bind(wanted)(x, level))
    assert own.clean is not None
    assert torch.equal(own.clean, fixup.codec.encode(as_planes(views)))
    edited = own.prior(1, x[1], 0)(x, level)
    assert torch.equal(edited[1], x[1])


def test_what_is_no_magic_fixup_is_refused(models_folder: Path, tmp_path: Path) -> None:
    import shutil

    for name in ("stable-diffusion-v1-5", "HadiZayer"):
        shutil.copytree(models_folder / name, tmp_path / name)
    request = ModelRequest("magic-fixup")
    assert "pair" in Library([tmp_path]).resolve(request).paths
    changed(tmp_path / FIXUP, lambda t: t.pop("model.diffusion_model.out.2.bias"))
    with pytest.raises(BadCheckpoint, match="lacks 1 weights, conv_out"):
        components(tmp_path, "magic-fixup")
    changed(tmp_path / FIXUP, lambda t: t.pop("model.reference_model.input_blocks.0.0.weight"))
    with pytest.raises(BadCheckpoint, match="holds no reference_model"):
        Library([tmp_path]).resolve(request)
