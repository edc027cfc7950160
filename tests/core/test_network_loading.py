"""What is loaded is what is in the files, every time the same; only safetensors from this machine are read."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest
import torch
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
from practice_loading import changed, components, weights
from safetensors.torch import load_file, save_file

from weft.errors import BadCheckpoint, OutOfMemory, UnknownName, WeftError
from weft.models.cards import CARDS
from weft.models.networks import loading
from weft.models.networks.components import Components
from weft.models.networks.layouts import layout_of

SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
UNET = Path("unet/diffusion_pytorch_model.safetensors")
VAE = Path("vae/diffusion_pytorch_model.safetensors")
TEXT = Path("text_encoder/model.safetensors")


def same(a: Components, b: Components) -> bool:
    """Bit for bit, by the same names."""
    pairs = zip(a.modules, b.modules, strict=True)
    return all(equal(weights(one), weights(other)) for one, other in pairs)


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture
def base(models_folder: Path, tmp_path: Path) -> Path:
    """A copy of SD1.5 that a test may spoil."""
    return Path(shutil.copytree(models_folder / SD15, tmp_path / "spoilt"))


# What is loaded


@pytest.mark.parametrize("name", CARDS)
def test_every_card_loads_all_its_parts(models_folder: Path, name: str) -> None:
    model = components(models_folder, name, [""])
    assert model.card is CARDS[name]
    assert len(model.tokenizers) == len(model.text_encoders) == len(layout_of(model.card.family).text_encoders)
    assert set(model.controlnets) == set(model.card.controls)
    told_a_picture = model.card.part("style") is not None or layout_of(model.card.family).image_encoder is not None
    assert (model.image_encoder is not None) == told_a_picture
    assert model.scheduler["num_train_timesteps"] == 1000
    for module in model.modules:
        assert not module.training
        assert not any(p.requires_grad for p in module.parameters())
        assert {p.dtype for p in module.parameters()} == {torch.float32}


def test_weights_are_those_of_the_files(models_folder: Path) -> None:
    model = components(models_folder, "sd15", ["base", "control:depth", "preview"])
    assert equal(weights(model.network), load_file(models_folder / SD15 / UNET))
    assert equal(weights(model.vae), load_file(models_folder / SD15 / VAE))
    written = load_file(models_folder / SD15 / TEXT)  # its names begin with text_model. where they were published
    read = weights(model.text_encoders[0])
    assert equal(read, {key.removeprefix("text_model."): tensor for key, tensor in written.items()})


@pytest.mark.parametrize("name", ["sd15", "sdxl", "sd3.5-medium", "flux2-klein"])
def test_loading_twice_gives_the_same_bytes_and_shares_none(models_folder: Path, name: str) -> None:
    first, second = components(models_folder, name), components(models_folder, name)
    assert same(first, second)
    with torch.no_grad():
        for module in first.modules:
            for parameter in module.parameters():
                parameter.zero_()
    assert not same(first, second)
    assert same(second, components(models_folder, name))


def test_union_net_is_one_module_under_all_kinds(models_folder: Path) -> None:
    model = components(models_folder, "sdxl", ["base", "control:"])
    assert set(model.controlnets) == {"depth", "normal", "canny"}
    (net,) = set(model.controlnets.values())
    assert isinstance(net, ControlNetUnionModel)
    without = components(models_folder, "sdxl")
    assert model.bytes - without.bytes == sum(t.numel() * 4 for t in (*net.parameters(), *net.buffers()))


def test_controlnets_of_kinds_are_their_own(models_folder: Path) -> None:
    nets = components(models_folder, "sd15", ["base", "control:"]).controlnets
    assert len(set(nets.values())) == 3
    assert not equal(weights(nets["depth"]), weights(nets["canny"]))


@pytest.mark.parametrize("name", ["sd15", "ic-light", "sd3.5-medium"])
def test_dtype_is_that_asked_for(models_folder: Path, name: str) -> None:
    model = components(models_folder, name, [""], dtype=torch.bfloat16)
    assert {p.dtype for module in model.modules for p in module.parameters()} == {torch.bfloat16}
    assert model.bytes < 0.6 * components(models_folder, name, [""]).bytes


def test_convolutions_are_laid_out_for_the_device(models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert loading.memory_format(torch.device("cuda")) is torch.channels_last
    assert loading.memory_format(torch.device("cpu")) is torch.contiguous_format
    stock = components(models_folder, "sd15", ["base", "control:depth"])
    monkeypatch.setattr(loading, "memory_format", lambda _: torch.channels_last)
    model = components(models_folder, "sd15", ["base", "control:depth"])
    assert same(stock, model)
    kernels = [m.weight for net in model.modules for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert kernels
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)


@pytest.mark.parametrize("left", [("text_encoder_3", "tokenizer_3"), ("text_encoder_3",)])
def test_sd3_works_without_its_largest_text_encoder(models_folder: Path, tmp_path: Path, left: tuple[str, ...]) -> None:
    whole = models_folder / "stabilityai/stable-diffusion-3.5-medium"
    small = Path(shutil.copytree(whole, tmp_path / "small", ignore=shutil.ignore_patterns(*left)))
    model = components(models_folder, "sd3.5-medium", paths={"base": small})
    assert len(model.text_encoders) == len(model.tokenizers) == 2


def test_half_precision_files_alone_are_read(models_folder: Path, base: Path) -> None:
    for file in base.rglob("*.safetensors"):
        file.rename(file.with_name(f"{file.stem}.fp16.safetensors"))
    assert same(components(models_folder, "sd15", paths={"base": base}), components(models_folder, "sd15"))


# Where it is read from


def test_nobody_is_asked_over_the_net(
    models_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    asked = []

    def refuse(*args: object, **_: object) -> None:
        asked.append(args)
        raise OSError("no net in this test")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for name in CARDS:
        components(models_folder, name, [""])
    configs = models_folder / SD15
    components(models_folder, "sd15", paths={"base": models_folder / "practice-sd15.safetensors", "config": configs})
    assert not asked
    assert capfd.readouterr() == ("", "")  # and nobody is told anything


def test_pickles_are_not_read(models_folder: Path, base: Path) -> None:
    pickle = (base / UNET).with_suffix(".bin")
    torch.save({"conv_in.weight": torch.ones(1)}, pickle)  # beside the safetensors it does no harm
    assert same(components(models_folder, "sd15", paths={"base": base}), components(models_folder, "sd15"))
    torch.save(load_file(base / UNET), pickle)
    (base / UNET).unlink()
    assert_refused(models_folder, base)


# Single files


def test_single_file_equals_the_folder_it_was_made_from(models_folder: Path) -> None:
    folder = models_folder / SD15
    alone = {"base": models_folder / "practice-sd15.safetensors", "config": folder}
    assert same(components(models_folder, "sd15", paths=alone), components(models_folder, "sd15"))


@pytest.mark.parametrize(
    ("beginning", "part"),
    [("first_stage_model.", "VAE"), ("model.diffusion_model.", "U-Net"), ("cond_stage_model.", "text encoder")],
)
def test_single_file_without_a_part_is_refused(models_folder: Path, tmp_path: Path, beginning: str, part: str) -> None:
    tensors = load_file(models_folder / "practice-sd15.safetensors")
    file = tmp_path / "partial.safetensors"
    save_file({key: tensor for key, tensor in tensors.items() if not key.startswith(beginning)}, file)
    error = assert_refused(models_folder, file)
    assert error.message == f"partial.safetensors holds no {part}"


@pytest.mark.parametrize(
    "key",
    [
        "model.diffusion_model.out.2.weight",
        "first_stage_model.decoder.conv_out.bias",
        "cond_stage_model.transformer.text_model.final_layer_norm.weight",
    ],
)
def test_single_file_without_a_weight_is_refused(models_folder: Path, tmp_path: Path, key: str) -> None:
    file = Path(shutil.copy(models_folder / "practice-sd15.safetensors", tmp_path))
    changed(file, lambda tensors: tensors.pop(key))
    assert_refused(models_folder, file)


@pytest.mark.parametrize("name", ["sdxl", "sd3.5-medium", "flux2-klein"])
def test_single_file_of_another_family_is_refused(models_folder: Path, name: str) -> None:
    assert_refused(models_folder, models_folder / "practice-sd15.safetensors", name)


# Files that cannot be used


def assert_refused(models_folder: Path, base: Path, name: str = "sd15") -> WeftError:
    """BadCheckpoint, in one readable line, with a remedy."""
    configs = models_folder / CARDS[name].parts[0].source
    with pytest.raises(BadCheckpoint) as caught:
        components(models_folder, name, paths={"base": base, "config": configs})
    error = caught.value
    assert "\n" not in str(error)
    assert len(error.message) < 300
    assert error.hint
    assert error.__cause__ is None
    return error


@pytest.mark.parametrize("file", [UNET, VAE, TEXT])
def test_missing_weights_are_refused(models_folder: Path, base: Path, file: Path) -> None:
    changed(base / file, lambda tensors: tensors.pop(sorted(tensors)[3]))
    assert "lacks 1 weights" in assert_refused(models_folder, base).message


@pytest.mark.parametrize("file", [UNET, VAE, TEXT])
def test_foreign_weights_are_refused(models_folder: Path, base: Path, file: Path) -> None:
    changed(base / file, lambda tensors: tensors.update({"foreign.weight": torch.ones(2)}))
    assert "foreign.weight" in assert_refused(models_folder, base).message


@pytest.mark.parametrize("file", [UNET, VAE, TEXT])
def test_weights_of_other_sizes_are_refused(models_folder: Path, base: Path, file: Path) -> None:
    def grow(tensors: dict[str, torch.Tensor]) -> None:
        key = sorted(tensors)[3]
        tensors[key] = torch.cat([tensors[key], tensors[key]])

    changed(base / file, grow)
    assert_refused(models_folder, base)


@pytest.mark.parametrize("file", [UNET, VAE, TEXT])
def test_cut_off_files_are_refused(models_folder: Path, base: Path, file: Path) -> None:
    whole = (base / file).read_bytes()
    (base / file).write_bytes(whole[: len(whole) // 2])
    assert_refused(models_folder, base)


@pytest.mark.parametrize(
    "file", ["unet/config.json", "vae/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json"]
)
@pytest.mark.parametrize("content", ["", "{", "[1, 2]", None])
def test_broken_configurations_are_refused(models_folder: Path, base: Path, file: str, content: str | None) -> None:
    (base / file).unlink()
    if content is not None:
        (base / file).write_text(content)
    assert_refused(models_folder, base)


def test_configuration_of_another_size_is_refused(models_folder: Path, base: Path) -> None:
    file = base / "unet" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"cross_attention_dim": 24}))
    assert_refused(models_folder, base)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_absent_parts_are_refused(models_folder: Path, base: Path, part: str) -> None:
    shutil.rmtree(base / part)
    assert part in assert_refused(models_folder, base).message


def test_full_device_is_told_apart_from_bad_files(models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(OutOfMemory, match="sd15 needs"):
        components(models_folder, "sd15")
    monkeypatch.undo()
    monkeypatch.setattr("weft.models.networks.reading.load_file", full)
    with pytest.raises(OutOfMemory, match="no memory left to read"):
        components(models_folder, "ic-light", [""])


def test_families_without_a_loader_are_named() -> None:
    with pytest.raises(UnknownName, match="family 'sd9'"):
        layout_of("sd9")
