"""`weft models` and what it lists, checks and unloads, on tiny models of the real classes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from practice_commands import refused, weft

from weft.models.cards import CARDS
from weft.models.fetching import fetch_command
from weft.models.prior_cards import PRIORS
from weft.tasks import painting
from weft_server import doctor_command, loaded_models, packages
from weft_server.doctor_command import examine
from weft_server.model_folders import with_folders
from weft_wire.codec import pack
from weft_wire.jobs.networks import EMBEDDED_VIEW
from weft_wire.sizes import size_of

SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"


@pytest.fixture(autouse=True)
def _no_other_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no cache"))
    monkeypatch.setenv("WEFT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WEFT_MODELS", raising=False)


def listed(*arguments: object) -> str:
    status, said, complained = weft("models", *arguments)
    assert (status, complained) == (0, "")
    return said


def test_the_list_tells_what_to_type_for_what_is_missing() -> None:
    said = listed()
    for card in CARDS.values():
        assert re.search(rf"^  {re.escape(card.name)} .*{re.escape(card.help)} +missing \(base", said, re.MULTILINE)
        for part in card.parts:
            assert fetch_command(part) in said
            assert part.licence in said
    assert "COMMERCIAL USE BELOW 1 M US$" in said
    assert "mossy stone" in said


@pytest.mark.parametrize("file", [f"{SD15}/unet/diffusion_pytorch_model.safetensors", "h94/IP-Adapter/models"])
def test_the_list_tells_what_is_broken(models_folder: Path, tmp_path: Path, file: str) -> None:
    for source in (SD15, "h94/IP-Adapter"):
        shutil.copytree(models_folder / source, tmp_path / "some" / source)
    assert re.search(r"^  sd15 .* ready, without control", listed("--models", tmp_path / "some"), re.MULTILINE)
    broken = tmp_path / "some" / file
    broken = broken / "ip-adapter_sd15.safetensors" if broken.is_dir() else broken
    broken.write_bytes(broken.read_bytes()[:-1])
    said = listed("--models", tmp_path / "some")
    assert re.search(
        rf"^  sd15 .* broken: {re.escape(str(broken))} has .* bytes, its header tells of", said, re.MULTILINE
    )


def test_what_needs_no_files_is_whole() -> None:
    assert weft("models", "check", "exemplar")[:2] == (0, "exemplar needs no files: it is always there\n")


def test_the_list_tells_what_is_here(models_folder: Path, tmp_path: Path) -> None:
    said = listed("--models", models_folder)
    assert re.search(r"^  sd15 +5\.0 GB  .* ready$", said, re.MULTILINE)
    assert f"here: {models_folder / SD15}" in said
    assert "practice-kohya-sd15, practice-lora-flux2" in said
    shutil.copytree(models_folder / SD15, tmp_path / "some" / SD15)
    said = listed("--models", tmp_path / "some")
    assert re.search(
        r"^  sd15 .* ready, without control:depth, control:normal, control:canny, style", said, re.MULTILINE
    )
    assert re.search(r"^  ic-light .* missing \(offset\)", said, re.MULTILINE)


def test_folders_that_are_none_are_refused(tmp_path: Path) -> None:
    assert "there is no folder" in refused("models", "--models", tmp_path / "absent")
    assert "there is no folder" in refused("serve", "--models", tmp_path / "absent")
    assert "there is no folder" in refused("models", "check", "sd15", "--models", tmp_path / "absent")


def test_what_this_process_was_told_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_folders([tmp_path])["WEFT_MODELS"] == str(tmp_path)
    monkeypatch.setenv("WEFT_MODELS", "/a")
    assert with_folders([tmp_path, Path("/b")])["WEFT_MODELS"].split(os.pathsep) == [str(tmp_path), "/b", "/a"]
    assert with_folders([])["WEFT_MODELS"] == "/a"


def test_priors_are_listed_beside_the_models_that_paint(models_folder: Path) -> None:
    said = listed()
    for card in PRIORS.values():
        assert re.search(rf"^  {card.name} .*{re.escape(card.help)} +missing \(base", said, re.MULTILINE)
        assert all(fetch_command(part) in said for part in card.parts)
    assert "NOT FOR COMMERCIAL USE, ACCEPT ITS TERMS AT THE HUB FIRST" in said
    said = listed("--models", models_folder)
    assert all(re.search(rf"^  {name} .* ready$", said, re.MULTILINE) for name in PRIORS)


@pytest.mark.parametrize("name", ["mv-adapter-geometry", "seva"])
def test_a_check_runs_a_step_of_all_views(models_folder: Path, name: str) -> None:
    status, said, complained = weft("models", "check", name, "--models", models_folder)
    assert (status, complained) == (0, "")
    assert said.startswith(f"{name}: {PRIORS[name].help}\n")
    assert re.search(r"^step: latent 4 x 8 x 8, [\d.]+ s\ndecode: 64 x 64 px", said, re.MULTILINE)
    assert ("not for commercial use" in said) == (name == "seva")


@pytest.mark.parametrize("name", CARDS)
def test_a_check_loads_every_model_and_runs_a_step(models_folder: Path, name: str) -> None:
    status, said, complained = weft("models", "check", name, "--models", models_folder)
    assert (status, complained) == (0, "")
    lines = said.splitlines()
    assert lines[0] == f"{name}: {CARDS[name].help}"
    assert re.search(r"^files: [\d.]+ kB in base", said, re.MULTILINE)
    assert re.search(r"^  network +\w+(?:2D\w*Model|Fixup) +float32 +[\d.]+ kB$", said, re.MULTILINE)
    assert re.search(r"^loaded: [\d.]+ kB on \w+, [\d.]+ s$", said, re.MULTILINE)
    assert re.search(r"^step: latent \d+ x 8 x 8, [\d.]+ s$", said, re.MULTILINE)
    assert lines[-1].startswith("decode: 64 x 64 px, ")
    assert ("note: " in said) == (name in ("sd3.5-medium", "magic-fixup"))


def test_a_check_takes_what_a_job_takes(models_folder: Path) -> None:
    status, said, complained = weft(
        "models", "check", "sd15", "--models", models_folder, "--checkpoint", "practice-sd15", "--loras",
        "practice-lora-sd15:0.5, practice-kohya-sd15", "--control", "canny:0.5@0-0.5", "--style",
    )  # fmt: skip
    assert (status, complained) == (0, "")
    assert "in base, config, control:canny, style, image_encoder, preview, lora:0, lora:1;" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("sd16", "no model is called 'sd16'"),
        ("seva --control depth", "seva has no control 'depth'"),
        ("sd15 --control pose", "sd15 has no control 'pose'"),
        ("sd15 --checkpoint ../x", "is no name of a model"),
        ("sd15 --checkpoint sd15-mine", "no checkpoint is called 'sd15-mine'"),
        ("sd15 --loras practice-lora-sdxl", "belongs to another base"),
        ("sdxl --checkpoint practice-sd15", "sdxl needs SDXL"),
        ("flux2-klein --style", "flux2-klein has no style adapter (leave --style out)"),
        ("", "the following arguments are required: NAME"),
    ],
)
def test_a_check_fails_in_one_line(models_folder: Path, arguments: str, says: str) -> None:
    assert says in refused("models", "check", *shlex.split(arguments), "--models", models_folder)


def test_a_check_says_what_is_missing() -> None:
    assert f"fetch it: hf download {SD15}" in refused("models", "check", "sd15")


def test_nothing_is_loaded_where_no_server_runs() -> None:
    assert weft("models", "unload") == (0, "no server runs, so no model is loaded\n", "")


def test_unloading_frees_what_is_loaded(
    models_folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    from weft.models.cards import ModelRequest

    request.addfinalizer(loaded_models.cache.cache_clear)
    loaded_models.cache.cache_clear()
    monkeypatch.setenv("WEFT_MODELS", str(models_folder))

    def unloaded(name: str) -> list[str]:
        (result,) = loaded_models.unload(name)
        return result.info["unloaded"]  # type: ignore[union-attr]

    assert unloaded("") == []
    assert loaded_models.cache.cache_info().currsize == 0  # nothing was imported for it
    model = loaded_models.cache().get(ModelRequest("sd15"))
    assert loaded_models.cache().get(ModelRequest("sd15")) is model
    assert unloaded("sdxl") == []
    (result,) = loaded_models.unload("sd15")
    info = result.info  # type: ignore[union-attr]
    assert info["unloaded"] == ["sd15"]
    assert info["bytes"] > 10**5
    assert unloaded("") == []


def test_a_server_announces_what_it_can_load(models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = loaded_models.announced()
    assert before["models"] == ["exemplar"]
    monkeypatch.setenv("WEFT_MODELS", str(models_folder))
    told = loaded_models.announced()
    assert told["models"] == ["exemplar", *CARDS]
    assert told["weight_bytes"] in (2, 4)
    assert told["model_memory"] > 10**8
    assert "practice-lora-sd15" in told["weights"]
    assert [card["name"] for card in before["cards"] if card.get("missing")] == list(CARDS)
    assert not any(card.get("missing") for card in told["cards"])
    assert len(pack(before)) < 32_000  # half of a greeting


def test_a_model_is_announced_with_what_it_is_for_and_heeds() -> None:
    cards = {card["name"]: card for card in loaded_models.announced()["cards"]}
    assert cards["exemplar"]["heeds"] == []
    painting = {"texture", "retexture", "illusion", "panorama", "splat_texture", "stylize", "move", "backgrounds"}
    distilling = {"edit_panorama", "edit_video", "edit_scene", "text_to_3d"}
    assert set(cards["sd15"]["tasks"]) == painting | distilling
    assert distilling - set(cards["instruct-pix2pix"]["tasks"]) == {"text_to_3d"}
    assert cards["neural-gaffer"]["tasks"] == ["relight"]
    assert cards["magic-fixup"]["tasks"] == ["move"]
    assert cards["ic-light"]["tasks"] == ["retexture", "relight"]
    assert cards["sd15-inpainting"]["tasks"] == ["retexture", "stylize", "move", "backgrounds"]
    assert cards["ic-light-background"]["tasks"] == ["retexture", "relight"]
    heeding = {
        name: {card for card, row in cards.items() if name in row["heeds"]}
        for name in ("control", "image_guidance", "negative_prompt", "style_scale", "view_attention", "sync_until")
    }
    unets = {name for name, card in CARDS.items() if card.family in ("sd15", "sdxl", "zero123")}
    painters = {"sd15", "sdxl", "sd15-inpainting"}
    assert heeding == {
        "control": painters,
        "image_guidance": {"instruct-pix2pix"},
        "negative_prompt": set(CARDS) - {"flux2-klein", "flux2-klein-edit", "neural-gaffer", "magic-fixup"},
        "style_scale": painters,
        "view_attention": unets,
        "sync_until": set(CARDS),
    }
    assert {name for name, row in cards.items() if row.get("remark")} == {"sd3.5-medium", "magic-fixup"}
    for name, row in cards.items():
        commands = [part["command"] for part in row.get("missing", [])]
        assert commands == [fetch_command(part) for part in CARDS[name].parts] if name in CARDS else not commands


def test_the_embedded_view_is_the_one_that_is_told() -> None:
    assert painting.VIEW_SIZE == EMBEDDED_VIEW


def test_the_doctor_looks_at_models_and_their_packages(models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_MODELS", str(models_folder))
    monkeypatch.setattr(doctor_command, "unusable_classes", lambda: ["diffusers.AutoencoderKL"])
    found = {finding.subject: finding for finding in examine()}
    assert {"diffusers", "transformers", "safetensors", "accelerate", "peft"} <= set(found)
    assert f"{len(CARDS)} of {len(CARDS)} with trained weights (sd15, " in found["models"].found
    assert found["networks"].state == "bad"
    assert "diffusers.AutoencoderKL" in found["networks"].found


def test_classes_that_only_pretend_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hollow.py").write_text("class DummyObject(type): ...\nclass Net(metaclass=DummyObject): ...\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(packages, "USED", {"hollow": ("Net", "Other"), "json": ("JSONDecoder",)})
    assert packages.unusable_classes() == ["hollow.Net", "hollow.Other"]


def test_sizes_are_told_as_publishers_tell_them() -> None:
    assert [size_of(n) for n in (12, 1_500, 9_800_000, 4_265_000_000, 120 * 10**9)] == [
        "12 B", "1.5 kB", "9.8 MB", "4.3 GB", "120 GB",
    ]  # fmt: skip
