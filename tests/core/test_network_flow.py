"""Flow transformers under our own loop: the pictures of diffusers' pipelines, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.pipelines.flux2.pipeline_flux2_klein import Flux2KleinPipeline
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import StableDiffusion3Pipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from PIL import Image
from practice_components import components
from torch.nn.functional import pixel_unshuffle

from weft.errors import InvalidInput
from weft.methods.synchronized import INDEPENDENT, synchronized
from weft.models.cards import ModelRequest
from weft.models.library import Library
from weft.models.networks.batching import Batches
from weft.models.networks.components import Components
from weft.models.networks.flow_model import FlowModel
from weft.models.networks.image_model import Conditioning, Control
from weft.models.networks.loading import load
from weft.models.networks.open_model import open_model
from weft.models.networks.quiet import quietly
from weft.noise import gaussian, generator
from weft.schedule import NoiseLevel
from weft.spaces.linear import identity
from weft.stepper import flow_euler

PROMPT = "front view of a stone bunny"
SIDE = 64  # px
NAMES = ("sd3.5-medium", "flux2-klein")


@pytest.fixture(scope="module", params=NAMES)
def parts(request: pytest.FixtureRequest, models_folder: Path) -> Components:
    return components(models_folder, request.param)


@pytest.fixture(scope="module")
def model(parts: Components) -> FlowModel:
    return FlowModel(parts)


@pytest.fixture(scope="module")
def sd3(models_folder: Path) -> Components:
    return components(models_folder, "sd3.5-medium")


@pytest.fixture(scope="module")
def klein(models_folder: Path) -> Components:
    return components(models_folder, "flux2-klein")


def noise(model: FlowModel, count: int = 1, seed: int = 0) -> torch.Tensor:
    side = SIDE // model.codec.factor
    return gaussian((count, model.codec.channels, side, side), generator(seed))


def plain(**more: Any) -> Conditioning:
    return Conditioning((PROMPT,), **{"guidance": 1.0, **more})


def walked(model: FlowModel, wanted: Conditioning, x: torch.Tensor, steps: int) -> torch.Tensor:
    """What our loop makes of noise."""
    denoiser, levels = model.bind(wanted), model.levels_at(SIDE, SIDE)
    for level, next_level in levels.schedule(steps):
        x = flow_euler(x, denoiser(x, level), level, next_level)
    return x


def scheduler_of(parts: Components, **more: Any) -> Any:
    return FlowMatchEulerDiscreteScheduler.from_config({**parts.scheduler, **more})


def piped(pipeline: type, words: dict[str, Any], parts: Components, **settings: Any) -> torch.Tensor:
    """The latents that a pipeline of diffusers makes of `settings`."""
    with quietly():
        own = scheduler_of(parts)
        pipe = pipeline(transformer=parts.network, vae=parts.vae, scheduler=own, **words)
        pipe.set_progress_bar_config(disable=True)
        return pipe(prompt=PROMPT, height=SIDE, width=SIDE, output_type="latent", return_dict=False, **settings)[0]


def piped_3(parts: Components, x: torch.Tensor, **settings: Any) -> torch.Tensor:
    """Of Stable Diffusion 3, with T5 or without."""
    words: dict[str, Any] = {"text_encoder_3": None, "tokenizer_3": None}
    for number, suffix in enumerate(("", "_2", "_3")[: len(parts.tokenizers)]):
        words |= {f"text_encoder{suffix}": parts.text_encoders[number], f"tokenizer{suffix}": parts.tokenizers[number]}
    return piped(StableDiffusion3Pipeline, words, parts, latents=x, **settings)


def piped_klein(parts: Components, x: torch.Tensor, **settings: Any) -> torch.Tensor:
    """Of FLUX.2 klein: the modes, for the VAE."""
    words = {"text_encoder": parts.text_encoders[0], "tokenizer": parts.tokenizers[0], "is_distilled": parts.distilled}
    return piped(Flux2KleinPipeline, words, parts, latents=pixel_unshuffle(x, 2), **settings)


@pytest.mark.parametrize(("guidance", "negative"), [(1.0, ""), (4.5, ""), (4.5, "red brick")])
@pytest.mark.parametrize("with_t5", [True, False])
def test_pictures_of_stable_diffusion_3_are_those_of_its_pipeline(sd3, with_t5, guidance, negative):
    parts = sd3 if with_t5 else replace(sd3, tokenizers=sd3.tokenizers[:2], text_encoders=sd3.text_encoders[:2])
    model = FlowModel(parts)
    x = noise(model)
    theirs = piped_3(parts, x, num_inference_steps=4, guidance_scale=guidance, negative_prompt=negative)
    ours = walked(model, plain(guidance=guidance, negative=negative), x, 4)
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_words_reach_stable_diffusion_3_through_every_encoder(sd3):
    """Without T5, or with other weights in any one of them, the picture is another."""
    with_all = FlowModel(sd3)
    x = noise(with_all)
    first = with_all.bind(plain())(x, NoiseLevel(0.3, 0.7))
    for silent in range(3):
        encoders = list(sd3.text_encoders)
        encoders[silent] = _Silent(encoders[silent])
        other = FlowModel(replace(sd3, text_encoders=tuple(encoders))).bind(plain())(x, NoiseLevel(0.3, 0.7))
        assert (first - other).abs().max() > 1e-3


class _Silent(torch.nn.Module):
    """An encoder that reads other words than it is given."""

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: torch.Tensor, **settings: Any) -> Any:
        return self.encoder(ids.flip(-1), **settings)


@pytest.mark.parametrize(("distilled", "guidance"), [(True, 1.0), (False, 1.0), (False, 4.0)])
def test_pictures_of_klein_are_those_of_its_pipeline(klein, distilled, guidance):
    parts = replace(klein, distilled=distilled)
    model = FlowModel(parts)
    x = noise(model)
    theirs = piped_klein(parts, x, num_inference_steps=3, guidance_scale=guidance)
    ours = model.codec.unscaled(walked(model, plain(guidance=guidance), x, 3))
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_edits_of_klein_are_those_of_its_pipeline(klein):
    model = FlowModel(klein)
    picture = (torch.rand(SIDE, SIDE, 3, generator=generator(3)) * 255).byte()
    image = (picture.float() / 255).permute(2, 0, 1)[None] * 2 - 1
    x = noise(model)
    theirs = piped_klein(klein, x, image=Image.fromarray(picture.numpy()), num_inference_steps=2)
    ours = model.codec.unscaled(walked(model, plain(image=image), x, 2))
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert (ours - model.codec.unscaled(walked(model, plain(), x, 2))).abs().max() > 0.05


def test_the_way_from_pixels_to_latents_is_that_of_kleins_pipeline(klein):
    model = FlowModel(klein)
    image = torch.rand(1, 3, SIDE, SIDE, generator=generator(4)) * 2 - 1
    with quietly():
        pipe = Flux2KleinPipeline(None, klein.vae, None, None, None)  # type: ignore[arg-type]
        theirs = pipe._encode_vae_image(image, None)  # type: ignore[arg-type]
    ours = model.codec.encode(image)
    assert torch.allclose(pixel_unshuffle(ours, 2), theirs, atol=1e-5)
    assert torch.allclose(model.codec.decode(ours), klein.vae.decode(model.codec.modes(image)).sample, atol=1e-4)


def test_many_views_are_denoised_as_each_alone(model):
    """Prompts, views and rows of guidance keep to themselves; the loop of SyncTweedies, untied, is the same."""
    prompts = (PROMPT, "left view of a red brick", PROMPT)
    guidance = 1.0 if model.distilled else 3.0
    x = noise(model, 3)
    together = model.bind(Conditioning(prompts, guidance=guidance))
    schedule = model.levels_at(SIDE, SIDE).schedule(2)
    steps = [*synchronized(together, identity((3, x.shape[2], x.shape[3])), schedule, x, case=INDEPENDENT)]
    for view, prompt in enumerate(prompts):
        alone = walked(model, Conditioning((prompt,), guidance=guidance), x[view : view + 1], 2)
        assert torch.allclose(steps[-1].x0[view], alone[0], rtol=1e-4, atol=1e-4)
    assert (steps[-1].x0[0] - steps[-1].x0[1]).abs().max() > 0.05


def test_every_view_is_shown_its_own_picture(klein):
    model = FlowModel(klein)
    x, level = noise(model, 2), NoiseLevel(0.2, 0.8)
    images = torch.rand(2, 3, SIDE, SIDE, generator=generator(5)) * 2 - 1
    together = model.bind(Conditioning((PROMPT, PROMPT), guidance=1.0, image=images))(x, level)
    for view in range(2):
        alone = model.bind(plain(image=images[view : view + 1]))(x[view : view + 1], level)
        assert torch.allclose(together[view], alone[0], rtol=1e-4, atol=1e-4)


def test_the_estimate_is_where_the_schedulers_step_to_zero_ends(model, parts):
    """x0 = x - σ v: the publisher's Euler step straight to the clean level."""
    denoiser, x = model.bind(plain()), noise(model)
    scheduler = scheduler_of(parts, use_dynamic_shifting=False)
    scheduler.set_timesteps(sigmas=[0.4])
    sigma = float(scheduler.sigmas[0])
    level = NoiseLevel(1 - sigma, sigma)
    x0 = denoiser(x, level)
    stepped = scheduler.step((x - x0) / sigma, scheduler.timesteps[0], x).prev_sample
    assert torch.allclose(x0, stepped, atol=1e-4)
    half = NoiseLevel(level.alpha / 2, level.sigma / 2)
    assert torch.allclose(denoiser(x / 2, half), x0, atol=1e-4)  # another scale of the same ratio


def test_parts_of_a_batch_make_the_same_pictures(parts, model):
    prompts, guidance = (PROMPT, "top view of gold moss"), 1.0 if parts.distilled else 5.0
    wanted, level, x = Conditioning(prompts, guidance=guidance), NoiseLevel(0.4, 0.6), noise(model, 2)
    whole = model.bind(wanted)(x, level)
    one_by_one = FlowModel(parts, batches=Batches(largest=1)).bind(wanted)(x, level)
    assert torch.allclose(whole, one_by_one, rtol=1e-4, atol=1e-4)
    assert torch.equal(whole, FlowModel(parts).bind(wanted)(x, level))  # the same bytes every time


def test_half_precision_stays_near_and_its_results_are_single(models_folder, parts, model):
    request = ModelRequest(parts.card.name)
    found = Library([models_folder]).resolve(request)
    half = FlowModel(load(found, request, device=torch.device("cpu"), dtype=torch.bfloat16))
    x, level = noise(model), NoiseLevel(0.5, 0.5)
    exact, rounded = (one.bind(plain())(x, level) for one in (model, half))
    assert rounded.dtype == torch.float32
    assert 1e-6 < (exact - rounded).abs().mean() < 0.05
    picture = half.codec.decode(rounded)
    assert picture.dtype == torch.float32
    assert picture.shape == (1, 3, SIDE, SIDE)


def test_the_walk_depends_on_the_size_where_the_network_says_so(sd3, klein):
    small, large = ([level.sigma for level in FlowModel(klein).levels_at(s, s).schedule(4).levels] for s in (256, 1024))
    assert all(a < b for a, b in zip(small[1:-1], large[1:-1], strict=True))
    fixed = FlowModel(sd3)
    assert fixed.levels_at(256, 256).schedule(4).sigmas.tolist() == fixed.levels.schedule(4).sigmas.tolist()
    moving = FlowModel(replace(sd3, scheduler={**sd3.scheduler, "use_dynamic_shifting": True}))
    assert moving.levels_at(256, 256).schedule(4).sigmas[1] < moving.levels_at(1024, 1024).schedule(4).sigmas[1]


def test_the_end_of_long_prompts_is_named(sd3, klein):
    long = "wood " * 100 + "bunny"
    assert FlowModel(sd3).cut(long) == ""  # T5 reads on where the CLIPs stop
    assert FlowModel(sd3).cut("wood " * 300 + "bunny").endswith("bunny")
    without = replace(sd3, tokenizers=sd3.tokenizers[:2], text_encoders=sd3.text_encoders[:2])
    assert FlowModel(without).cut(long).endswith("bunny")
    assert FlowModel(klein).cut(long) == ""
    assert FlowModel(klein).cut("wood " * 600 + "bunny").endswith("bunny")


PICTURES = torch.zeros(1, 3, SIDE, SIDE)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"controls": (Control("depth", PICTURES),)}, "depth"),
        ({"mask": PICTURES[:, :1]}, "mask"),
        ({"background": PICTURES}, "background"),
        ({"style": PICTURES[0]}, "style"),
        ({"guidance": float("nan")}, "guidance"),
        ({"prompts": ()}, "prompt"),
    ],
)
def test_what_a_model_cannot_use_is_refused_in_one_line(model, asked, told):
    with pytest.raises(InvalidInput) as refusal:
        model.bind(replace(plain(), **asked))
    assert told in refusal.value.message
    assert refusal.value.hint
    assert "\n" not in str(refusal.value)


def test_each_refuses_what_only_the_other_can(sd3, klein):
    with pytest.raises(InvalidInput, match="image"):
        FlowModel(sd3).bind(plain(image=PICTURES))
    with pytest.raises(InvalidInput, match="distilled"):
        FlowModel(klein).bind(plain(guidance=4.0))


def test_a_model_that_edits_needs_something_to_edit(models_folder):
    editor = FlowModel(components(models_folder, "flux2-klein-edit"))
    with pytest.raises(InvalidInput, match="no image"):
        editor.bind(plain())
    x, level = noise(editor), NoiseLevel(0.2, 0.8)
    masked = editor.bind(plain(image=PICTURES, mask=PICTURES[:, :1]))(x, level)
    assert torch.equal(masked, editor.bind(plain(image=PICTURES))(x, level))


def test_latents_of_another_size_are_refused(model):
    denoiser, level = model.bind(plain()), NoiseLevel(0.5, 0.5)
    with pytest.raises(InvalidInput, match="expected"):
        denoiser(noise(model, 2), level)
    with pytest.raises(InvalidInput, match="multiples of 16"):
        denoiser(torch.zeros(1, model.codec.channels, 7, 8), level)


def test_pictures_of_another_size_are_refused(klein):
    model = FlowModel(klein)
    with pytest.raises(InvalidInput, match="multiples of 16"):
        model.bind(plain(image=PICTURES[:, :, :40]))
    with pytest.raises(InvalidInput, match="with pictures of"):
        model.bind(plain(image=PICTURES[:, :, :32]))(noise(model), NoiseLevel(0.5, 0.5))


def test_the_family_of_a_card_opens_this_model(parts):
    assert type(open_model(parts)) is FlowModel
