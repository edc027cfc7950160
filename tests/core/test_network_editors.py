"""The same files, loaded and run by diffusers' pipelines and by us, give the same pictures: editing, inpainting,
relighting, pictures in the place of words, LoRAs, single files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_inpaint import StableDiffusionInpaintPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_instruct_pix2pix import (
    StableDiffusionInstructPix2PixPipeline,
)
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from PIL import Image
from practice_components import latents
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPImageProcessor

from weft.methods.synchronized import INDEPENDENT, synchronized
from weft.models.cards import CARDS, ModelRequest
from weft.models.library import Library
from weft.models.networks.image_model import Conditioning, as_planes
from weft.models.networks.loading import load
from weft.models.networks.quiet import quietly
from weft.models.networks.style import Style
from weft.models.networks.unet_model import UNetModel
from weft.spaces.linear import identity

STEPS, SIDE = 4, 64
WORDS = ("make it gold, left view", "a stone bunny, back view")
NEGATIVE = "blurry"


def model(folder: Path, name: str, **wanted: Any) -> UNetModel:
    request = ModelRequest(name, **wanted)
    resolved = Library([folder]).resolve(request)
    return UNetModel(load(resolved, request, device=torch.device("cpu"), dtype=torch.float32))


def ours(network: UNetModel, wanted: Conditioning, x: Tensor) -> Tensor:
    """The decoded views after the last step, [N, 3, H, W] in [0, 1]: what a pipeline returns."""
    space = identity((len(x), x.shape[2], x.shape[3]))
    denoiser, schedule = network.bind(wanted), network.levels.schedule(STEPS)
    *_, last = synchronized(denoiser, space, schedule, x, case=INDEPENDENT)
    return (network.codec.decode(last.x) / 2 + 0.5).clamp(0, 1)


def pipeline(kind: Any, source: Path, **parts: Any) -> Any:
    """diffusers' own, with its own loading; DDIM in the place of the sampler."""
    with quietly():
        pipe = kind.from_pretrained(str(source), local_files_only=True, use_safetensors=True, **parts)
        pipe.scheduler = DDIMScheduler.from_config(dict(pipe.scheduler.config))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def theirs(pipe: Any, x: Tensor, **settings: Any) -> Tensor:
    """One view after the other: [N, 3, H, W] in [0, 1]. Settings that are lists have one value a view."""
    shown = []
    for i, noise in enumerate(x.split(1)):
        own = {key: value[i] if isinstance(value, list) else value for key, value in settings.items()}
        with quietly():
            asked = {"negative_prompt": NEGATIVE, "num_inference_steps": STEPS, "latents": noise, **own}
            shown.append(pipe(output_type="pt", return_dict=False, **asked)[0])
    return torch.cat(shown)


def drawn(seed: int, height: int = SIDE, width: int = SIDE) -> Image.Image:
    """A picture of 8 × 8 random tiles."""
    tiles = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(tiles).resize((width, height), Image.Resampling.BILINEAR)


def planes(pictures: list[Image.Image]) -> Tensor:
    """[N, 3, H, W] in [-1, 1]."""
    return as_planes(np.stack([np.asarray(picture, np.float32) / 255 for picture in pictures]))


def assert_same(a: Tensor, b: Tensor) -> None:
    """To float tolerance, and not because all is black or white."""
    assert b.std() > 0.05
    torch.testing.assert_close(a, b, rtol=0, atol=2e-3)


def test_edits_by_instruction_are_the_pipeline(models_folder: Path) -> None:
    x, pictures = latents(2), [drawn(1), drawn(2)]
    pipe = pipeline(StableDiffusionInstructPix2PixPipeline, models_folder / "timbrooks/instruct-pix2pix")
    settings = {"guidance_scale": 6.0, "image_guidance_scale": 1.4}
    wanted = Conditioning(WORDS, NEGATIVE, 6.0, image_guidance=1.4, image=planes(pictures))
    edited = ours(model(models_folder, "instruct-pix2pix"), wanted, x)
    assert_same(edited, theirs(pipe, x, prompt=list(WORDS), image=pictures, **settings))


def test_inpainting_is_the_pipeline(models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline draws from the distribution of the masked picture; only its mode can be compared.
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())
    x, pictures = latents(2), [drawn(3), drawn(4)]
    marks = np.zeros((SIDE, SIDE), np.uint8)
    marks[11:40, 5:52] = 255  # off the grid of latents
    masks = [Image.fromarray(marks), Image.fromarray(marks.T)]
    source = models_folder / "stable-diffusion-v1-5/stable-diffusion-inpainting"
    pipe = pipeline(StableDiffusionInpaintPipeline, source)
    settings = {"guidance_scale": 6.0, "strength": 1.0, "height": SIDE, "width": SIDE}
    mask = torch.stack([torch.from_numpy(np.asarray(own) / np.float32(255))[None] for own in masks])
    painted = ours(
        model(models_folder, "sd15-inpainting"),
        Conditioning(WORDS, NEGATIVE, 6.0, image=planes(pictures), mask=mask),
        x,
    )
    assert_same(painted, theirs(pipe, x, prompt=list(WORDS), image=pictures, mask_image=masks, **settings))


@pytest.mark.parametrize(("name", "scale"), [("sd15", 0.6), ("sdxl", 0.9)])
def test_style_is_the_pipeline(models_folder: Path, name: str, scale: float) -> None:
    x, picture = latents(1), drawn(5, 32, 32)  # of the encoder's size: nothing is resized
    kind = StableDiffusionXLPipeline if name == "sdxl" else StableDiffusionPipeline
    source, style = (CARDS[name].part(role) for role in ("base", "style"))
    assert source is not None
    assert style is not None
    pipe = pipeline(kind, models_folder / source.source)
    file = Path(style.files[0])
    with quietly():
        pipe.load_ip_adapter(
            str(models_folder / style.source),
            subfolder=str(file.parent),
            weight_name=file.name,
            image_encoder_folder="models/image_encoder",
            local_files_only=True,
        )
    pipe.set_ip_adapter_scale(scale)
    wanted = Conditioning(WORDS[:1], NEGATIVE, 6.0, style=planes([picture])[0], style_scale=scale)
    settings = {"guidance_scale": 6.0, "height": SIDE, "width": SIDE, "ip_adapter_image": picture}
    styled = ours(model(models_folder, name, style=True), wanted, x)
    assert_same(styled, theirs(pipe, x, prompt=list(WORDS[:1]), **settings))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 70), (97, 41), (20, 20), (200, 33)])
def test_style_pictures_are_prepared_as_clip_was_trained(models_folder: Path, height: int, width: int) -> None:
    network = model(models_folder, "sd15", style=True)
    picture = drawn(6, height, width)
    seen: list[Tensor] = []
    network._style._encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network._style.encode(planes([picture])[0])
    with quietly():
        wanted = CLIPImageProcessor(size=32, crop_size=32)(picture, return_tensors="pt").pixel_values
    assert seen[0].shape == wanted.shape
    assert (seen[0] - wanted).abs().max() < 1.5 / 255 / 0.26  # theirs is rounded to bytes before it is normalised
    assert isinstance(network._style, Style)


@pytest.mark.parametrize("name", ["ic-light", "ic-light-background"])
def test_relighting_is_its_definition(models_folder: Path, name: str) -> None:
    """Base and offset merged and sampled once more here, in the plainest way, from the files."""
    x, picture, behind = latents(1), planes([drawn(7)]), planes([drawn(8)])
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[:, :, 9:50, 20:60] = 1
    mask[:, :, 9:50, 18:20] = 0.5  # of hair
    pipe = pipeline(StableDiffusionPipeline, models_folder / "stable-diffusion-v1-5/stable-diffusion-v1-5")
    offset = CARDS[name].part("offset")
    assert offset is not None
    added = load_file(models_folder / offset.source / offset.files[0])
    unet = merged(pipe.unet, added)
    grey = picture * mask  # 127 of 255 is about 0
    shown = [grey, behind] if name == "ic-light-background" else [grey]
    with torch.no_grad():
        beside = torch.cat([pipe.vae.encode(own).latent_dist.mode() * 0.18215 for own in shown], dim=1)
        words, negative = pipe.encode_prompt(WORDS[0], "cpu", 1, True, NEGATIVE)
        pipe.scheduler.set_timesteps(STEPS)
        walk = x
        for t in pipe.scheduler.timesteps:
            both = torch.cat([torch.cat([walk, beside], dim=1)] * 2)
            without, told = unet(both, t, torch.cat([negative, words])).sample.chunk(2)
            walk = pipe.scheduler.step(without + 2.0 * (told - without), t, walk).prev_sample
        wanted = (pipe.vae.decode(walk / 0.18215).sample / 2 + 0.5).clamp(0, 1)
    given = Conditioning(WORDS[:1], NEGATIVE, 2.0, image=picture, mask=mask, background=behind)
    assert_same(ours(model(models_folder, name), given, x), wanted)


def merged(base: UNet2DConditionModel, added: dict[str, Tensor]) -> UNet2DConditionModel:
    """A network of more input channels whose every weight is base plus offset; what the base lacks counts as zero."""
    wide: Any = UNet2DConditionModel.from_config(dict(base.config), in_channels=added["conv_in.weight"].shape[1])
    weights = dict(base.state_dict())
    first = torch.zeros_like(added["conv_in.weight"])
    first[:, :4] = weights["conv_in.weight"]
    weights["conv_in.weight"] = first
    wide.load_state_dict({key: weight + added[key] for key, weight in weights.items()})
    return wide.eval()


@pytest.mark.parametrize("file", ["practice-lora-sd15", "practice-kohya-sd15"])
def test_loras_are_the_pipeline(models_folder: Path, file: str) -> None:
    x = latents(1)
    pipe = pipeline(StableDiffusionPipeline, models_folder / "stable-diffusion-v1-5/stable-diffusion-v1-5")
    with quietly():
        pipe.load_lora_weights(str(models_folder), weight_name=f"{file}.safetensors", local_files_only=True)
        pipe.fuse_lora(lora_scale=0.7)
    settings = {"guidance_scale": 6.0, "height": SIDE, "width": SIDE}
    wanted = Conditioning(WORDS[:1], NEGATIVE, 6.0)
    painted = ours(model(models_folder, "sd15", loras=((file, 0.7),)), wanted, x)
    assert_same(painted, theirs(pipe, x, prompt=list(WORDS[:1]), **settings))
    plain = ours(model(models_folder, "sd15"), wanted, x)
    assert (plain - painted).abs().max() > 0.01


def test_single_files_paint_as_their_folders(models_folder: Path) -> None:
    x, wanted = latents(1), Conditioning(WORDS[:1], NEGATIVE, 6.0)
    alone = ours(model(models_folder, "sd15", checkpoint="practice-sd15"), wanted, x)
    assert torch.equal(alone, ours(model(models_folder, "sd15"), wanted, x))
