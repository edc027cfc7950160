"""`weft relight`, `stylize` and `move` as people start them: a real server, folders and files in and out, all small."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from practice_commands import OBJ, photo, refused, weft

from weft.geometry.camera import frame_object
from weft.geometry.lights import LIGHTS
from weft.io.images import save_image
from weft.io.meshes import load_meshes
from weft.io.textures import load_texture
from weft.io.transforms import load_cameras
from weft.methods.view_editing import WAYS
from weft.spaces.surface import build_surface
from weft.tasks.rendering import render_surface
from weft_server.options import ServerOptions
from weft_server.server import Server
from weft_server.view_files import given_views
from weft_wire.jobs import MoveParams, relight, views

SMALL = ["--steps", "4", "--seed", "3"]
VIEWS = [(0.0, 10.0), (35.0, 20.0), (70.0, 10.0)]
SIDE = 64


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with Server(ServerOptions(home=folder, port=0, min_free_bytes=1)):
        yield folder


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: cube.obj with photo.png, views/ of it with poses, masks of its left half, and a light."""
    folder = tmp_path_factory.mktemp("scene")
    (folder / "cube.obj").write_text(OBJ)
    photo(folder / "photo.png", 48, 40)
    surface = build_surface(load_meshes(folder / "cube.obj"), 128)
    texture = np.asarray(Image.open(folder / "photo.png").resize((128, 128)), np.float32) / 255
    frames = []
    for name in ("views/images", "masks", "empty"):
        (folder / name).mkdir(parents=True)
    for i, camera in enumerate(frame_object(surface.vertices, VIEWS, SIDE)):
        image, mask = render_surface(surface, [texture], camera)
        save_image(folder / f"views/images/{i}.png", image)
        save_image(folder / f"masks/{i}.png", np.repeat(mask[..., None], 3, 2).astype(np.float32))
        save_image(folder / f"empty/{i}.png", np.zeros_like(image))
        lens = {"fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx, "cy": camera.cy, "w": SIDE, "h": SIDE}
        frames.append({"file_path": f"images/{i}.png", "transform_matrix": camera.pose.tolist(), **lens})
    (folder / "views/transforms.json").write_text(json.dumps({"frames": frames}))
    return folder


@pytest.fixture(autouse=True)
def inside(home: Path, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEFT_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    for name in ("cube.obj", "photo.png", "views", "masks", "empty"):
        (tmp_path / name).symlink_to(scene / name)
    return tmp_path


def done(*arguments: object) -> str:
    status, said, complained = weft(*arguments, *SMALL)
    assert (status, complained) == (0, ""), said + complained
    assert "wrote " in said.splitlines()[-1]
    return said


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def test_a_mesh_is_relit_into_its_texture() -> None:
    said = done("relight", "cube.obj", "--texture", "photo.png", "-o", "lit.obj", "--light", "sunset", "--size", 64,
                "--views", 4, "--report")  # fmt: skip
    assert "synchronized through mesh" in said
    before, after = load_texture("photo.png"), load_texture("lit.png")
    assert before.shape == after.shape
    assert np.abs(after.astype(int) - before).mean() > 5
    assert {path.name for path in Path().glob("lit*")} >= {"lit.obj", "lit_contact_sheet.png", "lit_turntable.gif"}


def test_photographs_with_their_mesh_are_painted_and_baked() -> None:
    said = done(
        "stylize", "views", "--mesh", "cube.obj", "-o", "painted", "--style", "photo.png", "--texture-size", 128
    )
    assert "painted/model.glb" in said
    written = load_cameras("painted/transforms.json")
    given = load_cameras("views/transforms.json")
    for old, new, path in zip(given.cameras, written.cameras, written.images, strict=True):
        np.testing.assert_allclose(new.pose, old.pose, atol=1e-5)
        assert path is not None
        assert pixels(path).shape == (SIDE, SIDE, 3)
    assert np.abs(pixels("painted/images/0.png").astype(int) - pixels("views/images/0.png")).mean() > 2
    assert load_meshes("painted/model.glb")[0].corner_uv is not None


def test_a_second_run_gives_the_same_bytes_in_the_same_folder() -> None:
    made = []
    for _ in range(2):
        said = done("relight", "views", "--mesh", "cube.obj", "-o", "again", "--light", "neon",
                    "--old-light", "overcast", "--texture-size", 128)  # fmt: skip
        made.append((pixels("again/images/1.png").tobytes(), Path("again/model.glb").read_bytes()))
        Path("again/images/9.png").touch()  # as from a run on other views
    assert made[0] == made[1]
    assert "again/images holds 1 more, of an earlier run" in said


def test_the_declaration_names_every_light() -> None:
    assert relight.LIGHTS.split(", ") == list(LIGHTS)


def test_the_declaration_names_every_way() -> None:
    assert set(views.WAYS) == {"automatic", *WAYS}


def test_a_mesh_is_moved_in_photographs() -> None:
    done("move", "views", "--mesh", "cube.obj", "-o", "moved", "--object", "cube", "--translate", 0.4, 0, 0)
    before, after = (pixels(f"{folder}/images/1.png").astype(int) for folder in ("views", "moved"))
    assert np.abs(after - before).mean() > 3
    assert not Path("moved/model.glb").exists()


def test_what_masks_show_is_moved() -> None:
    done("move", "views", "--mesh", "cube.obj", "-o", "there", "--object", "masks", "--translate", 0, 0, 0.3)
    moved = pixels("there/images/0.png")
    done("move", "views", "--mesh", "cube.obj", "-o", "named", "--object", "cube", "--translate", 0, 0, 0.3)
    assert np.abs(moved.astype(int) - pixels("named/images/0.png")).mean() < 1  # all of it is the cube


def other_size(folder: Path) -> None:
    for i in range(3):
        side = SIDE if i else SIDE // 2
        photo(folder / f"images/{i}.png", side, side, seed=i)


def spoiled(tmp_path: Path, **changes: object) -> str:
    """A copy of the views with other poses, or as many of them as asked for."""
    folder = tmp_path / "spoiled"
    (folder / "images").mkdir(parents=True)
    document = json.loads(Path("views/transforms.json").read_text())
    for i in range(3):
        (folder / f"images/{i}.png").write_bytes(Path(f"views/images/{i}.png").read_bytes())
    if "keep" in changes:
        document["frames"] = document["frames"][: changes["keep"]]
    if "drop" in changes:
        for frame in document["frames"]:
            del frame[changes["drop"]]
    if changes.get("sizes"):
        for frame in document["frames"]:
            del frame["w"], frame["h"]
        other_size(folder)
    (folder / "transforms.json").write_text(json.dumps(document))
    return str(folder)


RELIT = ("-o", "out", "--light", "noon")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("relight", "nowhere", *RELIT), "nowhere"),
        (("relight", "photo.png", *RELIT), "neither a folder of views nor a mesh"),
        (("relight", "masks", *RELIT), "transforms.json"),
        (("relight", "views", "-o", "out"), "no light"),
        (("relight", "views", "-o", "out", "--light", "noon", "--env", "photo.png"), "photo.png"),
        (("relight", "views", "-o", "out", "--env", "photo.png"), "photo.png"),
        (("relight", "views", "-o", "out", "--light", "sunsett"), "lights: studio"),
        (("relight", "views", *RELIT, "--old-light", "dusk"), "lights: studio"),
        (("relight", "views", "-o", "out", "--prompt", "a warm evening"), "takes no light from words"),
        (("relight", "cube.obj", "--texture", "photo.png", "-o", "views", "--light", "noon"), "would be overwritten"),
        (("relight", "views", *RELIT, "--coupling", "-1"), "coupling"),
        (("relight", "views", *RELIT, "--coupling-lambda", "-0.5"), "coupling_lambda"),
        (("relight", "views", "-o", "views", "--light", "noon"), "holds the views themselves"),
        (("relight", "views/transforms.json", "-o", "views", "--light", "noon"), "holds the views themselves"),
        (("relight", "views", "-o", "views/in/it", "--light", "noon"), "there is no folder"),
        (("relight", "views", "-o", "out.png", "--light", "noon"), "name a folder"),
        (("relight", "views", *RELIT, "--texture", "photo.png"), "--texture goes with a mesh"),
        (("relight", "views", *RELIT, "--reference", "4"), "reference = 4"),
        (("relight", "views", *RELIT, "--take", "1"), "--take 1"),
        (("relight", "cube.obj", "-o", "lit.obj", "--light", "noon"), "no texture"),
        (("relight", "views", *RELIT, "--mesh", "cube.obj", "--splats", "cube.obj"), "both --mesh and --splats"),
        (("stylize", "views", "-o", "out"), "neither a prompt nor a reference image"),
        (("relight", "views", *RELIT, "--model", "ic-light", "--prior", "mv-adapter-geometry"), "cameras of its own"),
        (("relight", "views", *RELIT, "--prior", "seva", "--way", "per_view"), "asks no prior"),
        (("relight", "views", *RELIT, "--model", "flux2-klein-edit", "--prior", "seva"), "they cannot be coupled"),
        (("move", "views", "-o", "out", "--object", "sofa", "--mesh", "cube.obj"), "sofa"),
        (("move", "views", "-o", "out", "--object", "masks", "--rotate", "0", "0", "9"), "--about"),
        (("move", "views", "-o", "out", "--object", "views"), "no mask"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments: tuple[str, ...], says: str) -> None:
    assert says in refused(*arguments)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"keep": 1}, "1 view"),
        ({"keep": 0}, "no frames"),
        ({"drop": "transform_matrix"}, "transform_matrix"),
        ({"sizes": True}, "32×32"),
    ],
)
def test_views_that_are_no_views_are_refused_in_one_line(changes: dict[str, object], says: str, tmp_path: Path) -> None:
    assert says in refused("stylize", spoiled(tmp_path, **changes), "-o", "out", "--style", "photo.png")


def test_the_pictures_that_were_given_are_not_written_over(tmp_path: Path) -> None:
    folder = Path(spoiled(tmp_path))
    document = json.loads((folder / "transforms.json").read_text())
    for frame in document["frames"]:
        frame["file_path"] = f"spoiled/{frame['file_path']}"
    Path("outer.json").write_text(json.dumps(document))
    (folder / "transforms.json").unlink()
    before = (folder / "images/1.png").read_bytes()
    assert "holds the views themselves" in refused("stylize", "outer.json", "-o", "spoiled", "--style", "photo.png")
    assert (folder / "images/1.png").read_bytes() == before


def test_large_photographs_and_their_masks_are_scaled_to_what_jobs_take(tmp_path: Path) -> None:
    """A view that does not show the object has a black mask."""
    document = json.loads(Path("views/transforms.json").read_text())
    for i, frame in enumerate(document["frames"]):
        frame |= {"w": 2100, "h": 210}
        for kind in ("images", "masks"):
            (tmp_path / "large" / kind).mkdir(parents=True, exist_ok=True)
            Image.new("L", (2100, 210), 0 if i else 255).save(tmp_path / f"large/{kind}/{i}.png")
    (tmp_path / "large/transforms.json").write_text(json.dumps(document))
    given = Namespace(
        views_from=Path("large"), out=Path("out"), mesh=None, splats=None, texture=None, take=3
    )  # fmt: skip
    arrays = given_views(given, MoveParams(), [], objects=Path("large/masks")).arrays
    assert arrays["view.images"].shape == (3, 205, 2048, 3)
    assert arrays["camera.intrinsics"][:, 4:].tolist() == [[2048, 205]] * 3
    assert [mask.mean() for mask in arrays["object.masks"]] == [1, 0, 0]
