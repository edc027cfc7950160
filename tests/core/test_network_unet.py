"""U-Nets under our loop do what diffusers' own pipelines do, view by view; what they cannot do is refused at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline
from diffusers.pipelines.controlnet.pipeline_controlnet_union_sd_xl import StableDiffusionXLControlNetUnionPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_inpaint import StableDiffusionInpaintPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_instruct_pix2pix import (
    StableDiffusionInstructPix2PixPipeline,
)
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from practice_components import components, latents, pictures, piped

from weft.denoiser import Denoiser
from weft.errors import InvalidInput, ModelMismatch, UnknownName
from weft.methods.synchronized import INDEPENDENT, synchronized
from weft.models.networks.batching import Batches
from weft.models.networks.codec import LatentCodec
from weft.models.networks.extra_channels import extra_of
from weft.models.networks.image_model import Conditioning, Control, ViewNeighbours
from weft.models.networks.open_model import open_model
from weft.models.networks.unet_model import UNetModel
from weft.schedule import NoiseLevel, Schedule
from weft.spaces.linear import identity

STEPS = 5
PROMPT = "a red brick wall, front view"
NEGATIVE = "blurry"


@pytest.fixture(scope="module")
def sd15(models_folder) -> UNetModel:
    return UNetModel(components(models_folder, "sd15", controls=("depth", "canny", "normal")))


@pytest.fixture(scope="module")
def sdxl(models_folder) -> UNetModel:
    return UNetModel(components(models_folder, "sdxl", controls=("depth", "normal")))


def walked(denoiser: Denoiser, schedule: Schedule, x: torch.Tensor) -> torch.Tensor:
    """The noisy views after the last step: what a pipeline calls its latents."""
    space = identity((len(x), x.shape[2], x.shape[3]))
    *_, last = synchronized(denoiser, space, schedule, x, case=INDEPENDENT)
    return last.x


def ours(model: UNetModel, wanted: Conditioning, x: torch.Tensor) -> torch.Tensor:
    return walked(model.bind(wanted), model.levels.schedule(STEPS), x)


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """To float tolerance, of values that may be large: what tiny networks predict is nothing like noise."""
    return bool((a - b).abs().max() <= 2e-5 * b.abs().max())


def asked(x: torch.Tensor, guidance: float = 7.5) -> dict:
    """Of a pipeline, what `Conditioning(PROMPT, NEGATIVE, guidance)` asks of a model."""
    side = x.shape[-1] * 8
    return {
        "prompt": PROMPT, "negative_prompt": NEGATIVE, "guidance_scale": guidance, "latents": x,
        "num_inference_steps": STEPS, "height": side, "width": side,
    }  # fmt: skip


def text(guidance: float = 7.5, **more: Any) -> Conditioning:
    return Conditioning((PROMPT,), NEGATIVE, guidance, **more)


@pytest.mark.parametrize("guidance", [1.0, 7.5])
def test_stable_diffusion_is_the_pipeline(sd15, models_folder, guidance):
    x = latents(1)
    theirs = piped(StableDiffusionPipeline, components(models_folder, "sd15"), **asked(x, guidance))
    assert same(ours(sd15, text(guidance), x), theirs)


def test_a_controlnet_is_the_pipeline(sd15, models_folder):
    x, depth = latents(1), pictures(1)
    parts = components(models_folder, "sd15", controls=("depth",))
    theirs = piped(StableDiffusionControlNetPipeline, parts, image=depth, controlnet_conditioning_scale=0.7, **asked(x))
    assert same(ours(sd15, text(controls=(Control("depth", depth, 0.7),)), x), theirs)
    assert not same(ours(sd15, text(), x), theirs)


def test_two_controlnets_for_parts_of_the_way_are_the_pipeline(sd15, models_folder):
    x, depth, canny = latents(1), pictures(1), pictures(1, seed=1)
    parts = components(models_folder, "sd15", controls=("depth", "canny"))
    theirs = piped(
        StableDiffusionControlNetPipeline, parts, image=[depth, canny], controlnet_conditioning_scale=[0.7, 1.2],
        control_guidance_start=[0.0, 0.4], control_guidance_end=[0.6, 1.0], **asked(x),
    )  # fmt: skip
    controls = (Control("depth", depth, 0.7, 0.0, 0.6), Control("canny", canny, 1.2, 0.4, 1.0))
    assert same(ours(sd15, text(controls=controls), x), theirs)
    everywhere = tuple(replace(control, start=0.0, end=1.0) for control in controls)
    assert not same(ours(sd15, text(controls=everywhere), x), theirs)


@pytest.mark.parametrize("negative", ["", NEGATIVE])
def test_sdxl_is_the_pipeline(sdxl, models_folder, negative):
    x = latents(1)
    settings = {**asked(x), "negative_prompt": negative or None}
    theirs = piped(StableDiffusionXLPipeline, components(models_folder, "sdxl"), **settings)
    assert same(ours(sdxl, replace(text(), negative=negative), x), theirs)


def test_sdxl_of_oblong_views_is_the_pipeline(sdxl, models_folder):
    x = latents(2)[:, :, :4].reshape(1, 4, 4, 16)
    settings = {**asked(x), "height": 32, "width": 128}
    theirs = piped(StableDiffusionXLPipeline, components(models_folder, "sdxl"), **settings)
    assert same(ours(sdxl, text(), x), theirs)


def test_one_kind_of_a_union_net_is_the_pipeline(sdxl, models_folder):
    x, depth = latents(1), pictures(1)
    parts = components(models_folder, "sdxl", controls=("depth",))
    theirs = piped(
        StableDiffusionXLControlNetUnionPipeline, parts, control_image=[depth], control_mode=[1],
        controlnet_conditioning_scale=0.6, control_guidance_end=0.6, **asked(x),
    )  # fmt: skip
    assert same(ours(sdxl, text(controls=(Control("depth", depth, 0.6, 0.0, 0.6),)), x), theirs)


def test_two_kinds_of_a_union_net_are_the_pipeline(sdxl, models_folder):
    x, depth, normal = latents(1), pictures(1), pictures(1, seed=1)
    parts = components(models_folder, "sdxl", controls=("depth", "normal"))
    theirs = piped(
        StableDiffusionXLControlNetUnionPipeline, parts, control_image=[depth, normal], control_mode=[1, 4],
        controlnet_conditioning_scale=0.6, **asked(x),
    )  # fmt: skip
    controls = (Control("depth", depth, 0.6), Control("normal", normal, 0.6))
    assert same(ours(sdxl, text(controls=controls), x), theirs)


@pytest.mark.parametrize(("guidance", "image_guidance"), [(7.5, 1.5), (3.0, 3.0), (4.0, 1.0)])
def test_an_edit_is_the_pipeline(models_folder, guidance, image_guidance):
    x, image = latents(1), pictures(1) * 2 - 1
    parts = components(models_folder, "instruct-pix2pix")
    settings = asked(x, guidance)
    del settings["height"], settings["width"]
    theirs = piped(
        StableDiffusionInstructPix2PixPipeline, parts, image=image, image_guidance_scale=image_guidance, **settings
    )
    model = UNetModel(components(models_folder, "instruct-pix2pix"))
    assert same(ours(model, text(guidance, image_guidance=image_guidance, image=image), x), theirs)


def test_inpainting_is_the_pipeline(models_folder, monkeypatch):
    x, image, mask = latents(1), pictures(1) * 2 - 1, torch.zeros(1, 1, 64, 64)
    mask[:, :, 16:40, 8:48] = 1
    parts = components(models_folder, "sd15-inpainting")
    # The pipeline draws from the distribution of the masked image; only a mode can be compared.
    modes = UNetModel(components(models_folder, "sd15-inpainting")).codec
    monkeypatch.setattr(
        StableDiffusionInpaintPipeline, "_encode_vae_image", lambda self, image, generator: modes.encode(image)
    )
    theirs = piped(StableDiffusionInpaintPipeline, parts, image=image, mask_image=mask, strength=1.0, **asked(x))
    model = UNetModel(components(models_folder, "sd15-inpainting"))
    assert same(ours(model, text(image=image, mask=mask), x), theirs)


def test_relighting_reads_the_object_on_grey_and_the_background(models_folder):
    x, image, mask, behind = latents(1), pictures(1) * 2 - 1, torch.zeros(1, 1, 64, 64), pictures(1, seed=1) * 2 - 1
    mask[:, :, 16:48, 16:48] = 1
    other = torch.where(mask.bool(), image, -image)
    for name, more in (("ic-light", {}), ("ic-light-background", {"background": behind})):
        model = UNetModel(components(models_folder, name))
        wanted = text(2.0, image=image, mask=mask, **more)
        lit = ours(model, wanted, x)
        assert same(ours(model, replace(wanted, image=other), x), lit)  # what is not the object does not count
        assert not same(ours(model, replace(wanted, mask=torch.ones_like(mask)), x), lit)
        if more:
            assert not same(ours(model, replace(wanted, background=-behind), x), lit)


def test_relighting_without_offsets_would_be_another_model(models_folder):
    codec = UNetModel(components(models_folder, "ic-light")).codec
    assert extra_of(8, codec, light=True).needs == {"image", "mask"}
    assert extra_of(8, codec, light=False).needs == {"image"}
    with pytest.raises(ModelMismatch, match="reads 7 channels"):
        extra_of(7, codec, light=False)


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_style_is_the_pipeline(models_folder, name):
    x, picture = latents(1), pictures(1, side=48)[0] * 2 - 1
    parts = components(models_folder, name, style=True)
    model = UNetModel(components(models_folder, name, style=True))
    shown, without = model._style.encode(picture)
    network: Any = parts.network
    for processor in network.attn_processors.values():
        if hasattr(processor, "scale"):
            processor.scale = [0.6]
    settings = {**asked(x), "ip_adapter_image_embeds": [torch.stack([without, shown])]}
    theirs = piped(StableDiffusionXLPipeline if name == "sdxl" else StableDiffusionPipeline, parts, **settings)
    styled = ours(model, text(style=picture, style_scale=0.6), x)
    assert same(styled, theirs)
    plain = ours(UNetModel(components(models_folder, name)), text(), x)
    assert same(ours(model, text(), x), plain)
    assert not same(styled, plain)


def views(count: int) -> Conditioning:
    """A view each with its own words and depth."""
    return Conditioning(tuple(f"a wall, view {n}" for n in range(count)), controls=(Control("depth", pictures(count)),))


def test_many_views_are_each_alone(sd15):
    x, wanted = latents(3), views(3)
    together = ours(sd15, wanted, x)
    for n in range(3):
        (control,) = wanted.controls
        own = replace(
            wanted, prompts=wanted.prompts[n : n + 1], controls=(replace(control, images=control.images[[n]]),)
        )
        assert same(ours(sd15, own, x[[n]]), together[[n]])


@pytest.mark.parametrize("neighbours", [None, ViewNeighbours(((0, 1), (0, 1, 2), (1, 2)), (0, 0, 0))])
def test_smaller_batches_change_nothing(models_folder, sd15, neighbours):
    x, wanted = latents(3), replace(views(3), neighbours=neighbours)
    small = UNetModel(components(models_folder, "sd15", controls=("depth",)), batches=Batches(largest=2))
    assert same(ours(small, wanted, x), ours(sd15, wanted, x))


def test_neighbours_count_only_where_they_are_given(sd15):
    x, wanted = latents(3), views(3)
    alone = ViewNeighbours(((0,), (1,), (2,)), (0, 1, 2))
    looking = ViewNeighbours(((0, 1), (0, 1, 2), (1, 2)), (0, 0, 0))
    plain = ours(sd15, wanted, x)
    assert same(ours(sd15, replace(wanted, neighbours=alone), x), plain)
    assert not same(ours(sd15, replace(wanted, neighbours=looking), x), plain)
    assert torch.equal(ours(sd15, wanted, x), plain)


def test_same_seed_same_bytes(models_folder, sdxl):
    x, wanted = latents(2), Conditioning(("a", "b"), controls=(Control("normal", pictures(2)),))
    first = ours(sdxl, wanted, x)
    assert torch.equal(ours(sdxl, wanted, x), first)
    assert torch.equal(ours(UNetModel(components(models_folder, "sdxl", controls=("normal",))), wanted, x), first)


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_networks_in_bfloat16_estimate_in_single_precision(models_folder, name):
    x, depth = latents(2), Control("depth", pictures(2))
    wanted = Conditioning(("a", "b"), guidance=2.0, controls=(depth,))
    x0: dict[torch.dtype, torch.Tensor] = {}
    for dtype in (torch.float32, torch.bfloat16):
        model = UNetModel(components(models_folder, name, controls=("depth",), dtype=dtype))
        x0[dtype] = model.bind(wanted)(x, model.levels.schedule(4).levels[1])
        assert x0[dtype].dtype == torch.float32
    exact, rounded = x0[torch.float32], x0[torch.bfloat16]
    assert not torch.equal(rounded, rounded.bfloat16().float())
    assert (rounded - exact).std() < 0.05 * exact.std()


def test_views_at_levels_of_flow_models_are_denoised_alike(sd15):
    """The same image at the same signal-to-noise ratio, larger or smaller, has the same estimate."""
    denoise, x = sd15.bind(views(2)), latents(2)
    level = NoiseLevel(0.5, 0.5)
    root = 0.5**0.5
    assert same(denoise(x * root, level), denoise(x, NoiseLevel(root, root)))


def test_guidance_of_one_runs_one_row(sd15, monkeypatch):
    sizes: list[int] = []
    run = sd15.network.forward
    monkeypatch.setattr(sd15.network, "forward", lambda x, *a, **k: sizes.append(len(x)) or run(x, *a, **k))
    for guidance in (1.0, 7.5):
        sd15.bind(replace(views(2), guidance=guidance))(latents(2), sd15.levels.schedule(4).levels[0])
    assert sizes == [2, 4]


def test_prompts_and_pictures_are_encoded_once(models_folder, monkeypatch):
    model = UNetModel(components(models_folder, "sd15", controls=("depth",)))
    calls = {"text": 0, "picture": 0}

    def counted(module: torch.nn.Module, name: str) -> None:
        def count(*_: object) -> None:
            calls[name] += 1

        module.register_forward_hook(count)

    counted(model._text._pairs[0][1], "text")
    counted(model._controls._nets["depth"].controlnet_cond_embedding.embed, "picture")
    wanted = replace(views(3), prompts=("a", "b", "a"), negative="c")
    ours(model, wanted, latents(3))
    assert calls == {"text": 3, "picture": 3}
    model.bind(wanted)
    assert calls["text"] == 3


def test_what_is_beyond_the_tokens_is_told(sd15, sdxl):
    for model in (sd15, sdxl):
        assert model.cut(PROMPT) == ""
        words = [f"word{n}" for n in range(200)]
        rest = model.cut(" ".join(words))
        assert rest
        assert " ".join(words).endswith(rest)
        assert rest.split()[0] in words
        kept = " ".join(words)[: -len(rest)].strip()
        assert model.cut(kept) == ""


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Conditioning(()), "no prompts"),
        (Conditioning(("a",), guidance=float("nan")), "guidance"),
        (Conditioning(("a",), controls=(Control("pose", pictures(1)),)), "without a ControlNet for 'pose'"),
        (Conditioning(("a",), controls=(Control("depth", pictures(1)),) * 2), "2 times"),
        (Conditioning(("a",), controls=(Control("depth", pictures(1), start=0.6, end=0.5),)), "no part of the way"),
        (Conditioning(("a",), controls=(Control("depth", pictures(1), scale=-1.0),)), "scale -1"),
        (Conditioning(("a", "b"), controls=(Control("depth", pictures(1)),)), r"expected \[2, 3, H, W\]"),
        (Conditioning(("a",), controls=(Control("depth", pictures(1, channels=1)),)), r"expected \[1, 3, H, W\]"),
        (Conditioning(("a",), controls=(Control("depth", pictures(1, side=56)),)), "not multiples of 16"),
        (
            Conditioning(("a",), controls=(Control("depth", pictures(1)), Control("canny", pictures(1, side=32)))),
            "canny.* is 32 x 32 px, control 'depth' is 64 x 64",
        ),
        (Conditioning(("a",), style=pictures(1)[0]), "without its style adapter"),
        (Conditioning(("a", "b"), neighbours=ViewNeighbours(((0,),), (0,))), "neighbours of 1 views"),
        (Conditioning(("a",), neighbours=ViewNeighbours(((1,),), (0,))), "not there"),
    ],
)
def test_what_a_model_cannot_do_is_refused(sd15, wanted, told):
    with pytest.raises(InvalidInput, match=told) as refused:
        sd15.bind(wanted)
    assert refused.value.hint
    assert "\n" not in str(refused.value)


def test_missing_pictures_are_refused(models_folder):
    model = UNetModel(components(models_folder, "ic-light-background"))
    image, mask = pictures(1), torch.ones(1, 1, 64, 64)
    whole = text(background=image, image=image, mask=mask)
    model.bind(whole)
    for missing in ("background", "image", "mask"):
        with pytest.raises(InvalidInput, match=f"given no {missing}"):
            model.bind(replace(whole, **{missing: None}))


def test_latents_of_another_size_are_refused(sd15):
    level = sd15.levels.schedule(4).levels[0]
    denoise = sd15.bind(views(2))
    for x, told in (
        (latents(1), r"expected \[2, 4, h, w\]"),
        (latents(2, channels=16), r"expected \[2, 4, h, w\]"),
        (latents(2, side=16), "128 x 128 px with pictures of 64 x 64"),
    ):
        with pytest.raises(InvalidInput, match=told):
            denoise(x, level)
    with pytest.raises(InvalidInput, match="not multiples of 16"):
        sd15.bind(Conditioning(("a",)))(latents(1, side=7), level)


def test_a_family_opens_its_class(models_folder):
    parts = components(models_folder, "sdxl", controls=("depth",))
    model = open_model(parts)
    assert isinstance(model, UNetModel)
    assert isinstance(model.codec, LatentCodec)
    assert (model.unit, model.controls, model.codec.channels, model.codec.factor) == (16, {"depth"}, 4, 8)
    with pytest.raises(UnknownName, match="family 'odd'"):
        open_model(replace(parts, card=replace(parts.card, family="odd")))
