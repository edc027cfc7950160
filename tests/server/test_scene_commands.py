"""Scenes, panoramas and videos as people make and change them: a real server, files in and out, all of it small."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from practice_colmap import Reconstruction, write_text
from practice_commands import OBJ, photo, refused, weft

from weft.geometry.camera import Camera, orbit
from weft.geometry.splats import Splats
from weft.io.scene_files import load_scene
from weft.io.splat_ply import write_splat_ply
from weft.io.splats import load_splats
from weft.io.video import load_frames, save_video
from weft.tasks.events import Result
from weft.tasks.render_scene import render_scene
from weft_server.options import ServerOptions
from weft_server.server import Server

EDIT = ["--iterations", 2, "--seed", 3]
UNCHANGED = ("means", "quaternions", "log_scales", "logits")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with Server(ServerOptions(home=folder, port=0, min_free_bytes=1)):
        yield folder


def ball() -> Splats:
    """A ball of splats in the frame of captures, with opacities that are infinite and bands of degree 1."""
    rng = np.random.default_rng(0)
    means = rng.standard_normal((400, 3))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    logits = np.where(np.arange(400) % 50, 2.0, np.inf)
    bands = np.concatenate([means[:, None] * 1.5, 0.1 * rng.standard_normal((400, 3, 3))], 1)
    arrays = (means, rng.standard_normal((400, 4)), np.full((400, 3), -2.2), logits, bands)
    return Splats(*(array.astype("f4") for array in arrays))


def around() -> list[Camera]:
    return [Camera(orbit(40 * k, 15 * (k % 3), 3.0), 40, 32, 40, 40, 20, 16) for k in range(9)]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine pictures of the ball, with a transforms.json."""
    folder = tmp_path_factory.mktemp("photographs")
    cameras = around()
    sound = replace(ball(), logits=np.minimum(ball().logits, np.float32(80)))
    *_, last = render_scene(sound, cameras, background="grey", views=1, size=0, up="z")
    assert isinstance(last, Result)
    frames = []
    for k, (camera, image) in enumerate(zip(cameras, last.arrays["view.images"], strict=True)):
        Image.fromarray((image * 255).astype(np.uint8)).save(folder / f"{k}.png")
        frames.append({"file_path": f"{k}.png", "transform_matrix": camera.pose.tolist()})
    lens = {"fl_x": 40, "fl_y": 40, "cx": 20, "cy": 16, "w": 40, "h": 32}
    (folder / "transforms.json").write_text(json.dumps({**lens, "frames": frames}))
    return folder


@pytest.fixture(scope="module")
def reconstruction(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pictures as COLMAP leaves them, with points: splats begin on these, and need no first look."""
    folder = tmp_path_factory.mktemp("reconstruction")
    for picture in photographs.glob("*.png"):
        shutil.copy(picture, folder)
    points = np.concatenate([ball().means, 0.98 * ball().means])
    images = [(f"{k}.png", 1, camera) for k, camera in enumerate(around())]
    lens = ("PINHOLE", 40, 32, (40, 40, 20, 16))
    write_text(folder / "sparse" / "0", Reconstruction({1: lens}, images, points, np.full(points.shape, 128, np.uint8)))
    return folder


@pytest.fixture(autouse=True)
def inside(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEFT_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ball.ply").write_bytes(write_splat_ply(ball()))
    photo(tmp_path / "photo.png", 160, 80)
    return tmp_path


def done(*arguments: object) -> str:
    """Run the command, which must succeed; what it said."""
    status, said, complained = weft(*arguments)
    assert (status, complained) == (0, ""), said + complained
    assert "wrote " in said.splitlines()[-1]
    return said


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def test_photographs_become_a_scene_that_goes_on_and_is_rendered(reconstruction: Path, photographs: Path) -> None:
    plain = ["--splats", 300, "--hold-out", 4]
    said = done("fit", reconstruction, "-o", "first.weft", "--steps", 2, *plain)
    assert "start:" not in said, "there are points to begin on"
    said = done("fit", photographs, "-o", "more.weft", "--resume", "first.weft", "--steps", 4, *plain)
    assert re.search(r"^measured: train_psnr \d+\.\d+, held_out_psnr \d+\.\d+$", said, re.MULTILINE)
    assert (load_scene("first.weft").info.step, load_scene("more.weft").info.step) == (2, 4)
    done("render", "more.weft", "-o", "renders", "--views", 3)
    assert pixels("renders/images/0002.png").shape == (32, 40, 3)
    assert len(json.loads(Path("renders/transforms.json").read_text())["frames"]) == 3
    done("fit", photographs, "-o", "splats.ply", "--resume", "more.weft", "--steps", 5, *plain)
    assert load_splats("splats.ply").splats.degree == 1
    assert load_scene("splats.weft").info.step == 5


def test_only_colours_inside_the_box_change(photographs: Path) -> None:
    asked = ["--prompt", "moss", "--views", 4, "--size", 64, "--scene-steps", 4, *EDIT]
    said = done("edit-scene", "ball.ply", "-o", "half.ply", "--box", 0, -2, -2, 2, 2, 2, *asked, "--report")
    assert "material: moss" in said
    assert re.search(r"^edited views: .*psnr \d", said, re.MULTILINE)
    old, new = load_splats("ball.ply").splats, load_splats("half.ply").splats
    for name in UNCHANGED:
        assert getattr(old, name).tobytes() == getattr(new, name).tobytes()
    changed = (old.sh != new.sh).any((1, 2))
    assert changed[old.means[:, 0] > 0].mean() > 0.8
    assert not changed[old.means[:, 0] < 0].any()
    done("render", "half.ply", "-o", "around", "--views", 2, "--size", 48)
    assert pixels("around/images/0001.png").shape == (48, 48, 3)


def test_a_proxy_and_a_material_become_splats() -> None:
    Path("cube.obj").write_text(OBJ)
    done("text-to-3d", "-o", "cube.ply", "--proxy", "cube.obj", "--prompt", "rust", "--size", 32, "--steps", 2,
         "--splats", 200, "--batch", 2)  # fmt: skip
    made = load_splats("cube.ply").splats
    assert 100 <= made.count <= 200
    assert np.abs(made.means).max() == pytest.approx(1, abs=0.1)


def test_a_wide_image_is_changed_where_the_mask_is_white_and_regions_in_their_way() -> None:
    for name, columns in (("mask", slice(0, 120)), ("region", slice(0, 60))):
        mask = np.zeros((80, 160), np.uint8)
        mask[:, columns] = 255
        Image.fromarray(mask).save(f"{name}.png")
    said = done("edit-panorama", "photo.png", "-o", "wide.png", "--prompt", "moss", "--mask", "mask.png", "--region-1",
                "region.png", "--prompt-1", "rust", "--shape", "wide", "--window", 64, "--report", *EDIT)  # fmt: skip
    assert "material: moss" in said
    assert "material: rust" in said
    before, after = pixels("photo.png"), pixels("wide.png")
    assert np.array_equal(before[:, 120:], after[:, 120:])
    assert (before[:, :120] != after[:, :120]).any(-1).mean() > 0.5


def test_a_video_comes_back_at_its_rate_and_size() -> None:
    frames = np.stack([np.roll(pixels("photo.png"), 2 * k, 1) for k in range(4)])
    save_video("clip.mp4", frames, 12)
    done("edit-video", "clip.mp4", "-o", "new.mp4", "--prompt", "moss", "--size", 64, *EDIT)
    made = load_frames("new.mp4")
    assert made.images.shape == frames.shape
    assert made.rate == 12
    done("edit-video", "clip.mp4", "-o", "frames", "--prompt", "moss", "--size", 64, "--first", 1, "--count", 2, *EDIT)
    assert len(list(Path("frames").glob("*.png"))) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("fit", "nothing", "-o", "x.ply"), "there is no nothing"),
        (("fit", ".", "-o", "x.ply"), "transforms.json"),
        (("fit", "PHOTOGRAPHS", "-o", "x.obj"), "cannot write 'x.obj'"),
        (("fit", "PHOTOGRAPHS", "-o", "x.ply", "--kind", "voxels"), "holds splats, and this is voxels"),
        (("fit", "PHOTOGRAPHS", "-o", "x.ply", "--resume", "ball.ply"), "'ball.ply' is no .weft file"),
        (("render", "photo.png", "-o", "x"), "'photo.png' is no scene"),
        (("render", "ball.ply", "-o", "ball.ply"), "is a file"),
        (("edit-scene", "ball.ply", "-o", "x.ply"), "neither a prompt nor a reference image"),
        (("edit-scene", "ball.ply", "-o", "ball.ply", "--prompt", "moss"), "would be overwritten"),
        (("edit-scene", "ball.ply", "-o", "x.ply", "--prompt", "moss", "--box", *"000011"), "enclose nothing"),
        (("edit-scene", "cut.weft", "-o", "x.ply", "--prompt", "moss"), "'cut.weft': the scene file is damaged"),
        (("edit-panorama", "photo.png", "-o", "x.png", "--prompt-1", "moss"), "region 1 has no mask"),
        (("edit-panorama", "photo.png", "-o", "x.png", "--prompt", "moss", "--mask", "small.png"), "is 48×32 px"),
        (("edit-panorama", "photo.png", "-o", "x.png", "--region-1", "black.png"), "is black: it marks nothing"),
        (("edit-video", "photo.png", "-o", "x.mp4", "--prompt", "moss"), "'photo.png' has 1 frame"),
        (("edit-video", "empty", "-o", "x.mp4", "--prompt", "moss"), "empty"),
        (("text-to-3d", "-o", "x.ply"), "neither a prompt nor a reference image"),
        (("text-to-3d", "-o", "x.ply", "--prompt", "moss", "--kind", "voxels"), "holds splats, and this is voxels"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(photographs: Path, arguments: tuple[str, ...], says: str) -> None:
    Path("cut.weft").write_bytes(b"PK\x03\x04")
    Path("empty").mkdir()
    photo(Path("small.png"))
    Image.new("L", (160, 80)).save("black.png")
    assert says in refused(*(photographs if each == "PHOTOGRAPHS" else each for each in arguments))
    assert not Path("x.ply").exists()
