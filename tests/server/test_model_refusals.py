"""Jobs with networks at submit: refused with the remedy while something is missing, accepted as soon as it is there."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from practice_servers import PATIENCE

from weft.errors import WeftError
from weft.models.requests import EMBEDDED as CORE_EMBEDDED
from weft_server import able, crew, packages
from weft_server.able import check_able, shows_geometry, wish_of
from weft_server.options import ServerOptions
from weft_server.server import Server
from weft_wire.client import Client
from weft_wire.errors import CODES, WireError
from weft_wire.events import ConnectionEvent
from weft_wire.jobs import RetextureParams, TextureParams
from weft_wire.session import Session

SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
MESH = {
    "mesh.0.vertices": np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "f4"),
    "mesh.0.faces": np.array([[0, 1, 2]], "i4"),
}


@pytest.fixture(autouse=True)
def _no_other_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no cache"))
    monkeypatch.delenv("WEFT_MODELS", raising=False)


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    folder = tmp_path / "downloads"
    folder.mkdir()
    return folder


@pytest.fixture
def client(tmp_path: Path, downloads: Path) -> Iterator[Client]:
    """Of a server whose worker knows no such task: whether jobs are accepted is decided before it."""
    home = tmp_path / "home"
    options = ServerOptions(home=home, port=0, min_free_bytes=1, runners="practice_tasks", models=(downloads,))
    with Server(options), Client(key_dir=home / "keys", timeout=PATIENCE, address=_address(home)) as connected:
        yield connected


def _address(home: Path) -> str:
    from weft_wire.keys import public_hex, read_pairing

    pairing = read_pairing(home)
    assert pairing is not None
    return f"{pairing.address}#{public_hex(pairing.server_key)}"


def test_a_download_counts_at_once(client: Client, downloads: Path, models_folder: Path) -> None:
    job = TextureParams(prompt="moss", model="sd15")
    with pytest.raises(WireError) as caught:
        client.submit("texture", job, MESH, [])
    assert caught.value.code == "model_missing"
    assert str(downloads) in caught.value.message
    assert caught.value.hint.startswith(f"fetch it: hf download {SD15} ")
    shutil.copytree(models_folder / SD15, downloads / SD15)
    with pytest.raises(WireError, match="control_v11f1p_sd15_depth is not on this machine"):
        client.submit("texture", job, MESH, [])
    client.submit("texture", dataclasses.replace(job, control="none"), MESH, [])
    shutil.copytree(models_folder / "lllyasviel", downloads / "lllyasviel")
    client.submit("texture", job, MESH, [])
    weights = downloads / SD15 / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(WireError) as caught:
        client.submit("texture", job, MESH, [])
    assert caught.value.code == "bad_checkpoint"
    client.submit("texture", TextureParams(prompt="moss"), MESH, [])  # the embedded denoiser needs none of it


def test_a_download_is_announced_without_a_restart(
    tmp_path: Path, downloads: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "LOOK", 0.2)
    home = tmp_path / "announcing"
    options = ServerOptions(home=home, port=0, min_free_bytes=1, runners="practice_announcing", models=(downloads,))
    with Server(options), Session(_address(home), key_dir=home / "keys") as session:
        told = announced(session, lambda has: "cards" in has)
        assert told["models"] == ["exemplar"]
        shutil.copytree(models_folder / SD15, downloads / SD15)
        told = announced(session, lambda has: has["models"] != ["exemplar"])
        assert told["models"] == ["exemplar", "sd15"]


def announced(session: Session, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first capabilities that the session tells of for which the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for event in session.poll():
            if isinstance(event, ConnectionEvent) and event.welcome and condition(event.welcome.capabilities):
                return event.welcome.capabilities
        time.sleep(0.02)
    raise AssertionError("nothing of the kind was announced")


def refusal(
    task: str, arrays: tuple[str, ...] = ("mesh.0.vertices",), folder: Path | None = None, **params: Any
) -> Any:
    """What a job with these parameters is refused with; defaults are the wire's."""
    declared = {"retexture": RetextureParams}.get(task, TextureParams)
    completed = dataclasses.asdict(declared(**params))
    with pytest.raises((WireError, WeftError)) as caught:
        check_able(task, completed, arrays, (folder,) if folder else (), {})
    error: Any = caught.value
    assert error.code in CODES
    assert error.hint
    return error


def test_text_that_cannot_be_read_is_refused(models_folder: Path) -> None:
    assert refusal("texture", model="sd16").code == "unknown_name"
    wrong: list[tuple[str, Any]] = [
        ("control", "pose"), ("loras", "a:b"), ("checkpoint", "../secrets"), ("loras", "/etc/passwd"),
    ]  # fmt: skip
    for name, text in wrong:
        assert refusal("texture", model="sd15", folder=models_folder, **{name: text}).code == "invalid_input"
    assert refusal("texture", model="sd15", folder=models_folder, checkpoint="mine").code == "unknown_name"
    foreign = refusal("texture", model="sd15", folder=models_folder, loras="practice-lora-sdxl:0.5")
    assert foreign.code == "model_mismatch"


def test_models_that_edit_need_something_to_edit(models_folder: Path) -> None:
    for model in ("instruct-pix2pix", "sd15-inpainting", "ic-light"):
        error = refusal("texture", model=model, folder=models_folder)
        assert (error.code, error.hint.partition(",")[0]) == ("model_mismatch", "use it for retexture")
        check_able("retexture", dataclasses.asdict(RetextureParams(model=model)), MESH, (models_folder,), {})


def test_a_background_is_a_reference_image(models_folder: Path) -> None:
    given, arrays = {"model": "ic-light-background", "folder": models_folder}, ("mesh.0.vertices",)
    assert refusal("texture", arrays, **given).hint.startswith("use it for retexture")
    error = refusal("retexture", arrays, **given)
    assert (error.code, error.hint) == ("invalid_input", "give a reference image")
    params = dataclasses.asdict(RetextureParams(model="ic-light-background"))
    check_able("retexture", params, (*arrays, "exemplar"), (models_folder,), {})


def test_a_reference_image_alone_is_nothing_to_models_that_see_none(models_folder: Path) -> None:
    arrays = ("mesh.0.vertices", "exemplar")
    for model in ("sd3.5-medium", "flux2-klein"):
        error = refusal("texture", arrays, models_folder, model=model, prompt=" ")
        assert (error.code, error.hint.partition(",")[0]) == ("invalid_input", "write a prompt")
        check_able(
            "texture", dataclasses.asdict(TextureParams(model=model, prompt="moss")), arrays, (models_folder,), {}
        )
    check_able("texture", dataclasses.asdict(TextureParams(model="sd15")), arrays, (models_folder,), {})


def test_controls_need_geometry(models_folder: Path) -> None:
    assert shows_geometry(MESH)
    assert shows_geometry(["depth"])
    assert not shows_geometry(["exemplar"])
    params = dataclasses.asdict(TextureParams(model="sd15"))
    check_able("panorama", params, ["exemplar"], (models_folder,), {})
    assert (
        "there is no geometry"
        in refusal("panorama", ("exemplar",), models_folder, model="sd15", control="depth").message
    )


def test_tasks_without_parameters_for_networks_have_none(models_folder: Path) -> None:
    with pytest.raises(WireError, match="illusion cannot be done with sd15"):
        check_able("illusion", {"model": "sd15"}, [], (models_folder,), {})
    check_able("practice", {}, [], (), {})
    check_able("illusion", {"model": able.EMBEDDED}, [], (), {})
    assert able.EMBEDDED == CORE_EMBEDDED


def test_models_larger_than_the_device_are_refused_with_what_fits(models_folder: Path) -> None:
    params = dataclasses.asdict(TextureParams(model="sd15"))
    check_able("texture", params, MESH, (models_folder,), {"model_memory": 10**9, "weight_bytes": 4})
    for bits, memory, fitting in ((4, 10**5, "exemplar"), (2, 10**5, "exemplar")):
        with pytest.raises(WireError) as caught:
            check_able("texture", params, MESH, (models_folder,), {"model_memory": memory, "weight_bytes": bits})
        assert caught.value.code == "out_of_memory"
        assert caught.value.hint == f"these would fit: {fitting}"


def test_what_fits_is_told_by_cards() -> None:
    from weft.models.cards import CARDS
    from weft.models.library import Resolved

    large = Resolved(CARDS["flux2-klein"], {}, 16 * 10**9, 8 * 10**9)
    able._check_memory(large, 16 * 10**9, 2)
    with pytest.raises(WireError) as caught:
        able._check_memory(large, 8 * 10**9, 2)
    assert "16.0 GB of weights" in caught.value.message
    assert "sd15 (5 GB)" in caught.value.hint
    assert "sdxl" not in caught.value.hint
    with pytest.raises(WireError) as caught:
        able._check_memory(large, 9 * 10**9, 4)
    assert "instruct-pix2pix (8 GB)" in caught.value.hint
    assert "sd15 (" not in caught.value.hint


def test_packages_that_are_absent_are_named(models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "FOR_NETWORKS", ("json", "a_package_that_nobody_has"))
    error = refusal("texture", model="sd15", folder=models_folder)
    assert error.code == "missing_dependency"
    assert error.message == "sd15 needs the packages a_package_that_nobody_has"
    assert error.hint.endswith("-m pip install 'weft[models]'")


def test_packages_that_do_not_go_together_are_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "diffusers"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('cannot import name x\\nfrom y')")
    code = (
        "from weft_server.loaded_models import cache\ntry:\n    cache()\nexcept Exception as e:\n    print(e.code, e)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.startswith("missing_dependency the packages behind networks cannot be imported: cannot import")
    assert "pip install 'weft[models]' -U" in run.stdout
    assert run.stdout.count("\n") == 1


def test_distillation_follows_a_control_only_where_one_is_asked_for() -> None:
    """It goes by the pictures that it edits; what paints anew over geometry follows the depth of itself."""
    views = {"view.images", "splats.means"}
    asked = {"model": "sd15", "prompt": "moss"}
    assert [wish.kind for wish in wish_of(asked, views).controls] == ["depth"]
    assert wish_of(asked | {"rule": "csd_edit"}, views).controls == ()
    assert [wish.kind for wish in wish_of(asked | {"rule": "dds", "control": "canny"}, {"frames"}).controls] == [
        "canny"
    ]
