"""The library on tiny models of the real classes: what is found, what is refused and with which remedy."""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from practice_headers import change_json, copied, write_weights

from weft.errors import BadCheckpoint, InvalidInput, ModelMismatch, ModelMissing, UnknownName, WeftError
from weft.models.cards import CARDS, Card, ModelRequest
from weft.models.checkpoint_files import read_weights, weights_in
from weft.models.library import Library, Resolved

SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
DEPTH = "lllyasviel/control_v11f1p_sd15_depth"
UNET = f"{SD15}/unet/diffusion_pytorch_model.safetensors"
PLAIN = ModelRequest("sd15")
DEPTHS = ModelRequest("sd15", controls=("depth",))


@pytest.fixture(autouse=True)
def _no_other_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no cache"))
    monkeypatch.delenv("WEFT_MODELS", raising=False)


@pytest.fixture
def models(models_folder: Path, tmp_path: Path) -> Path:
    """A copy of SD1.5 with its depth net, to be spoilt."""
    return copied(models_folder, tmp_path / "models", SD15, DEPTH)


def resolve(folder: Path, request: ModelRequest) -> Resolved:
    return Library((folder,)).resolve(request)


def refusal(folder: Path, request: ModelRequest, error: type[WeftError]) -> str:
    with pytest.raises(error) as caught:
        resolve(folder, request)
    assert type(caught.value) is error
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is found


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.name)
def test_every_card_resolves_with_all_its_parts(models_folder: Path, card: Card) -> None:
    style = card.part("style") is not None
    found = resolve(models_folder, ModelRequest(card.name, controls=card.controls, style=style))
    assert {part.role for part in card.parts if not part.optional} <= set(found.paths)
    assert set(found.paths) <= {part.role for part in card.parts}
    assert all(path.exists() for path in found.paths.values())
    assert 0 < 4 * found.values < found.bytes  # 32 bits each, and headers
    assert len({path for role, path in found.paths.items() if role.startswith("control:")}) == (
        1 if card.name == "sdxl" else len(card.controls)
    )


def test_weights_count_once(models_folder: Path) -> None:
    one = resolve(models_folder, ModelRequest("sdxl", controls=("depth",)))
    two = resolve(models_folder, ModelRequest("sdxl", controls=("depth", "canny")))
    assert one.bytes == two.bytes
    parts = list((models_folder / SD15).rglob("*.safetensors"))
    preview = models_folder / "madebyollin/taesd/diffusion_pytorch_model.safetensors"
    assert resolve(models_folder, PLAIN).bytes == sum(path.stat().st_size for path in (*parts, preview))


def test_loras_and_single_files_are_found_by_their_names(models_folder: Path) -> None:
    request = ModelRequest(
        "sd15", "practice-sd15", (("practice-lora-sd15.safetensors", 1), ("practice-kohya-sd15", 0.5))
    )
    found = resolve(models_folder, request)
    assert found.paths["base"] == models_folder / "practice-sd15.safetensors"
    assert found.paths["config"] == models_folder / SD15
    assert found.paths["lora:0"] == models_folder / "practice-lora-sd15.safetensors"
    assert found.paths["lora:1"] == models_folder / "practice-kohya-sd15.safetensors"


def test_a_folder_with_one_lora_stands_for_it(models: Path, models_folder: Path) -> None:
    shutil.copytree(models_folder / DEPTH, models / "unused")  # something else beside it
    (models / "rusty").mkdir()
    shutil.copy(models_folder / "practice-lora-sd15.safetensors", models / "rusty/a.safetensors")
    request = ModelRequest("sd15", loras=(("rusty", 1),))
    assert resolve(models, request).paths["lora:0"] == models / "rusty/a.safetensors"
    shutil.copy(models_folder / "practice-lora-sd15.safetensors", models / "rusty/b.safetensors")
    assert "name one, as in rusty/a.safetensors" in refusal(models, request, BadCheckpoint)
    assert resolve(models, ModelRequest("sd15", loras=(("rusty/b", 1),))).paths["lora:0"].name == "b.safetensors"
    (models / "rusty/b.safetensors").rename(models / "rusty/pytorch_lora_weights.safetensors")
    assert resolve(models, request).paths["lora:0"].name == "pytorch_lora_weights.safetensors"


def test_folders_without_owners_do(models: Path) -> None:
    (models / SD15).rename(models / "stable-diffusion-v1-5-moved")
    shutil.rmtree(models / "stable-diffusion-v1-5")
    (models / "stable-diffusion-v1-5-moved").rename(models / "stable-diffusion-v1-5")
    assert resolve(models, PLAIN).paths["base"] == models / "stable-diffusion-v1-5"


def as_hub_cache(folder: Path, source: str, cache: Path, revision: str) -> Path:
    """A snapshot as the hub's client makes it: links to blobs, which have other names."""
    repository = cache / f"models--{source.replace('/', '--')}"
    snapshot = repository / "snapshots" / revision
    (repository / "blobs").mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(path for path in (folder / source).rglob("*") if path.is_file()):
        blob = repository / "blobs" / f"{revision}{number}"
        shutil.copy(file, blob)
        link = snapshot / file.relative_to(folder / source)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return snapshot


def test_the_hub_cache_is_searched_at_its_main_revision(
    models_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    old = as_hub_cache(models_folder, SD15, cache, "aaaa")
    new = as_hub_cache(models_folder, SD15, cache, "bbbb")
    os.utime(old, (1, 1))
    os.utime(new, (2, 2))
    library = Library.from_environment()
    assert library.find(SD15) == new
    refs = old.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text("aaaa")
    assert library.find(SD15) == old
    assert library.resolve(PLAIN).paths["base"] == old
    (refs / "main").write_text("../../..")
    assert library.find(SD15) == new
    assert library.find(f"{SD15}/unet/diffusion_pytorch_model") == new / "unet/diffusion_pytorch_model.safetensors"


def test_folders_are_searched_in_order(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(models, first)
    shutil.copytree(models, second)
    monkeypatch.setenv("WEFT_MODELS", os.pathsep.join(map(str, (second, models, second))))
    library = Library.from_environment([first])
    assert library.folders == (first, second, models, tmp_path / "no cache")
    assert library.resolve(PLAIN).paths["base"] == first / SD15
    (first / DEPTH / "config.json").unlink()  # a part counts where all of its files are
    assert library.resolve(DEPTHS).paths["control:depth"] == second / DEPTH
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert Library.from_environment().folders[-1] == tmp_path / "home/hub"


def test_an_owner_is_not_taken_for_a_model_of_its_name(models: Path, tmp_path: Path) -> None:
    """stable-diffusion-v1-5 is both; its other models make the first a folder in many a place."""
    other = tmp_path / "other" / "stable-diffusion-v1-5" / "stable-diffusion-inpainting"
    other.mkdir(parents=True)
    assert Library((tmp_path / "other", models)).resolve(PLAIN).paths["base"] == models / SD15
    assert f"{SD15} is not on this machine" in refusal(tmp_path / "other", PLAIN, ModelMissing)
    said = refusal(tmp_path / "other", ModelRequest("sd15", "stable-diffusion-v1-5"), ModelMissing)
    assert "there is no model_index.json" in said


def test_half_precision_alone_does(models: Path) -> None:
    before, unet = resolve(models, PLAIN), models / UNET
    unet.rename(unet.with_name("diffusion_pytorch_model.fp16.safetensors"))
    assert resolve(models, PLAIN) == before


def test_union_nets_have_the_name_that_they_were_published_with(models_folder: Path, tmp_path: Path) -> None:
    folder = copied(models_folder, tmp_path / "m", "stabilityai", "xinsir")
    config = folder / "xinsir/controlnet-union-sdxl-1.0/config.json"
    change_json(config, lambda config: config.update(_class_name="ControlNetModel_Union"))
    assert "control:canny" in resolve(folder, ModelRequest("sdxl", controls=("canny",))).paths


# Names come from clients


@pytest.mark.parametrize(
    "name",
    ["../models", "..", ".", "/etc/passwd", "a/../../b", "a//b", "a/", "/a", "~/x", ".hidden", "C:\\x", "a\\b", "c:x",
     "https://example.org/x", "file:///etc", "a\0b", "a\nb", "a/b/c/d/e", "x" * 300, "$HOME", "*", "a?", ""],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(models: Path, name: str) -> None:
    library = Library((models,))
    with pytest.raises(InvalidInput):
        library.find(name)
    with pytest.raises(InvalidInput):
        library.lora(name)
    if name:
        refusal(models, ModelRequest("sd15", name), InvalidInput)


def test_links_that_lead_out_of_the_folders_are_refused(models: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (models / UNET).rename(outside / "secret.safetensors")
    (models / "taken.safetensors").symlink_to(outside / "secret.safetensors")
    (models / "folder").symlink_to(outside)
    library = Library((models,))
    for name in ("taken", "folder", "folder/secret"):
        with pytest.raises(BadCheckpoint, match="leads out of the folders"):
            library.find(name)
    (models / UNET).symlink_to(outside / "secret.safetensors")
    assert "leads out of the folders" in refusal(models, PLAIN, BadCheckpoint)
    assert Library((models, outside)).resolve(PLAIN).paths["base"] == models / SD15


def test_links_that_lead_to_themselves_are_refused(models: Path) -> None:
    (models / UNET).unlink()
    (models / UNET).symlink_to((models / UNET).name)
    assert "leads out of the folders" in refusal(models, PLAIN, BadCheckpoint)


# What is missing


def test_an_empty_search_path_says_what_to_fetch(tmp_path: Path) -> None:
    for folders in ((), (tmp_path / "nowhere",)):
        with pytest.raises(ModelMissing) as caught:
            Library(folders).resolve(PLAIN)
        assert caught.value.hint.startswith(f"fetch it: hf download {SD15} --include ")
    assert str(tmp_path / "nowhere") in caught.value.message


def test_missing_parts_are_named(models: Path) -> None:
    shutil.rmtree(models / DEPTH)
    said = refusal(models, DEPTHS, ModelMissing)
    assert f"hf download {DEPTH} config.json diffusion_pytorch_model.safetensors; or do without: control = none" in said
    resolve(models, PLAIN)
    shutil.rmtree(models / SD15 / "vae")
    assert "there is no folder vae" in refusal(models, PLAIN, ModelMissing)


@pytest.mark.parametrize("gone", ["merges.txt", "vocab.json"])
def test_tokenizers_come_with_their_vocabulary(models: Path, gone: str) -> None:
    (models / SD15 / "tokenizer" / gone).unlink()
    said = refusal(models, PLAIN, ModelMissing)
    assert "no vocabulary" in said
    assert f"fetch it: hf download {SD15}" in said
    (models / SD15 / "tokenizer/tokenizer.json").write_text("{}")  # all in one file
    resolve(models, PLAIN)


def test_an_encoder_that_may_be_absent_comes_with_its_tokenizer(models_folder: Path, tmp_path: Path) -> None:
    source, wish = "stabilityai/stable-diffusion-3.5-medium", ModelRequest("sd3.5-medium")
    folder = copied(models_folder, tmp_path / "models", source)
    whole = resolve(folder, wish)
    shutil.rmtree(folder / source / "tokenizer_3")
    assert "there is no folder tokenizer_3" in refusal(folder, wish, ModelMissing)
    shutil.rmtree(folder / source / "text_encoder_3")
    assert resolve(folder, wish).bytes < whole.bytes


def test_what_a_reference_image_needs_can_be_done_without(models: Path) -> None:
    said = refusal(models, ModelRequest("sd15", style=True), ModelMissing)
    assert "hf download h94/IP-Adapter models/ip-adapter_sd15.safetensors" in said
    assert "do without: no reference image" in said


def test_a_single_file_needs_the_configs_of_its_family(models_folder: Path, tmp_path: Path) -> None:
    folder = copied(models_folder, tmp_path / "m", SD15, "practice-sd15.safetensors")
    request = ModelRequest("sd15", "practice-sd15")
    for weights in (folder / SD15).rglob("*.safetensors"):
        weights.unlink()
    resolve(folder, request)
    (folder / SD15 / "tokenizer/tokenizer_config.json").unlink()
    assert "there is no tokenizer_config.json" in refusal(folder, request, ModelMissing)
    shutil.rmtree(folder / SD15)
    said = refusal(folder, request, ModelMissing)
    assert f"fetch them: hf download {SD15} --include '*.json'" in said
    assert "safetensors" not in said


def test_unknown_names_come_with_the_nearest(models_folder: Path) -> None:
    assert "did you mean practice-sd15" in refusal(models_folder, ModelRequest("sd15", "practise-sd15"), UnknownName)
    said = refusal(models_folder, ModelRequest("sd15", loras=(("someone/rusty", 1),)), ModelMissing)
    assert "hf download someone/rusty" in said
    assert "controls: depth" in refusal(models_folder, ModelRequest("sd15", controls=("pose",)), UnknownName)
    refusal(models_folder, ModelRequest("sd16"), UnknownName)


# Files that are damaged, unsafe, or of another class


def test_files_that_were_cut_off_are_refused(models: Path) -> None:
    whole = (models / UNET).read_bytes()
    for length in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1):
        (models / UNET).write_bytes(whole[:length])
        said = refusal(models, PLAIN, BadCheckpoint)
        assert "diffusion_pytorch_model.safetensors" in said
        assert f"fetch it again: hf download {SD15}" in said
    (models / UNET).write_bytes(whole + b"x")
    refusal(models, PLAIN, BadCheckpoint)


def test_mutated_headers_raise_nothing_else(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "x.safetensors", {"a.weight": (2, 3), "b": (4,)})
    whole, source = path.read_bytes(), random.Random(0)
    assert (read_weights(path).count, read_weights(path).size) == (10, len(whole))
    for _ in range(500):
        mutated = bytearray(whole)
        for _ in range(source.randint(1, 4)):
            mutated[source.randrange(len(mutated) - 40)] = source.randrange(256)
        path.write_bytes(mutated)
        with contextlib.suppress(BadCheckpoint):
            read_weights(path)
    for header in (b"[]", b"7", b'{"a":{"shape":5}}', b"[" * 5000, b'{"a":{"shape":[1e99],"data_offsets":[0,4]}}'):
        path.write_bytes(struct.pack("<Q", len(header)) + header)
        with pytest.raises(BadCheckpoint):
            read_weights(path)


def sharded(folder: Path) -> Path:
    """The U-Net in two files with an index."""
    shapes = dict(read_weights(folder / UNET).shapes)
    (folder / UNET).unlink()
    names = sorted(shapes)
    halves = {"model-00001.safetensors": names[::2], "model-00002.safetensors": names[1::2]}
    for file, held in halves.items():
        write_weights((folder / UNET).with_name(file), {name: shapes[name] for name in held})
    index = (folder / UNET).with_name("diffusion_pytorch_model.safetensors.index.json")
    index.write_text("{}")
    change_json(index, lambda value: value.update(weight_map={n: f for f, held in halves.items() for n in held}))
    return index


def test_shards_are_all_looked_at(models: Path) -> None:
    before = resolve(models, PLAIN).values
    index = sharded(models)
    assert resolve(models, PLAIN).values == before
    shard = index.with_name("model-00002.safetensors")
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    assert "model-00002" in refusal(models, PLAIN, BadCheckpoint)
    shard.unlink()
    said = refusal(models, PLAIN, ModelMissing)
    assert "1 of 2 shards are missing" in said
    assert f"hf download {SD15}" in said
    shard.write_bytes(whole)
    change_json(index, lambda value: value["weight_map"].update(more="model-00001.safetensors"))
    assert "'more', which no shard holds" in refusal(models, PLAIN, BadCheckpoint)
    for foreign in ("../vae/diffusion_pytorch_model.safetensors", "/etc/passwd", "x.bin"):
        change_json(index, lambda value, foreign=foreign: value["weight_map"].update(more=foreign))
        assert "names the shard" in refusal(models, PLAIN, BadCheckpoint)


def test_pickles_are_refused_and_the_conversion_works(models: Path) -> None:
    import torch
    from safetensors.torch import load_file

    before = resolve(models, PLAIN)
    folder = (models / UNET).parent
    torch.save(load_file(models / UNET), folder / "diffusion_pytorch_model.bin")
    (models / UNET).unlink()
    said = refusal(models, PLAIN, BadCheckpoint)
    assert "is a pickle" in said
    command = shlex.split(said.removesuffix(")").partition("in its folder: ")[2])
    assert command[:2] == ["python", "-c"]
    subprocess.run([sys.executable, *command[1:]], cwd=folder, check=True, timeout=120)
    after = resolve(models, PLAIN)
    assert (after.values, after.paths) == (before.values, before.paths)


@pytest.mark.parametrize("ending", [".ckpt", ".pt", ".pth", ".bin"])
def test_pickles_are_never_taken_for_checkpoints(models: Path, ending: str) -> None:
    (models / f"model{ending}").write_bytes(b"\x80\x04.")
    for request in (ModelRequest("sd15", "model"), ModelRequest("sd15", loras=((f"model{ending}", 1),))):
        assert "is a pickle" in refusal(models, request, BadCheckpoint)


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        ("model_index.json", {"_class_name": "WanPipeline"}, "names the class WanPipeline"),
        ("model_index.json", {"_class_name": None}, "names the class None"),
        ("unet/config.json", {"_class_name": "UNet2DModel"}, "is for the class UNet2DModel, not UNet2DConditionModel"),
        ("vae/config.json", {"_class_name": "VQModel"}, "not AutoencoderKL"),
        ("text_encoder/config.json", {"architectures": ["BertModel"]}, "not CLIPText"),
        ("text_encoder/config.json", {"architectures": None}, "names no class"),
        ("unet/config.json", {"in_channels": 5}, "its config tells of 5 input channels, its weights of 4"),
    ],
)
def test_wrong_classes_are_refused(models: Path, file: str, change: dict[str, object], says: str) -> None:
    change_json(models / SD15 / file, lambda value: value.update(change))
    assert says in refusal(models, PLAIN, BadCheckpoint)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_configs_that_are_none_are_refused(models: Path, text: bytes) -> None:
    for name in ("model_index.json", "unet/config.json", "tokenizer/tokenizer_config.json"):
        file = models / SD15 / name
        whole = file.read_bytes()
        file.write_bytes(text)
        assert file.name in refusal(models, PLAIN, BadCheckpoint)
        file.write_bytes(whole)


# Parts of different families


FAMILIES = {"sd15": "sd15", "sdxl": "sdxl", "sd3": "sd3.5-medium", "flux2": "flux2-klein"}
WIDTHS_AGREE = {("flux2", "sd3")}  # of these two tiny models; the loader tells their LoRAs apart by names


@pytest.mark.parametrize("lora", FAMILIES)
@pytest.mark.parametrize("base", FAMILIES)
def test_loras_fit_their_own_family_alone(models_folder: Path, lora: str, base: str) -> None:
    request = ModelRequest(FAMILIES[base], loras=((f"practice-lora-{lora}", 1.0),))
    if lora == base or (lora, base) in WIDTHS_AGREE:
        assert "lora:0" in resolve(models_folder, request).paths
    else:
        assert "belongs to another base" in refusal(models_folder, request, ModelMismatch)


def test_loras_are_told_from_models(models_folder: Path, tmp_path: Path) -> None:
    lora = ModelRequest("sd15", "practice-lora-sd15")
    assert "is a LoRA, not a model" in refusal(models_folder, lora, BadCheckpoint)
    model = ModelRequest("sd15", loras=(("practice-sd15", 1),))
    assert "is no LoRA" in refusal(models_folder, model, BadCheckpoint)


def test_loras_in_other_dialects_are_told_by_the_text_they_read(models: Path) -> None:
    stem = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    request = ModelRequest("sd15", loras=(("odd", 1.0),))
    for width, fits in ((16, True), (32, False)):
        shapes = {f"{stem}.lora_down.weight": (2, width), f"{stem}.lora_up.weight": (8, 2)}
        write_weights(models / "odd.safetensors", shapes)
        if fits:
            resolve(models, request)
        else:
            assert "for layers of width 32" in refusal(models, request, ModelMismatch)


@pytest.mark.parametrize(
    ("name", "checkpoint", "says"),
    [
        ("sd15", "stabilityai/stable-diffusion-xl-base-1.0", "is a model of SDXL"),
        ("sdxl", SD15, "is a model of Stable Diffusion 1 or 2"),
        ("sdxl", "practice-sd15", "is a model of Stable Diffusion 1 or 2"),
        ("flux2-klein", "stabilityai/stable-diffusion-3.5-medium", "is a model of Stable Diffusion 3"),
        ("sd15", "timbrooks/instruct-pix2pix", "ask for it with the model instruct-pix2pix"),
        ("sd15-inpainting", SD15, "ask for it with the model sd15"),
        ("ic-light", "stable-diffusion-v1-5/stable-diffusion-inpainting", "ask for it with the model sd15-inpainting"),
    ],
)
def test_checkpoints_of_other_models_are_refused(models_folder: Path, name: str, checkpoint: str, says: str) -> None:
    assert says in refusal(models_folder, ModelRequest(name, checkpoint), ModelMismatch)


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        (f"{DEPTH}/config.json", {"cross_attention_dim": 32}, "is for text of width 32; "),
        (f"{DEPTH}/config.json", {"block_out_channels": [8, 32]}, "is for blocks of the widths [8, 32]; "),
        (f"{SD15}/vae/config.json", {"scaling_factor": 0.13025}, "is that of SDXL"),
        (f"{SD15}/vae/config.json", {"latent_channels": 16}, "takes 4 channels, which its VAE of 16 does not fit"),
    ],
)
def test_parts_of_other_bases_are_refused(models: Path, file: str, change: dict[str, object], says: str) -> None:
    change_json(models / file, lambda value: value.update(change))
    assert says in refusal(models, DEPTHS, ModelMismatch)


def test_a_net_in_the_wrong_place_is_refused(models: Path, models_folder: Path) -> None:
    def put(source: str, into: str) -> None:
        shutil.rmtree(models / into)
        shutil.copytree(models_folder / source, models / into)

    put("xinsir/controlnet-union-sdxl-1.0", DEPTH)
    assert "is for text of width 32" in refusal(models, DEPTHS, ModelMismatch)
    put("madebyollin/taesd", DEPTH)
    assert "names the class AutoencoderTiny" in refusal(models, DEPTHS, BadCheckpoint)


def test_adapters_in_the_wrong_place_are_refused(models_folder: Path, tmp_path: Path) -> None:
    folder = copied(models_folder, tmp_path / "m", SD15, "lllyasviel/ic-light", "h94", "madebyollin")
    swap: Callable[[str, str], object] = lambda a, b: shutil.copy(folder / a, folder / b)  # noqa: E731
    swap("lllyasviel/ic-light/iclight_sd15_fbc.safetensors", "lllyasviel/ic-light/iclight_sd15_fc.safetensors")
    assert "takes 12 channels, not 8" in refusal(folder, ModelRequest("ic-light"), BadCheckpoint)
    style = ModelRequest("sd15", style=True)
    change_json(folder / "h94/IP-Adapter/models/image_encoder/config.json", lambda v: v.update(projection_dim=7))
    assert "makes embeddings of width 7" in refusal(folder, style, ModelMismatch)
    swap(
        "h94/IP-Adapter/sdxl_models/ip-adapter_sdxl_vit-h.safetensors",
        "h94/IP-Adapter/models/ip-adapter_sd15.safetensors",
    )
    assert "is for text of width 32" in refusal(folder, style, ModelMismatch)
    change_json(folder / "madebyollin/taesd/config.json", lambda v: v.update(latent_channels=16))
    assert "is for latents of 16 channels" in refusal(folder, PLAIN, ModelMismatch)


def test_files_that_may_not_be_read_are_named(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path / "x"))

    monkeypatch.setattr("weft.models.families.weights_in", denied)
    assert "Permission denied" in refusal(models, PLAIN, BadCheckpoint)
    assert weights_in(models / SD15 / "unet").count > 0
