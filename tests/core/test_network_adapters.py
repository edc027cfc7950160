"""Adapters change exactly the weights that they name, by exactly what they say, or nothing is loaded at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from practice_loading import changed, components, found, weights
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from weft.errors import BadCheckpoint, ModelMismatch, WeftError

SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
RANK, ALPHA, CONV_ALPHA = 3, 1.5, 0.5


def refused(load: Callable[[], object], error: type[WeftError]) -> WeftError:
    """`error`, in one readable line, with a remedy."""
    with pytest.raises(error) as caught:
        load()
    assert "\n" not in str(caught.value)
    assert len(caught.value.message) < 300
    assert caught.value.hint
    return caught.value


def gaussian(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# Offsets (IC-Light)


@pytest.fixture(params=["ic-light", "ic-light-background"])
def relighting(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def offset(models_folder: Path, tmp_path: Path, relighting: str) -> Path:
    """A copy of the offsets that a test may change."""
    return Path(shutil.copy(found(models_folder, relighting, ["offset"])["offset"], tmp_path))


def test_merged_is_base_plus_offset_on_every_key(models_folder: Path, relighting: str) -> None:
    base = load_file(models_folder / SD15 / "unet/diffusion_pytorch_model.safetensors")
    added = load_file(found(models_folder, relighting, ["offset"])["offset"])
    unet: Any = components(models_folder, relighting, ["base", "offset"]).network
    merged = weights(unet)
    assert merged.keys() == base.keys() == added.keys()
    channels = {"ic-light": 8, "ic-light-background": 12}[relighting]
    assert unet.config["in_channels"] == channels
    for key in base.keys() - {"conv_in.weight"}:
        assert torch.equal(merged[key], base[key] + added[key]), key
    first = torch.zeros(len(base["conv_in.weight"]), channels, 3, 3)
    first[:, :4] = base["conv_in.weight"]
    assert torch.equal(merged["conv_in.weight"], first + added["conv_in.weight"])


def test_offset_of_zeros_is_the_base_blind_to_the_added_channels(
    models_folder: Path, offset: Path, relighting: str
) -> None:
    changed(offset, lambda tensors: [tensor.zero_() for tensor in tensors.values()])
    unet: Any = components(models_folder, relighting, ["base"], paths={"offset": offset}).network
    base: Any = components(models_folder, "sd15").network
    first, stock = unet.conv_in.weight, base.conv_in.weight
    assert torch.equal(first[:, :4], stock)
    assert not first[:, 4:].any()
    x, words = gaussian(1, 4, 8, 8, seed=1), gaussian(1, 77, 16, seed=3)
    more = gaussian(1, first.shape[1] - 4, 8, 8, seed=2)
    with torch.no_grad():
        wide = unet(torch.cat([x, more], 1), 500, words).sample
        torch.testing.assert_close(wide, base(x, 500, words).sample, rtol=1e-5, atol=1e-6)


def test_sums_are_rounded_once(models_folder: Path) -> None:
    exact = weights(components(models_folder, "ic-light", ["base", "offset"]).network)
    rounded = weights(components(models_folder, "ic-light", ["base", "offset"], dtype=torch.bfloat16).network)
    assert all(torch.equal(rounded[key], exact[key].bfloat16()) for key in exact)


def test_offsets_that_do_not_fit_are_refused(models_folder: Path, offset: Path, relighting: str) -> None:
    def load() -> object:
        return components(models_folder, relighting, ["base"], paths={"offset": offset})

    whole = offset.read_bytes()
    changed(offset, lambda tensors: tensors.pop("conv_out.bias"))
    assert "conv_out.bias" in refused(load, BadCheckpoint).message
    offset.write_bytes(whole)
    changed(offset, lambda tensors: tensors.update(foreign=torch.ones(2)))
    assert "foreign" in refused(load, BadCheckpoint).message
    offset.write_bytes(whole)
    changed(offset, lambda tensors: tensors.update({"conv_out.bias": torch.ones(5)}))
    assert "conv_out.bias is 5 there and 4 here" in refused(load, ModelMismatch).message
    offset.write_bytes(whole)
    changed(offset, lambda tensors: tensors.pop("conv_in.weight"))
    refused(load, BadCheckpoint)
    offset.write_bytes(whole[:-8])
    refused(load, BadCheckpoint)


def test_offsets_need_a_base_that_paints_from_words(models_folder: Path) -> None:
    inpainting = found(models_folder, "sd15-inpainting")
    error = refused(lambda: components(models_folder, "ic-light", ["offset"], paths=inpainting), ModelMismatch)
    assert "this base has 9" in error.message


# LoRAs


def product(tensors: dict[str, Tensor], stem: str, names: tuple[str, str] = ("lora_A", "lora_B")) -> Tensor:
    down, up = (tensors[f"{stem}.{name}.weight"] for name in names)
    return (up.flatten(1) @ down.flatten(1)).reshape(*up.shape[:1], *down.shape[1:])


@pytest.mark.parametrize(
    ("name", "family", "scale"),
    [("sd15", "sd15", 1.0), ("sdxl", "sdxl", 0.6), ("sd3.5-medium", "sd3", -0.5), ("flux2-klein", "flux2", 1.5)],
)
def test_fused_is_base_plus_scaled_product(models_folder: Path, name: str, family: str, scale: float) -> None:
    file = models_folder / f"practice-lora-{family}.safetensors"
    tensors = load_file(file)
    base, model = (weights(components(models_folder, name, loras=loras).network) for loras in ([], [(file, scale)]))
    assert model.keys() == base.keys()
    stems = {key.split(".lora_")[0] for key in tensors}
    layers = {stem.split(".", 1)[1] + ".weight": product(tensors, stem) for stem in stems}
    assert layers.keys() <= base.keys()
    for key in base:
        wanted = base[key] + scale * layers[key] if key in layers else base[key]
        torch.testing.assert_close(model[key], wanted, rtol=0, atol=2e-6 if key in layers else 0, msg=key)


def kohya(module: torch.nn.Module, prefix: str, endings: tuple[str, ...], seed: int) -> dict[str, Tensor]:
    """A LoRA by the names of kohya's trainer: its layers count alpha/rank, convolutions with an alpha of their own."""
    tensors = {}
    for i, (name, layer) in enumerate(module.named_modules()):
        weight = getattr(layer, "weight", None)
        if weight is None or not name.endswith(endings):
            continue
        stem = f"{prefix}_{name.replace('.', '_')}"
        tensors[f"{stem}.lora_down.weight"] = 0.3 * gaussian(RANK, *weight.shape[1:], seed=seed + i)
        up = 0.3 * gaussian(weight.shape[0], RANK, *(1 for _ in weight.shape[2:]), seed=seed + 1000 + i)
        tensors[f"{stem}.lora_up.weight"] = up
        tensors[f"{stem}.alpha"] = torch.tensor(ALPHA if weight.ndim == 2 else CONV_ALPHA)
    return tensors


def test_lora_of_trainers_changes_network_and_words_by_its_alphas(models_folder: Path, tmp_path: Path) -> None:
    scale = 0.8
    base = components(models_folder, "sd15")
    encoder, unet = base.text_encoders[0], base.network
    tensors = kohya(unet, "lora_unet", ("to_q", "proj_in", "resnets.0.conv1"), 1)
    prefix = "lora_te_" if hasattr(encoder, "text_model") else "lora_te_text_model"
    tensors |= kohya(encoder, prefix, ("q_proj", "out_proj", "fc1"), 5)
    file = tmp_path / "trained.safetensors"
    save_file(tensors, file)
    model = components(models_folder, "sd15", loras=[(file, scale)])
    count = 0
    for mine, stock, start in ((model.network, unet, "lora_unet"), (model.text_encoders[0], encoder, prefix)):
        after, before = weights(mine), weights(stock)
        assert after.keys() == before.keys()
        for key in before:
            stem = f"{start}_{key.removesuffix('.weight').replace('.', '_')}"
            wanted = before[key]
            if key.endswith(".weight") and f"{stem}.alpha" in tensors:
                alpha = tensors[f"{stem}.alpha"].item()
                wanted = wanted + scale * alpha / RANK * product(tensors, stem, ("lora_down", "lora_up"))
                count += 1
            torch.testing.assert_close(after[key], wanted, rtol=0, atol=2e-6, msg=key)
    assert 3 * count == len(tensors)


def test_lora_of_two_text_encoders(models_folder: Path, tmp_path: Path) -> None:
    base = components(models_folder, "sdxl")
    tensors = {}
    for i, encoder in enumerate(base.text_encoders, 1):
        name, layer = next((n, cast(Any, m)) for n, m in encoder.named_modules() if n.endswith("q_proj"))
        stem = f"text_encoder{'_2' if i == 2 else ''}.{'' if name.startswith('text_model') else 'text_model.'}{name}"
        tensors[f"{stem}.lora_A.weight"] = gaussian(RANK, layer.in_features, seed=i)
        tensors[f"{stem}.lora_B.weight"] = gaussian(layer.out_features, RANK, seed=10 + i)
    file = tmp_path / "words.safetensors"
    save_file(tensors, file)
    model = components(models_folder, "sdxl", loras=[(file, 0.5)])
    stems = sorted({key.split(".lora_")[0] for key in tensors}, key=len)
    for stem, mine, stock in zip(stems, model.text_encoders, base.text_encoders, strict=True):
        changes = {k: after - weights(stock)[k] for k, after in weights(mine).items()}
        (key,) = (key for key, change in changes.items() if change.any())
        assert key.endswith("layers.0.self_attn.q_proj.weight")
        torch.testing.assert_close(changes[key], 0.5 * product(tensors, stem), rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["practice-lora-sd15", "practice-kohya-sd15"])
def test_scale_zero_is_the_base_bit_for_bit(models_folder: Path, name: str) -> None:
    file = models_folder / f"{name}.safetensors"
    base, model = (components(models_folder, "sd15", loras=loras) for loras in ([], [(file, 0.0)]))
    for stock, mine in zip(base.modules, model.modules, strict=True):
        before, after = weights(stock), weights(mine)
        assert before.keys() == after.keys()
        assert all(before[key].numpy().tobytes() == after[key].numpy().tobytes() for key in before)
        assert not any(hasattr(module, "lora_A") for module in mine.modules())


def test_several_loras_add_up(models_folder: Path) -> None:
    files = [models_folder / f"practice-{name}-sd15.safetensors" for name in ("lora", "kohya")]
    base, one, other, both = (
        weights(components(models_folder, "sd15", loras=loras).network)
        for loras in ([], [(files[0], 0.7)], [(files[1], 0.4)], [(files[0], 0.7), (files[1], 0.4)])
    )
    assert any(not torch.equal(one[key], other[key]) for key in base)
    for key in base:
        torch.testing.assert_close(both[key], one[key] + other[key] - base[key], rtol=0, atol=4e-6)


def test_loras_that_do_not_fit_are_refused(models_folder: Path, tmp_path: Path) -> None:
    def load(name: str, file: Path) -> Callable[[], object]:
        return lambda: components(models_folder, name, loras=[(file, 1.0)])

    lora = {family: models_folder / f"practice-lora-{family}.safetensors" for family in ("sd15", "sdxl", "flux2")}
    assert "[2, 32] in the file" in refused(load("sd15", lora["sdxl"]), ModelMismatch).message
    refused(load("sdxl", lora["sd15"]), ModelMismatch)
    assert "match nothing" in refused(load("sd15", lora["flux2"]), ModelMismatch).message
    refused(load("flux2-klein", lora["sd15"]), ModelMismatch)
    refused(load("sd15", models_folder / "practice-sd15.safetensors"), ModelMismatch)
    part = Path(shutil.copy(lora["sd15"], tmp_path / "part.safetensors"))
    foreign = {f"unet.elsewhere.to_q.lora_{ab}.weight": torch.ones(2, 2) for ab in "AB"}
    changed(part, lambda tensors: tensors.update(foreign))
    assert refused(load("sd15", part), ModelMismatch).message.startswith("2 of ")
    part.write_bytes(lora["sd15"].read_bytes()[:-8])
    refused(load("sd15", part), BadCheckpoint)


# Pictures in the place of words (IP-Adapter)

STYLED = ["base", "style", "image_encoder"]


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_style_adapter_holds_the_weights_of_its_file(models_folder: Path, name: str) -> None:
    tensors = load_file(found(models_folder, name, ["style"])["style"])
    stock, unet = (cast(Any, components(models_folder, name, roles).network) for roles in (["base"], STYLED))
    crossing = [processor for key, processor in unet.attn_processors.items() if "attn2" in key]
    for i, processor in enumerate(crossing):
        assert torch.equal(processor.to_k_ip[0].weight, tensors[f"ip_adapter.{2 * i + 1}.to_k_ip.weight"])
        assert torch.equal(processor.to_v_ip[0].weight, tensors[f"ip_adapter.{2 * i + 1}.to_v_ip.weight"])
    assert 2 * len(crossing) == sum(key.startswith("ip_adapter.") for key in tensors)
    projection = unet.encoder_hid_proj.image_projection_layers[0]
    assert torch.equal(projection.image_embeds.weight, tensors["image_proj.proj.weight"])
    after = weights(unet)
    assert all(torch.equal(after[key], weight) for key, weight in weights(stock).items())
    assert not any(p.requires_grad for p in unet.parameters())


def test_style_adapter_takes_the_dtype_of_its_network(models_folder: Path) -> None:
    unet = components(models_folder, "sd15", STYLED, dtype=torch.bfloat16).network
    assert {p.dtype for p in unet.parameters()} == {torch.bfloat16}


def test_style_adapters_that_do_not_fit_are_refused(models_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "style.safetensors"
    whole = found(models_folder, "sd15", ["style"])["style"].read_bytes()

    def load() -> object:
        return components(models_folder, "sd15", ["base", "image_encoder"], paths={"style": file})

    foreign = found(models_folder, "sdxl", ["style"])["style"]
    file.write_bytes(foreign.read_bytes())
    assert "another base" in refused(load, ModelMismatch).message
    file.write_bytes(whole)
    changed(file, lambda tensors: tensors.pop("ip_adapter.1.to_k_ip.weight"))
    assert "1.to_k_ip.weight" in refused(load, ModelMismatch).message
    file.write_bytes(whole)
    changed(file, lambda tensors: [tensors.pop(key) for key in list(tensors) if key.startswith("image_proj.")])
    assert "image_proj" in refused(load, BadCheckpoint).message
    file.write_bytes(whole)
    changed(file, lambda tensors: tensors.update({"image_proj.proj.weight": torch.ones(64, 5)}))
    assert "embeddings of 5 numbers" in refused(load, ModelMismatch).message
    file.write_bytes(whole)
    changed(file, lambda tensors: tensors.pop("image_proj.norm.bias"))
    refused(load, BadCheckpoint)
    file.write_bytes(whole[:-8])
    refused(load, BadCheckpoint)
    with safe_open(foreign, "pt") as opened:  # what was refused first is whole: it is its place that is wrong
        assert opened.keys()
