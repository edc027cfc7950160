"""Every task as people start it: a real server, its real worker, files in and files out, all of it small."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from practice_commands import OBJ, photo, refused, weft
from practice_servers import PATIENCE

from weft.geometry.splats import Splats
from weft.io.meshes import load_meshes, save_textured
from weft.io.splat_ply import write_splat_ply
from weft.io.splats import load_splats
from weft.io.textures import load_texture, load_textures
from weft_server.options import ServerOptions
from weft_server.server import Server
from weft_wire.client import Client
from weft_wire.events import PreviewEvent

TINY = ["--steps", "4", "--seed", "3"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with Server(ServerOptions(home=folder, port=0, min_free_bytes=1)):
        yield folder


@pytest.fixture(autouse=True)
def folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEFT_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cube.obj").write_text(OBJ)
    photo(tmp_path / "photo.png", 48, 40)
    return tmp_path


def done(*arguments: object) -> str:
    """Run the command, which must succeed; what it said."""
    status, said, complained = weft(*arguments, *TINY)
    assert (status, complained) == (0, ""), said + complained
    assert "wrote " in said.splitlines()[-1]
    return said


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def frames(path: str) -> int:
    with Image.open(path) as opened:
        return getattr(opened, "n_frames", 1)


def test_retexture_keeps_what_the_mask_keeps() -> None:
    painted = np.zeros((40, 48), np.uint8)
    painted[:, :24] = 255
    Image.fromarray(painted).save("mask.png")
    small = ["--size", 64, "--views", 4, "--no-decals"]
    said = done("retexture", "cube.obj", "-o", "new.obj", "--texture", "photo.png", "--mask", "mask.png",
                "--prompt", "moss", "--strength", "1", "--select", "0-3", *small)  # fmt: skip
    assert "new.obj, new.mtl, new.png" in said
    before, after = load_texture("photo.png"), load_texture("new.png")
    changed = (before != after).any(-1)
    assert not changed[:, 24:].any()
    assert changed[:, :24].mean() > 0.5


def test_retexture_finds_the_texture_in_the_file() -> None:
    texture = load_texture("photo.png")
    save_textured("in.glb", load_meshes("cube.obj"), [texture])
    small = ["--size", 64, "--views", 4, "--no-decals", "--exemplar", "photo.png"]
    done("retexture", "in.glb", "-o", "out.glb", "--select", "5", *small)
    ((after,),) = load_textures("out.glb")
    assert after.shape == texture.shape
    assert 0 < (after != texture).any(-1).mean() < 0.7


def test_an_illusion_of_words_and_a_picture() -> None:
    said = done("illusion", "mossy stone", "photo.png", "-o", "two.png", "--views", "identity", "rotate_90",
                "--size", 64, "--report")  # fmt: skip
    assert "material: mossy stone" in said
    assert said.splitlines()[-1].startswith(
        "wrote two.png, two.gif, two_view_1.png, two_view_2.png, two_contact_sheet.png in "
    )
    image = pixels("two.png")
    assert image.shape == (64, 64, 3)
    assert np.array_equal(pixels("two_view_1.png"), image)
    assert np.array_equal(pixels("two_view_2.png"), np.rot90(image))
    assert frames("two.gif") > 10


def test_an_illusion_of_three_words() -> None:
    done("illusion", "moss", "rust", "bricks", "-o", "three.png", "--size", 64, "--case", "5")
    assert np.array_equal(pixels("three_view_3.png"), pixels("three.png")[::-1])


def test_panoramas_wide_and_around() -> None:
    small = ["--window", 64, "--width", 256]
    done("panorama", "-o", "wide.png", "--prompt", "bricks", "--shape", "wide", "--height", 64, *small)
    assert pixels("wide.png").shape == (64, 256, 3)
    said = done("panorama", "-o", "around.png", "--exemplar", "photo.png", "--report", *small)
    assert pixels("around.png").shape == (128, 256, 3)
    assert "around_contact_sheet.png, around_turntable.gif" in said
    assert "100.0 % of the pixels" in said
    assert re.search(r"^measured: view_psnr \d+\.\d+, sharpness ", said, re.MULTILINE)
    assert re.search(r"^seconds: .*views \d+\.\d", said, re.MULTILINE)


def test_panoramas_of_a_scene() -> None:
    small = ["--window", 64, "--width", 256, "--prompt", "bricks"]
    done("panorama", "-o", "inside.png", "--scene", "cube.obj", "--viewpoint", 0, -0.5, 0.25, *small)
    height, width = np.mgrid[:64, :128]
    Image.fromarray((100 + 60 * np.sin(width / 20) + height).astype(np.uint8)).save("depth.png")
    done("panorama", "-o", "deep.png", "--depth", "depth.png", *small)
    assert not np.array_equal(pixels("inside.png"), pixels("deep.png"))


def test_a_depth_map_of_another_aspect_is_refused() -> None:
    Image.fromarray((np.arange(64 * 64) % 250).astype(np.uint8).reshape(64, 64)).save("square.png")
    status, _, complained = weft("panorama", "-o", "x.png", "--prompt", "moss", "--depth", "square.png")
    assert (status, len(complained.splitlines())) == (1, 1)
    assert "expected the aspect 2:1" in complained


def cloud() -> Splats:
    """A ball of splats with bands of degree 1 and opacities that are infinite."""
    rng = np.random.default_rng(0)
    means = rng.standard_normal((300, 3))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    logits = np.where(np.arange(300) % 50, 2.0, np.inf)
    arrays = (means, rng.standard_normal((300, 4)), np.full((300, 3), -2.5), logits, rng.random((300, 4, 3)))
    return Splats(*(array.astype("f4") for array in arrays))


@pytest.mark.parametrize(("sh", "degree"), [("keep", 1), ("drop", 0)])
def test_splats_get_colours_and_nothing_else(sh: str, degree: int) -> None:
    Path("ball.ply").write_bytes(write_splat_ply(cloud()))
    said = done("splat-texture", "ball.ply", "-o", "new.ply", "--prompt", "moss", "--size", 64, "--views", 8,
                "--up", "-y", "--sh", sh)  # fmt: skip
    assert "material: moss" in said
    old, new = load_splats("ball.ply").splats, load_splats("new.ply").splats
    for name in ("means", "quaternions", "log_scales", "logits"):
        assert getattr(old, name).tobytes() == getattr(new, name).tobytes()
    assert (new.degree, new.sh[:, 1:].any()) == (degree, False)
    assert (new.sh[:, 0] != old.sh[:, 0]).any(1).mean() > 0.9


def test_previews_of_splats_are_rows_of_1024_colours(home: Path) -> None:
    splats = cloud()
    arrays = {f"splats.{name}": getattr(splats, name) for name in ("means", "quaternions", "log_scales")}
    arrays["splats.logits"] = np.clip(splats.logits, -80, 80)
    with Client(timeout=PATIENCE) as client:
        job = client.submit("splat_texture", {"prompt": "moss", "size": 64, "views": 8, "steps": 4}, arrays)
        previews = [event for event in client.events(job, timeout=PATIENCE) if isinstance(event, PreviewEvent)]
        colours = 0.5 + 0.28209479177387814 * client.fetch(job).arrays["splats.dc"]
        client.release(job)
    assert {preview.image.shape for preview in previews} == {(1, 1024, 3)}
    last = previews[-1].image[0, :300] / 255
    assert np.abs(last - colours.clip(0, 1)).mean() < 0.1


def test_what_the_server_cannot_know_is_refused_at_once() -> None:
    assert "no synchronisation case" in refused("illusion", "moss", "rust", "-o", "x.png", "--case", "99")
    assert not Path("x.png").exists()


def test_options_for_networks_are_told_of_where_none_heeds_them() -> None:
    wide = ["panorama", "-o", "wide.png", "--prompt", "moss", "--shape", "wide", "--width", "256", "--height", "64"]
    said = done(*wide, "--window", "64", "--loras", "rusty", "--no-view-attention")
    assert said.startswith("note: exemplar does not heed --loras, --view-attention (choose a network: --model NAME)\n")
    assert "does not heed" not in done(*wide, "--window", "64")
